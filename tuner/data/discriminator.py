"""A classifier two-sample score: how well can a model tell fresh rows from the reference?

It sees what no single column shows, such as two columns that have become correlated (Lopez-Paz and Oquab 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

LARGEST = 2000  # rows of each sample: they tell an AUC of 0.55 from chance, within a second
SMALLEST = 20  # rows of each sample, below which there is nothing to learn from


@dataclass(frozen=True, slots=True)
class Discriminator:
    """The area under the ROC curve on rows not trained on (0.5: by chance), p, and what each feature [F] gave."""

    auc: float
    p: float
    importances: NDArray[np.float64]


def subsample(rows: int, random: np.random.Generator) -> NDArray[np.intp]:
    """The numbers of the rows, of so many, that the classifier sees, in random order."""
    return random.permutation(rows)[:LARGEST]


def discriminate(reference: Matrix, fresh: Matrix, seed: int) -> Discriminator | None:
    """Trains on either half of the rows and tests on the other. None where there are too few rows.

    `reference` [m, F] and `fresh` [n, F] hold numbers, levels as 0, 1, ..., and NaN for missing values; rows are in
    random order. The AUC is the mean of both halves. On rows not trained on, Mann-Whitney's p is that of the AUC;
    of two that are not independent it is twice the smaller (Bonferroni).
    """
    if min(len(reference), len(fresh)) < SMALLEST:
        return None
    # ranks know nothing of the sides, and let no outlier spread the thresholds that the trees draw
    X = stats.rankdata(np.concatenate([reference, fresh]), axis=0, nan_policy="omit")
    is_fresh = np.arange(len(X)) >= len(reference)
    half = np.concatenate([np.arange(len(side)) % 2 for side in (reference, fresh)]) == 0
    tests = [_trained(X, is_fresh, train, seed) for train in (half, ~half)]
    auc = sum(test.auc for test in tests) / 2
    importances = np.mean([test.importances for test in tests], axis=0)
    return Discriminator(auc, min(1.0, 2 * min(test.p for test in tests)), importances)


def _trained(X: Matrix, is_fresh: Mask, train: Mask, seed: int) -> Discriminator:
    """A model of the rows `train`, tested on the others."""
    from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

    model = ExtraTreesClassifier(50, min_samples_leaf=5, class_weight="balanced", random_state=seed)
    scores = model.fit(X[train], is_fresh[train]).predict_proba(X[~train])[:, 1]
    fresh, reference = scores[is_fresh[~train]], scores[~is_fresh[~train]]
    found = stats.mannwhitneyu(fresh, reference, alternative="greater", method="asymptotic")
    return Discriminator(
        float(found.statistic / (len(fresh) * len(reference))), float(found.pvalue), model.feature_importances_
    )
