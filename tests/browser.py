"""MLflow's pages in a real browser: what a person sees there, read from the page, with pictures kept as files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--headless", "--disable-background-networking"]
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # nothing but what this machine serves
DRAWN = 700  # ms that charts take to be drawn
PATIENCE = 20_000  # ms for a page to show something
QUIET = (  # else MLflow's assistant opens over a third of a new visitor's page
    "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
    "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');"
)
ROWS = """() => {
  const rows = {}, left = cell => cell.getBoundingClientRect().left;
  const cells = [...document.querySelectorAll('.ag-row [col-id]')].sort((a, b) => left(a) - left(b));
  for (const cell of cells) {
    const row = cell.closest('.ag-row').getAttribute('row-index');
    (rows[row] ??= {})[cell.getAttribute('col-id')] = cell.innerText.trim();
  }
  return Object.keys(rows).sort((a, b) => a - b).map(row => rows[row]);
}"""
CHARTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.data.map(
  trace => ({name: trace.name, x: [...trace.x], y: [...trace.y]})
))"""


@dataclass(frozen=True)
class Window:
    """A browser's window on the server at `address`."""

    page: Any
    address: str

    def open(self, path: str, name: str, *, shows: str) -> None:
        """Goes to the page, waits until it shows what the selector names, and keeps a picture of it as `name`."""
        self.page.goto("about:blank")  # else a change behind the # alone loads nothing anew
        self.page.goto(f"{self.address}{path}")
        self.page.locator(shows).first.wait_for(timeout=PATIENCE)
        self.settle()
        self.keep(name)

    def settle(self) -> None:
        """Gives the page a moment to draw what it has."""
        self.page.wait_for_timeout(DRAWN)

    def keep(self, name: str) -> None:
        """A picture of what is to be seen, in $CAVIAR_SCREENSHOTS or screenshots/."""
        folder = Path(os.environ.get("CAVIAR_SCREENSHOTS") or ROOT / "screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")

    def rows(self) -> list[dict[str, str]]:
        """The rows of MLflow's table of runs from above, each by its columns' keys from the left."""
        found: list[dict[str, str]] = self.page.evaluate(ROWS)
        return found

    def column(self, key: str) -> list[str]:
        """One column of that table from above."""
        return [row[key] for row in self.rows() if key in row]

    def names(self) -> list[str]:
        """The runs in the table from above; each has its colour before its name."""
        return [text.split()[-1] for text in self.column("attributes.`Run Name`")]

    def charts(self) -> list[list[dict[str, Any]]]:
        """The charts of lines on the page, each as its lines."""
        found: list[list[dict[str, Any]]] = self.page.evaluate(CHARTS)
        return found

    def text(self) -> str:
        """All text on the page."""
        return str(self.page.locator("body").inner_text())


def chromium() -> str:
    """The browser's path; the test is skipped where there is none, or nothing that drives it."""
    pytest.importorskip("playwright.sync_api", reason="pip install playwright to have MLflow's pages looked at")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium here: install it (apt-get install chromium) to have MLflow's pages looked at")
    return found


@contextmanager
def window(address: str) -> Iterator[Window]:
    """A new visitor's window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.add_init_script(f"try {{ {QUIET} }} catch {{}}")  # about:blank has no storage
        yield Window(page, address)
        browser.close()
