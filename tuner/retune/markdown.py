"""Sections as Markdown, cut to what MLflow takes as a run's description. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tuner.review.parts import Section

LONGEST = 5000  # characters; MLflow takes 8000
ROWS = 10  # of a table; the page has all of them
CUT = "… more is on the page review.html among the artifacts"


def markdown(title: str, sections: Iterable[Section]) -> str:
    """A text of at most 5000 characters; whole lines at its end are given up for that."""
    kept: list[str] = []
    left = LONGEST - len(CUT) - 1
    for line in _lines(title, sections):
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*kept, CUT])
        kept.append(line)
    return "\n".join(kept)


def _lines(title: str, sections: Iterable[Section]) -> Iterator[str]:
    yield f"### {plain(title)}"
    for section in sections:
        yield from ("", f"**{plain(section.title)}**")
        if section.sentences:
            yield from ("", " ".join(plain(sentence) for sentence in section.sentences))
        if section.rows:
            yield from ("", _row(section.head), _row("---" for _ in section.head))
            yield from (_row(plain(cell) for cell in row) for row in section.rows[:ROWS])
        if len(section.rows) > ROWS:
            yield from ("", f"{len(section.rows) - ROWS} more are on the page review.html among the artifacts.")
        if section.link:
            yield from ("", f"[{plain(section.link[0])}](#/runs/{section.link[1]})")


def plain(text: str) -> str:
    """`text` such that Markdown shows it as it is, in one line: names come from the data."""
    return re.sub(r"([\\`*_{}\[\]<>|~#])", r"\\\1", " ".join(text.split()))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
