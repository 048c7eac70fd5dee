"""Write the page of all measures: `python -m isthmus.metrics.document docs/reference/metrics.md`."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Sequence

from isthmus.metrics._conditions import DEGENERATE_CASES
from isthmus.metrics._metric import FAMILIES, Metric, registry
from isthmus.utils.files import atomic_path

_OPENING = """# The measures

isthmus has {measures} measures in {families} families. `isthmus measure X Y` prints twelve of them, and `--all` prints
all. `--metrics fast` prints those that need no rows, and `--metrics neighbours,centroid_angle` prints one family of
this page and one other measure. The same names work in Python, in `isthmus.measure(pairs, metrics=...)`.

x and y are the two modalities. A pair is a row of x with a matching row of y. An item is a row of x with all its
matching rows of y. Rows of different items are non-matching pairs. Items that share rows of y, directly or through
other items, are one independent component, which intervals count once. In names, `{side}` stands for one of the
modalities, and `{x}` and `{y}` stand for the two. Each measure below has these lines:

- **Better**: the direction in which a change is an improvement.
- **Needs**: `moments` need one pass over the data. `rows` also need a random sample of at most 10,000 items. `labels`
  need rows and a class for each item.
- **Interval**: the 95 % interval. `jackknife`: from the influence of each component. `normal`: of a mean over
  components. `wilson`: of a share, exact (Clopper and Pearson) if fewer than 15 independent trials are hits or fewer
  than 15 are misses. `subsampling`: from half samples, drawn without replacement. `none`: there is no interval, for the
  stated reason.
- **Null**: the value by chance. `pair shuffle`: the rows are paired at random. `random retrieval`: the rows are ranked
  at random. `modality swap`: the two rows of a pair are exchanged with probability 1/2. `random subspace` and `random
  direction`: uniformly distributed ones. `isotropic cloud`: as many rows without a preferred direction. `zero mean`:
  unit rows whose mean is zero. `true labels`: the value of the labels themselves.
- **Invariant**: changes that do not affect the value. `rotation` is one for both modalities, `row scale` is a positive
  factor of each row, and `swap` exchanges the modalities.
- **Undefined if**: the data on which the measure has no meaning.

**Values and intervals.** Values and intervals are corrected for sampling bias. `plugin` is the usual formula without
this correction, and may lie outside of the interval. Squared lengths near zero have the interval of a noncentral
chi-square distribution, which is too wide rather than too narrow. The ends of a length change to those of a clear one
between p-values of .05 and .001, without a jump. Along the direction of largest variance they contain a length of two
standard errors in 90 to 92 %. If the moments do not give a standard error, it comes from at most 2,000 random items.
`benchmarks/covering.py` shows why other measures have no interval. If there are fewer items than dimensions, measures
of spectra and subspaces have a note with the number of items that they need.

**Coverage.** 95 % intervals were simulated on 100 data sets each of 300 items in 24 dimensions. The laws are power-law
clouds with and without a gap, isotropic clouds with and without a gap, narrow cones and collapsed clouds. The data are
plain pairs, five texts per image, one to five images per text, and groups of two images and three texts. For each
measure and kind of data, intervals contain the true value in 92 to 99 % of the sets, averaged over these laws.
Isotropic caps were simulated, too, and are not part of this average. There are these exceptions:

- Where the truth is at the end of the range, intervals contain it in up to 100 %: `mixing_rate` and `separability_auc`
  of clouds far apart, `gap_share_top_8` of few coordinates, and anisotropies of equally strong directions.
- `gaussian_mutual_information` and `unique_variance_{side}` are about the leading directions of these data. Their
  intervals contain the value along these directions in 95 to 99 % and 92 to 99 %.
- Ranks of isotropic pairs have a mean below 2, which few distant matches decide. Data sets without them have a low mean
  and a small variance. Therefore the upper end of `mixed_partner_rank_{side}` allows for one more of the largest ranks.
  Intervals contain the mean in 93 to 98 %, and in up to 100 % if only 5 to 10 matches have a rank above 1. Six laws
  were simulated, with 400 to 1,200 data sets each of 30, 100 and 300 items. Where no few ranks decide, they are 3 to 15
  % longer for this.

Measures that were outside on 100 data sets were simulated again with 600 for each law and kind of data. The laws are
isotropic, power-law and heavy-tailed clouds, narrow cones, isotropic caps and collapsed clouds, all with a gap. The
standard error is .9 %, and 1.5 % for 200 data sets. The intervals are about the mean over data sets:

| measure | intervals that contain the mean |
|---|---|
| R@1, R@5 and R@10 up to .9 | 92.3 to 97.7 %, on average 95.2 % |
| R@1, R@5 and R@10 above .9 | 95.2 to 98.3 % |
| `mutual_knn` | 92.7 to 97.2 % |
| `intrinsic_dimension_{side}` | 93.8 to 98.0 % |
| `effective_rank_{side}` | 93.0 to 98.3 % |
| `participation_ratio_{side}` | 93.0 to 98.0 % (200 to 600 data sets) |
| `conformity_sd_{side}` | 93.0 to 98.0 % (200 to 600 data sets) |
| `power_law_slope_{side}` | 93.8 to 97.5 %. Isotropic rows, caps and collapsed clouds have no interval |
| `unique_variance_{side}` | 94.0 to 97.8 %. Fewer than 1 % of the isotropic sets and caps have one, which may miss |
| `linear_separability` up to .9 | 92.8 to 97.5 % |
| `linear_separability` above .999 | 98.8 to 100 % |

- Intervals of R@k count queries as dependent that share the rows before their matches. On 1,000 items of caps, cones
  and collapsed clouds they contain the mean in 92 to 97 % (400 data sets each). In caps and narrow cones, few rows are
  nearest to most queries. Intervals of R@1 are 1.2 to 1.6 times as wide there as the error. The data hardly show this
  error: the estimated variance is right on average, and .6 to .9 of it in the median. All misses are on one side.
- Other measures below 92 % for one law and kind of data were simulated again with other data sets, 500 or 600 each.
  These are distances of centroids, cosines, ratios of the gap and uniformities. Their intervals contain the mean in 94
  to 97 %.
- A share with fewer than 15 hits or misses has an exact interval, and others have Wilson's. By this rule, 93 % or more
  of binomial counts have an interval that contains the truth. If less than one is expected, no interval has the nominal
  coverage, unless its ends are random. If .15 are, the count is 0 in 86 % of the data sets (exp(-.15)) and 1 in 13 %.
  Intervals of 0 alone contain .15 in 86 %, and those of 0 and 1 in 99 %. Wilson's interval of 1 starts at .18, and the
  exact one at .03. With 15 hits and misses or more, Wilson's intervals contain the truth in 93 to 98 %.

On plain pairs of 1,000 items in 32 dimensions, three laws were simulated: a power law, a narrow cone and a collapsed
cloud. On 100 data sets each, intervals contain the true value in 88 to 100 %. Six of the measures below 91 % were
simulated again on 200 to 500 other data sets, and these are 93 to 97 %. `gaussian_mutual_information` was simulated on
400 data sets of the power law and of the cone. Its interval contains the value along the directions of these data in 96
%. Other data sets have other directions and values, so it contains the mean over data sets in 77 and 78 % only.

Six other laws were simulated on 60, 300 and 1,500 items, with 140 to 600 data sets each. Three are 50 classes of which
three dominate, rectified features, and lengths with a log-normal distribution. The others are a dominating coordinate
with heavy tails, and 1 to 5 or 1 to 25 texts per image. Most intervals contain the value in 92 to 98 %. There are these
exceptions:

- If numbers of texts differ much, few images decide: 60 images with 1 to 25 texts count as 25. Intervals of their means
  and relative gap contain the value in 93 to 100 %. Of 300 they do in 92 to 95 %.
- With a dominating coordinate, intervals of `conformity_sd_{side}` contain it in 87 to 93 %.
- Intervals of `participation_ratio_{side}` of 30 items in 24 and 128 dimensions contain it in 94 to 99 %. If the
  variances fall as 1 / k^2, 20 to 30 items have 91 to 96 % (300 data sets each).
- An angle has an interval if both means are clear of zero and its error is small. If few data sets have one, these are
  the ones with small angles. In one law 43 % of those of 30 items have one, which contains the angle in 94 %. In
  another, 14 % of those of 60 have one, with 87 %. Below 30 items, intervals with small errors contain the angle in 95
  to 100 %.

Five laws were simulated on 6, 8, 12, 20 and 40 pairs, with 200 data sets each. They are isotropic, power-law,
collapsed and heavy-tailed clouds, and narrow cones. Intervals take the quantile of Student's t. Intervals of means have
the jackknife's variance, which is n^2 / (n - 2)^2 times the first-order one of a squared length. For each measure they
contain the value in 93 to 100 % on average. For single laws it is 88 to 100 % of 6 pairs, and 90 to 100 % from 20.
With normal quantiles and first-order variances, narrow cones of 6 to 12 pairs had 73 to 92 %. Three measures have no
interval of fewer than 12 items, and `coral_distance` has none of fewer than 20. There it contained the value in as few
as 82 %.

Flat exports of 100 to 330 independent groups in 32 dimensions were simulated, with 200 to 600 data sets each: five
captions per image, one to four images per text, groups of two images with five captions each of which they share one,
and unequal numbers of both. Of a power law and heavy tails, intervals contain the value in 93 to 98 %, within the error
of the simulation. The exceptions are:

- Distances of shapes that hardly differ have intervals that are too wide, with up to 100 %: `centred_energy_distance`,
  `centred_mmd2_1`, and the spectrum and the orientation of `explain`. So do those of trimmed margins and of shares with
  few misses, and values at the end of the range.
- In a narrow cone, `coral_distance` is near zero and its intervals contain it in 87 to 90 %. Intervals of
  `centred_energy_distance` and `centred_mmd2_1` contain it in 87 to 91 % there with five captions per image.
- `power_law_slope_{side}` of a nearly isotropic modality has an interval in 10 to 37 % of the data sets. These have the
  larger slopes, and their intervals contain the true one in 84 to 93 %.

If more than a tenth of the pairs share rows with each other, there is no interval, and the note gives the reason. An
example is one text that belongs to a third of the images. Measures of the moments have no interval for five items and
fewer. Normal intervals of means contain the value there in 61 to 91 %, and those of lengths in 16 to 100 %.

**Sets without pairs.** A corpus and a set of unrelated queries have no pairs, and different sizes. `isthmus measure
base.npy query.npy --unpaired`, or `isthmus.measure(x, y, unpaired=True)`, computes all measures whose line "Needs"
contains *no pairs*. The others are undefined with that reason. Means, spectra and subspaces use all rows. Measures of
rows use equally many random rows of both sets. Standard errors are those of two independent samples, and `modality
swap` divides all rows at random into two sets of the same sizes.

**Degenerate data.** A collapsed encoder returns nearly the same row for every item. `measure`, `explain`, `report` and
`inspect` name such data first. The rows of a modality may all be equal, or nearly equal (the mean has more than 99.9 %
of their length). They may lie along one direction, or vary in few directions. They also name matching pairs that are
equal or have the same cosine, and data of two to five items. For such data, the order of the rows is not tested. Rows
with near copies, such as frames of one video, are named too, and rows that two sets without pairs have in common.
`Result.pairs["degenerate"]` holds these findings. On more than 50,000 pairs the products are float32, which cannot
distinguish rows that differ by less than a thousandth of their length.

A measure without a meaning on such data is undefined, with the reason. All others keep their values: the angle between
two constant modalities is a number. If a measure fails for another reason, it is undefined with that reason, and all
others are computed.

**Not offered.** These published measures are left out. The modality integration rate of language models (MIR) and the
modality dominance of sparse features (MDS) need the layers or features of another model. The formula of the
distribution gap of TPC-CMA was not available. A measure of this page is similar to each of the others. These are
the unbalanced optimal transport gap (UOT-Gap), penetration and coverage of AnisoAlign, the spectral alignment score,
and PWCCA. They also include cycle and longest-subsequence neighbours, the divergence of conformity histograms, and the
Cauchy-Schwarz divergence.

`python -m isthmus.metrics.document docs/reference/metrics.md` writes this page from the docstrings. A test compares the
two.
"""


def page() -> str:
    """Return the page in Markdown: every registered measure with its definition, formula and declaration.

    >>> page().splitlines()[0]
    '# The measures'
    """
    entries = registry().values()
    n_families = len({entry.family for entry in entries})
    lines = [_OPENING.replace("{measures}", str(len(entries))).replace("{families}", str(n_families))]
    for family in FAMILIES:
        members = [entry for entry in entries if entry.family == family]
        if members:
            lines += [f"## {family[0].upper()}{family[1:]}\n", *(_section(entry) for entry in members)]
    return "\n".join(lines)


def _section(entry: Metric) -> str:
    paragraphs = [" ".join(p.split()) for p in inspect.cleandoc(entry.compute.__doc__ or "").split("\n\n")]
    from_items = f", from {entry.min_interval_items} items" if entry.min_interval_items > 1 else ""
    facts = [
        ("Unit", entry.unit),
        ("Range", " to ".join(_bound(bound) for bound in entry.range)),
        ("Better", entry.direction),
        ("Needs", f"{entry.requires}, {'pairs' if entry.needs_pairs else 'no pairs'}"),
        ("Interval", entry.interval + from_items),
        ("Null", entry.null_model),
        ("Invariant", ", ".join(entry.invariances) or "nothing"),
        ("Source", entry.source),
    ]
    if reasons := undefined_reasons(entry):
        facts.insert(-1, ("Undefined if", "; ".join(reasons)))
    lines = [f"- {name}: {value}" for name, value in facts]
    return "\n".join([f"### `{entry.name}`", "", *(f"{p}\n" for p in paragraphs if ">>>" not in p), *lines, ""])


def undefined_reasons(entry: Metric) -> list[str]:
    """Return all data on which a measure is undefined, in words.

    >>> undefined_reasons(registry()["cka"])
    ['there are fewer than 3 items', 'all rows of one modality are the same']
    """
    few_items = [f"there are fewer than {entry.min_items} items"] if entry.min_items > 1 else []
    return [*few_items, *(DEGENERATE_CASES[case] for case in entry.undefined_if), *entry.conditions]


def _bound(bound: float) -> str:
    if math.isinf(bound):
        return "infinity" if bound > 0 else "-infinity"
    return f"{bound:g}"


def main(arguments: Sequence[str]) -> None:
    """Write the page to the file that the only argument names."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m isthmus.metrics.document FILE")
    with atomic_path(arguments[0]) as temporary:
        temporary.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
