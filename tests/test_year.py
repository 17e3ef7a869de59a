"""The report of a model's year: verdicts, losses with intervals, drift and promotions, as the periods have them."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from plotly.offline import get_plotlyjs

from tests.test_review import EVIL, drift, held, judged, period
from tuner.cli.database import DATABASE
from tuner.cli.report import report as command
from tuner.retune.periods import Claim, Periods
from tuner.retune.states import Period, State
from tuner.retune.trends import drifted, gained
from tuner.retune.year import year


@pytest.fixture
def periods() -> list[Period]:
    """Promoted, held, rejected."""
    promoted = period("2013-03-01", State.PROMOTED, promotion={"from": "3", "to": "4"}, drift=drift(2))
    rejected = period("2013-05-01", State.REJECTED, evaluation=judged(0.0, 1), drift=drift(0))
    return [promoted, held("2013-04-01"), rejected]


def words(page: str) -> str:
    own = page.replace(get_plotlyjs(), "")
    return html.unescape(
        " ".join(re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", own, flags=re.S).split())
    )


def test_it_says_what_became_of_each_period_the_newest_first(periods: list[Period]) -> None:
    told = words(year("flight delays", periods))
    assert "3 periods, 2013-03-01 to 2013-05-01: 1 promoted, 1 held data and 1 rejected." in told
    assert "there must be 100 rows, and there are 3" in told
    assert (
        told.index("2013-05-01 rejected")
        < told.index("2013-04-01 held data")
        < told.index("2013-03-01 promoted blessed")
    )
    loss = periods[0].data["evaluation"]["losses"]["challenger"]
    assert f"{loss['mean']:.4f} ({loss['low']:.4f} to {loss['high']:.4f})" in told
    assert "2013-03-01 promoted 3 4 +0." in told
    assert "a model was promoted in 2013-03-01 (dashed)" in told


def test_gains_have_both_ends_and_are_sure_where_the_lower_is_above_nothing(periods: list[Period]) -> None:
    section = gained(periods)
    assert section is not None
    (picture,) = section.pictures
    assert "In 1 of 2 periods the challenger is surely better than the champion: 2013-03-01." in picture.text
    total = periods[0].data["evaluation"]["gains"]["total"]
    assert f"{total['mean']:+.4f} ({total['low']:+.4f} to {total['high']:+.4f})" == picture.rows[0][-1]
    (trace,) = [one for one in picture.figure.data if one.name == "both together"]
    assert trace.error_y.arrayminus[0] == pytest.approx(total["mean"] - total["low"])


def test_drift_is_drawn_column_by_column(periods: list[Period]) -> None:
    section = drifted(periods)
    assert section is not None
    (picture,) = section.pictures
    assert [row[:2] for row in picture.rows] == [("2013-03-01", "2 of 3"), ("2013-05-01", "0 of 3")]
    assert "Shifted most often: " in picture.text
    (heat,) = picture.figure.data
    assert [list(row) for row in heat.text] == [["shifted", ""], ["shifted", ""], ["", ""]]
    assert EVIL not in "".join(picture.figure.layout.yaxis.ticktext)


def test_the_champion_after_a_roll_back_is_the_one_before_it(periods: list[Period]) -> None:
    """The page, long after newer periods have met the version that was taken back."""

    def moved(name: str, state: State, before: str | None, after: str, **data: Any) -> Period:
        return period(name, state, promotion={"from": before, "to": after}, **data)

    first = moved("2013-02-01", State.PROMOTED, None, "1", champion=None)
    second = moved("2013-03-01", State.PROMOTED, "1", "3")
    back = replace(moved("2013-04-01", State.ROLLED_BACK, "3", "4"), updated=datetime(2013, 6, 7, tzinfo=UTC))
    met = period("2013-06-01", State.REJECTED, champion={"version": "4"})
    failed = period("2013-06-05", State.ROLLED_BACK, champion={"version": "4"})  # it did not answer
    by_hand = period("2013-07-01", State.REJECTED, champion={"version": "4"})
    assert "champion version 3" in words(year("flight delays", [first, second, back, met]))
    assert "promotions 3" in words(year("flight delays", [first, second, back, met, failed]))
    assert "champion version 3" in words(year("flight delays", [first, second, back, met, failed]))
    twice = replace(second, state=State.ROLLED_BACK, updated=datetime(2013, 6, 8, tzinfo=UTC))
    assert "champion version 1" in words(year("flight delays", [first, twice, back, met]))
    assert "champion version 4" in words(year("flight delays", [first, twice, back, met, by_hand]))


def test_a_model_with_one_period_that_was_held_has_a_page(periods: list[Period]) -> None:
    told = words(year("flight delays", [held()]))
    assert "No model was promoted." in told
    assert "nan" not in told.lower().split()


def test_the_command_finds_a_model_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DATABASE, f"sqlite:///{tmp_path}/p.db")
    known, now = Periods(f"sqlite:///{tmp_path}/p.db"), datetime.now(UTC)
    claim = known.claim("the shop", now, timedelta(seconds=60), "me")
    assert isinstance(claim, Claim)
    begun = known.advance(claim, known.ensure(claim, "2013-02-01", now, now), State.CLAIMED, "", now)
    known.advance(claim, begun, State.HELD_DATA, "too few rows", now)
    known.close()
    command(None, retune="the shop", out=None, storage=None, as_json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"subject": "the shop", "path": "the-shop.html"}
    assert "is held data: too few rows" in words(Path("the-shop.html").read_text())
    with pytest.raises(ValueError, match="'nobody' has no period yet"):
        command(None, retune="nobody", out=None, storage=None, as_json=False)
    with pytest.raises(typer.BadParameter, match="one of the two"):
        command(None, retune=None, out=None, storage=None, as_json=False)
