"""Contract suite of aligners."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import importlib.util
import re
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align import Aligner, RecallWarning, get, load
from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.testing._aligner_declaration import AlignerClass, check_declaration, check_maps, require, require_class
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError, IsthmusWarning, NotFittedError, unknown_name

#: Pairs, dimensions and shared dimensions of the example data.
N_PAIRS, N_DIMS, N_SHARED = 400, 40, 10
#: Array libraries that are tested if they are installed.
ARRAY_LIBRARIES = ("torch", "array_api_strict")


def check_aligner(aligner: AlignerClass | str, /, *, checks: Sequence[str] | None = None) -> None:
    """Check that an aligner class keeps its contract.

    Example data are 400 pairs of 40 dimensions: two cones apart, with ten shared directions and some noise.

    Parameters
    ----------
    aligner : type or str
        Subclass of `isthmus.align.Aligner`, or its name in the registry.
    checks : sequence of str or None
        Names of `ALIGNER_CHECKS`. Default: all of them.

    Raises
    ------
    AssertionError
        If the aligner breaks its contract. The message names the broken promise.
    InputError
        If a check or a name is unknown.

    Notes
    -----
    - 'declaration': the class is a registered dataclass with keyword-only options, a docstring with an example and a
      source.
    - 'maps': `solve` returns two maps of finite numbers, with a matrix (d, k) and a bias (k,).
    - 'options': the constructor sets the options and nothing else, unknown options are refused at once, and options of
      the wrong type are refused by `fit`.
    - 'rows': one row gives its row of the batch, both modalities get one dimension, and mapped rows are unit rows if
      `normalizes_output` is True.
    - 'roles': `stored`, `query`, `scores` and `merge` agree, and modalities may be given by name.
    - 'blocks': `partial_fit` on blocks gives the result of `fit`, if `supports_partial_fit` is True.
    - 'file': `save` and `load` give bitwise the same rows.
    - 'fitted state': the state restores the fit in another instance and in a copy.
    - 'array libraries': PyTorch and array-api-strict arrays come back as such, with the same numbers.
    - 'dtypes': float16 comes back as float32, and other dtypes as they are.
    - 'refusals': unfitted aligners, wrong shapes, invalid rows, wrong names and other moments are refused.
    - 'pairing': without `requires_pairing`, another order of y changes nothing, and unpaired rows can be fitted. With
      it, unpaired rows are refused.
    - 'dimensions': different dimensions of x and y work if `allows_different_dims` is True, and are refused otherwise.
    - 'scikit-learn': `clone`, `Pipeline`, `check_is_fitted`, `get_params` and `set_params` work.

    Examples
    --------
    >>> check_aligner("Centering")
    """
    cls = get(aligner) if isinstance(aligner, str) else aligner
    require_class(cls)
    for check in ALIGNER_CHECKS if checks is None else checks:
        if check not in ALIGNER_CHECKS:
            raise unknown_name("check", check, ALIGNER_CHECKS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RecallWarning)
                ALIGNER_CHECKS[check](cls)
        except AssertionError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise AssertionError(f"aligner {cls.__name__}, check {check!r}: {cause}") from error


def _require_close(cls: AlignerClass, actual: Any, expected: Any, tolerance: float, condition: str) -> None:
    a, b = to_numpy(actual), to_numpy(expected)
    require(cls, a.shape == b.shape, f"rows have shape {a.shape}, and {b.shape} {condition}")
    difference = float(np.abs(a.astype(np.float64) - b).max())
    require(cls, difference <= tolerance, f"rows differ by {difference:.3g} from those {condition}")


def _require_refusal(cls: AlignerClass, call: Callable[[], Any], pattern: str, action: str) -> None:
    try:
        call()
    except InputError as error:
        require(cls, re.search(pattern, str(error)) is not None, f"{action} raises {str(error)!r}, not {pattern!r}")
        return
    raise AssertionError(f"aligner {cls.__name__}: {action} is not refused with InputError")


def _forms(aligner: Aligner, x: Any, y: Any = None) -> tuple[Any, ...]:
    """Return mapped rows of x, and of y if there are any. For a score correction they are the rows of an index."""
    if not aligner.corrects_scores:
        return (aligner.transform_x(x),) if y is None else (aligner.transform_x(x), aligner.transform_y(y))
    modalities = ("x",) if y is None else ("x", "y")
    return tuple(aligner.stored(rows, modality=name) for name, rows in zip(modalities, (x, y), strict=False))


def _form_x(aligner: Aligner, x: Any) -> Any:
    """Return mapped rows of x, or rows of x for the index of a score correction."""
    return _forms(aligner, x)[0]


def _example_rows() -> tuple[np.ndarray, np.ndarray]:
    """Return two paired clouds (n, d) on which every aligner of the package has a solution."""
    rng = np.random.default_rng(20260101)
    latent = rng.normal(size=(N_PAIRS, N_SHARED))
    x, y = 0.01 * rng.normal(size=(2, N_PAIRS, N_DIMS))
    x[:, :N_SHARED] += latent
    y[:, :N_SHARED] += latent + 0.3 * rng.normal(size=latent.shape)
    x[:, N_SHARED] += 2.0
    y[:, N_SHARED + 1] += 2.0
    return x, y


def _check_maps(cls: AlignerClass) -> None:
    check_maps(cls, *_example_rows())


def _check_options(cls: AlignerClass) -> None:
    x, y = _example_rows()
    aligner = cls()
    params = aligner.get_params()
    require(cls, set(vars(aligner)) == set(params), f"the constructor sets {sorted(set(vars(aligner)) - set(params))}")
    require(cls, set(params) == {option.name for option in dataclasses.fields(cls)}, "get_params misses options")
    require(cls, aligner.set_params(**params) is aligner, "set_params does not return the aligner")
    _require_refusal(cls, lambda: cls().set_params(no_such_option=1), "unknown option of", "an unknown option")
    wrong = cls().set_params(normalize="yes")
    _require_refusal(cls, lambda: wrong.fit(x, y), "normalize='yes', expected True or False", "a wrong type")


def _check_rows(cls: AlignerClass) -> None:
    x, y = _example_rows()
    aligner = cls().fit(x, y)
    mapped_x, mapped_y = _forms(aligner, x, y)
    require(cls, mapped_x.shape[1] == mapped_y.shape[1], "x and y get different dimensions")
    _require_close(cls, _form_x(aligner, x[7]), mapped_x[7], 1e-12, "of the batch")
    _require_close(cls, _forms(aligner, x[7:8], y[7:8])[1], mapped_y[7:8], 1e-12, "of the batch")
    if aligner.corrects_scores:
        _require_refusal(cls, lambda: aligner.transform(x, y), "stored.*query", "transform of a score correction")
        return
    _require_refusal(cls, lambda: aligner.transform(x), "got rows of one modality", "transform of x alone")
    if aligner.normalizes_output:
        for rows in (mapped_x, mapped_y):
            _require_close(cls, np.linalg.norm(rows, axis=1), np.ones(len(rows)), 1e-12, "of unit rows")


def _check_roles(cls: AlignerClass) -> None:
    x, y = _example_rows()
    aligner = cls().fit(x, y)
    require(cls, aligner.modalities == ("x", "y"), f"modalities are {aligner.modalities}")
    named = cls().fit(image=x, text=y)
    require(cls, named.modalities == ("image", "text"), f"modalities are {named.modalities}")
    _require_close(cls, named.stored(y, modality="text"), aligner.stored(y, modality="y"), 0.0, "without names")
    rows = {"image": x[:50], "text": y[:50]}
    for query, queries in rows.items():
        lists, scores = {}, []
        for stored, corpus in rows.items():
            scores.append(named.scores(queries, corpus, query=query, stored=stored))
            products = named.query(queries, modality=query) @ named.stored(corpus, modality=stored).T
            lists[stored] = products, np.tile(np.arange(len(corpus)), (len(queries), 1))
            exact = named.query(queries, modality=query, index="exact")
            exact = exact @ named.stored(corpus, modality=stored, queries=query).T
            _require_close(cls, exact, scores[-1], 1e-12 * max(1.0, np.abs(exact).max()), "of scores(...)")
        hits = named.merge(lists, queries, modality=query, k=5)
        best = -np.sort(-np.concatenate(scores, axis=1), axis=1)[:, :5]
        _require_close(cls, hits.scores, best, 1e-12 * max(1.0, np.abs(best).max()), "of the best scores")
    _require_refusal(cls, lambda: aligner.stored(x, modality="z"), "unknown modality 'z'", "an unknown modality")


def _check_blocks(cls: AlignerClass) -> None:
    x, y = _example_rows()
    stream = cls()
    if not cls.supports_partial_fit:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stream.partial_fit(x, y)
        has_warning = any(issubclass(w.category, IsthmusWarning) for w in caught)
        require(cls, has_warning, "partial_fit does not warn, and supports_partial_fit is False")
        return
    for start in range(0, N_PAIRS, 150):
        stream.partial_fit(x[start : start + 150], y[start : start + 150])
    for a, b in zip(_forms(stream, x, y), _forms(cls().fit(x, y), x, y), strict=True):
        _require_close(cls, a, b, 1e-8, "of one fit")


def _check_file(cls: AlignerClass) -> None:
    x, y = _example_rows()
    aligner = cls().fit(Pairs(image=x, text=y))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aligner.safetensors"
        aligner.save(path)
        loaded = load(path)
    require(cls, type(loaded) is cls, f"load returns {type_of(loaded)}")
    require(cls, loaded.get_params() == aligner.get_params(), "load changes the options")
    require(cls, loaded.names_ == ("image", "text"), "load changes the names of the modalities")
    for a, b in zip(_forms(loaded, x, y), _forms(aligner, x, y), strict=True):
        _require_close(cls, a, b, 0.0, "before saving")
    if loaded.corrects_scores:
        return
    _require_refusal(
        cls,
        lambda: loaded.transform(Pairs(audio=x, text=y)),
        "got pairs of audio and text, expected image and text",
        "transform of other modalities",
    )


def _check_fitted_state(cls: AlignerClass) -> None:
    x, y = _example_rows()
    aligner = cls().fit(x, y)
    mapped_x = _form_x(aligner, x)
    state = aligner.fitted_state
    require(cls, state.dims == (N_DIMS, N_DIMS), f"fitted_state.dims is {state.dims}")
    require(cls, state.uses_pairs == aligner.uses_pairs, "fitted_state.uses_pairs is not that of the aligner")
    other = cls().fit(y, x)
    other.fitted_state = state
    for restored, name in ((other, "of the state"), (copy.deepcopy(aligner), "of the copied aligner")):
        _require_close(cls, _form_x(restored, x), mapped_x, 0.0, name)
        require(cls, restored.fit_info_ == aligner.fit_info_, f"fit_info_ differs from that {name}")


def _check_array_libraries(cls: AlignerClass) -> None:
    x, y = _example_rows()
    expected = _forms(cls().fit(x, y), x, y)
    for library in ARRAY_LIBRARIES:
        if importlib.util.find_spec(library) is None:
            continue
        xp = importlib.import_module(library)
        library_pair = xp.asarray(x), xp.asarray(y)
        for mapped, numpy_rows in zip(_forms(cls().fit(*library_pair), *library_pair), expected, strict=True):
            require(
                cls, type(mapped) is type(library_pair[0]), f"rows of {library} come back as {type(mapped).__name__}"
            )
            _require_close(cls, mapped, numpy_rows, 1e-8, "of NumPy arrays")


def _check_dtypes(cls: AlignerClass) -> None:
    x, y = _example_rows()
    aligner = cls().fit(x, y)
    expected = _form_x(aligner, x)
    for dtype, expected_dtype, tolerance in (("f2", "f4", 0.02), ("f4", "f4", 1e-4), (">f8", "f8", 1e-12)):
        mapped = _form_x(aligner, x.astype(dtype))
        require(cls, mapped.dtype == np.dtype(expected_dtype), f"rows of dtype {dtype} come back as {mapped.dtype}")
        _require_close(cls, mapped, expected, tolerance, f"of float64 for dtype {dtype}")


def _check_refusals(cls: AlignerClass) -> None:
    x, y = _example_rows()
    _require_refusal(cls, lambda: cls().transform_x(x), "is not fitted; call fit", "transform before fit")
    for attribute in ("map_x_", "names_", "fit_info_", "statistics_", "fitted_state"):
        require(cls, not hasattr(cls(), attribute), f"an unfitted aligner has the attribute {attribute}")
    aligner = cls().fit(x, y)
    _require_refusal(
        cls,
        lambda: _form_x(aligner, x[:, 1:]),
        rf"got rows of shape \({N_PAIRS}, {N_DIMS - 1}\) for x, expected \(n, {N_DIMS}\)",
        "another dimension",
    )
    invalid_y = y.copy()
    invalid_y[5, 0] = np.nan
    _require_refusal(cls, lambda: _forms(aligner, x, invalid_y), "row 5 .* NaN", "a row with NaN")
    other = Moments.of(x, y, normalize=False)
    _require_refusal(cls, lambda: cls().fit_moments(other), "normalize=False", "moments with another normalize")
    _require_refusal(cls, lambda: cls().fit(x), "expected both", "fit to one modality")
    try:
        _ = cls().map_x_
    except NotFittedError:
        return
    raise AssertionError(f"aligner {cls.__name__}: an unfitted aligner does not raise NotFittedError")


def _check_pairing(cls: AlignerClass) -> None:
    x, y = _example_rows()
    fewer = y[:333]
    if cls.requires_pairing:
        pattern = f"{cls.__name__} needs pairs and cannot be fitted to unpaired rows"
        _require_refusal(cls, lambda: cls().fit(x, fewer, paired=False), pattern, "a fit to unpaired rows")
        return
    paired = cls().fit(x, y)
    shuffled = y[np.random.default_rng(0).permutation(N_PAIRS)]
    unpaired = cls().fit(x, shuffled, paired=False)
    if paired.uses_pairs or not cls.supports_partial_fit:  # pairs are used, or judge a choice, and are not required
        paired = cls().fit(x, y, paired=False)
    else:
        _require_close(cls, _form_x(cls().fit(x, shuffled), x), _form_x(paired, x), 1e-8, "of another pairing")
    _require_close(cls, _form_x(unpaired, x), _form_x(paired, x), 1e-8, "of the paired fit")
    at_once, stream = cls().fit(x, fewer, paired=False), cls()
    counts = at_once.statistics_.n_x, at_once.statistics_.n_y
    require(cls, counts == (N_PAIRS, 333), f"statistics_ count {counts} rows, expected {(N_PAIRS, 333)}")
    if not cls.supports_partial_fit:
        return
    stream.partial_fit(x[:150], None, paired=False)
    _require_refusal(cls, lambda: _form_x(stream, x), "is not fitted", "transform after one modality")
    stream.partial_fit(x[150:], y[:50], paired=False)
    stream.partial_fit(None, y[50:333], paired=False)
    for a, b in zip(_forms(stream, x, y), _forms(at_once, x, y), strict=True):
        _require_close(cls, a, b, 1e-8, "of one fit to unpaired rows")
    _require_refusal(cls, lambda: stream.partial_fit(x, y), "cannot add pairs", "adding pairs to unpaired rows")
    pattern = "cannot add unpaired rows"
    _require_refusal(
        cls, lambda: cls().fit(x, y).partial_fit(x, None, paired=False), pattern, "adding unpaired rows to pairs"
    )


def _check_dimensions(cls: AlignerClass) -> None:
    x, y = _example_rows()
    narrow = y[:, : N_DIMS - 5]
    if not cls.allows_different_dims:
        _require_refusal(cls, lambda: cls().fit(x, narrow), f"{N_DIMS} .*{N_DIMS - 5}", "a fit to different dimensions")
        return
    mapped_x, mapped_y = _forms(cls().fit(x, narrow), x, narrow)
    require(cls, mapped_x.shape == mapped_y.shape, "x and y get different dimensions")


def _check_scikit_learn(cls: AlignerClass) -> None:
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError as SklearnNotFittedError
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.utils import get_tags
    from sklearn.utils.validation import check_is_fitted

    x, y = _example_rows()
    aligner = cls()
    try:
        check_is_fitted(aligner)
    except SklearnNotFittedError:
        pass
    else:
        raise AssertionError(f"aligner {cls.__name__}: check_is_fitted accepts an unfitted aligner")
    aligner.fit(x, y)
    check_is_fitted(aligner)
    cloned = clone(aligner)
    require(cls, cloned.get_params(deep=True) == aligner.get_params(deep=False), "clone changes the options")
    require(cls, not cloned.__sklearn_is_fitted__(), "clone keeps the fit")
    require(cls, get_tags(aligner).target_tags.required, "the tags do not require Y")
    if aligner.corrects_scores:
        step = Pipeline([("copy", FunctionTransformer()), ("align", cls())]).fit(x, y)["align"]
        _require_close(cls, _form_x(step, x), _form_x(aligner, x), 1e-12, "outside the pipeline")
        return
    pipeline = Pipeline([("copy", FunctionTransformer()), ("align", cls())])
    pipeline.set_params(align__normalize=True)
    for mapped, outside in zip(pipeline.fit(x, y)["align"].transform(x, y), _forms(aligner, x, y), strict=True):
        _require_close(cls, mapped, outside, 1e-12, "outside the pipeline")
    for modality, rows, outside in zip("xy", (x, y), _forms(aligner, x, y), strict=True):
        one_sided = Pipeline([("align", aligner.side(modality)), ("copy", FunctionTransformer())])
        _require_close(cls, clone(one_sided).fit_transform(rows), outside, 1e-12, "outside the pipeline")


#: Checks of the contract by name.
ALIGNER_CHECKS: dict[str, Callable[[AlignerClass], None]] = {
    "declaration": check_declaration,
    "maps": _check_maps,
    "options": _check_options,
    "rows": _check_rows,
    "roles": _check_roles,
    "blocks": _check_blocks,
    "file": _check_file,
    "fitted state": _check_fitted_state,
    "array libraries": _check_array_libraries,
    "dtypes": _check_dtypes,
    "refusals": _check_refusals,
    "pairing": _check_pairing,
    "dimensions": _check_dimensions,
    "scikit-learn": _check_scikit_learn,
}
