"""Files of the demonstration data for verbs of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write some pairs of the demo to files in the working folder."""
    monkeypatch.chdir(tmp_path)
    run = isthmus.demo.arrays("plain", split="test")
    few = slice(0, 300)
    np.save("image.npy", run.image[few])
    np.save("text.npy", run.text[few])
    np.save("labels.npy", run.labels[few])
    np.save("classes.npy", np.stack([run.text[run.labels == c].mean(axis=0) for c in range(10)]))
    return tmp_path
