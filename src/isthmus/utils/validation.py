"""Validation of rows and arguments, with messages that say what came and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.utils.arguments import check_count, shown
from isthmus.utils.errors import MAX_LENGTH, InputError, bounded

if TYPE_CHECKING:
    import numpy as np

#: Fewest items of a sample that is asked for.
MIN_SAMPLE_ITEMS = 100


def check_float_dtype(dtype: np.dtype, address: str, *, codes: bool = False) -> None:
    """Raise `InputError` for a dtype that is not float16, float32 or float64.

    Parameters
    ----------
    dtype : dtype
        Dtype of the rows.
    address : str
        File or array that the message names.
    codes : bool, default False
        Whether int8 and uint8 are allowed: codes of a quantiser, which are decoded later.
    """
    if dtype.kind == "O":
        raise InputError(
            f"{address}: holds Python objects (pickled), which are never loaded; if you trust it, run rows = "
            f"np.load(FILE, allow_pickle=True).tolist() and np.save('rows.npy', np.array(rows, 'float32')), "
            "with rows[NAME] if it is a dictionary"
        )
    if codes and dtype.kind in "iu" and dtype.itemsize == 1:
        return
    if dtype.kind in "iub":
        raise integer_dtype(str(dtype), address)
    if dtype.kind not in "fc":
        held = {"U": "text", "S": "text", "M": "dates", "m": "times"}.get(dtype.kind, "records")
        held = "bytes, as NumPy saves bfloat16: save float32" if dtype.kind == "V" and dtype.names is None else held
        vectors = [name for name in dtype.names or () if dtype[name].shape]
        advice = f"; save the field rows[{vectors[0]!r}] alone" if len(vectors) == 1 else ""
        raise InputError(
            f"{address}: has dtype {str(dtype)[:40]} ({held}), expected float16, float32 or float64{advice}"
        )
    if dtype.kind == "c":
        raise InputError(
            f"{address}: has dtype {dtype}, expected real numbers; np.concatenate([rows.real, rows.imag], axis=1) "
            "keeps lengths and the real part of products, and .astype drops the imaginary part"
        )
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(f"{address}: has dtype {dtype}, expected float16, float32 or float64; convert it with .astype")


def integer_dtype(dtype: str, address: str) -> InputError:
    """Return the error for rows of whole numbers, which are codes of a quantiser or no embeddings.

    Parameters
    ----------
    dtype : str
        Dtype of the rows.
    address : str
        File or array that the message names.

    Returns
    -------
    InputError
        The error to raise.
    """
    if dtype.endswith("int8"):
        return InputError(
            f"{address}: has dtype {dtype}: codes, which are no embeddings without their scale (a plain cast gives "
            "wrong angles); open them with --scale (1 for counts, or 0 and 1) and --offset, --ranges, or --bits if "
            "signs are packed (open_pairs(..., scale=))"
        )
    if dtype == "bool":
        return InputError(
            f"{address}: has dtype bool, expected floats; give rows.astype('float32') for 0 and 1, or 2.0 * rows - 1 "
            "for signs"
        )
    return InputError(
        f"{address}: has dtype {dtype}, expected floats; whole numbers are ids or codes, not embeddings; codes become "
        "floats as scale * rows + offset, and --index or --labels (index=, labels=) takes one number for each row"
    )


def check_matrix_shape(shape: Sequence[int], address: str, *, min_rows: int = 2) -> None:
    """Raise `InputError` for a shape that is not (n, d) or (n, k, d) with n >= min_rows and d >= 2.

    A shard may also be one row (d,).

    Parameters
    ----------
    shape : sequence of int
        Shape of the rows.
    address : str
        File or array that the message names.
    min_rows : int, default 2
        Smallest number of rows. A shard may have 0.
    """
    shape = tuple(int(size) for size in shape)
    if len(shape) == 1 and min_rows == 0:
        shape = (1, *shape)
    if len(shape) == 3 and shape[0] == 1 < min(shape[1], min_rows):
        raise InputError(
            f"{address}: has shape {shape}: one item of {shape[1]:,} vectors; give array[0] if each is an item"
        )
    if len(shape) == 3 and shape[1] > 0:
        shape = (shape[0], shape[2])
    if len(shape) != 2:
        advice = "; if whole rows follow each other, give array.reshape(-1, WIDTH)" if len(shape) == 1 else ""
        if len(shape) > 3:
            is_row = sum(size != 1 for size in shape[1:]) == 1
            axes = tuple(range(2, len(shape)))
            advice = f"; {'give array.reshape(len(array), -1)' if is_row else f'average positions, array.mean({axes})'}"
        raise InputError(f"{address}: has shape {shape}, expected two dimensions (rows, width){advice}")
    if shape[0] < 0 or shape[0] == 0 < min_rows:
        raise InputError(
            f"{address}: is empty (shape {shape}), expected at least {'two rows' if min_rows > 1 else 'one row'}"
        )
    if shape[0] == 1 < min_rows:
        raise InputError(f"{address}: has one row (shape {shape}), expected at least two")
    if shape[0] and shape[1] < 2:
        raise InputError(f"{address}: has width {shape[1]}, expected at least two columns")


def check_same_length(n_x: int, n_y: int, address_x: str, address_y: str) -> None:
    """Raise `InputError` if the two modalities have different numbers of rows.

    Parameters
    ----------
    n_x, n_y : int
        Numbers of rows.
    address_x, address_y : str
        Files or arrays that the message names.
    """
    if n_x == n_y:
        return
    is_close = 10 * abs(n_x - n_y) < max(n_x, n_y)
    hint = "isthmus inspect shows missing rows" if is_close else "isthmus zero-shot takes class texts"
    advice = (
        "give --key COLUMN (key=) or --index FILE (index=) if rows match, else measure --unpaired (unpaired=True); "
        + hint
    )
    counts = f"{address_x} has {n_x:,} rows and {address_y} has {n_y:,}"
    raise InputError(f"{counts}, expected equal numbers; {advice}")


def one_per_row(values: Any, name: str) -> np.ndarray:
    """Return the entries of a list as an array, or raise `InputError` for different lengths or masked entries.

    Parameters
    ----------
    values : array-like
        An entry for each row.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    ndarray
        The array.
    """
    import numpy as np

    if np.ma.is_masked(values):
        masked = rows_are(np.flatnonzero(np.ma.getmaskarray(values)), "masked")
        raise InputError(f"{name}: {masked}; leave these rows out with open_pairs(..., drop_bad=True)")
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError(f"{name}={shown(values)}, expected one entry for each row") from None


def check_labels(labels: np.ndarray, rows: int, name: str) -> None:
    """Raise `InputError` for labels that are not one for each row, or are missing for some.

    Parameters
    ----------
    labels : ndarray
        Labels.
    rows : int
        Number of rows.
    name : str
        Name of the modality.
    """
    if labels.shape != (rows,):
        given = f"{labels.shape[0]:,} entries" if labels.ndim == 1 else f"shape {labels.shape}"
        raise InputError(f"labels has {given}, expected one for each of the {rows:,} rows of {name}")
    check_no_missing_label(labels, "labels", "leave these items out, or give them a class of their own")


def check_no_missing_label(labels: np.ndarray, name: str, advice: str) -> None:
    """Raise `InputError` for labels that are None or NaN.

    Parameters
    ----------
    labels : ndarray
        Labels.
    name : str
        Name of the argument, for the message.
    advice : str
        What to do with the rows.
    """
    if labels.dtype.kind not in "fOmM":
        return
    import numpy as np

    is_missing = np.frompyfunc(_is_missing, 1, 1)(labels).astype(bool) if labels.dtype.kind == "O" else labels != labels
    missing = np.flatnonzero(is_missing)
    if len(missing):
        have = "has" if len(missing) == 1 else "have"
        raise InputError(f"{name}: {format_rows(missing)} (counted from 0) {have} no class (NaN or None); {advice}")


def _is_missing(label: Any) -> bool:
    """Return True for None, NaN, and the missing values of pandas."""
    return label is None or (not isinstance(label, str) and str(label) in {"nan", "NaT", "<NA>"})


def format_rows(rows: np.ndarray, max_listed: int = 5) -> str:
    """Return row numbers as text.

    Parameters
    ----------
    rows : int array
        Row numbers.
    max_listed : int, default 5
        Largest number of rows to list.

    Returns
    -------
    str
        Text such as 'row 3' or 'rows 3, 8, 9, 10, 11 and 20 more'.

    Examples
    --------
    >>> import numpy as np
    >>> format_rows(np.array([3])), format_rows(np.arange(25), max_listed=2)
    ('row 3', 'rows 0, 1 and 23 more')
    """
    listed = ", ".join(str(int(row)) for row in rows[:max_listed])
    remaining = f" and {len(rows) - max_listed:,} more" if len(rows) > max_listed else ""
    return f"row{'s' if len(rows) > 1 else ''} {listed}{remaining}"


def rows_are(rows: np.ndarray, state: str) -> str:
    """Return a clause about the state of rows.

    Parameters
    ----------
    rows : int array
        Row numbers.
    state : str
        What they are, such as 'null'.

    Returns
    -------
    str
        Text such as 'rows 3, 8 (counted from 0) are null'.

    Examples
    --------
    >>> import numpy as np
    >>> rows_are(np.array([3]), "null")
    'row 3 (counted from 0) is null'
    """
    return f"{format_rows(rows)} (counted from 0) {'is' if len(rows) == 1 else 'are'} {state}"


def ids_are(ids: np.ndarray, state: str, max_listed: int = 5) -> str:
    """Return a clause about the state of rows that have ids.

    Parameters
    ----------
    ids : array
        Ids of the rows.
    state : str
        What the rows are, such as 'null'.
    max_listed : int, default 5
        Largest number of ids to list.

    Returns
    -------
    str
        Text such as 'the rows of the ids 3, 8 are null'.

    Examples
    --------
    >>> import numpy as np
    >>> ids_are(np.array(["a7"]), "null")
    'the row of the id a7 is null'
    """
    listed = ", ".join(str(key) for key in ids[:max_listed].tolist())
    remaining = f" and {len(ids) - max_listed:,} more" if len(ids) > max_listed else ""
    plural = "s" if len(ids) > 1 else ""
    return f"the row{plural} of the id{plural} {listed}{remaining} {'are' if plural else 'is'} {state}"


#: Steps of shortening a message until it fits: the number of rows that are listed, the number of characters of an
#: address, and whether states are in few words.
SHORTENED = ((5, 1000, False), (5, 60, False), (5, 60, True), (2, 30, True), (1, 20, True))


def invalid_rows(invalid: Mapping[str, Sequence[np.ndarray]], *, paired: bool = True) -> InputError:
    """Return the error for rows that have no direction.

    Parameters
    ----------
    invalid : mapping of str to two or three int arrays
        For each file or array the numbers of the rows with null, NaN or infinite values, and of those that are all
        zero. The third array holds the numbers of rows of another length than most.
    paired : bool, default True
        Whether these are the files of pairs.

    Returns
    -------
    InputError
        The error to raise, which names the rows of all files and both kinds.
    """
    message = ""
    is_one_folder = len({address.rpartition("/")[0] for address in invalid}) == 1
    names = {address: address.rpartition("/")[2] if is_one_folder else address for address in invalid}
    for max_listed, max_path, is_short in SHORTENED:
        clauses = [
            f"{address if len(address) <= max_path else bounded(names[address], max_path)}: "
            + _invalid_clause(rows, max_listed, is_short=is_short)
            for address, rows in invalid.items()
            if any(map(len, rows))
        ]
        advice = f"remove these pairs, or leave them out with --drop-bad ({OPENING_WITHOUT_BAD_ROWS})"
        if message:
            advice = f"leave these pairs out with --drop-bad ({OPENING_WITHOUT_BAD_ROWS})"
        message = "; ".join(
            [*clauses, advice if paired else "embed them again, or leave them out with --drop-bad (drop_bad=True)"]
        )
        if len(message) <= MAX_LENGTH:
            break
    return InputError(message)


#: Call that leaves out invalid rows, for functions of pairs that have no `drop_bad`.
OPENING_WITHOUT_BAD_ROWS = "open_pairs(x, y, drop_bad=True)"
#: States of invalid rows, for one row and for several, whose ends are left out in few words.
INVALID_STATES = (
    ("holds null, NaN or infinite values", "hold null, NaN or infinite values", ""),
    ("is all zeros and has no direction", "are all zeros and have no direction", " and ha"),
    ("has another length than most rows", "have other lengths than most rows", " than"),
)


def _invalid_clause(rows_of_state: Sequence[np.ndarray], max_listed: int, *, is_short: bool) -> str:
    """Return 'rows 3, 4 (counted from 0) hold null, NaN or infinite values and row 9 is all zeros'."""
    kinds: list[str] = []
    for rows, (singular, plural, end) in zip(rows_of_state, INVALID_STATES, strict=False):
        if len(rows):
            counted = "" if kinds or is_short else " (counted from 0)"
            state = plural if len(rows) > 1 else singular
            state = state.partition(end)[0] if is_short and end else state
            kinds.append(f"{format_rows(rows, max_listed)}{counted} {state}")
    return " and ".join(kinds)


def check_sample(sample: int | None, /) -> None:
    """Refuse a random sample of so few items that its scores say nothing.

    Parameters
    ----------
    sample : int or None
        Number of items. None stands for the default.

    Raises
    ------
    InputError
        If it is no whole number of 100 or more.
    """
    if sample is not None and check_count(sample, "sample", 0) < MIN_SAMPLE_ITEMS:
        raise InputError(f"sample={sample}: expected {MIN_SAMPLE_ITEMS} items or more")
