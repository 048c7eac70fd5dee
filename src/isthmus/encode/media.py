"""Decoding of bytes to RGB images and mono waveforms."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from isthmus.utils.errors import import_optional


class MediaError(Exception):
    """Raised for bytes that are no image or sound. The message gives the reason and is equal in every run."""


def decode(data: bytes, modality: str, sampling_rate: int) -> Any:
    """Return an RGB `PIL.Image`, or for audio a float32 waveform (samples,) at `sampling_rate`.

    Raise MediaError for all other bytes.
    """
    try:
        return _decode_image(data) if modality == "image" else _decode_waveform(data, sampling_rate)
    except MediaError:
        raise
    except Exception as error:  # decoders raise nearly every exception on damaged files
        raise MediaError(f"{type(error).__name__}: {error}") from None


def check_installed(modality: str) -> None:
    """Raise InputError before the run if a package is missing that it will need."""
    if modality == "image":
        import_optional("PIL", "encoders", "reading images")
    import_optional("pyarrow", "encoders", "writing captions")


def _decode_image(data: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            # A palette with transparent entries cannot be converted to RGB directly.
            opaque = image.convert("RGBA") if "transparency" in image.info else image
            return opaque.convert("RGB")
    except UnidentifiedImageError:
        raise MediaError("is no image of a known format") from None


def _decode_waveform(data: bytes, rate: int) -> np.ndarray:
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    if data[:4] not in (b"RIFF", b"RIFX", b"RF64"):
        raise MediaError("is no .wav; convert sounds to .wav first")
    file_rate, samples = wavfile.read(io.BytesIO(data))
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        middle = (info.max + 1) / 2 if info.min == 0 else 0.0  # 8-bit samples are unsigned
        samples = (samples - middle) / (info.max + 1 - middle)
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if len(mono) == 0:
        raise MediaError("is a sound without samples")
    divisor = math.gcd(rate, file_rate)
    return resample_poly(mono, rate // divisor, file_rate // divisor).astype(np.float32)
