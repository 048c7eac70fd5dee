"""Clustering of both modalities together: whether clusters follow the classes or the modality."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._labels import require_labels
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: More rows than this are sampled before they are clustered.
MAX_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class Clustering:
    """k-means clusters of the rows of both modalities together.

    Parameters
    ----------
    clusters : np.ndarray of shape (n_x + n_y,)
        Cluster of each row, the rows of x first.
    labels : np.ndarray of shape (n_x + n_y,)
        Class of each row.
    is_x : np.ndarray of shape (n_x + n_y,)
        Whether a row belongs to x.

    References
    ----------
    Adjusted Rand index: Hubert and Arabie 1985. NMI: Strehl and Ghosh 2002. V-measure: Rosenberg and Hirschberg 2007.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.repeat(np.eye(2), 10, axis=0)
    >>> clustering = Clustering.of(X, X, np.repeat([0, 1], 10))
    >>> clustering.ari, round(clustering.modality_nmi, 3)
    (1.0, 0.0)
    """

    clusters: np.ndarray
    labels: np.ndarray
    is_x: np.ndarray

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        labels: Any,
        /,
        *,
        index: Any = None,
        clusters: int | None = None,
        rng: int = 0,
    ) -> Clustering:
        """Cluster the rows of x and y together with scikit-learn's k-means, the best of four starts.

        Two starts draw their centres from the rows of x and then y, and two from those of y and then x. Therefore the
        order of the modalities does not matter.

        Parameters
        ----------
        x, y : np.ndarray of shape (n_x, d) and (n_y, d)
            Rows of both modalities. If there are more than 10,000 rows, a random sample of each modality is used.
        labels : array-like of shape (n_x,)
            Class of each row of x.
        index : array-like of shape (n_y,), optional
            Row of x that each row of y belongs to. Default: row j belongs to row j.
        clusters : int, optional
            Number of clusters. Default: number of classes.
        rng : int, default 0
            Seed.

        Returns
        -------
        Clustering
            Clusters, classes and modalities of the rows.

        Raises
        ------
        InputError
            If there are fewer rows than clusters.
        """
        owner = np.arange(len(y)) if index is None else np.asarray(index)
        labels = np.asarray(labels)
        n_rows = len(x) + len(y)
        samples = [_sample(len(modality), n_rows, rng) for modality in (x, y)]
        modalities = [rows[sample].astype(np.float32) for rows, sample in zip((x, y), samples, strict=True)]
        classes = np.concatenate([labels[samples[0]], labels[owner[samples[1]]]])
        is_x = np.arange(len(classes)) < len(samples[0])
        k = len(np.unique(labels)) if clusters is None else clusters
        if not 1 <= k <= len(classes):
            raise InputError(f"{k} clusters of {counted(len(classes), 'row')}: expected 1 to the number of rows")
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            # Fewer distinct rows than clusters is a property of the data, not an error.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fits = [
                KMeans(k, n_init=2, random_state=int(rng)).fit(np.concatenate(order))
                for order in (modalities, modalities[::-1])
            ]
        n_y = len(samples[1])
        numbers = [fits[0].labels_, np.concatenate([fits[1].labels_[n_y:], fits[1].labels_[:n_y]])]
        return cls(numbers[int(fits[1].inertia_ < fits[0].inertia_)], classes, is_x)

    @property
    def ari(self) -> float:
        """Return the adjusted Rand index of clusters and classes: 0 by chance, 1 if they agree."""
        from sklearn.metrics import adjusted_rand_score

        return float(adjusted_rand_score(self.labels, self.clusters))

    @property
    def nmi(self) -> float:
        """Return the mutual information of clusters and classes over the geometric mean of their entropies.

        It lies in [0, 1]. With the arithmetic mean it would be the V-measure.
        """
        return _nmi(self.labels, self.clusters)

    @property
    def v_measure(self) -> float:
        """Return the harmonic mean of homogeneity and completeness, in [0, 1]."""
        from sklearn.metrics import v_measure_score

        return float(v_measure_score(self.labels, self.clusters))

    @property
    def modality_nmi(self) -> float:
        """Return the NMI of clusters and modalities: 0 if clusters do not depend on the modality."""
        return _nmi(self.is_x, self.clusters)


@task(
    "clustering",
    needs="labels",
    scores={
        "ARI": Score("higher", "adjusted Rand index of clusters and classes", (-0.5, 1)),
        "NMI": Score("higher", "mutual information of clusters and classes over the geometric mean of their entropies"),
        "V_measure": Score("higher", "harmonic mean of homogeneity and completeness"),
        "modality_NMI": Score("lower", "NMI of clusters and modalities"),
    },
    source="Grassucci et al. 2026 (ModGap); Rosenberg and Hirschberg 2007",
)
def clustering(data: TaskData) -> TaskScores:
    """Cluster both modalities together by k-means, and compare the clusters with classes and modalities."""
    labels = require_labels(data, "clustering")
    y, owner = data.y[data.matches.y_rows], data.matches.y_items
    clusters = Clustering.of(data.x, y, labels, index=owner, rng=data.seed)
    return TaskScores(
        overall={
            "ARI": clusters.ari,
            "NMI": clusters.nmi,
            "V_measure": clusters.v_measure,
            "modality_NMI": clusters.modality_nmi,
        }
    )


def _sample(n_rows: int, n_all: int, rng: int) -> np.ndarray:
    """Return the sampled rows of a modality, ascending: its share of `MAX_ROWS` rows, or all of them."""
    if n_all <= MAX_ROWS:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(rng).choice(n_rows, MAX_ROWS * n_rows // n_all, replace=False))


def _nmi(labels: np.ndarray, clusters: np.ndarray) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, clusters, average_method="geometric"))
