# SPDX-License-Identifier: Apache-2.0
"""Learning rules by name on arrays, their gradients, and comparison with other implementations."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from . import _core
from ._arrays import named_floats


def recurrence_rows() -> list[str]:
    """The names of all learning rules, in the order of docs/theory.md."""
    return _core.recurrence_rows()


def recurrence(row: str, /, *, method: str = "steps", **inputs: ArrayLike | float) -> dict[str, np.ndarray]:
    """Runs a learning rule along one sequence.

    Parameters
    ----------
    row : str
        One of ``recurrence_rows()``, such as "delta_rule".
    **inputs : arrays and numbers
        By the names of docs/recurrences.md: vectors of tokens (T, d), numbers of tokens (T,), states (d_v, d_k),
        settings as plain numbers. Computed in float64 if any array is, else in float32.
    method : str
        "steps" runs the rule as it is defined, with the bits of ``evaluate --recurrence``. "chunks" runs rules of rank
        one several tokens at a time, for speed, and differs by rounding.

    Returns
    -------
    dict of ndarray
        The outputs by name: ``o`` (T, d_v), and the last state, such as ``S_T`` (d_v, d_k).

    Raises
    ------
    ValueError
        An unknown row; an input that is missing, unknown or of another shape.
    TypeError
        An input that holds no real numbers.

    Examples
    --------
    >>> import numpy as np, gdssm
    >>> k = np.eye(2)
    >>> out = gdssm.recurrence("delta_rule", k=k, v=k, q=k, beta=np.ones(2), S0=np.zeros((2, 2)))
    >>> out["o"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    arrays, _ = named_floats(inputs)
    if method == "steps":
        return _core.recurrence(row, arrays)
    if method != "chunks":
        raise ValueError(f'method: got {method!r}, expected "steps" or "chunks"')
    wide = any(array.dtype == np.float64 for array in arrays.values())
    if wide:
        arrays = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    return _core.recurrence_in_chunks(row, arrays, wide)


def recurrence_vjp(
    row: str, inputs: Mapping[str, ArrayLike | float], cotangents: Mapping[str, ArrayLike]
) -> dict[str, np.ndarray]:
    """The exact gradient of a learning rule along one sequence.

    Parameters
    ----------
    row, inputs
        As of ``recurrence``.
    cotangents : mapping
        One for every output, of its shape; zeros where there is none.

    Returns
    -------
    dict of ndarray
        By name and of the shape of each input, settings left out: the gradient of the sum of <cotangent, output>.

    Raises
    ------
    ValueError, TypeError
        As ``recurrence``; a cotangent that is missing, unknown or of another shape.
    """
    if not cotangents:
        raise ValueError("cotangents: there are none, expected one for every output")
    return run_with_vjp(row, inputs, cotangents)[1]


def run_with_vjp(row, inputs, cotangents):
    """Outputs and gradients, by name, of one run."""
    results = _core.recurrence(row, _with_cotangents(inputs, cotangents))
    outputs = {name: array for name, array in results.items() if not name.startswith("grad.")}
    return outputs, {name[5:]: array for name, array in results.items() if name.startswith("grad.")}


@functools.lru_cache(maxsize=256)
def _shapes(row, inputs, settings):
    zeros = {name: np.zeros(shape, np.float32) for name, shape in inputs}
    return {name: array.shape for name, array in recurrence(row, **zeros, **dict(settings)).items()}


def output_shapes(row, shapes: Mapping[str, tuple[int, ...]], settings: Mapping[str, float]):
    """The shapes of all outputs by name, for inputs of these shapes."""
    return _shapes(row, tuple(sorted(shapes.items())), tuple(sorted(settings.items())))


def _with_cotangents(inputs, cotangents):
    arrays, _ = named_floats({**inputs, **{"cotangent." + name: value for name, value in cotangents.items()}})
    return arrays


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far an array is from a learning rule's, where that is most in units of the bound on its rounding."""

    precision: str  #: in which it is supposed to be computed: f64, f32, tf32, f16 or bf16
    units: float  #: the largest difference, in units of the bound at its entry
    entry: tuple[int, ...]  #: where
    found: float  #: the number there
    expected: float  #: the rule's, computed in double precision
    bound: float  #: on their difference, if there is rounding only
    resolution: float  #: the median of all bounds, relative to the array's largest entry
    first_token: int | None  #: the first token with a difference beyond the bound; of gradients the last
    rounding_in: str | None  #: the finest precision in which the difference would be rounding

    @property
    def is_rounding(self) -> bool:
        """Whether every difference is within the bound."""
        return self.units <= 1

    def __str__(self) -> str:
        if self.is_rounding:
            return f"rounding in {self.precision}, {self.units:.2g} of the bound"
        since = "" if self.first_token is None else f", from token {self.first_token}"
        coarser = "" if self.rounding_in is None else f"; rounding in {self.rounding_in}"
        return f"a bug{since}: entry {list(self.entry)} is {self.found:.9g}, expected {self.expected:.9g}{coarser}"


def compare_with_recurrence(
    row: str,
    inputs: Mapping[str, ArrayLike | float],
    outputs: Mapping[str, ArrayLike],
    *,
    cotangents: Mapping[str, ArrayLike] | None = None,
    gradients: Mapping[str, ArrayLike] | None = None,
    precision: str | None = None,
) -> dict[str, Comparison]:
    """Whether what another implementation computed differs from a learning rule by rounding or by a bug.

    Parameters
    ----------
    row, inputs
        As of ``recurrence``: what the other implementation read. NumPy, JAX or PyTorch arrays.
    outputs : mapping
        Any of its outputs by name.
    cotangents, gradients : mappings, optional
        The cotangents of all outputs, and any of its gradients by the inputs' names.
    precision : str, optional
        "f64", "f32", "tf32", "f16" or "bf16", in which it computes. If None, that of each array.

    Returns
    -------
    dict of Comparison
        By name; gradients as "grad.<input>". docs/oracle.md explains the bound.

    Raises
    ------
    ValueError, TypeError
        As ``recurrence``; outputs that are unknown or of another shape, or none at all; inputs on which the rule is not
        finite.

    Examples
    --------
    >>> import numpy as np, gdssm
    >>> inputs = dict(k=np.eye(2), v=np.eye(2), q=np.eye(2), beta=np.ones(2), S0=np.zeros((2, 2)))
    >>> wrong = {"o": np.array([[1.0, 0.0], [0.0, 1.5]])}
    >>> print(gdssm.compare_with_recurrence("delta_rule", inputs, wrong)["o"])
    a bug, from token 1: entry [1, 1] is 1.5, expected 1
    """
    if gradients and not cotangents:
        raise ValueError("cotangents: there are none, expected one for every output, as there are gradients")
    theirs, halves = named_floats({**outputs, **{"grad." + name: value for name, value in (gradients or {}).items()}})
    found = _core.compare_with_recurrence(row, _with_cotangents(inputs, cotangents or {}), theirs, halves, precision)
    return {name: Comparison(**entry) for name, entry in found.items()}
