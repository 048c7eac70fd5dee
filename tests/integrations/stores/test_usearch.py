"""Index files of usearch as sources and as new files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from isthmus.sources import open_source

import isthmus
import store_tables
from isthmus import InputError
from isthmus.align.streaming import apply
from isthmus.testing import check_store

usearch = pytest.importorskip("usearch.index")


def test_usearch_keeps_the_contract_of_a_store(tmp_path: Path) -> None:
    check_store(
        isthmus.sources.stores["usearch"],
        lambda *columns: store_tables.usearch(tmp_path, *columns),
        new_table=f"usearch:{tmp_path}/fresh.usearch",
        columns=False,
        filters=False,
        column_address="{}/{}.usearch".format,
    )


def test_ids_of_a_file_select_rows_and_the_new_index_is_searched(tmp_path: Path, rng: np.random.Generator) -> None:
    rows, ids = rng.normal(size=(60, 8)).astype("float32"), rng.permutation(60) + 5
    url = store_tables.usearch(tmp_path, ids, {"image": rows}, np.full(60, "image")) + "/image.usearch"
    np.save(tmp_path / "ids.npy", ids[:40])
    source = open_source(f"{url}?ids={tmp_path}/ids.npy")
    order = np.argsort(ids[:40])
    np.testing.assert_array_equal(source.keys("id"), np.sort(ids[:40]))
    np.testing.assert_array_equal(source.read(0, 40), rows[:40][order])
    correction = isthmus.align.ScoreCalibration().fit(image=rows, text=rows[::-1] + 1)
    apply(correction, source, f"usearch:{tmp_path}/new.usearch", modality="image", role="stored")
    index = usearch.Index.restore(str(tmp_path / "new.usearch"))
    assert sorted(path.name for path in tmp_path.glob("*new*")) == ["new.usearch", "new.usearch.isthmus"]
    queries = correction.query(rows[:5] + 1, modality="text").astype("float32")
    best = np.argmax(queries @ correction.stored(rows[:40], modality="image").T, axis=1)
    assert [int(hits.keys[0]) for hits in index.search(queries, 1)] == ids[:40][best].tolist()


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("", "Is a directory"),
        ("/none.usearch", "does not exist|no such file|there is no"),
        ("/image.usearch?modality=text", "keeps ids and vectors only; select rows as .ids=IDS.npy"),
        ("/image.usearch::text", "holds one set of vectors"),
        ("/text.usearch", "is not a complete index of usearch"),
        ("/codes.usearch", "codes, which do not give the rows back"),
        ("/image.usearch?ids=IDS", "1 of its ids, such as 99, are not in"),
    ],
)
def test_address_that_cannot_be_opened_says_why(
    tmp_path: Path, rng: np.random.Generator, ending: str, message: str
) -> None:
    rows = rng.normal(size=(6, 8)).astype("float32")
    url = store_tables.usearch(tmp_path, np.arange(6), {"image": rows}, np.full(6, "image"))
    folder = Path(url.removeprefix("usearch:"))
    (folder / "text.usearch").write_bytes((folder / "image.usearch").read_bytes()[:-100])
    index = usearch.Index(ndim=8, metric="ip", dtype="i8")
    index.add(np.arange(6), rows)
    index.save(str(folder / "codes.usearch"))
    np.save(tmp_path / "ids.npy", np.array([1, 99]))
    with pytest.raises(InputError, match=message):
        open_source(f"{url}{ending}".replace("IDS", str(tmp_path / "ids.npy")) if "IDS" in ending else f"{url}{ending}")
