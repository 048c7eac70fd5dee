"""Rows and queries of vector indexes whose inner products give corrected scores.

- 'lists': one list for each stored modality b. Rows `[c, H_a(c) for each modality of queries a]` with the hubness H of
  raw scores, queries `[q, -w at the place of a]`. The inner product P gives S = (P - (1 - w) mu) / sigma - v l.
- 'centered': as 'lists' with H_a(c) minus its mean over the bank of b, which changes no order within a list. Rows then
  have nearly one length, which HNSW needs, and codes of few bits spend no range on a constant.
- 'exact': one index for each modality of queries a. Rows `[c / sigma_ab, -w h_a(c), one-hot of b]`, queries
  `[q, 1, -mu_ab / sigma_ab - v l_b(q) for each b]`. The inner product is S.
- 'shared': one index for all modalities of queries. The spreads are replaced by products alpha_a beta_b. Rows
  `[c / beta_b, h_a(c) for each a, one-hot of b]`, queries `[q / alpha_a, -w at a, -mu_ab / sigma_ab - v l_b(q)]`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.align._score_model import ScoreModel
from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.compute.score_matrix import select_topk

INDEX_FORMS = ("lists", "centered", "exact", "shared")
#: Forms with one list for each stored modality.
LIST_FORMS = ("lists", "centered")
#: Rows of each bank on which the loss of the form 'shared' is measured.
LOSS_ROWS = 300
METRICS = ("inner_product", "cosine")
Blocks = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class IndexForm:
    """Columns that are appended to unit rows, and the scores of inner products, for one form of an index."""

    model: ScoreModel
    form: str

    def stored(self, rows: np.ndarray, /, *, stored: str, query: str | None) -> tuple[float, np.ndarray]:
        """Return the divisor of unit rows of a stored modality, and the columns (n, any) that follow them.

        `query` is the modality of the queries in the form 'exact'.
        """
        model = self.model
        place = _one_hot(model.modalities, stored, len(rows), rows.dtype)
        if self.form == "exact":
            assert query is not None
            weight = model.hubness_weights[query]
            hubness = model.hubness(rows, query=query, stored=stored)[:, None] if weight else np.zeros((len(rows), 1))
            return model.levels[query, stored][1], np.concatenate([-weight * hubness, place], axis=1)
        if not model.weighs_hubness:
            return (1.0, place[:, :0]) if self.form in LIST_FORMS else (self._factors[1][stored], place)
        hubness = np.stack([model.hubness(rows, query=name, stored=stored) for name in model.modalities], axis=1)
        if self.form == "shared":
            return self._factors[1][stored], np.concatenate([hubness, place], axis=1)
        means, deviations = np.transpose([model.levels[name, stored] for name in model.modalities])
        if self.form == "centered":
            means = means - [self._centres[name, stored] for name in model.modalities]
        return 1.0, hubness * deviations.astype(hubness.dtype) + means.astype(hubness.dtype)

    def query(self, queries: np.ndarray, /, *, query: str) -> tuple[float, np.ndarray]:
        """Return the divisor of unit queries, and the columns (m, any) that follow them."""
        model = self.model
        weights = -model.hubness_weights[query] * _one_hot(model.modalities, query, len(queries), queries.dtype)
        if self.form in LIST_FORMS:
            return 1.0, weights if model.weighs_hubness else weights[:, :0]
        offsets = np.empty_like(weights)
        for number, stored in enumerate(model.modalities):
            mean, deviation = model.levels[query, stored]
            offsets[:, number] = -mean / deviation
            if model.level_weight:
                offsets[:, number] -= model.level_weight * model.level(queries, query=query, stored=stored)
        if self.form == "exact":
            return 1.0, np.concatenate([np.ones_like(offsets[:, :1]), offsets], axis=1)
        columns = [weights, offsets] if model.weighs_hubness else [offsets]
        return self._factors[0][query], np.concatenate(columns, axis=1)

    def scores(self, products: np.ndarray, queries: np.ndarray, /, *, query: str, stored: str) -> np.ndarray:
        """Return the corrected scores (m, any) of inner products of the list of one stored modality."""
        if self.form not in LIST_FORMS:
            return products
        model = self.model
        mean, deviation = model.levels[query, stored]
        offset = (1 - model.hubness_weights[query]) * mean
        if self.form == "centered" and model.weighs_hubness:
            offset += model.hubness_weights[query] * self._centres[query, stored]
        scores = (products - offset) / deviation
        if model.level_weight:
            scores -= model.level_weight * model.level(queries, query=query, stored=stored)[:, None]
        return scores

    def norm_bound(self, query: str | None) -> float:
        """Return a length that no stored row exceeds. Every block of rows has the same bound."""
        model = self.model
        names = model.modalities
        if self.form in LIST_FORMS:  # a centred coordinate is a difference of two numbers of at most 1
            largest = 1.0 if self.form == "lists" else 2.0
            return float(np.sqrt(1 + largest**2 * len(names) * model.weighs_hubness))

        def hubness_bound(asking: str, stored: str) -> float:
            mean, deviation = model.levels[asking, stored]
            return (1 + abs(mean)) / deviation

        if self.form == "exact":
            assert query is not None
            weight = model.hubness_weights[query]
            squares = [
                model.levels[query, name][1] ** -2 + (weight * hubness_bound(query, name)) ** 2 + 1 for name in names
            ]
        else:
            squares = [
                self._factors[1][name] ** -2 + 1 + sum(hubness_bound(asking, name) ** 2 for asking in names)
                for name in names
            ]
        return float(np.sqrt(max(squares)))

    @cached_property
    def loss(self) -> tuple[float, float, float] | None:
        """Return what the form 'shared' loses, measured on rows of the banks that search each other.

        The first number is the share of the ten best rows that it finds. The others are the same-modality share of the
        ten best rows over a fair one, by the corrected scores and by this form. None without banks.
        """
        model, names = self.model, self.model.modalities
        if not model.banks:
            return None
        banks = {name: bank[:LOSS_ROWS] for name, bank in model.banks.items()}
        found, shares, count = [], [], sum(len(bank) for bank in banks.values()) - 1
        for name, queries in banks.items():
            divisor, columns = self.query(queries, query=name)
            asked = np.concatenate([queries / divisor, columns], axis=1)
            tables: list[list[np.ndarray]] = [[], []]
            for stored, rows in banks.items():
                divisor, columns = self.stored(rows, stored=stored, query=None)
                tables[0].append(model.scores(queries, rows, query=name, stored=stored))
                tables[1].append(asked @ np.concatenate([rows / divisor, columns], axis=1).T)
                if stored == name:
                    for table in tables:
                        np.fill_diagonal(table[-1], -np.inf)
            k = min(10, count)
            best = [select_topk(np.concatenate(table, axis=1), k)[1] for table in tables]
            found.append(np.mean([len(np.intersect1d(a, b)) for a, b in zip(*best, strict=True)]) / k)
            owner = np.repeat(np.arange(len(names)), [len(bank) for bank in banks.values()])
            own = [float(np.mean(owner[columns] == names.index(name))) for columns in best]
            shares.append(np.array(own) * count / (len(queries) - 1))
        exact, shared = np.mean(shares, axis=0)
        return float(np.mean(found)), float(exact), float(shared)

    @cached_property
    def _centres(self) -> dict[tuple[str, str], float]:
        """Mean hubness of raw scores over the bank of the stored modality, by (asking, stored) modality."""
        centres = {(asking, stored): 0.0 for asking, stored in itertools.product(self.model.modalities, repeat=2)}
        for names, hubness in self.model.bank_hubness.items():
            mean, deviation = self.model.levels[names]
            centres[names] = mean + deviation * float(np.mean(hubness, dtype=np.float64))
        return centres

    @cached_property
    def _factors(self) -> tuple[dict[str, float], dict[str, float]]:
        """Factors alpha_a and beta_b whose products are nearest to the spreads, in squares of logarithms."""
        names = self.model.modalities
        logs = np.log([[self.model.levels[a, b][1] for b in names] for a in names])
        alpha, beta = np.exp(logs.mean(axis=1) - logs.mean()), np.exp(logs.mean(axis=0))
        return dict(zip(names, alpha.tolist(), strict=True)), dict(zip(names, beta.tolist(), strict=True))


def shared_warning(form: IndexForm) -> str:
    """Return the warning of the form 'shared' with its loss."""
    loss = form.loss
    numbers = (
        ""
        if loss is None
        else (
            f": on the bank it finds {100 * loss[0]:.0f} % of the ten best rows, with a same-modality share of "
            f"{loss[2]:.2f} of the fair one in place of {loss[1]:.2f}"
        )
    )
    return (
        "index='shared' serves the queries of all modalities by approximate spreads, which costs balance between the "
        f"modalities{numbers}; use 'lists', and never HNSW"
    )


def _one_hot(modalities: tuple[str, ...], name: str, count: int, dtype: np.dtype) -> np.ndarray:
    """Return `count` rows with a 1 at the place of one modality."""
    rows = np.zeros((count, len(modalities)), dtype=dtype)
    rows[:, modalities.index(name)] = 1
    return rows


def assembled(rows: Array, divisor: float, columns: np.ndarray, norm_bound: float | None) -> Array:
    """Return rows / divisor with columns appended, and completed to one norm if there is a bound of their norms."""
    if norm_bound is not None:
        squares = arrays.to_numpy(arrays.row_dot(rows, rows)) / divisor**2 + np.sum(columns**2, axis=1)
        missing = np.sqrt(np.maximum(norm_bound**2 - squares, 0))[:, None].astype(columns.dtype)
        columns = np.concatenate([columns, missing], axis=1) / norm_bound
        divisor *= norm_bound
    body = rows if divisor == 1 else rows / divisor
    if isinstance(rows, np.ndarray):
        return np.concatenate([body, arrays.asarray_like(columns, rows)], axis=1) if columns.shape[1] else body
    xp = arrays.namespace(rows)
    return xp.concat([body, arrays.asarray_like(columns, rows)], axis=1) if columns.shape[1] else body
