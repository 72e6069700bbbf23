# SPDX-License-Identifier: Apache-2.0
"""Figures; needs matplotlib. Every function draws on ``axes``, or on new ones, and returns them."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ._layer import Trained

__all__ = ["losses", "predictions", "weights"]


def losses(run: Trained | ArrayLike, expected: float | None = None, axes: Axes | None = None) -> Axes:
    """The loss of each update on a logarithmic scale, and what theory expects as a line."""
    axes = axes or pyplot.subplots()[1]
    numbers = run.losses if isinstance(run, Trained) else np.asarray(run)
    axes.semilogy(np.arange(1, len(numbers) + 1), numbers, linewidth=0.6, label="trained")
    if expected is not None:
        axes.axhline(expected, color="black", linestyle="dashed", label="one gradient step, in theory")
    axes.set_xlabel("update")
    axes.set_ylabel("loss")
    axes.legend()
    return axes


def weights(found, layer: int = 0, axes: ArrayLike | None = None):
    """A layer's attention, readout and gate as images: an array of three axes."""
    if axes is None:
        axes = pyplot.subplots(1, 3, figsize=(9, 3))[1]
    for one, (name, title) in zip(axes, (("w_q", "A"), ("C", "C"), ("D", "d")), strict=True):
        matrix = np.atleast_2d(np.asarray(found[f"layers_{layer}.seq.{name}"]))
        size = np.abs(matrix).max() or 1
        one.imshow(matrix, cmap="RdBu", vmin=-size, vmax=size)
        one.set_title(title)
    return axes


def predictions(
    targets: ArrayLike, predicted: ArrayLike, low: ArrayLike | None = None, high: ArrayLike | None = None, axes=None
) -> Axes:
    """Targets and predictions row by row, with their intervals if they are given."""
    axes = axes or pyplot.subplots()[1]
    rows = np.arange(len(np.asarray(targets)))
    axes.plot(rows, targets, ".", color="grey", markersize=3, label="target")
    axes.plot(rows, predicted, linewidth=1, label="prediction")
    if low is not None and high is not None:
        axes.fill_between(rows, low, high, alpha=0.2, label="95 %")
    axes.set_xlabel("row")
    axes.legend()
    return axes
