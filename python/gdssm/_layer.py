# SPDX-License-Identifier: Apache-2.0
"""The paper's layer and stacks of it: weights, predictions, gradients, training, and what was learned."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from . import _core
from ._arrays import named_floats
from ._core import LinearRegression

__all__ = ["Explanation", "Layer", "LinearRegression", "Stream", "Trained", "Weights", "explain", "train"]


class Weights(dict):
    """Weights by their names in the paper's JAX code, such as ``layers_0.seq.C``: a dict of arrays.

    ``metadata`` says what arrays do not show, as docs/from-jax.md describes: ``discretization`` ("zoh", "bilinear" or
    "none"), ``targets`` ("vector" or "scalar"), ``readout`` ("none" or "half_glu2"), and ``stack`` ("horner") where
    layers are those of ``Layer``.
    """

    def __init__(self, arrays: Mapping[str, ArrayLike], **metadata: str):
        super().__init__(arrays)
        self.metadata = {"discretization": "zoh", "targets": "vector", "readout": "none", **metadata}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a safetensors file, whole or not at all, which ``evaluate`` and ``explain`` read.

        Raises
        ------
        ValueError
            Arrays that are no weights, by name; nothing is written then.
        OSError or RuntimeError
            The file cannot be written.
        """
        arrays, _ = named_floats(self)
        _core.expect_reference_weights(arrays, self.metadata)
        _core.write_safetensors(os.fspath(path), arrays, self.metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Weights:
        """Reads a safetensors file of weights.

        Raises
        ------
        ValueError
            A file that is cut short or holds no weights, with the file's and the tensor's name.
        """
        arrays, metadata = _core.read_safetensors(Path(path).read_bytes(), os.fspath(path))
        _core.expect_reference_weights(arrays, metadata)
        return cls(arrays, **metadata)

    def predict(self, tokens: ArrayLike) -> np.ndarray:
        """Predictions at every window of each context.

        Parameters
        ----------
        tokens : array (batch, 2N+1, f) or (2N+1, f)
            x_1, y_1, ..., x_N, y_N, and the query.

        Returns
        -------
        array (batch, N, f) or (N, f)
            The last is the query's. Computed in float64 if weights or tokens are.
        """
        return self._evaluate(tokens, None)[0]

    def loss_and_gradient(self, tokens: ArrayLike, target: ArrayLike) -> tuple[float, dict[str, np.ndarray]]:
        """Half the mean squared error at the query, and its exact gradient by the weights' names.

        Parameters
        ----------
        tokens : array (batch, 2N+1, f) or (2N+1, f)
        target : array (batch, f) or (f,)
        """
        return self._evaluate(tokens, target)[1:]

    def _evaluate(self, tokens, target):
        arrays, _ = named_floats(self)
        contexts, _ = named_floats({"tokens": tokens} if target is None else {"tokens": tokens, "target": target})
        single = contexts["tokens"].ndim == 2
        if single:
            contexts = {name: array[None] for name, array in contexts.items()}
        out = _core.evaluate(arrays, self.metadata, contexts)
        predictions = out["predictions"][0] if single else out["predictions"]
        if target is None:
            return (predictions,)
        gradient = {name[5:]: array for name, array in out.items() if name.startswith("grad.")}
        return predictions, float(out["loss"]), gradient


@dataclasses.dataclass(frozen=True)
class Layer:
    """The paper's layer, a diagonal recurrence with local attention and a gate, or a stack of K steps.

    Parameters
    ----------
    features : int
        f, entries of a token.
    steps : int
        K: one layer, or a stack of 2K - 1 that can take K steps of gradient descent.
    """

    features: int
    steps: int = 1

    def draw(self, seed: int = 1) -> Weights:
        """Random initial weights, as the paper's code draws them, in float32."""
        return Weights(_core.draw_weights(self.features, self.steps, seed), stack="horner")

    def gradient_step(self, size: float | Sequence[float]) -> Weights:
        """The weights in closed form that take K steps of gradient descent of these sizes, equation (7), in float64."""
        sizes = [float(size)] * self.steps if np.ndim(size) == 0 else [float(one) for one in size]
        if len(sizes) != self.steps:
            raise ValueError(f"gradient_step: there are {len(sizes)} sizes, expected {self.steps}, one a step")
        return Weights(_core.descent_steps(self.features, sizes), stack="horner")

    def stream(self, weights: Mapping[str, ArrayLike]) -> Stream:
        """Reads one token after the other, in float64, with the state in between."""
        return Stream(self, weights)


class Stream:
    """A layer that reads an endless stream of tokens. ``state`` is all that later predictions depend on, a value."""

    def __init__(self, layer: Layer, weights: Mapping[str, ArrayLike]):
        arrays, _ = named_floats(dict(weights))
        self._core = _core.TokenStream(layer.features, layer.steps, arrays)

    def step(self, token: ArrayLike) -> np.ndarray | None:
        """Takes in a token (f,). Returns the prediction (f,) if it ends a window, a pair and its successor."""
        array = np.asarray(token, dtype=np.float64, order="C")
        if array.ndim != 1:
            raise ValueError(f"token: has {array.ndim} axes, expected one, of f entries")
        return self._core.step(array)

    @property
    def state(self) -> dict[str, np.ndarray | int]:
        """Matrices and counters by name; set it to continue from there, here or elsewhere."""
        return self._core.state

    @state.setter
    def state(self, state: Mapping[str, np.ndarray | int]) -> None:
        self._core.state = {
            name: value if isinstance(value, int) else np.ascontiguousarray(value) for name, value in state.items()
        }


@dataclasses.dataclass(frozen=True)
class Trained:
    """What ``train`` made."""

    weights: Weights  #: after the last update
    losses: np.ndarray  #: before each update, on its tasks
    message: str  #: how the run ended
    converged: bool  #: False where a loss was not finite; weights are then the last good ones


def train(
    layer: Layer,
    tasks: LinearRegression,
    *,
    rate: float = 1e-3,
    updates: int = 10000,
    batch: int = 64,
    seed: int = 1,
    threads: int = 1,
    start: Mapping[str, ArrayLike] | None = None,
    progress: bool | Callable[[int, float], bool | None] = True,
) -> Trained:
    """Trains a layer on tasks from random weights, or from ``start``, by AdamW along half a cosine, in float32.

    Parameters
    ----------
    rate, updates, batch : float, int, int
        Learning rate; updates; tasks in each.
    seed : int
        Of the tasks and of random weights. The same bits on any number of threads.
    progress : bool or callable
        A bar on standard error if that is a terminal; or a function of the update and the loss, called about ten times
        a second, which stops the run by returning True.

    Raises
    ------
    ValueError
        Settings below their least values; tasks or weights that do not fit the layer. Divergence is no error.
    """
    first = layer.draw(seed) if start is None else start
    arrays, _ = named_floats(dict(first))
    call, done = _progress(progress, updates)
    try:
        weights, losses, message, converged = _core.train(
            layer.features,
            layer.steps,
            arrays,
            tasks,
            rate=rate,
            updates=updates,
            batch=batch,
            seed=seed,
            threads=threads,
            progress=call,
        )
    finally:
        done()
    targets = "vector" if tasks.outputs == tasks.features else "scalar"
    return Trained(Weights(weights, stack="horner", targets=targets), losses, message, converged)


def _progress(progress, updates):
    if callable(progress):
        return progress, lambda: None
    if not progress or not sys.stderr.isatty():
        return (lambda update, loss: False), lambda: None

    def show(update, loss):
        share = update / max(updates, 1)
        print(f"\rtrain [{'#' * int(25 * share):25}] {100 * share:3.0f} %  loss {loss:.4g}", end="", file=sys.stderr)
        return False

    return show, lambda: print("\r\033[K", end="", file=sys.stderr)


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Which learning algorithm weights run."""

    verdict: str  #: in one sentence
    algorithm: str  #: a short name, "none" for none
    steps: int | None  #: of descent
    step_sizes: list[float]  #: a = eta / f, fitted
    half_life_pairs: float | None  #: of the decays that act; None for 1
    r2: float  #: that the nearest candidate explains
    runner_up: str | None  #: the best alternative, in words
    runner_up_r2: float
    details: dict  #: everything that `explain --json` writes

    def __str__(self) -> str:
        return self.verdict


def explain(
    weights: Mapping[str, ArrayLike], *, tasks: int = 500, context: int = 0, seed: int = 1, threads: int = 1
) -> Explanation:
    """Finds the learning algorithm that the weights of a layer or a stack run.

    Parameters
    ----------
    weights : Weights, or a dict of arrays of a single layer with vector targets
    tasks, context, seed : int
        Fresh tasks that candidates are judged on; pairs in each (0: as many as features); the tasks' seed.

    Raises
    ------
    ValueError
        Arrays that are no weights, by name; a gated readout.
    """
    given = weights if isinstance(weights, Weights) else Weights(weights)
    arrays, _ = named_floats(given)
    found = json.loads(
        _core.explain(arrays, given.metadata, tasks=tasks, context=context, seed=seed, threads=threads)
    )
    known = {field.name for field in dataclasses.fields(Explanation)} - {"details"}
    return Explanation(**{name: found[name] for name in known}, details=found)
