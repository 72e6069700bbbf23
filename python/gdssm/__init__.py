# SPDX-License-Identifier: Apache-2.0
"""State-space models that learn in context by gradient descent, and learners for streams.

- ``OnlineRegressor``: an online learner in scikit-learn's interface (needs scikit-learn).
- ``gdssm.river.Regressor``: the same in River's (needs River).
- ``recurrence``, ``recurrence_vjp``, ``compare_with_recurrence``: learning rules of 22 papers on arrays, and whether
  another implementation differs from one by rounding or by a bug; ``gdssm.torch`` and ``gdssm.jax`` differentiate them.
- ``Layer``, ``train``, ``explain``, ``Weights``: the paper's layer, and which algorithm weights run. ``gdssm.plot`` draws.

``learner_names()`` lists the learners. Everything is computed by the C++ library.
"""

import importlib

from ._core import __version__, learner_names
from ._layer import Explanation, Layer, LinearRegression, Stream, Trained, Weights, explain, train
from ._recurrence import Comparison, compare_with_recurrence, recurrence, recurrence_rows, recurrence_vjp

_LAZY = {
    "OnlineRegressor": "_online",
}

__all__ = [
    "Comparison",
    "Explanation",
    "Layer",
    "LinearRegression",
    "Stream",
    "Trained",
    "Weights",
    "__version__",
    "compare_with_recurrence",
    "explain",
    "learner_names",
    "recurrence",
    "recurrence_rows",
    "recurrence_vjp",
    "train",
    *_LAZY,
]


def __getattr__(name):
    """Imports what needs other packages when it is first asked for."""
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    if name in ("jax", "plot", "river", "torch"):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'gdssm' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
