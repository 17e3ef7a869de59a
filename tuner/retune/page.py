"""A period as one HTML file that needs nothing else, no network either."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from tuner.retune.figures import Picture
from tuner.retune.sections import Section

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid #ddd; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 1rem 0 2rem; }
figcaption { color: #444; }
"""


def page(title: str, sections: Sequence[Section], pictures: Sequence[Picture]) -> str:
    """The file's text. The same arguments give the same text."""
    head, tables = sections[:1], sections[1:]
    body = "\n".join(
        [
            f"<h1>{html.escape(title)}</h1>",
            *(_section(section) for section in head),
            *_drawn(pictures),
            *(_section(section) for section in tables),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _drawn(pictures: Sequence[Picture]) -> Iterator[str]:
    """Plotly's program, once, and the figures with what they show in words."""
    if not pictures:
        return
    from plotly.io import to_html
    from plotly.offline import get_plotlyjs

    yield f"<script>{get_plotlyjs()}</script>"
    for place, picture in enumerate(pictures, 1):
        drawn = to_html(
            picture.figure,
            include_plotlyjs=False,
            full_html=False,
            div_id=f"picture-{place}",
            config={"displayModeBar": False, "responsive": True},
        )
        yield f"<h2>{html.escape(picture.title)}</h2>\n<figure>{drawn}"
        yield f"<figcaption>{html.escape(picture.text)}</figcaption></figure>"


def _section(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>"]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in section.sentences]
    if section.rows:
        parts += ["<table><thead>", _row("th", section.head), "</thead><tbody>"]
        parts += [_row("td", row) for row in section.rows]
        parts.append("</tbody></table>")
    if section.link:
        name, run = section.link
        parts.append(f"<p>In MLflow, {html.escape(name)} is the run {html.escape(run)}.</p>")
    return "\n".join(parts)


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
