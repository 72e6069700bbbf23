# SPDX-License-Identifier: Apache-2.0
"""A learner for streams in scikit-learn's interface."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from ._core import Regressor as _Regressor
from ._table import object_rows


class OnlineRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Regression that learns a row at a time, in memory that does not grow with the rows.

    It predicts a row's targets from the row and from what it has learned before. Nothing needs to be tuned or scaled:
    the default learner weighs ridge regressions with and without forgetting, the last values, differences and bent
    features by how well they predict. Missing numbers (NaN) are filled in. Columns of a pandas or Polars frame may
    hold text, dates and truth values, which become inputs as in the program ``predict``.

    Parameters
    ----------
    learner : str, optional
        One of ``gdssm.learner_names()``: "default", "ridge", "least-squares", "nlms", ... If None, the first that takes
        the options given: "default" without any.
    steps : int, optional
        Steps of descent a prediction (100), for "descent", "chebyshev", "heavy-ball" and "conjugate-gradients".
    window : int, optional
        Rows in the sliding window (100), for "window".
    ridge : float, optional
        Penalty on slopes, in rows (1).
    forgetting : float, optional
        What a row's weight is multiplied by a row later, above 0 and up to 1.
    lags : int, optional
        Past targets that are inputs too. If None, 0, or 6 where all columns are dates.
    features : str
        "linear", "polynomial:DEGREE" or "fourier:COUNT".

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : ndarray of str, where rows came as a frame with names
    n_samples_seen_ : int
        Rows learned.
    learner_ : str
        The learner's name.
    columns_ : list of str
        What columns other than plain numbers were taken for.

    Examples
    --------
    >>> import numpy as np, gdssm
    >>> x = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = x @ [1.0, -2.0, 0.5]
    >>> model = gdssm.OnlineRegressor().fit(x, y)
    >>> bool(np.allclose(model.predict(x[:5]), y[:5], atol=0.05))
    True
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
    ):
        self.learner = learner
        self.steps = steps
        self.window = window
        self.ridge = ridge
        self.forgetting = forgetting
        self.lags = lags
        self.features = features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X, y) -> OnlineRegressor:
        """Forgets what was learned, and learns rows in their order.

        Parameters
        ----------
        X : array or frame of shape (rows, features)
            Numbers, NaN where one is missing; frames may have other columns too.
        y : array of shape (rows,) or (rows, targets)

        Raises
        ------
        ValueError
            Options that the learner does not take or that are out of range; no rows; shapes that do not fit; entries
            that are infinite or above 1e100 in magnitude. Nothing is learned then.
        TypeError
            Entries that are no numbers.
        """
        return self._learn(X, y, begin=True)

    def partial_fit(self, X, y) -> OnlineRegressor:
        """Learns further rows in their order, as ``fit`` does; the first call decides the columns."""
        return self._learn(X, y, begin=not hasattr(self, "_core"))

    def predict(self, X) -> NDArray[np.float64]:
        """Predictions of shape (rows,) or (rows, targets), each from its own row and what was learned.

        Changes nothing, and may be called from several threads.
        """
        return self._shaped(self._predicted(X)[0])

    def predict_interval(self, X) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends of 95 % intervals, each of the shape of ``predict``; NaN before an error is known.

        Their width follows the errors of predictions made before learning, and assumes nothing of the data: equation
        (17) of docs/theory.md.
        """
        values, half_widths = self._predicted(X)
        return self._shaped(values - half_widths), self._shaped(values + half_widths)

    def predict_and_learn(
        self, X, y
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Predicts every row before learning it, as the program ``predict`` does.

        Returns predictions and both ends of their intervals.
        """
        begin = not hasattr(self, "_core")
        rows, targets = self._rows_and_targets(X, y, begin)
        core = self._make(targets) if begin else self._core
        values, half_widths = core.predict_and_learn(rows, targets)
        self._core = core
        return self._shaped(values), self._shaped(values - half_widths), self._shaped(values + half_widths)

    def merge(self, later: OnlineRegressor) -> OnlineRegressor:
        """Continues as if the rows of ``later`` had come next, exactly where the memory is of sums over rows.

        Raises
        ------
        ValueError
            Learners of other columns, targets or options, or with columns of text or dates.
        """
        check_is_fitted(self)
        check_is_fitted(later)
        self._core.merge(later._core)
        return self

    def to_bytes(self) -> bytes:
        """All that later predictions depend on, as a safetensors file. Equal states give equal bytes."""
        check_is_fitted(self)
        return self._core.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes, *, name: str = "state") -> OnlineRegressor:
        """The learner that ``to_bytes`` saved; ``name`` is its name in errors.

        Raises
        ------
        ValueError
            Bytes that are no such state.
        """
        core = _Regressor.of_state(bytes(state), name)
        made = cls(**core.options)
        made._core = core
        made.n_features_in_ = len(core.columns)
        if core.columns != _default_names(made.n_features_in_):
            made.feature_names_in_ = np.array(core.columns, dtype=object)
        made._is_flat = core.targets == ["y"]
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes ``to_bytes`` to a file, whole or not at all. ``predict --state`` continues from it."""
        state = self.to_bytes()
        path = Path(path)
        part = path.with_name(path.name + ".part")
        part.write_bytes(state)
        part.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> OnlineRegressor:
        """Reads what ``save``, or ``predict --state``, wrote."""
        return cls.from_bytes(Path(path).read_bytes(), name=str(path))

    @property
    def n_samples_seen_(self) -> int:
        check_is_fitted(self)
        return self._core.rows

    @property
    def learner_(self) -> str:
        check_is_fitted(self)
        return self._core.learner

    @property
    def columns_(self) -> list[str]:
        check_is_fitted(self)
        return self._core.descriptions

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")

    def _learn(self, X, y, begin: bool) -> OnlineRegressor:
        rows, targets = self._rows_and_targets(X, y, begin)
        core = self._make(targets) if begin else self._core
        core.learn(rows, targets)
        self._core = core
        return self

    def _make(self, targets) -> _Regressor:
        names = getattr(self, "feature_names_in_", None)
        columns = _default_names(self.n_features_in_) if names is None else [str(name) for name in names]
        count = targets.shape[1]
        options = self.get_params(deep=False)
        return _Regressor(columns, ["y"] if self._is_flat else [f"y{i}" for i in range(count)], **options)

    def _rows(self, X, begin: bool):
        cells = object_rows(X)
        if cells is not None:
            validate_data(self, X, reset=begin, skip_check_array=True)
            return cells
        return validate_data(
            self, X, reset=begin, dtype=np.float64, order=None, ensure_all_finite="allow-nan", ensure_min_features=1
        )

    def _rows_and_targets(self, X, y, begin: bool):
        if y is None:
            raise ValueError(f"{type(self).__name__}: requires y to be passed, but the target y is None")
        cells = object_rows(X)
        if cells is not None:
            validate_data(self, X, reset=begin, skip_check_array=True)
            targets = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
            check_consistent_length(cells, targets)
            rows = cells
        else:
            rows, targets = validate_data(
                self,
                X,
                y,
                reset=begin,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                multi_output=True,
                y_numeric=True,
            )
            targets = np.asarray(targets, dtype=np.float64)
        if begin:
            self._is_flat = targets.ndim == 1
        return rows, targets.reshape(len(targets), -1)

    def _predicted(self, X):
        check_is_fitted(self)
        return self._core.predict(self._rows(X, begin=False))

    def _shaped(self, numbers):
        return numbers[:, 0] if self._is_flat else numbers


def _default_names(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]
