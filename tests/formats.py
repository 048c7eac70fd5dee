"""Embeddings written by the library of each format, for the tests of the sources and the fuzzer."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

#: Function (folder, rows) -> path that writes rows with the library of a format.
Writer = Callable[[Path, np.ndarray], Path]


def ids(count: int) -> list[str]:
    return [f"item-{7 * i % 1009:05d}" for i in range(count)]


def table(rows: np.ndarray, list_kind: str = "fixed"):  # type: ignore[no-untyped-def]
    """Return an Arrow table of ids, numbers, captions and lists."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(rows).ravel())
    if list_kind == "fixed":
        lists = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    else:
        offsets = np.arange(len(rows) + 1) * rows.shape[1]
        list_class = pa.LargeListArray if list_kind == "large" else pa.ListArray
        lists = list_class.from_arrays(pa.array(offsets, type=pa.int64() if list_kind == "large" else pa.int32()), flat)
    names = ids(len(rows))
    return pa.table(
        {"image_id": names, "number": np.arange(len(rows)), "embedding": lists, "caption": [f"a {n}" for n in names]}
    )


def npy(folder: Path, rows: np.ndarray) -> Path:
    np.save(folder / "a.npy", rows)
    return folder / "a.npy"


def npz(folder: Path, rows: np.ndarray) -> Path:
    np.savez(folder / "a.npz", rows=rows, number=np.arange(len(rows)), image_id=np.array(ids(len(rows))))
    return folder / "a.npz"


def packed_npz(folder: Path, rows: np.ndarray) -> Path:
    np.savez_compressed(folder / "packed.npz", rows=rows, number=np.arange(len(rows)))
    return folder / "packed.npz"


def safetensors(folder: Path, rows: np.ndarray) -> Path:
    from safetensors.numpy import save_file

    save_file({"number": np.arange(len(rows)), "rows": np.ascontiguousarray(rows)}, folder / "a.safetensors")
    return folder / "a.safetensors"


def parquet(
    folder: Path, rows: np.ndarray, name: str = "a.parquet", list_kind: str = "fixed", **options: object
) -> Path:
    import pyarrow.parquet as pq

    pq.write_table(table(rows, list_kind), folder / name, row_group_size=max(len(rows) // 3, 1), **options)
    return folder / name


def ragged_parquet(folder: Path, rows: np.ndarray) -> Path:
    return parquet(folder, rows, "lists.parquet", "variable", compression="zstd", data_page_size=256)


def large_parquet(folder: Path, rows: np.ndarray) -> Path:
    return parquet(folder, rows, "large.parquet", "large", compression="none", use_dictionary=False)


def parquet_folder(folder: Path, rows: np.ndarray) -> Path:
    (folder / "shards").mkdir()
    cuts = np.linspace(0, len(rows), 12).astype(int)  # 11 shards: 10 comes after 2
    import pyarrow.parquet as pq

    for number, (start, stop) in enumerate(pairwise(cuts)):
        pq.write_table(table(rows)[start:stop], folder / "shards" / f"part-{number}.parquet")
    return folder / "shards"


def feather(folder: Path, rows: np.ndarray) -> Path:
    import pyarrow.feather

    pyarrow.feather.write_feather(table(rows), str(folder / "a.feather"), chunksize=9)  # lz4
    return folder / "a.feather"


def arrow(folder: Path, rows: np.ndarray) -> Path:
    import pyarrow as pa

    content = table(rows, "variable")
    with pa.ipc.new_file(str(folder / "a.arrow"), content.schema) as out:
        out.write_table(content, max_chunksize=10)
    return folder / "a.arrow"


def stream(folder: Path, rows: np.ndarray) -> Path:
    import pyarrow as pa

    content = table(rows)
    with pa.ipc.new_stream(str(folder / "a.arrows"), content.schema) as out:
        out.write_table(content, max_chunksize=10)
    return folder / "a.arrows"


def dataset(folder: Path, rows: np.ndarray) -> Path:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset(table(rows)).save_to_disk(folder / "saved", num_shards=2)
    return folder / "saved"


def hdf5(folder: Path, rows: np.ndarray, name: str = "a.h5", **options: object) -> Path:
    import h5py

    with h5py.File(folder / name, "w") as file:
        file.attrs["model"] = "some"
        group = file.create_group("model")
        group.create_dataset("embedding", data=rows, **options)
        group["scores"] = np.arange(3.0)
        file["number"] = np.arange(len(rows))
        file["image_id"] = ids(len(rows))
    return folder / name


def chunked_hdf5(folder: Path, rows: np.ndarray) -> Path:
    return hdf5(folder, rows, "chunks.hdf5", chunks=(7, 3), compression="gzip")


def torch(folder: Path, rows: np.ndarray) -> Path:
    import torch as library

    tensor = library.from_numpy(np.ascontiguousarray(rows))
    library.save({"number": library.arange(len(rows)), "rows": tensor, "epoch": 3}, folder / "a.pt")
    return folder / "a.pt"


def webdataset(folder: Path, rows: np.ndarray) -> Path:
    import webdataset as library

    with library.TarWriter(str(folder / "a.tar")) as out:
        for name, row in zip(ids(len(rows)), rows, strict=True):
            out.write({"__key__": name, "emb.npy": row, "json": json.dumps({"caption": f"a {name}"}).encode()})
    return folder / "a.tar"


def clip_retrieval(folder: Path, rows: np.ndarray) -> Path:
    import pyarrow.parquet as pq

    for name in ("img_emb", "metadata"):
        (folder / name).mkdir()
    cuts = np.linspace(0, len(rows), 12).astype(int)
    for number, (start, stop) in enumerate(pairwise(cuts)):
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", rows[start:stop])
        pq.write_table(
            table(rows).drop_columns("embedding")[start:stop], folder / "metadata" / f"metadata_{number}.parquet"
        )
    return folder / "img_emb"


def csv(folder: Path, rows: np.ndarray) -> Path:
    import csv as library

    with (folder / "a.csv").open("w", newline="") as file:
        out = library.writer(file)
        out.writerow(["image_id", "embedding", "caption"])
        out.writerows(zip(ids(len(rows)), map(str, rows.tolist()), ["a, b"] * len(rows), strict=True))
    return folder / "a.csv"


def wide_csv(folder: Path, rows: np.ndarray) -> Path:
    lines = [",".join(["number", *(f"dim_{j}" for j in range(rows.shape[1]))])]
    lines += [",".join(map(repr, [number, *row])) for number, row in enumerate(rows.tolist())]
    (folder / "wide.csv").write_text("\n".join(lines) + "\n")
    return folder / "wide.csv"


def tsv(folder: Path, rows: np.ndarray) -> Path:
    np.savetxt(folder / "a.tsv", rows, delimiter="\t", fmt="%.17g")
    return folder / "a.tsv"


def jsonl(folder: Path, rows: np.ndarray) -> Path:
    pairs = zip(ids(len(rows)), rows.tolist(), strict=True)
    lines = [json.dumps({"image_id": name, "embedding": row, "year": 2020}) for name, row in pairs]
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "a.jsonl"


def text(folder: Path, rows: np.ndarray) -> Path:
    np.savetxt(folder / "a.txt", rows, fmt="%.17g")
    return folder / "a.txt"


def fvecs(folder: Path, rows: np.ndarray) -> Path:
    content = np.empty((len(rows), rows.shape[1] + 1), dtype="<f4")
    content.view("<i4")[:, 0] = rows.shape[1]
    content[:, 1:] = rows
    content.tofile(folder / "a.fvecs")
    return folder / "a.fvecs"


def bvecs(folder: Path, rows: np.ndarray) -> Path:
    widths = np.full((len(rows), 1), rows.shape[1], dtype="<i4").view(np.uint8)
    np.hstack([widths, rows]).tofile(folder / "a.bvecs")
    return folder / "a.bvecs"


def counted(name: str) -> Writer:
    """Return a function that writes the numbers of rows and columns before the rows."""

    def write(folder: Path, rows: np.ndarray) -> Path:
        (folder / f"a.{name}").write_bytes(np.array(rows.shape, dtype="<u4").tobytes() + rows.tobytes())
        return folder / f"a.{name}"

    return write


def members(path: Path) -> dict[str, bytes]:
    """Return the files of an archive by name."""
    with tarfile.open(path) as archive:
        return {e.name: archive.extractfile(e).read() for e in archive}  # type: ignore[union-attr]


FILES: dict[str, Writer] = {
    f.__name__: f
    for f in (
        npy, npz, packed_npz, safetensors, parquet, ragged_parquet, large_parquet, feather, arrow, stream, hdf5,
        chunked_hdf5, torch, webdataset,
    )
}  # fmt: skip
#: Formats that are only read, or that hold one dtype.
READ_ONLY: dict[str, Writer] = {f.__name__: f for f in (csv, wide_csv, tsv, jsonl, text, fvecs, bvecs)} | {
    name: counted(name) for name in ("i8bin", "u8bin", "ibin")
}
FOLDERS: dict[str, Writer] = {f.__name__: f for f in (parquet_folder, dataset, clip_retrieval)}
