"""Convex polygons cut by half planes: the regions of a linear model, exactly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Corner = tuple[float, float]
Line = tuple[float, float, float]  # a, b, c of the score a x + b y + c


def region(scores: Sequence[Line], place: int, box: Sequence[Corner]) -> list[Corner]:
    """The corners of where, in a convex `box`, the score at `place` is the largest; none where it is nowhere."""
    corners = list(box)
    for other, line in enumerate(scores):
        if other != place:
            a, b, c = (mine - theirs for mine, theirs in zip(scores[place], line, strict=True))
            corners = cut(corners, (a, b, c))
    return corners


def cut(corners: Sequence[Corner], line: Line) -> list[Corner]:
    """The part of a convex polygon where a x + b y + c is not negative (Sutherland and Hodgman, 1974)."""
    a, b, c = line
    kept: list[Corner] = []
    for (x0, y0), (x1, y1) in pairwise([*corners, *corners[:1]]):
        before, after = a * x0 + b * y0 + c, a * x1 + b * y1 + c
        if before >= 0:
            kept.append((x0, y0))
        if (before >= 0) != (after >= 0):
            share = before / (before - after)
            kept.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    return kept
