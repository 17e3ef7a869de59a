"""What a page is made of: sections of words and tables, and pictures that say in words what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, slots=True)
class View:
    """One of the looks of a picture, which the button `name` chooses, and what it shows in words.

    `shown` says of each of the figure's traces whether it is seen, `layout` what else changes, in Plotly's terms.
    """

    name: str
    text: str
    shown: Sequence[bool]
    layout: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, its title, and what it shows in words and as a table: who cannot see it misses nothing.

    A `small` one leaves room for others beside it. Where there are `views`, the figure looks like the first of them,
    each has words of its own before those for all, and `chosen` leads to their buttons.
    """

    title: str
    text: str
    figure: Figure
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    small: bool = False
    views: Sequence[View] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences, a table (`head` names its columns), and pictures.

    `link` is a text and the MLflow run it leads to. A table that is `folded` waits behind these words.
    """

    title: str
    sentences: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    link: tuple[str, str] | None = None
    pictures: Sequence[Picture] = ()
    folded: str = ""
