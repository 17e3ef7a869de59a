"""How figures look on every page: colours for any colour vision, for light and dark, and room on a phone."""

from __future__ import annotations

import html
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# After Okabe and Ito (2008), which people with any colour vision tell apart; darkened where they had less than 3:1 on
# white or on the dark page. Marks and dashes say the same without colour.
BLUE, VERMILION, GREEN, PURPLE, OCHRE, GREY = "#0f7fc4", "#d55e00", "#009e73", "#bf6a98", "#a67c00", "#8a8a8a"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, OCHRE, GREY)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
LABEL = 30  # characters
# of what is known of a trial, everywhere: colour, mark
FATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "stopped": (GREY, "circle-open"),
        "waiting": (GREEN, "circle-open"),
        "went on": (BLUE, "circle"),
        "fully trained": (BLUE, "square"),
        "diverged": (PURPLE, "x"),
        "winner": (VERMILION, "star"),
    }
)


def label(text: object, longest: int = LABEL) -> str:
    """`text` as Plotly shows it as it is, cut to `longest` characters: its angle brackets would be taken for HTML."""
    told = str(text)
    return html.escape(told if len(told) <= longest else told[: longest - 1] + "…", quote=False)


def mark(fate: str, size: int = 8) -> dict[str, Any]:
    """The marker of a trial with this fate."""
    colour, symbol = FATES[fate]
    faded = {"opacity": 0.65} if fate == "stopped" else {}
    line = {"width": 1.5, "color": colour} if fate in ("diverged", "stopped", "waiting") else {"width": 0}
    return {"color": colour, "symbol": symbol, "size": size + 8 * (fate == "winner"), "line": line, **faded}


def dressed(figure: Figure, height: int, *, legend: bool = True, top: int = 40) -> Figure:
    """The figure in the house's style, `height` pixels high, with `top` of them above the axes.

    Text and grid get their colours from the page, which knows whether it is light or dark.
    """
    figure.update_layout(
        template="none",
        height=height,
        font={"size": 13, "family": "system-ui, sans-serif"},
        margin={"l": 8, "r": 12, "t": top, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"align": "left"},
    )
    common = {"automargin": True, "zeroline": False, "gridcolor": "#d7d9dd", "title_standoff": 8}
    figure.update_xaxes(**common)
    figure.update_yaxes(**common)
    return figure
