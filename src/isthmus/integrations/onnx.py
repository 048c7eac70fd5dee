"""A correction as an ONNX graph, which runs without isthmus and without torch."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.integrations._layers import Linear, role_layers
from isthmus.utils.errors import import_optional
from isthmus.utils.files import atomic_path

#: Versions of the operators and of the file, which onnxruntime 1.15 reads.
OPSET, IR_VERSION = 17, 8


def to_onnx(
    correction: Aligner, path: str | os.PathLike[str] | None = None, /, *, modality: str, role: str = "query"
) -> Any:
    """Return the graph of `stored` or `query` for rows of one modality, and write it to a file.

    The input `rows` (n, d) and the output `corrected` (n, k) are float32. The graph divides by norms, applies the row
    map and appends the coordinates of the role.

    Parameters
    ----------
    correction : Aligner
        A fitted correction.
    path : str or path-like, optional
        Name of the file, which is written atomically.
    modality : str
        Modality of the rows.
    role : {'query', 'stored'}, default 'query'
        Whether the rows are queries or stored in an index.

    Returns
    -------
    onnx.ModelProto
        The graph.

    Raises
    ------
    InputError
        If onnx is not installed, the modality or role is unknown, or stored rows depend on a bank.

    Examples
    --------
    >>> to_onnx(correction, "query.onnx", modality="text")  # doctest: +SKIP
    """
    onnx = import_optional("onnx", "onnx", "to_onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes, tables, current = [], [], "rows"
    layers = role_layers(correction, role=role, modality=modality)

    def table(name: str, values: np.ndarray) -> str:
        tables.append(onnx.numpy_helper.from_array(values, name))
        return name

    def add(operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, list(outputs), name=outputs[0], **attributes))
        return outputs[0]

    width = dim = correction.dim(modality)
    for number, layer in enumerate(layers):
        if isinstance(layer, Linear):
            width = layer.matrix.shape[1]
            weights = [
                table(f"matrix_{number}", layer.matrix.astype(np.float32)),
                table(f"bias_{number}", layer.bias.astype(np.float32)),
            ]
            current = add("Gemm", [current, *weights], f"affine_{number}")
        elif len(layer.widths) == 1:
            current = add("LpNormalization", [current], f"unit_{number}", axis=1, p=2)
        else:
            sizes = table(f"widths_{number}", np.asarray(layer.widths, dtype=np.int64))
            blocks = [f"block_{number}_{block}" for block in range(len(layer.widths))]
            add("Split", [current, sizes], *blocks, axis=1)
            units = [add("LpNormalization", [block], f"unit_{block}", axis=1, p=2) for block in blocks]
            current = add("Concat", units, f"unit_{number}", axis=1)
    add("Identity", [current], "corrected")
    graph = helper.make_graph(
        nodes,
        f"{type(correction).__name__}_{role}_{modality}",
        [helper.make_tensor_value_info("rows", float32, ["n", dim])],
        [helper.make_tensor_value_info("corrected", float32, ["n", width])],
        tables,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="isthmus"
    )
    onnx.checker.check_model(model)
    if path is not None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(model.SerializeToString())
    return model
