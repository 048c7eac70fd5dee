"""Place text labels beside points so that they cover as little as possible."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.reporting.drawing import FONT_SIZE, MUTED, PAPER, apply_layout

#: Offsets of a label from its point, in points, in order of preference.
OFFSETS = tuple((dx, sign * dy) for dy in (9, 22, 36, 50, 64, 78, 92) for dx in (9, -9) for sign in (1, -1))
#: Offset from which on a thin line joins a label and its point.
MIN_LINE_OFFSET = 30
#: Characters of one line of a label.
MAX_LINE_LENGTH = 22
#: Cost of one point outside the axis, of a covered mark, of a square point of overlap with another label, and of a
#: point of distance.
OUTSIDE_COST, COVER_COST, OVERLAP_COST, DISTANCE_COST = 1000, 3000, 60, 4

Box = tuple[float, float, float, float]


def place_labels(ax: Any, positions: np.ndarray, texts: Sequence[str], bold: Sequence[bool]) -> None:
    """Write each text beside its position (n, 2), inside the axis and apart from marks and earlier labels."""
    from matplotlib.transforms import Bbox

    apply_layout(ax)
    ax.autoscale_view()  # limits that are still to be computed would move the marks
    points_per_pixel = 72 / ax.figure.dpi
    marks = points_per_pixel * ax.transData.transform(positions)
    frame = Bbox(points_per_pixel * ax.bbox.get_points())
    boxes: list[Box] = []
    for position, mark, text, is_bold in zip(positions, marks, texts, bold, strict=True):
        lines = textwrap.wrap(text, MAX_LINE_LENGTH, break_long_words=False) or [text]
        size = max(map(len, lines)) * FONT_SIZE * (0.7 if is_bold else 0.62), len(lines) * FONT_SIZE * 1.2
        candidates = [_label_box(mark, offset, size) for offset in OFFSETS]
        costs = [
            _cost(box, frame, marks, boxes) + DISTANCE_COST * abs(offset[1])
            for box, offset in zip(candidates, OFFSETS, strict=True)
        ]
        choice = costs.index(min(costs))
        dx, dy = OFFSETS[choice]
        boxes.append(candidates[choice])
        label = ax.annotate(
            "\n".join(lines),
            position,
            (dx, dy),
            textcoords="offset points",
            fontsize=FONT_SIZE,
            ha="left" if dx > 0 else "right",
            va="bottom" if dy > 0 else "top",
            weight="bold" if is_bold else "normal",
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6} if abs(dy) >= MIN_LINE_OFFSET else None,
            bbox={"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 1},
        )
        label.set_in_layout(False)  # its place was chosen for this layout


def _label_box(mark: np.ndarray, offset: tuple[int, int], size: tuple[float, float]) -> Box:
    (dx, dy), (width, height) = offset, size
    x0 = mark[0] + dx - (width if dx < 0 else 0)
    y0 = mark[1] + dy - (height if dy < 0 else 0)
    return x0, y0, x0 + width, y0 + height


def _cost(box: Box, frame: Any, marks: np.ndarray, boxes: Sequence[Box]) -> float:
    """Return the cost of a label in `box` inside `frame`, given all marks and the boxes of earlier labels."""
    x0, y0, x1, y1 = box
    outside = max(frame.x0 - x0, 0) + max(x1 - frame.x1 - 8, 0) + max(frame.y0 - y0, 0) + max(y1 - frame.y1, 0)
    covered = sum(x0 - 5 < x < x1 + 5 and y0 - 5 < y < y1 + 5 for x, y in marks)
    overlap = sum(max(0, min(x1, b[2]) - max(x0, b[0])) * max(0, min(y1, b[3]) - max(y0, b[1])) for b in boxes)
    return float(OUTSIDE_COST * outside + COVER_COST * covered + OVERLAP_COST * overlap)
