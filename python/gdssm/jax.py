# SPDX-License-Identifier: Apache-2.0
"""Learning rules as differentiable functions of JAX arrays, computed on the CPU through a callback."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ._arrays import is_setting
from ._recurrence import output_shapes
from ._recurrence import recurrence as _recurrence
from ._recurrence import recurrence_vjp as _recurrence_vjp

__all__ = ["recurrence"]


def recurrence(row: str, **inputs) -> dict[str, jax.Array]:
    """``gdssm.recurrence`` on JAX arrays, under ``jit``, ``vmap`` (one call for each) and reverse-mode derivatives.

    Plain numbers are settings.
    """
    settings = tuple(sorted((name, value) for name, value in inputs.items() if is_setting(value)))
    arrays = {name: jnp.asarray(value) for name, value in inputs.items() if not is_setting(value)}
    return _differentiable(row, settings, arrays)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _differentiable(row, settings, arrays):
    dtype = _dtype(arrays)
    shapes = output_shapes(row, {name: array.shape for name, array in arrays.items()}, dict(settings))
    result = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}

    def run(values):
        return _recurrence(row, **{name: np.asarray(value) for name, value in values.items()}, **dict(settings))

    return jax.pure_callback(run, result, arrays, vmap_method="sequential")


def _forward(row, settings, arrays):
    return _differentiable(row, settings, arrays), arrays


def _backward(row, settings, arrays, cotangents):
    result = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in arrays.items()}

    def run(values, bars):
        inputs = {name: np.asarray(value) for name, value in values.items()}
        found = _recurrence_vjp(
            row, {**inputs, **dict(settings)}, {name: np.asarray(bar) for name, bar in bars.items()}
        )
        return {
            name: found[name].astype(value.dtype) if name in found else np.zeros_like(value)
            for name, value in inputs.items()
        }

    return (jax.pure_callback(run, result, arrays, cotangents, vmap_method="sequential"),)


_differentiable.defvjp(_forward, _backward)


def _dtype(arrays):
    return jnp.float64 if any(array.dtype == jnp.float64 for array in arrays.values()) else jnp.float32
