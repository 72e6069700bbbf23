# SPDX-License-Identifier: Apache-2.0
"""A learner for streams in River's interface."""

from __future__ import annotations

import math

from river import base

from ._core import Regressor as _Regressor


class Regressor(base.Regressor):
    """Regression a dict at a time. Needs no scaler: inputs may have any units.

    New keys become columns when they first appear; the learner continues as if their values had been missing. A key
    that is not there, None or NaN is a missing value. Values may be numbers, truth values, text and dates.

    Parameters
    ----------
    learner, steps, window, ridge, forgetting, lags, features
        As of `gdssm.OnlineRegressor`.
    absent
        The value of keys that are not there: 0 for sparse dicts. If None, the column's mean or last value, whichever
        has predicted its values better.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> import gdssm.river
    >>> evaluate.progressive_val_score(datasets.TrumpApproval(), gdssm.river.Regressor(), metrics.MAE())
    MAE: 0.27...
    """

    def __init__(
        self,
        learner: str | None = None,
        *,
        steps: int | None = None,
        window: int | None = None,
        ridge: float | None = None,
        forgetting: float | None = None,
        lags: int | None = None,
        features: str = "linear",
        absent: float | None = None,
    ):
        self.learner = learner
        self.steps = steps
        self.window = window
        self.ridge = ridge
        self.forgetting = forgetting
        self.lags = lags
        self.features = features
        self.absent = absent
        self._core = _Regressor(
            [],
            ["y"],
            learner=learner,
            steps=steps,
            window=window,
            ridge=ridge,
            forgetting=forgetting,
            lags=lags,
            features=features,
        )
        self._fill = math.nan if absent is None else float(absent)

    def learn_one(self, x: dict, y: float | None) -> None:
        """Learns a row; without its target (None) the row passes, and is not learned.

        Raises
        ------
        ValueError
            A number that is infinite or above 1e100 in magnitude.
        TypeError
            A value that is no number, text, date or None.
        """
        self._core.learn_one(x, y, self._fill)

    def predict_one(self, x: dict) -> float:
        """The prediction of the target of x; 0 before the first row."""
        return self._core.predict_one(x, self._fill)

    def predict_interval_one(self, x: dict) -> tuple[float, float]:
        """Both ends of the 95 % interval of the target of x."""
        return self._core.predict_interval_one(x, self._fill)
