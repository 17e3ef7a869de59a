"""TPE, the tree-structured Parzen estimator (Bergstra et al., NIPS 2011), by Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuner.search.domain import cell
from tuner.search.results import Results
from tuner.search.space import Axis, Choice, Space
from tuner.trial import Draw, seed_of

if TYPE_CHECKING:
    import optuna

STARTUP = 10  # results before which draws are random
FEWEST = 8  # draws that are made together: a pack should have company


class TpeSampler:
    """Draws where good trials are dense and others are not; in batches of a 16th of the trials, at least 8.

    For each batch, Optuna is given all that is known, anew: a trial with the losses of all rungs it came to as one that
    was pruned after the last of them. So it ranks who came further before the others, and equals by their loss there;
    a diverged trial has no loss, and ranks last. Trials of which nothing is known yet, those of the same batch among
    them, are running, which repels the next draws from them (the "constant liar"). What it learned of from elsewhere
    is given, too. An axis lies on the unit interval, a choice is a category. Axes that are always active are drawn
    jointly, the others each for itself.

    A batch depends on the seed, its place and the results so far alone; another version of Optuna may draw otherwise.
    """

    def __init__(self, space: Space, seed: int, trials: int) -> None:
        self._optuna = imported()
        self._space = space
        self._order = _requirements_first(space)
        self._distributions = {axis.name: self._distribution(axis) for axis in space.axes}
        self._seed = seed
        self._size = max(FEWEST, trials // 16)
        self._results = Results()
        self._drawn: list[Draw] = []
        self._asked: list[dict[str, Any]] = []  # of each draw what Optuna chose, by axis

    def ask(self, number: int) -> Draw:
        while len(self._drawn) <= number:
            self._draw_batch()
        return self._drawn[number]

    def tell(self, number: int, epochs: int, loss: float) -> None:
        self._results.tell(number, epochs, loss)

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        self._results.learn(name, point, epochs, loss)

    def is_settled(self, number: int) -> bool:
        """Whether the draw's batch was drawn."""
        return number < len(self._drawn)

    def rounds(self) -> list[dict[str, Any]]:
        """None: there are no boxes."""
        return []

    def _draw_batch(self) -> None:
        study = self._study()
        known = len(self._results.losses)
        reason = f"TPE, from the results of {known} trials" if known >= STARTUP else "TPE, random at first"
        others = len(self._results.points)
        reason += f", {others} of them not its own" if others and known >= STARTUP else ""
        for _ in range(self._size):
            trial = study.ask()
            chosen: dict[str, Any] = {}
            point = [0.5] * len(self._space.axes)
            for at, axis in self._order:
                if axis.name in self._space.decode(point):
                    chosen[axis.name], point[at] = self._suggested(trial, axis)
            self._asked.append(chosen)
            self._drawn.append(Draw(tuple(point), reason))

    def _study(self) -> optuna.Study:
        """A study that knows the results so far."""
        trials = self._optuna.trial
        study: optuna.Study = self._optuna.create_study(
            sampler=self._optuna.samplers.TPESampler(
                n_startup_trials=STARTUP,
                multivariate=True,
                constant_liar=True,
                seed=seed_of(self._seed, "tpe", len(self._drawn)) % 2**32,
            )
        )
        learned = {number: self._chosen(point) for number, point in self._results.points.items()}
        for number, chosen in {**learned, **dict(enumerate(self._asked))}.items():
            told = number in self._results.losses
            study.add_trial(
                trials.create_trial(
                    state=trials.TrialState.PRUNED if told else trials.TrialState.RUNNING,
                    params=chosen,
                    distributions={name: self._distributions[name] for name in chosen},
                    intermediate_values=dict(self._results.curve(number)),
                )
            )
        return study

    def _distribution(self, axis: Axis) -> Any:
        """A category by its place, because Optuna takes 1 and true for the same value; else the unit interval."""
        if isinstance(axis.domain, Choice):
            return self._optuna.distributions.CategoricalDistribution(range(len(axis.domain.values)))
        return self._optuna.distributions.FloatDistribution(0.0, 1.0)

    def _chosen(self, point: Sequence[float]) -> dict[str, Any]:
        """What Optuna would have chosen to come to `point`: only active axes, a category by its place."""
        active = self._space.decode(point)
        return {
            axis.name: cell(u, len(axis.domain.values)) if isinstance(axis.domain, Choice) else u
            for axis, u in zip(self._space.axes, point, strict=True)
            if axis.name in active
        }

    def _suggested(self, trial: optuna.Trial, axis: Axis) -> tuple[float, float]:
        """What Optuna chooses on `axis`, and the coordinate of it."""
        if isinstance(axis.domain, Choice):
            values = len(axis.domain.values)
            place = int(trial.suggest_categorical(axis.name, range(values)))
            return place, (place + 0.5) / values
        u = float(trial.suggest_float(axis.name, 0.0, 1.0))
        return u, u


def imported() -> Any:
    """Optuna, told to keep quiet. ValueError if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise ValueError(
            "search.sampler tpe needs Optuna, which is not installed: pip install 'caviar[tpe]', or use coarse_to_fine"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _requirements_first(space: Space) -> list[tuple[int, Axis]]:
    """The axes with their places, each after those that decide whether it is active."""
    conditions = {**space.conditions, **{axis.name: axis.active for axis in space.axes}}
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for requirement in conditions.get(name, ()):
            visit(requirement.name)
        order[name] = None

    for axis in space.axes:
        visit(axis.name)
    places = {axis.name: (at, axis) for at, axis in enumerate(space.axes)}
    return [places[name] for name in order if name in places]
