"""Bytes to RGB images and mono waveforms."""

from __future__ import annotations

import importlib
import io
import math
from typing import Any

import numpy as np

from isthmus.utils.errors import InputError


class Unreadable(Exception):
    """These bytes are no image or sound; the text says why, in words that are the same in every run."""


def decode(data: bytes, modality: str, sampling_rate: int) -> Any:
    """An RGB `PIL.Image`, or for audio a float32 waveform (samples,) at `sampling_rate`; `Unreadable` otherwise."""
    try:
        return _image(data) if modality == "image" else _waveform(data, sampling_rate)
    except Unreadable:
        raise
    except Exception as error:  # decoders raise nearly everything on damaged files
        raise Unreadable(f"{type(error).__name__}: {error}") from None


def check_installed(modality: str) -> None:
    """Refuse to begin without the packages that will be needed."""
    for package, what in (("PIL", "reading images"), ("pyarrow", "writing captions")):
        if package == "PIL" and modality != "image":
            continue
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InputError(f"{what} needs a package ({error}); pip install 'isthmus[encoders]'") from None


def _image(data: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            # A palette with transparent entries has no direct way to RGB.
            whole = image.convert("RGBA") if "transparency" in image.info else image
            return whole.convert("RGB")
    except UnidentifiedImageError:
        raise Unreadable("is no image of a known format") from None


def _waveform(data: bytes, rate: int) -> np.ndarray:
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    if data[:4] not in (b"RIFF", b"RIFX", b"RF64"):
        raise Unreadable("is no .wav; convert sounds to .wav first")
    found, samples = wavfile.read(io.BytesIO(data))
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        middle = (info.max + 1) / 2 if info.min == 0 else 0.0  # 8-bit samples are unsigned
        samples = (samples - middle) / (info.max + 1 - middle)
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if len(mono) == 0:
        raise Unreadable("is a sound without samples")
    common = math.gcd(rate, found)
    return resample_poly(mono, rate // common, found // common).astype(np.float32)
