"""Base class of aligners: two row maps, one for each modality, solved from moments."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus.align._adaptation import Adaptation
from isthmus.align._mapped_directions import unit_mapped_rows
from isthmus.align._maps import Affine, is_identity
from isthmus.align._registry import REGISTRY
from isthmus.align.torch_module import torch_module
from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.compute.devices import full_precision, to_device_cached
from isthmus.compute.resources import current
from isthmus.compute.rows import dtype_name
from isthmus.data.columns import as_source, to_array
from isthmus.data.pairs import Pairs
from isthmus.utils.errors import InputError
from isthmus.utils.files import save_arrays
from isthmus.utils.validation import format_rows


@dataclass(kw_only=True, eq=False)
class Aligner(Adaptation):
    """Base class of all aligners.

    An aligner has one map for each modality. `transform` divides the rows by their norm, maps them and divides them by
    their norm again. With `normalize=False` both divisions are left out. Rows come back in the array library and on the
    device that they came in.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.

    Attributes
    ----------
    map_x_, map_y_ : Affine or NormalizedAffine
        Maps of the rows of x and y.
    moments_ : Moments or None
        Moments of the fit. None for unpaired rows of a file and after `load`.
    n_features_in_ : int
        Dimension of the rows of x.
    statistics_ : Statistics
        Means and covariances of the fitted rows. They are saved with the maps.
    names_ : tuple of str, or None
        Names of the two modalities.
    fit_info_ : dict of str to Any
        Numbers that explain the solution.

    See Also
    --------
    isthmus.testing.check_aligner : Contract suite for a new aligner.

    Notes
    -----
    A new aligner is a subclass with the decorator `@dataclass(kw_only=True, eq=False)`. Its options are dataclass
    fields with defaults, and it implements `solve`. The rest has defaults:

    - `requires_pairing`, `uses_means`, `normalizes_output`, `supports_partial_fit`, `allows_different_dims` and
      `selects_directions` are class attributes, described where they are defined. `source` is the reference.
    - `check_options` raises `InputError` if an option is invalid. It is called by `fit`, never by the constructor.
    - `uses_pairs` says whether these options make the solution depend on the pairing.
    - `adapt_maps` solves for the statistics of another corpus.

    Subclasses register themselves under their name, except those that start with '_' or do not implement `solve`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import isthmus, numpy as np
    >>> from isthmus.align import Affine, Aligner
    >>> @dataclass(kw_only=True, eq=False)
    ... class HalfCentering(Aligner):
    ...     weight: float = 0.5
    ...
    ...     def solve(self, moments):
    ...         return Affine(bias=-self.weight * moments.mean_x), Affine(bias=-self.weight * moments.mean_y)
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> HalfCentering(normalize=False).fit(X, X).transform_x(X).tolist()
    [[0.75, -0.25], [-0.25, 0.75]]
    >>> isthmus.align.unregister("HalfCentering").__name__
    'HalfCentering'
    """

    normalize: bool = True
    #: True if mapped rows are divided by their norm. If False, compare them by Euclidean distance.
    normalizes_output: ClassVar[bool] = True
    selects_directions: ClassVar[bool] = False  #: whether it selects directions, which few items do not determine
    #: Reference of the method.
    source: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if not cls.__name__.startswith("_") and not getattr(cls.solve, "__isabstractmethod__", False):
            REGISTRY.register(cls.__name__, cls)

    @property
    def n_features_in_(self) -> int:
        """Return the dimension of the rows of x, as scikit-learn's CCA does."""
        return self._require_fit().dims[0]

    @property
    def matrix_x(self) -> np.ndarray:
        """Return the matrix (d, k) that rows of x are multiplied by, or raise `InputError` if the map is not affine."""
        return self._dense(0)[0]

    @property
    def bias_x(self) -> np.ndarray:
        """Return the offset (k,) that is added to the rows of x after the multiplication."""
        return self._dense(0)[1]

    @property
    def matrix_y(self) -> np.ndarray:
        """Return the matrix (d, k) that rows of y are multiplied by, or raise `InputError` if the map is not affine."""
        return self._dense(1)[0]

    @property
    def bias_y(self) -> np.ndarray:
        """Return the offset (k,) that is added to the rows of y after the multiplication."""
        return self._dense(1)[1]

    def _dense(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        mapping = self._solve_once()[number]
        if not isinstance(mapping, Affine):
            raise InputError(f"{type(self).__name__} is not an affine map of the rows; use transform or to_torch")
        return mapping.dense(self._require_fit().dims[number])

    def transform(self, X: Any, Y: Array = None, /) -> tuple[Array, Array]:
        """Map the rows of both modalities.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or both modalities. Pairs must have the names that were fitted.
        Y : array of shape (m, d), optional
            Rows of the second modality, unless X holds both.

        Returns
        -------
        x : array of shape (n, k)
            Mapped rows of X.
        y : array of shape (m, k)
            Mapped rows of Y.

        Raises
        ------
        NotFittedError
            If the aligner is not fitted.
        InputError
            If the rows of one modality alone are given, or names, shapes or rows are invalid.

        See Also
        --------
        side : The maps of one modality.
        """
        if isinstance(X, Pairs):
            names = self.names_
            if names is not None and tuple(X.names) != names:
                raise self._wrong_names((X.names[0], X.names[1]), names)
            X, Y = (rows.read(0, rows.shape[0]) for rows in (X.x, X.y))
        if Y is None:
            first, second = self.modalities[:2]
            raise InputError(
                f"transform got rows of one modality, expected those of {first} and {second}; give transform(X, Y), or "
                f"use side({first!r}).transform(X) or side({second!r}).transform(Y) for one of them"
            )
        return self.transform_x(X), self.transform_y(Y)

    def fit_transform(self, X: Any, Y: Any = None, /, **options: Any) -> tuple[Array, Array]:
        """Fit to the rows of both modalities and map them.

        Mapped rows of the fit say little about other rows, see `isthmus.compare`.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or both modalities with their names.
        Y : array of shape (m, d), optional
            Rows of the second modality.
        **options
            Options of `fit`, such as `index` and `paired`.

        Returns
        -------
        x : array of shape (n, k)
            Mapped rows of X.
        y : array of shape (m, k)
            Mapped rows of Y.

        Raises
        ------
        InputError
            If `fit` or `transform` refuses the rows.

        Examples
        --------
        >>> import numpy as np, isthmus
        >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 3)) + 1.0
        >>> x, y = isthmus.align.Centering(normalize=False).fit_transform(X, Y)
        >>> bool(np.allclose(x.mean(axis=0), 0)), y.shape
        (True, (50, 3))
        """
        return self.fit(X, Y, **options).transform(X, Y)

    def side(self, modality: str, /) -> Any:
        """Return the maps of one modality as a scikit-learn transformer, for a `Pipeline`.

        The maps are frozen: `fit` and `clone` of the transformer keep them. It has `set_output`.

        Parameters
        ----------
        modality : str
            A name of `modalities`, or 'x' or 'y' for the first two.

        Returns
        -------
        OneSidedAligner
            Transformer of the rows of this modality.

        Raises
        ------
        NotFittedError
            If the aligner is not fitted.
        InputError
            If the modality is unknown, or if the aligner corrects scores and not rows.

        Examples
        --------
        >>> import isthmus
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> run = isthmus.demo.arrays("plain", split="test")
        >>> aligner = isthmus.align.Centering().fit(image=run.image, text=run.text)
        >>> classifier = make_pipeline(aligner.side("image"), LogisticRegression()).fit(run.image, run.labels)
        >>> bool(classifier.score(run.image, run.labels) > 0.9)
        True
        """
        if self.corrects_scores:
            raise self._no_transform()
        # Imported on use: the base classes of the transformer are those of scikit-learn.
        from isthmus.align._one_sided import OneSidedAligner

        return OneSidedAligner(self, self.modalities[self.modality_number(modality)])

    def _no_transform(self) -> InputError:
        """Return the error for a correction of scores that is asked for mapped rows."""
        first, second = self.modalities[:2]
        return InputError(
            f"{type(self).__name__} corrects scores and not rows, so it has no transform; store "
            f"stored(rows, modality={first!r}) in an index, search with query(rows, modality={second!r}), or use scores"
        )

    def transform_x(self, X: Array, /) -> Array:
        """Map rows of the first modality.

        Parameters
        ----------
        X : array of shape (n, d) or (d,)
            Rows, or one row.

        Returns
        -------
        array of shape (n, k) or (k,)
            Mapped rows in the array library and dtype of X. Float16 comes back as float32.

        Raises
        ------
        InputError
            If the shape is wrong, or if a row is zero, infinite or NaN.
        """
        return self._transform(X, 0)

    def transform_y(self, Y: Array, /) -> Array:
        """Map rows of the second modality.

        Parameters
        ----------
        Y : array of shape (n, d) or (d,)
            Rows, or one row.

        Returns
        -------
        array of shape (n, k) or (k,)
            Mapped rows in the array library and dtype of Y. Float16 comes back as float32.

        Raises
        ------
        InputError
            If the shape is wrong, or if a row is zero, infinite or NaN.
        """
        return self._transform(Y, 1)

    def _transform(self, rows: Array, number: int) -> Array:
        mapping = self._mapping(number)
        if not (arrays.is_numpy(rows) or arrays.is_non_numpy(rows)) or dtype_name(rows.dtype) == "object":
            rows = to_array(rows, self.modalities[number])
        if rows.ndim == 1:
            return self._transform(rows[None, :], number)[0]
        name = dtype_name(rows.dtype)
        if name.endswith("int8") or (isinstance(rows, np.ndarray) and rows.dtype.kind not in "fiub"):
            as_source(self.modalities[number], rows, min_rows=1)  # raises
        rows = rows[:, 0] if rows.ndim == 3 and rows.shape[1] == 1 else rows
        self._check_shape(rows, number)
        dtype, devices = arrays.compute_dtype(name), current().devices
        if devices and isinstance(rows, np.ndarray):
            with full_precision():
                return np.array(arrays.to_numpy(self._transform(to_device_cached(rows, devices[0], dtype), number)))
        clean = arrays.RowNormalizer(dtype, normalize=self.normalize)
        try:
            mapped = mapping(clean(rows))
        except arrays.InvalidRowsError:
            host = arrays.to_numpy(rows)
            invalid_rows = np.flatnonzero(~np.isfinite(host).all(axis=1) | ~host.any(axis=1))
            raise InputError(
                f"{format_rows(invalid_rows)} (counted from 0) hold{'s' * (len(invalid_rows) == 1)} NaN, infinite "
                "values or only zeros; remove them first"
            ) from None
        divides = self.normalize and self.normalizes_output and not (self.corrects_scores and is_identity(mapping))
        return unit_mapped_rows(mapped, mapping, type(self).__name__, self.modalities[number]) if divides else mapped

    def to_torch(self) -> Any:
        """Return the maps as a `torch.nn.Module` with the heads `x` and `y`.

        `module(X, Y)` gives the result of `transform(X, Y)`. The maps are float64 buffers that are cast to the dtype of
        the rows, so `state_dict` holds them and gradients reach the rows. The module does not check its input.

        Returns
        -------
        torch.nn.Module
            The module, without parameters.

        Raises
        ------
        InputError
            If torch is not installed or the aligner is not fitted.

        Examples
        --------
        >>> import isthmus, torch
        >>> heads = isthmus.align.Centering().fit(isthmus.demo.load("plain")).to_torch()
        >>> tuple(heads.x(torch.ones(3, 64)).shape), len(list(heads.parameters()))
        ((3, 64), 0)
        """
        normalize_output = self.normalize and self.normalizes_output
        map_x, map_y = self._solve_once()
        return torch_module(map_x, map_y, normalize_input=self.normalize, normalize_output=normalize_output)

    def digest(self, *settings: str | None) -> str:
        """Return a hash of the maps, options and statistics, by which written rows are recognised.

        Parameters
        ----------
        *settings : str or None
            Further text that the hash depends on, such as the role of the rows.

        Returns
        -------
        str
            64 hexadecimal digits.

        Examples
        --------
        >>> import isthmus
        >>> pairs = isthmus.demo.load("plain")
        >>> first, second = (isthmus.align.Centering().fit(pairs).digest() for _ in range(2))
        >>> first == second != isthmus.align.Procrustes().fit(pairs).digest()
        True
        """
        tables, header = self.fitted_state.to_arrays()
        content = json.dumps((self.json_options(), *settings, header), sort_keys=True, default=str)
        digest = hashlib.sha256(content.encode())
        for name, table in sorted(tables.items()):
            digest.update(name.encode() + np.ascontiguousarray(table).tobytes())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write maps, options and statistics to a safetensors file that `isthmus.load` reads back exactly.

        Parameters
        ----------
        path : str or path-like
            Name of the file. It is written atomically.

        Raises
        ------
        NotFittedError
            If the aligner is not fitted.
        InputError
            If the file cannot be written.
        """
        tables, header = self.fitted_state.to_arrays()
        header |= {"class": type(self).__name__, "options": self.json_options(), "n": self.statistics_.n_x}
        save_arrays(path, "aligner", tables, header)
