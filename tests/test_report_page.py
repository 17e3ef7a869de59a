"""The report in a real browser: it asks nobody for anything, fits a phone, and is read in the light and in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import FLAGS, chromium
from tests.finished import QUICK, begun, data, made_up, place, told
from tests.test_report import EVIL
from tests.test_review import held, period
from tuner.retune.states import State
from tuner.retune.year import year
from tuner.review.report import report

PHONE, DESK = (375, 812), (1200, 900)
EMPTY = """() => [...document.querySelectorAll('figure')].filter(figure =>
  !figure.querySelector('figcaption').innerText.trim() || !figure.querySelector('details tbody tr')
  || !figure.querySelector('.main-svg') || !figure.querySelector('[role=img][aria-labelledby]')
).map(figure => figure.querySelector('h3').innerText)"""
# of the words of pictures and page against what is behind them (WCAG 2.2): the smallest, and where
CONTRAST = """() => {
  const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = part => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = colour => { const [r, g, b] = rgb(colour).map(light); return 0.2126*r + 0.7152*g + 0.0722*b; };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  const ratio = other => (Math.max(other, paper) + 0.05) / (Math.min(other, paper) + 0.05);
  const drawn = '.xtick text, .ytick text, .legendtext, .g-xtitle text, .g-ytitle text, .annotation text';
  const inks = [...document.querySelectorAll(drawn)].map(one => [getComputedStyle(one).fill, one.textContent]);
  const words = [...document.querySelectorAll('p, figcaption, h1, h2, h3, summary, th, td, dt, dd')];
  inks.push(...words.map(one => [getComputedStyle(one).color, one.textContent.slice(0, 40)]));
  return inks.map(([ink, text]) => [ratio(luminance(ink)), text]).sort((a, b) => a[0] - b[0])[0];
}"""
HIDDEN = """() => [...document.querySelectorAll('.g-xtitle text, .g-ytitle text, .legendtext')].filter(one => {
  const box = one.getBoundingClientRect(), frame = one.closest('.picture').getBoundingClientRect();
  return box.left < frame.left - 1 || box.right > frame.right + 1;
}).map(one => one.textContent)"""

# words of a picture that lie over one another, or over a button
COVERED = """() => [...document.querySelectorAll('figure')].flatMap(figure => {
  const found = [...figure.querySelectorAll('.legendtext, button, .g-xtitle text, .g-ytitle text')];
  const boxes = found.map(one => [one.getBoundingClientRect(), one.textContent]);
  const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes.flatMap(([a, name], at) => boxes.slice(at + 1).filter(([b]) => over(a, b)).map(([_, other]) =>
    `${figure.querySelector('h3').innerText}: ${name} and ${other}`));
})"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of each kind, as files."""
    chromium()  # else they would be made for nothing
    folder = tmp_path_factory.mktemp("pages")
    where = place(folder)
    model = {**QUICK["model"], "batch_norm": {"choice": [True, False]}}
    search = {"sampler": "coarse_to_fine", "trials": 24, "seed": 0}
    account = told(where, begun(where, data(folder, EVIL), model=model, search=search), made_up)
    periods = [
        period("2013-03-01", State.REJECTED),
        period("2013-04-01", State.PROMOTED, promotion={"from": "3", "to": "4"}),
    ]
    other = place(folder / "accuracy")
    other.home.mkdir()
    rows, objective = data(other.home), {"metric": "val_accuracy", "confirm": 2, "seeds": 1, "baseline": False}
    accuracy = told(other, begun(other, rows, model=model, search=search, objective=objective), made_up)
    texts = {"sweep": report(account), "accuracy": report(accuracy), "year": year("flight delays", [*periods, held()])}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text)
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("sweep", "light"), ("sweep", "dark"), ("year", "light"), ("year", "dark"), ("accuracy", "light")],
)
def test_it_can_be_read_on_a_phone_in_light_and_dark(
    browser: Any, pages: dict[str, Path], name: str, scheme: str
) -> None:
    touch = {"has_touch": True, "is_mobile": True}
    page, said, asked = _opened(browser, pages[name], PHONE, color_scheme=scheme, **touch)
    assert asked == [pages[name].as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert page.evaluate(EMPTY) == []
    assert page.evaluate(HIDDEN) == []
    assert page.evaluate(COVERED) == []
    ratio, text = page.evaluate(CONTRAST)
    assert ratio >= 4.5, text
    page.close()


def test_buttons_that_a_keyboard_reaches_choose_the_rung(browser: Any, pages: dict[str, Path]) -> None:
    page, said, _ = _opened(browser, pages["sweep"], DESK)
    figure = page.locator("figure", has=page.get_by_role("heading", name="batch norm", exact=True))
    count = "node => node.querySelectorAll('.scatterlayer .point').length"
    first, second, third = (figure.get_by_role("button", name=name) for name in ("1 epoch", "2 epochs", "4 epochs"))
    before, caption = figure.evaluate(count), figure.locator("figcaption")
    words = caption.inner_text()
    assert "after 1 epoch" in words
    first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert 0 < figure.evaluate(count) < before
    assert "fter 4 epochs" in caption.inner_text()
    assert [one.get_attribute("aria-pressed") for one in (first, second, third)] == ["false", "false", "true"]
    first.click()
    page.wait_for_timeout(300)
    assert (figure.evaluate(count), caption.inner_text()) == (before, words)
    assert said == []
    page.close()


def _opened(browser: Any, file: Path, size: tuple[int, int], **options: Any) -> tuple[Any, list[str], list[str]]:
    """The page with all its pictures drawn, what the browser complained of, and what it has asked for."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **options)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.locator("body[data-drawn=yes]").wait_for(timeout=30_000)
    return page, said, asked
