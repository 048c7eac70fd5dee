"""Versions of torch and torchvision that do not match end in one sentence that says what to install."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from isthmus import InputError
from isthmus.encode import models, open_encoder

NMS = RuntimeError("operator torchvision::nms does not exist")


def install_broken_torchvision(monkeypatch: pytest.MonkeyPatch, error: Exception, torch: str, vision: str) -> None:
    """Let `import torchvision` raise `error`, and the metadata give these versions."""

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name == "torchvision":
                raise error

    versions = {"torch": torch, "torchvision": vision}
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)


@pytest.mark.parametrize(
    ("torch", "command"),
    [
        ("2.14.1", r"pip install 'torchvision==0\.29\.\*'$"),
        ("2.13.0+cpu", r"pip install 'torchvision==0\.28\.\*'$"),
        ("3.0.0", "pip install --upgrade torchvision$"),
    ],
)
@pytest.mark.parametrize("error", [NMS, OSError("libtorch.so: undefined symbol"), ImportError("cannot import name x")])
def test_check_torchvision_with_mismatch_names_versions_and_command(
    torch: str, command: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_broken_torchvision(monkeypatch, error, torch, "0.20.1")
    with pytest.raises(InputError, match=command) as caught:
        models.check_torchvision()
    message = str(caught.value)
    assert f"torchvision 0.20.1 does not match torch {torch} ({error})" in message
    assert len(message) <= 300


@pytest.mark.parametrize("backend", list(models.BACKENDS))
def test_open_encoder_with_mismatch_raises_before_the_model_is_loaded(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_broken_torchvision(monkeypatch, NMS, "2.14.1", "0.28.0")
    with pytest.raises(InputError, match=r"torchvision 0\.28\.0 does not match torch 2\.14\.1 \(operator torchvision"):
        open_encoder(str(tmp_path), backend=backend)


def test_check_torchvision_without_torchvision_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    models.check_torchvision()


def test_check_torchvision_with_installed_versions_returns() -> None:
    models.check_torchvision()
