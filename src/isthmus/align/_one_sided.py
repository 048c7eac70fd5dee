"""One side of a fitted aligner as a scikit-learn transformer. The module is imported on use, since scikit-learn is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from isthmus.utils.errors import InputError


class OneSidedAligner(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Map the rows of one modality with a fitted aligner, as a step of a scikit-learn `Pipeline`.

    `Aligner.side` returns it. The maps are frozen: `fit` and `clone` keep them, so that `cross_val_score` and
    `GridSearchCV` of the later steps do not need the other modality.

    Parameters
    ----------
    aligner : Aligner
        Fitted row map.
    modality : str
        Modality of the rows.

    Attributes
    ----------
    n_features_in_ : int
        Dimension of the rows.
    feature_names_in_ : array of str
        Names of the columns, if `fit` got a data frame.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain", split="train")
    >>> side = isthmus.align.Centering().fit(pairs).side("image")
    >>> side.transform(isthmus.demo.arrays("plain", split="test").image).shape
    (597, 64)
    """

    def __init__(self, aligner: Any, modality: str) -> None:
        self.aligner = aligner
        self.modality = modality

    @property
    def n_features_in_(self) -> int:
        """Return the dimension of the rows."""
        return int(self.aligner.dim(self.modality))

    @n_features_in_.setter
    def n_features_in_(self, count: int) -> None:  # scikit-learn stores what it has seen
        self._check_width(count)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the width of the rows and remember the names of their columns. The maps stay as they are.

        Parameters
        ----------
        X : array or data frame of shape (n, d)
            Rows of the modality.
        y : object, optional
            Ignored.

        Returns
        -------
        OneSidedAligner
            This transformer.

        Raises
        ------
        InputError
            If the width is wrong.
        """
        del y
        check_is_fitted(self)
        self._check_width((getattr(X, "shape", None) or np.shape(X))[-1])
        validate_data(self, X, skip_check_array=True, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Map rows of the modality.

        Parameters
        ----------
        X : array or data frame of shape (n, d)
            Rows.

        Returns
        -------
        array of shape (n, k), or the frame that `set_output` chose
            Mapped rows.

        Raises
        ------
        InputError
            If the width is wrong, or if a row is zero, infinite or NaN.
        """
        check_is_fitted(self)
        if hasattr(self, "feature_names_in_"):
            validate_data(self, X, skip_check_array=True, reset=False)
        return self.aligner.query(X, modality=self.modality)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> np.ndarray:
        """Return the names of the mapped columns: the modality and a number.

        Parameters
        ----------
        input_features : sequence of str, optional
            Names of the columns of X. Their number is checked.

        Returns
        -------
        array of str
            Such as 'image0', 'image1'.

        Raises
        ------
        InputError
            If there are more or fewer names than columns.
        """
        check_is_fitted(self)
        if input_features is not None:
            self._check_width(len(input_features))
        width = len(self.aligner.query(np.ones(self.n_features_in_), modality=self.modality))
        return np.array([f"{self.modality}{number}" for number in range(width)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return bool(self.aligner.__sklearn_is_fitted__())

    def __sklearn_clone__(self) -> OneSidedAligner:
        return type(self)(self.aligner, self.modality)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the aligner and the modality. The options of the aligner are frozen.

        Parameters
        ----------
        deep : bool, default True
            Accepted for scikit-learn.

        Returns
        -------
        dict of str to object
            Parameters by name.
        """
        del deep
        return {"aligner": self.aligner, "modality": self.modality}

    def _check_width(self, count: int) -> None:
        if count != self.n_features_in_:
            raise InputError(
                f"got rows with {count:,} features, expected {self.n_features_in_:,} for {self.modality}, the "
                f"dimension that this {type(self.aligner).__name__} was fitted to"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.array_api_support = True
        tags.requires_fit = False
        return tags
