"""search.from: what is taken over from earlier sweeps, told to which sampler, and kept where they may be gone."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from tests import surfaces
from tests.sweeps import searched
from tests.test_history import state, work
from tuner.cli import main
from tuner.engine import build, earlier, sweep
from tuner.engine.history import History
from tuner.engine.inheritance import STARTS, TOLD, Heir, Inheritance, inherit
from tuner.engine.journal import Journal
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.search.lessons import Lesson, Lessons
from tuner.search.samplers import LEARNERS, SAMPLERS, make
from tuner.search.space import Axis, Choice, LogUniform, OneOf, Space, Uniform
from tuner.spec import Spec, from_mapping
from tuner.trial import Value

SPACE = Space(
    (
        Axis("learning_rate", LogUniform(1e-4, 1)),
        Axis("momentum", Uniform(0, 1), (OneOf("optimizer", ("momentum",)),)),
        Axis("optimizer", Choice(("momentum", "adam"))),
    ),
    {"batch_size": 64},
)
SAME, OTHER = "d" * 32, "e" * 32


def adam(rate: float, **more: Value) -> dict[str, Value]:
    return {"learning_rate": rate, "optimizer": "adam", "batch_size": 64, **more}


FOUR = [adam(0.1), adam(0.2), adam(0.3), adam(0.4)]
CURVES = [[0.9, 0.8, 0.7, 0.75], [0.5], [0.6, math.nan], [0.4, 0.3, 0.2]]


def heir(sampler: str = "tpe", digest: str = SAME, epoch_rows: int | None = None, **other: Any) -> Heir:
    defaults = {"trials": 64, "metric": "val_loss", "select": "best", "rungs": (1, 3, 9)}
    return Heir(digest=digest, epoch_rows=epoch_rows, learns=sampler in LEARNERS, **{**defaults, **other})


def known(
    folder: Path, params: Sequence[Mapping[str, Value]] = FOUR, curves: Any = CURVES, space: Space = SPACE, **more: Any
) -> list[earlier.Earlier]:
    searched(folder / "a", params, curves, **more)
    return earlier.read(["a"], space, lambda name: Storage(folder / name))


class TestSameData:
    def test_a_sampler_that_learns_is_told_each_trial_as_it_stood_at_this_search_s_rungs(self, tmp_path: Path) -> None:
        lessons = inherit(heir(), known(tmp_path)).lessons
        told = {lesson.name: dict(lesson.losses) for lesson in lessons.told}
        assert list(told) == [f"t000{number} of a" for number in (3, 1, 0, 2)]  # best first
        assert told["t0003 of a"] == {1: 0.4, 3: 0.2}
        assert told["t0001 of a"] == {1: 0.5}
        assert told["t0000 of a"] == {1: 0.9, 3: 0.7}
        assert repr(told["t0002 of a"]) == "{1: 0.6, 3: nan}"
        assert [lesson.params for lesson in lessons.told] == [FOUR[3], FOUR[1], FOUR[0], FOUR[2]]

    def test_by_this_search_s_own_objective(self, tmp_path: Path) -> None:
        found = known(tmp_path)
        last = inherit(heir(select="last", rungs=(4,)), found).lessons.told
        assert {lesson.name: lesson.losses for lesson in last}["t0000 of a"] == {4: 0.75}
        right = inherit(heir(metric="val_accuracy"), found).lessons.told
        assert right[0].losses == pytest.approx({1: -0.6, 3: -0.8})

    def test_the_best_is_tried_first_and_there_is_no_box_around_what_is_known(self, tmp_path: Path) -> None:
        lessons = inherit(heir(), known(tmp_path)).lessons
        assert [start.params for start in lessons.starts] == [FOUR[3]]
        sampler = make("tpe", SPACE, 0, 64, lessons=lessons)
        drawn = [sampler.ask(number) for number in range(20)]
        assert drawn[0] is not None
        assert drawn[0].reason == "start 1, t0003 of a"
        assert not [draw for draw in drawn if draw and "box" in draw.reason]

    def test_one_that_does_not_learn_starts_from_the_best_and_draws_around_them(self, tmp_path: Path) -> None:
        lessons = inherit(heir("random"), known(tmp_path)).lessons
        assert lessons.told == ()
        assert [start.name for start in lessons.starts] == ["t0003 of a", "t0001 of a", "t0000 of a"]  # t0002 diverged
        sampler = make("random", SPACE, 0, 64, lessons=lessons)
        drawn = [draw for number in range(63) if (draw := sampler.ask(number))]
        assert sum("in the box around start" in draw.reason for draw in drawn) == 30

    def test_epochs_of_another_size_make_losses_others(self, tmp_path: Path) -> None:
        found = inherit(heir(epoch_rows=1000), known(tmp_path))
        assert found.lessons.told == ()
        assert "its epochs have another number of rows" in found.accounts[0]["words"]
        assert inherit(heir(epoch_rows=500), known(tmp_path / "b", epoch_rows=500)).lessons.told

    def test_what_was_never_compared_at_a_rung_of_this_search_is_tried(self, tmp_path: Path) -> None:
        found = inherit(heir(rungs=(27,)), known(tmp_path, FOUR[:1], CURVES[:1]))
        assert found.lessons.told == ()
        assert [start.params for start in found.lessons.starts] == FOUR[:1]
        assert "none was compared after 27 epochs" in found.accounts[0]["words"]


class TestOtherData:
    def test_only_the_order_counts(self, tmp_path: Path) -> None:
        found = inherit(heir(digest=OTHER), known(tmp_path))
        assert found.lessons.told == ()
        assert [start.params for start in found.lessons.starts] == [FOUR[3], FOUR[1], FOUR[0]]
        assert not any(start.losses for start in found.lessons.starts)
        words = "a: the best of its 4 trials are tried first: its data are others"
        assert found.accounts[0]["words"] == words
        sampler = make("tpe", SPACE, 0, 64, lessons=found.lessons)
        assert sum("box" in draw.reason for number in range(63) if (draw := sampler.ask(number))) == 30

    def test_fresh_seeds_count_more_than_a_lucky_one(self, tmp_path: Path) -> None:
        found = known(tmp_path, again={0: [[0.6], [0.6]], 1: [[0.3], [0.7]], 2: [[0.1], [math.nan]]})
        ranked = found[0].ranked("val_loss", "best")
        assert [trial.number for trial in ranked] == [1, 0, 3]  # 2 diverged on a fresh seed, 3 has none

    def test_several_sweeps_take_turns_and_no_configuration_comes_twice(self, tmp_path: Path) -> None:
        searched(tmp_path / "b", [adam(0.5), adam(0.4), adam(0.6)], [[0.1], [0.2], [0.3]])
        found = [*known(tmp_path), *earlier.read(["b"], SPACE, lambda name: Storage(tmp_path / name))]
        lessons = inherit(heir(digest=OTHER, start=(adam(0.2),)), found).lessons
        rates = [start.params["learning_rate"] for start in lessons.starts]
        assert rates == [0.4, 0.5, 0.1, 0.6]

    @pytest.mark.parametrize(("trials", "starts"), [(1, 1), (8, 2), (64, STARTS)])
    def test_starts_are_few(self, tmp_path: Path, trials: int, starts: int) -> None:
        found = known(tmp_path, [adam(0.01 * i) for i in range(1, 9)], [[0.1 * i] for i in range(8)])
        assert len(inherit(heir(digest=OTHER, trials=trials), found).lessons.starts) == starts


class TestOtherSpace:
    def test_trials_that_are_no_configurations_here_are_left_out_and_counted(self, tmp_path: Path) -> None:
        sgd: dict[str, Value] = {"learning_rate": 0.1, "optimizer": "sgd", "batch_size": 64}
        without: dict[str, Value] = {"learning_rate": 0.1, "optimizer": "momentum", "batch_size": 64}
        given = [adam(0.1), adam(5.0), adam(0.1, batch_size=128), adam(5.0), sgd, without, adam(0.1, momentum=0.9)]
        (found,) = known(tmp_path, given, [[0.1]] * 7)
        assert [trial.number for trial in found.trials] == [0]
        reasons = [*["learning_rate"] * 2, "batch_size", "optimizer", *["momentum"] * 2]
        assert sorted(name for names in found.left_out.values() for name in names) == sorted(reasons)
        (account,) = inherit(heir(), [found]).accounts
        assert account["left_out"] == {"learning_rate": 2, "momentum": 2, "batch_size": 1, "optimizer": 1}
        assert account["words"].startswith("a: the losses of 1 of its 7 trials, on the same data, are told")
        assert "6 are left out, for what is not so here: learning_rate (2), momentum (2), " in account["words"]

    def test_where_none_is_left_it_is_refused(self, tmp_path: Path) -> None:
        text = r"none of the 4 trials of a is a configuration of this space; .* in how many: batch_size \(4\)\. Search"
        with pytest.raises(ValueError, match=text):
            known(tmp_path, space=Space(SPACE.axes, {"batch_size": 128}))

    def test_of_a_sweep_all_of_whose_trials_diverged_nothing_is_taken_over(self, tmp_path: Path) -> None:
        found = inherit(heir("random"), known(tmp_path, FOUR, [[math.nan]] * 4))
        assert found.lessons == Lessons()
        assert "none that is possible here has a finite loss" in found.accounts[0]["words"]


def test_the_worst_of_very_many_are_not_told(tmp_path: Path) -> None:
    given = [adam(0.1 + i / 10_000) for i in range(TOLD + 100)]
    told = inherit(heir(), known(tmp_path, given, [[1 / (i + 1)] for i in range(len(given))])).lessons.told
    assert len(told) == TOLD
    assert told[0].params == given[-1]


def test_json_holds_all_of_it(tmp_path: Path) -> None:
    found = inherit(heir(), known(tmp_path))
    again = Inheritance.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert repr(again) == repr(found)
    assert Inheritance.from_json(None) == Inheritance()


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_search_that_is_taught_reaches_the_best_of_the_earlier_one_in_half_its_trials(name: str) -> None:
    """Without counting what is tried first, which is the best of the earlier one itself; in the median of 10 seeds."""
    taught, before, cold = [], [], []
    for seed in range(10):
        old = make("random", surfaces.SPACE, 1000 + seed, 48)
        trials = [surfaces.SPACE.decode(draw.point) for number in range(48) if (draw := old.ask(number))]
        told = tuple(Lesson(f"{i}", one, {1: surfaces.loss(one)}) for i, one in enumerate(trials))
        ranked = sorted(told, key=lambda lesson: lesson.losses[1])
        lessons = Lessons(tuple(ranked[:1]), told) if name in LEARNERS else Lessons(tuple(ranked[:STARTS]))
        sampler = make(name, surfaces.SPACE, seed, 24, lessons=lessons)
        taught.append(surfaces.lowest(sampler, 24, first=len(lessons.starts)))
        before.append(ranked[0].losses[1])
        cold.append(surfaces.lowest(make(name, surfaces.SPACE, seed, 24), 24))
    assert median(taught) < median(before)
    assert median(taught) < median(cold)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    rows = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", X=rows, y=(rows[:, 0] > 0).astype(np.int64))
    return Place(tmp_path, Storage(tmp_path / "storage"), "")


def spec(place: Place, sampler: str, *names: str, **search: Any) -> Spec:
    search = {"sampler": sampler, "trials": 24, "from": list(names), **search}
    train = {"batch_size": 64, "optimizer": "adam"}
    given = {"source": str(place.home / "a.npz")}
    return from_mapping({"name": "a", "data": given, "train": train, "model": {"hidden_layers": 0}, "search": search})


def begun(place: Place, sampler: str, packs: int, sweep_id: str, *names: str) -> History:
    """A real sweep, without workers, that has come through some packs."""
    sweep.create(spec(place, sampler, *names), place, sweep_id)
    _, _, history = sweep.load(place.sweep(sweep_id))
    history.begin()
    go_on(place.sweep(sweep_id), history, packs)
    return history


def go_on(storage: Storage, history: History, packs: int) -> None:
    for _ in range(packs):
        number = history.ask(1)
        assert number is not None
        work(storage, history, number)
        history.done(history.open[number].id)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sweep_goes_on_as_it_was_when_the_earlier_one_is_gone(sampler: str, place: Place) -> None:
    begun(place, "random", 4, "old")
    live = begun(place, sampler, 3, "new", "old")
    created = Journal(place.sweep("new")).read(1)
    assert len(created["inherited"]["told"]) == (24 if sampler in LEARNERS else 0)
    assert created["inherited"]["starts"]
    (said,) = sweep.taken_over(place.sweep("new"))
    assert said.startswith("from old: the losses of 24" if sampler in LEARNERS else "from old: the best of its 24")
    assert sweep.taken_over(place.sweep("old")) == []
    origins = [trial.origin for trial in live.ledger.trials.values()]
    assert origins[0].startswith("start 1, t00")
    assert origins[0].endswith(" of old")
    sweeps = place.home / "storage" / "sweeps"
    shutil.rmtree(sweeps / "old")
    shutil.copytree(sweeps / "new", sweeps / "copy")
    _, _, again = sweep.load(place.sweep("copy"))
    assert state(again) == state(live)
    for history, name in ((live, "new"), (again, "copy")):
        go_on(place.sweep(name), history, 3)
    assert state(again) == state(live)


def test_equal_seeds_do_not_draw_what_the_earlier_sweep_drew(place: Place) -> None:
    old, new = (build.sampler(spec(place, "random", *names)) for names in ((), ("old",)))
    assert old.ask(0) != new.ask(0)
    assert new.ask(0) == build.sampler(spec(place, "random", "old")).ask(0)


class TestCheck:
    """What `caviar check` says, in this process."""

    def checked(
        self, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, given: Spec
    ) -> tuple[str, dict[str, Any], int]:
        """What people read, what programs read, and the exit code."""
        (place.home / "spec.yaml").write_text(given.to_yaml())
        monkeypatch.setenv("CAVIAR_HOME", str(place.home))
        monkeypatch.setattr(sys, "argv", ["caviar", "check", str(place.home / "spec.yaml"), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        out, said = capsys.readouterr()
        return " ".join(said.split()), json.loads(out) if out else {}, int(ended.value.code or 0)

    def test_what_would_be_taken_over_is_shown(
        self, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun(place, "random", 4, "old")
        said, found, _ = self.checked(place, capsys, monkeypatch, spec(place, "coarse_to_fine", "old"))
        assert "from old: the losses of 24 of its 24 trials, on the same data, are told to the sampler" in said
        assert "start with these, then the trials of the coarse_to_fine sampler" in said
        assert [start["reason"].partition(",")[0] for start in found["start"]] == ["start 1"]
        assert [(account["sweep"], account["told"]) for account in found["from"]] == [("old", 24)]
        said, found, _ = self.checked(place, capsys, monkeypatch, spec(place, "sobol", "old"))
        assert "from old: the best of its 24 trials are tried first: this sampler does not learn from losses" in said
        assert "start with these, then 50% of the trials in boxes of half-width 0.2 around them" in said
        assert len(found["start"]) == 5

    def test_the_trials_that_are_tried_first_are_missing_in_a_grid(
        self, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun(place, "random", 4, "old")
        given = spec(place, "grid", "old", points=4, focus={"share": 0.0})
        said, found, _ = self.checked(place, capsys, monkeypatch, given)
        assert found["trials"] == 16 + 5
        assert "leaves out" not in said

    def test_a_sweep_that_is_not_there_ends_it(
        self, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said, _, code = self.checked(place, capsys, monkeypatch, spec(place, "tpe", "gone"))
        assert code == 2
        assert said.startswith("search.from: there is no sweep gone (no ")


class TestBadInput:
    """Each before the data are read: there are none."""

    @pytest.fixture
    def nowhere(self, tmp_path: Path) -> Place:
        return Place(tmp_path, Storage(tmp_path / "storage"), "")

    def refused(self, place: Place, *names: str, sweep_id: str = "new") -> str:
        with pytest.raises(ValueError, match=r"search\.from") as caught:
            sweep.create(spec(place, "random", *names), place, sweep_id)
        assert not (place.home / "storage" / "sweeps" / sweep_id).exists()
        return str(caught.value)

    def test_a_sweep_that_is_not_there(self, nowhere: Place) -> None:
        assert "there is no sweep old (no " in self.refused(nowhere, "old")
        uri = f"file://{nowhere.home}/storage/sweeps/old"
        assert f"there is no sweep {uri}" in self.refused(nowhere, uri)

    def test_itself(self, nowhere: Place) -> None:
        assert "new is this sweep itself" in self.refused(nowhere, "new")
        for uri in (f"{nowhere.home}/storage/sweeps/new/", f"file://{nowhere.home}/storage/sweeps/new"):
            assert "is this sweep itself" in self.refused(nowhere, uri)

    def test_one_without_results(self, nowhere: Place) -> None:
        searched(nowhere.home / "storage" / "sweeps" / "old", [], [])
        assert "sweep old has no results yet: let it train, or leave it out" in self.refused(nowhere, "old")

    def test_a_journal_that_is_damaged(self, nowhere: Place) -> None:
        folder = nowhere.home / "storage" / "sweeps" / "old"
        searched(folder, FOUR, CURVES)
        (folder / "journal" / "000002.json").unlink()
        assert "sweep old cannot be read: journal entry" in self.refused(nowhere, "old")

    def test_another_space(self, nowhere: Place) -> None:
        searched(nowhere.home / "storage" / "sweeps" / "old", FOUR, CURVES)
        assert "none of the 4 trials of old is a configuration of this space" in self.refused(nowhere, "old")
