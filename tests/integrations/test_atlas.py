"""The file for embedding-atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError, integrations

parquet = pytest.importorskip("pyarrow.parquet")


def test_atlas_file_shows_the_gap_before_and_not_after(tmp_path: Path) -> None:
    pairs = isthmus.demo.load("collapsed")
    images, captions = pairs.unit()
    correction = isthmus.align.Centering().fit(pairs)
    rows = {"image": images, "text": captions}
    texts = {name: [f"{name} of {number}" for number in range(len(table))] for name, table in rows.items()}
    count = integrations.to_atlas(tmp_path / "atlas.parquet", rows, correction, texts=texts)
    table = parquet.read_table(tmp_path / "atlas.parquet").to_pandas()
    assert count == len(table) == len(images) + len(captions)
    assert table["id"].is_unique
    assert table["text"][0] == "image of 0"

    def distance(prefix: str) -> float:
        points = table[[f"{prefix}_x", f"{prefix}_y"]].to_numpy()
        of_image = (table["modality"] == "image").to_numpy()
        means = points[of_image].mean(axis=0) - points[~of_image].mean(axis=0)
        return float(np.linalg.norm(means) / points.std())

    assert distance("raw") > 1
    assert distance("corrected") < 0.05
    centred = np.concatenate([images, captions]) - np.concatenate([images, captions]).mean(axis=0)
    largest = np.linalg.svd(centred, compute_uv=False)[:2]
    components = table[["raw_x", "raw_y"]].to_numpy()
    np.testing.assert_allclose(np.linalg.norm(components, axis=0), largest, rtol=1e-6)


def test_atlas_file_needs_a_text_for_each_row(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = {"x": rng.normal(size=(9, 3)), "y": rng.normal(size=(8, 3))}
    correction = isthmus.align.Centering().fit(rows["x"], rows["x"] + 1)
    with pytest.raises(InputError, match="got 8 entries of text for 9 rows of x, expected one each"):
        integrations.to_atlas(tmp_path / "a.parquet", rows, correction, texts={"x": ["a"] * 8, "y": ["b"] * 8})
    with pytest.raises(InputError, match=r"got rows of the widths \[2, 3\]"):
        integrations.to_atlas(tmp_path / "a.parquet", {"x": rows["x"], "y": rows["y"][:, :2]}, correction)
    assert not list(tmp_path.iterdir())
