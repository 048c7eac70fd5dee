"""Codes of a quantiser, which are stored as whole numbers, and the floats that they stand for."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.data.sources._source import Source
from isthmus.data.sources._vector_sets import VectorSets
from isthmus.utils import paths, validation
from isthmus.utils.arguments import check_flags
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.files import load_npy

#: Steps between the minimum and the maximum of a coordinate that is stored in 8 bits.
STEPS = 255
#: Rows whose numbers are checked for codes, and the least width and largest number of codes.
CHECKED_ROWS, MIN_CODES = 64, 8
#: Least share of ones and of zeros among floats that may be signs.
MIN_ONES = 0.25
#: First rows that show how codes were rounded, and fewest codes 1 to 4 of either sign among them that decide.
ROUNDING_ROWS, MIN_NEAR_ZERO = 1024, 500
#: How codes may have been rounded, with the words for it.
ROUNDINGS = {"down": "rounded down", "nearest": "rounded to the nearest", "zero": "cut towards zero"}
#: Fewest rows whose lengths decide, the largest median squared deviation from length 1 in units of that of
#: rounding, and the least ratio of every other rounding to it.
MIN_LENGTHS, MAX_SPREAD, MIN_OTHER_SPREAD = 50, 1.6, 1.8
#: Bytes in a row from which codes are told from packed signs, and the least share of bytes in the two middle quarters
#: of their range that codes have. Packed signs have about half of their bytes there.
MIN_BYTES, MIN_MIDDLE = 16, 0.8
#: Bytes in a row whose bits are correlated, lowest bits of a byte, their largest excess correlation as a share of that
#: of the highest bits, and the least excess of these.
MAX_CORRELATED, LOW_BITS, MAX_LOW_SHARE, MIN_EXCESS = 512, (0, 1, 2), 0.25, 6
#: Median of the square of a standard normal number.
MEDIAN_SQUARE = 0.4549


@dataclass(frozen=True)
class Coding:
    """How stored numbers become floats. Without any option they must be floats.

    Parameters
    ----------
    scale : float, array-like (d,) or path of an .npy file, optional
        Factor of each number, before `offset` is added.
    offset : float, array-like (d,) or path of an .npy file, optional
        Number that is added.
    ranges : array-like (2, d) or path of an .npy file, optional
        Minimum and maximum of each coordinate that int8 or uint8 codes were made from, as sentence-transformers keeps
        them. The float is the middle of the interval of a code.
    bits : bool
        Whether each bit of the bytes is the sign of one coordinate, 1 for +1 and 0 for -1. Default: False.
    rounding : {'down', 'nearest', 'zero'}, optional
        How the codes of `ranges` were rounded. Default: recognised if possible, else 'down'.
    """

    scale: Any = None
    offset: Any = None
    ranges: Any = None
    bits: bool = False
    rounding: str | None = None

    @property
    def is_given(self) -> bool:
        """True if any option is given."""
        return self.bits or any(value is not None for value in (self.scale, self.offset, self.ranges, self.rounding))


class NoCodesError(InputError):
    """Raised if floats with fractions are read as codes."""


class DecodedRows:
    """Rows of floats (n, d) that are computed from stored numbers block by block.

    Parameters
    ----------
    rows : array-like
        Stored numbers (n, w).
    coding : Coding
        How they become floats.
    address : str
        File or array that messages name.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, rows: Any, coding: Coding, address: str):
        self.rows, self.is_bits = rows, coding.bits
        self.stored = np.dtype(str(rows.dtype).removeprefix("torch."))
        n_rows, width = (int(size) for size in rows.shape)
        self.shape = (n_rows, width * 8 if coding.bits else width)
        self.random_access = getattr(rows, "random_access", True)
        is_byte = self.stored.kind in "iu" and self.stored.itemsize == 1
        linear = coding.scale is not None or coding.offset is not None
        check_flags(bits=coding.bits)
        if linear + (coding.ranges is not None) + coding.bits > 1:
            raise InputError("got several of scale and offset, ranges, and bits; give one kind of them")
        if not linear and not is_byte:
            holds = f"{address}: holds {self.stored}, and ranges and bits are for int8 and uint8 codes"
            if not hold_fractions(rows):
                raise InputError(f"{holds}; if they are codes, save them with .astype(np.int8) or np.uint8")
            if coding.bits:
                raise NoCodesError(f"{holds}; leave out --bits (bits=) for floats")
            option = "--ranges FILE.npy, or ranges=(FILE, None)"
            raise NoCodesError(f"{holds}; for codes in the first file alone give {option}")
        if coding.bits and _are_single_bits(rows):
            raise InputError(
                f"{address}: holds only 0 and 1, bits that are not packed; give --scale 2 --offset -1 (scale=2, "
                "offset=-1) instead of bits"
            )
        if coding.bits and _are_byte_codes(rows, self.stored):
            warnings.warn(
                f"{address[-100:]}: --bits (bits=) reads each byte as 8 signs, so {width:,} bytes become {8 * width:,} "
                "dimensions, but its bytes are spread like codes of one coordinate each; for codes give --scale or "
                "--ranges instead",
                IsthmusWarning,
                stacklevel=2,
            )
        self.rounding: str | None = None
        if coding.rounding is not None and (coding.ranges is None or coding.rounding not in ROUNDINGS):
            raise InputError(
                f"got rounding={coding.rounding!r} (--rounding), expected {', '.join(ROUNDINGS)}, and codes with ranges"
            )
        if coding.ranges is not None:
            self.low, self.high = read_ranges(coding.ranges, width, address)
            self.scale = (self.high - self.low) / STEPS
            self.offset = self.low + (128 if self.stored.kind == "i" else 0) * self.scale
            self.rounding = coding.rounding or self._recognised_rounding(address)
        else:
            self.scale = read_numbers(1 if coding.scale is None else coding.scale, (width,), "scale", address)
            self.offset = read_numbers(0 if coding.offset is None else coding.offset, (width,), "offset", address)

    def __getitem__(self, key: Any) -> np.ndarray:
        block = arrays.to_numpy(self.rows[key])
        if self.is_bits:
            codes = np.ascontiguousarray(block).view(np.uint8)
            # Signed bytes are the packed bits minus 128, which is the first bit inverted.
            codes = codes ^ np.uint8(128) if self.stored.kind == "i" else codes
            return np.unpackbits(codes, axis=1).astype(self.dtype) * 2 - 1
        return np.asarray(self._decoded(block, self.rounding), dtype=self.dtype)

    @property
    def description(self) -> str:
        """The dtype of the codes and how they are decoded, in words."""
        if self.is_bits:
            return f"{self.stored}, 8 signs in each byte"
        return f"{self.stored} codes" + (f", {ROUNDINGS[self.rounding]}" if self.rounding else "")

    def _decoded(self, codes: np.ndarray, rounding: str | None) -> np.ndarray:
        """Return the middle of the interval of each code within the ranges, or the linear function without ranges."""
        if rounding is None:
            return codes * self.scale + self.offset
        # A code that was rounded down stands for the half step above it, one cut towards zero for that away from zero.
        middle = {"down": 0.5, "nearest": 0.0, "zero": 0.5 * np.sign(codes)}[rounding]
        return np.clip(codes * self.scale + self.offset + middle * self.scale, self.low, self.high)

    def _spread_of_lengths(self, codes: np.ndarray, rounding: str) -> float:
        """Return the median squared deviation of the rows from length 1 as a multiple of what rounding causes."""
        squares = np.square(self._decoded(codes, rounding))
        deviations = squares.sum(axis=1) - 1 - np.sum(self.scale**2) / 12
        return float(np.median(deviations**2 / np.maximum(squares @ self.scale**2 / 3, 1e-300)) / MEDIAN_SQUARE)

    def _recognised_rounding(self, address: str) -> str:
        """Return how the first codes were rounded, or 'down' with a warning if they do not show it.

        Rows that had length 1 before they were quantised have it again with the right rounding alone. Signed codes that
        were cut towards zero, as by sentence-transformers before its version 6, also have twice as many zeros.
        """
        head = arrays.to_numpy(self.rows[0 : min(ROUNDING_ROWS, self.shape[0]), ...])
        is_signed = self.stored.kind == "i"
        lowest = -128 if is_signed else 0
        inner = head[((head > lowest) & (head < lowest + STEPS)).all(axis=1)]  # values beyond the ranges have end codes
        possible = [rounding for rounding in ROUNDINGS if is_signed or rounding != "zero"]
        for codes in (head, inner):
            if len(codes) >= MIN_LENGTHS:
                spreads = sorted((self._spread_of_lengths(codes, rounding), rounding) for rounding in possible)
                if spreads[0][0] < MAX_SPREAD and spreads[1][0] > MIN_OTHER_SPREAD * spreads[0][0]:
                    return spreads[0][1]
        n_zeros, n_near = int(np.count_nonzero(head == 0)), int(np.count_nonzero((head >= -4) & (head <= 4)))
        n_neighbours = n_near - n_zeros  # of eight codes
        if is_signed and n_neighbours >= MIN_NEAR_ZERO and n_zeros > 1.45 * n_neighbours / 8:
            return "zero"
        warnings.warn(
            f"{address[-100:]}: its codes do not show how they were rounded, and are read as rounded down, which moves "
            "each coordinate by half a step if it is wrong; --rounding nearest (rounding=) is for rounded ones",
            IsthmusWarning,
            stacklevel=2,
        )
        return "down"


def decode(source: Source, coding: Coding) -> Source:
    """Return a source of floats. Raise `InputError` if it holds whole numbers and `coding` has no option."""
    rows = source.rows.sets if isinstance(source.rows, VectorSets) else source.rows
    stored = str(source.dtype).removeprefix("torch.")
    if not coding.is_given:
        if "int" in stored or stored == "bool":
            raise validation.integer_dtype(stored, source.address)
        if isinstance(source.rows, np.ndarray) and source.convert is None and (advice := _advice_on_codes(source.rows)):
            warnings.warn(f"{source.address[-100:]}: the first rows hold {advice}", IsthmusWarning, stacklevel=2)
        return source
    if len(rows.shape) == 3 and rows.shape[1] > 1:
        raise InputError(f"{source.address}: codes of several vectors an item are not decoded; pool them first")
    if source.convert is not None:
        raise NoCodesError(f"{source.address}: holds {stored}, which needs no scale, offset, ranges or bits")
    if isinstance(rows, np.ndarray) and not coding.bits and coding.ranges is None and hold_fractions(rows):
        raise InputError(
            f"{source.address[-100:]}: holds {stored} with fractions, and scale and offset are for codes; leave "
            "them out, or give one value for each file, such as --scale 0.1, for the first of two alone"
        )
    decoded = DecodedRows(rows[:, 0] if len(rows.shape) == 3 else rows, coding, source.address)
    keys = source.keys if source.has_keys else None
    return Source(
        decoded,
        address=source.address,
        format=f"{source.format} ({decoded.description})",
        location=source.location,
        member=source.member,
        keys=keys,
        min_rows=0,
    )


def _advice_on_codes(rows: np.ndarray) -> str:
    """Return what to do with floats that look like codes, '' for any others."""
    if look_like_codes(rows):
        return (
            "whole numbers only, like codes of a quantiser: without their scale and offset (--scale, --offset) every "
            "angle is wrong"
        )
    if (
        rows.dtype.kind == "f"
        and rows.ndim == 2
        and rows.shape[1] >= MIN_CODES
        and _are_single_bits(rows)
        and MIN_ONES <= np.mean(rows[:CHECKED_ROWS], dtype=np.float64) <= 1 - MIN_ONES  # one-hot rows are no signs
    ):
        return "only 0 and 1, like bits: if these are signs, read them with --scale 2 --offset -1 (scale=2, offset=-1)"
    return ""


def _are_single_bits(rows: Any) -> bool:
    """Return whether the first rows hold nothing but 0 and 1, and both of them."""
    head = arrays.to_numpy(rows[0 : min(CHECKED_ROWS, int(rows.shape[0])), ...])
    is_one = head == 1
    return bool((is_one | (head == 0)).all() and is_one.any() and not is_one.all())


def _are_byte_codes(rows: Any, stored: np.dtype[Any]) -> bool:
    """Return whether bytes are like codes of coordinates and unlike packed signs.

    Codes lie around the middle of their range, or else their highest bits alone are correlated between coordinates. All
    bits of packed signs are.
    """
    if int(rows.shape[1]) < MIN_BYTES:
        return False
    head = arrays.to_numpy(rows[0 : min(ROUNDING_ROWS, int(rows.shape[0])), ...])
    steps = head[:CHECKED_ROWS].astype(np.int16) - (0 if stored.kind == "i" else 128)
    if np.mean((steps >= -64) & (steps < 64)) > MIN_MIDDLE:
        return True
    codes = np.unique(head.view(np.uint8), axis=0)[:, :MAX_CORRELATED]
    if len(codes) < CHECKED_ROWS // 2:
        return False
    high, low = _excess_correlation(codes, 7), max(_excess_correlation(codes, position) for position in LOW_BITS)
    return high > MIN_EXCESS / (len(codes) * codes.shape[1]) and low < MAX_LOW_SHARE * high


def _excess_correlation(codes: np.ndarray, position: int) -> float:
    """Return the mean squared correlation of a bit between two of w columns, minus that of independent bits."""
    ones = (codes >> np.uint8(position) & 1).astype(np.float32)
    ones -= ones.mean(axis=0)
    variances = np.mean(ones**2, axis=0)
    ones = ones[:, variances > 0] / np.sqrt(variances[variances > 0])
    n_columns = ones.shape[1]
    if n_columns < 2:
        return 0.0
    squares = (ones.T @ ones / len(ones)) ** 2
    mean = float((squares.sum() - np.trace(squares)) / (n_columns * (n_columns - 1)))
    return mean - 1 / (len(ones) - 1)


def look_like_codes(rows: np.ndarray) -> bool:
    """Return whether the first floats of a matrix are whole numbers up to 255 that a quantiser may have written."""
    head = np.asarray(rows[:CHECKED_ROWS])
    if head.shape[1] < MIN_CODES or not len(head):
        return False
    with np.errstate(invalid="ignore"):
        largest = np.abs(head).max()
        return bool(MIN_CODES <= largest <= STEPS and (head == np.floor(head)).all())


def hold_fractions(rows: Any) -> bool:
    """Return whether the first rows of a matrix are floats with fractions, which no quantiser has written."""
    if "float" not in str(rows.dtype):
        return False
    head = arrays.to_numpy(rows[0 : min(CHECKED_ROWS, int(rows.shape[0])), ...])
    return bool((np.isfinite(head) & (head != np.trunc(head))).any())


def read_ranges(value: Any, width: int, address: str) -> np.ndarray:
    """Return the minima and the maxima (2, width) of the coordinates, given as such or as the path of an .npy file."""
    ranges: np.ndarray = read_numbers(value, (2, width), "ranges", address)
    if (ranges[1] < ranges[0]).any():
        raise InputError(f"{address}: ranges hold a minimum above its maximum; give the minima in the first row")
    return ranges


def read_numbers(value: Any, shape: tuple[int, ...], name: str, address: str) -> Any:
    """Return a number, or an array of a shape, that is given as such or as the path of an .npy file."""
    if isinstance(value, (str, os.PathLike)):
        path = paths.check_readable(value, "a number or an .npy file")
        value = load_npy(path)
        if value is None:
            raise InputError(f"{path}: is not an .npy file of numbers; save the {name} with numpy.save")
    numbers = np.asarray(arrays.to_numpy(value) if hasattr(value, "shape") else value)
    is_number = numbers.ndim == 0 and len(shape) == 1
    if numbers.dtype.kind not in "iuf" or not (is_number or numbers.shape == shape) or not np.isfinite(numbers).all():
        raise InputError(
            f"{address}: {name} has shape {numbers.shape} and dtype {numbers.dtype}, expected finite numbers of shape "
            f"{shape}{' or one number' if len(shape) == 1 else ': minimum and maximum'}"
        )
    return numbers.astype(np.float64)
