"""A page as one HTML file that needs nothing else, no network either."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tuner.review.parts import Picture, Section

if TYPE_CHECKING:
    from jinja2 import Environment


def page(
    title: str, sections: Sequence[Section], lead: Sequence[str] = (), facts: Sequence[tuple[str, str]] = ()
) -> str:
    """The file's text: a title, sentences that lead in, facts (name, value) at a glance, and the sections.

    The same arguments give the same text. Nothing in the arguments is taken for HTML, and the browser is told to load
    nothing from anywhere.
    """
    from plotly.offline import get_plotlyjs

    drawn = any(section.pictures for section in sections)
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            sections=sections,
            lead=lead,
            facts=facts,
            style=_text("page.css"),
            script=_text("page.js"),
            plotly=get_plotlyjs() if drawn else "",
        )
    )


def _drawing(picture: Picture) -> str:
    """The figure and its views as JSON that stands in a script element."""
    drawn: dict[str, Any] = json.loads(picture.figure.to_json())
    drawn["views"] = [{"shown": view.shown, "layout": view.layout} for view in picture.views]
    return json.dumps(drawn, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tuner.review", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["drawing"] = _drawing
    return made


def _text(name: str) -> str:
    return files("tuner.review").joinpath(name).read_text(encoding="utf-8")
