"""Numbers as text and as JSON values."""

from __future__ import annotations

import math
from collections.abc import Iterable

#: Absolute values below this are rounding errors of zero.
MIN_VISIBLE = 1e-12


def number(value: float) -> str:
    """Format a number with four significant digits, without an exponent where it can be avoided.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        Its text, '-' for NaN.

    Examples
    --------
    >>> [number(v) for v in (0.123456, 72.0134, 1234567.0, 0.0, float("nan"), 2e-9)]
    ['0.1235', '72.01', '1234567', '0', '-', '2e-09']
    """
    if math.isnan(value):
        return "-"
    if 1e15 <= abs(value) < math.inf:
        return f"{value:.4g}"
    if float(value).is_integer():
        return f"{value:z.0f}"
    if abs(value) >= 1e4:
        return f"{value:.0f}"
    return f"{value:.4g}"


def format_interval(value: float, low: float, high: float) -> tuple[str, str]:
    """Format a number and its interval with the decimals that the width of the interval supports.

    Parameters
    ----------
    value : float
        The number.
    low, high : float
        Ends of the interval, NaN if there is none.

    Returns
    -------
    value : str
        With two significant digits of the half width, or as `number` does if there is no interval. Empty for NaN.
    interval : str
        As 'low to high', empty if there is none.

    Examples
    --------
    >>> format_interval(0.38123, 0.3681, 0.3912), format_interval(72.0134, float("nan"), float("nan"))
    (('0.381', '0.368 to 0.391'), ('72.01', ''))
    >>> format_interval(12345.6, 12001.0, 12690.2), format_interval(-0.14, -0.28, -0.003)
    (('12346', '12001 to 12690'), ('-0.14', '-0.28 to -0.003'))
    """
    if math.isnan(value):
        return "", ""
    half_width = (high - low) / 2
    if not math.isfinite(half_width):
        return number(value), ""
    if half_width <= 0:
        return number(value), f"{number(low)} to {number(high)}"
    decimals = min(max(1 - math.floor(math.log10(half_width)), 0), 12)
    return f"{value:z.{decimals}f}", " to ".join(_signed_end(end, decimals) for end in (low, high))


def _signed_end(end: float, decimals: int) -> str:
    """Format an end of an interval with up to two more decimals where it would look like zero, and is not."""
    texts = [f"{end:.{decimals + n_added}f}" for n_added in (0, 1, 2)]
    return next((text for text in texts if float(text) != 0), f"{0:.{decimals}f}")


def common_decimals(texts: Iterable[str], /) -> int | None:
    """Return the largest number of decimals of some numbers as text, None if one is infinite or has an exponent.

    >>> common_decimals(["0.5", "0.125", "2"]), common_decimals(["0.5", "2e-09"])
    (3, None)
    """
    decimals = [None if "e" in text or "inf" in text else len(text.partition(".")[2]) for text in texts]
    return None if None in decimals else max(decimals, default=0)  # type: ignore[type-var]


def column_numbers(values: Iterable[float], /) -> list[str]:
    """Format the numbers of a column with four significant digits, and with one number of decimals.

    Parameters
    ----------
    values : iterable of float
        The numbers.

    Returns
    -------
    list of str
        Their texts, '-' for NaN. If one needs an exponent, all are as `number` formats them.

    Examples
    --------
    >>> column_numbers([0.5611, 0.537, 1.0, float("nan")]), column_numbers([2.0, 3.0])
    (['0.5611', '0.5370', '1.0000', '-'], ['2', '3'])
    """
    values = list(values)
    texts = [number(value) for value in values]
    decimals = common_decimals(texts)
    if decimals is None:
        return texts
    return [text if math.isnan(value) else f"{value:z.{decimals}f}" for text, value in zip(texts, values, strict=True)]


def visible_decimals(low: float, high: float, usual: int, /, *, most: int = 6) -> int:
    """Return the usual number of decimals, or more if both ends of the interval would look the same.

    Parameters
    ----------
    low, high : float
        Ends of the interval, NaN if there is none.
    usual : int
        Decimals of a number whose interval is not narrow.
    most : int, default 6
        Largest number of decimals.

    Returns
    -------
    int
        The number of decimals.

    Examples
    --------
    >>> visible_decimals(71.8, 72.2, 1), visible_decimals(80.29, 80.31, 1), visible_decimals(0.5, 0.5, 1)
    (1, 2, 1)
    """
    if not 10.0**-most <= high - low < math.inf:
        return usual
    return next((n for n in range(usual, most) if f"{low:.{n}f}" != f"{high:.{n}f}"), most)


def with_interval(value: float, low: float, high: float, *, sign: bool = False) -> str:
    """Format a number and its interval as one text.

    Parameters
    ----------
    value : float
        The number.
    low, high : float
        Ends of the interval, NaN if there is none.
    sign : bool, default False
        Whether positive numbers have a sign, as changes do.

    Returns
    -------
    str
        As 'value [low, high]' with the digits that the interval supports. Empty for NaN.

    Examples
    --------
    >>> with_interval(0.38123, 0.3681, 0.3912), with_interval(0.0662, 0.0451, 0.0882, sign=True)
    ('0.381 [0.368, 0.391]', '+0.066 [+0.045, +0.088]')
    """
    text, interval = format_interval(value, low, high)
    numbers = [text, *interval.split(" to ")] if interval else [text]
    if sign:
        numbers = [f"+{entry}" if entry and not entry.startswith("-") else entry for entry in numbers]
    return f"{numbers[0]} [{', '.join(numbers[1:])}]" if interval else numbers[0]


def precise_number(value: float | str) -> str:
    """Format a number with up to five decimals, and with powers of ten if they are shorter.

    Parameters
    ----------
    value : float or str
        The number. A word is returned as it is.

    Returns
    -------
    str
        Its text, 'undefined' for NaN.

    Examples
    --------
    >>> [precise_number(v) for v in (60.0, 6.463991, -0.5, 0.00012, 1.84e39, float("nan"), "yes")]
    ['60', '6.46399', '−0.5', '1.20·10⁻⁴', '1.84·10³⁹', 'undefined', 'yes']
    """
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "undefined"
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{mantissa}·10{superscript}".replace("-", "−")
    text = f"{value:.5f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.4g}"
    return text.replace("-", "−")


def fixed(value: float, decimals: int, /, *, sign: bool = False) -> str:
    """Format a number with fixed decimals, and with two significant digits if it would look like zero and is not.

    Parameters
    ----------
    value : float
        The number. Absolute values below 1e-12 are rounding errors of zero.
    decimals : int
        The usual number of decimals.
    sign : bool, default False
        Whether positive numbers have a sign, as changes do.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> [fixed(v, 3) for v in (0.7624, 0.000042, -0.0000301, 0.0, 3e-17)]
    ['0.762', '4.2e-05', '-3e-05', '0.000', '0.000']
    >>> fixed(0.0062, 1, sign=True), fixed(2.25, 1, sign=True)
    ('+0.0062', '+2.2')
    """
    plus = "+" if sign else ""
    text = f"{value:{plus}z.{decimals}f}"
    if not MIN_VISIBLE <= abs(value) < 0.5 * 10.0**-decimals:
        return text
    return f"{value:{plus}.2g}"


def cosine_text(cosine: float, decimals: int, /) -> str:
    """Format a cosine with fixed decimals, and with two digits of its distance from 1 if it would look like 1.

    Parameters
    ----------
    cosine : float
        The cosine. One within 1e-12 of 1 is 1 but for rounding.
    decimals : int
        The usual number of decimals.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> [cosine_text(v, 3) for v in (0.25, 0.9992, 0.9999921, 1.0)]
    ['0.250', '0.999', '0.9999921', '1.000']
    """
    if MIN_VISIBLE <= 1 - cosine < 0.5 * 10.0**-decimals:
        decimals = 1 - math.floor(math.log10(1 - cosine))
    return f"{cosine:z.{decimals}f}"


def percent(share: float) -> str:
    """Format a share as a percentage with one decimal, or with more if it would look like none or all and is not.

    Parameters
    ----------
    share : float
        The share, 1 for all.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> percent(0.5521), percent(0.7105), percent(0.00001), percent(0.99996), percent(1.0)
    ('55.2 %', '71.1 %', '0.001 %', '99.996 %', '100.0 %')
    """
    texts = [f"{100 * round(share, decimals + 2):z.{decimals}f}" for decimals in range(1, 9)]
    return f"{next((text for text in texts if (float(text) in (0, 100)) == (share in (0, 1))), texts[0])} %"


def counted(count: int, noun: str, /) -> str:
    """Return a number with its noun, in the singular for one.

    Parameters
    ----------
    count : int
        The number of things.
    noun : str
        The noun in the singular, with its adjectives.

    Returns
    -------
    str
        The number with commas, and the noun.

    Examples
    --------
    >>> counted(1, "item"), counted(1797, "independent item"), counted(0, "query"), counted(2, "match")
    ('1 item', '1,797 independent items', '0 queries', '2 matches')
    """
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{count:,} {noun[:-1]}ies"
    return f"{count:,} {noun}{'es' if noun.endswith(('ch', 'sh', 's', 'x')) else 's'}"


def too_few(count: int, noun: str, /) -> str:
    """Return that there are too few things, in the singular for one.

    Parameters
    ----------
    count : int
        The number of things.
    noun : str
        The noun in the singular, with its adjectives.

    Returns
    -------
    str
        The start of a sentence.

    Examples
    --------
    >>> too_few(1, "item"), too_few(12, "independent item")
    ('1 item is too few', '12 independent items are too few')
    """
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'} too few"


def number_from_json(value: float | None) -> float:
    """Return the number that `json_number` stored.

    Parameters
    ----------
    value : float or None
        The JSON value.

    Returns
    -------
    float
        NaN for None.

    Examples
    --------
    >>> number_from_json(0.5), number_from_json(None)
    (0.5, nan)
    """
    return math.nan if value is None else float(value)


def json_number(value: float) -> float | None:
    """Return a number as JSON can store it.

    Parameters
    ----------
    value : float
        The number, also a NumPy scalar.

    Returns
    -------
    float or None
        None for NaN and infinite values, which JSON lacks.

    Examples
    --------
    >>> json_number(0.5), json_number(float("nan"))
    (0.5, None)
    """
    value = float(value)
    return value if math.isfinite(value) else None


def sample_words(n_sampled: int, n_items: int) -> str:
    """Return the words that state a random sample of items.

    Parameters
    ----------
    n_sampled, n_items : int
        Number of items in the sample, and of all items.

    Returns
    -------
    str
        Words, or nothing if the sample holds all items.

    Examples
    --------
    >>> sample_words(10_000, 20_000), sample_words(50, 50)
    ('a random sample of 10,000 of 20,000 items', '')
    """
    return f"a random sample of {n_sampled:,} of {n_items:,} items" if n_sampled < n_items else ""
