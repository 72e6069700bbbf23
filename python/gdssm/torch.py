# SPDX-License-Identifier: Apache-2.0
"""Learning rules as differentiable functions of PyTorch tensors, computed on the CPU."""

from __future__ import annotations

import torch

from ._arrays import is_setting
from ._recurrence import output_shapes
from ._recurrence import recurrence as _recurrence
from ._recurrence import recurrence_vjp as _recurrence_vjp

__all__ = ["Recurrence", "recurrence"]


class Recurrence(torch.autograd.Function):
    """``Recurrence.apply(row, names, settings, *tensors)``: all outputs, in the order of their names."""

    @staticmethod
    def forward(ctx, row, names, settings, *tensors):
        ctx.row, ctx.names, ctx.settings = row, names, settings
        ctx.save_for_backward(*tensors)
        outputs = _recurrence(row, **dict(zip(names, tensors, strict=True)), **settings)
        ctx.outputs = sorted(outputs)
        return tuple(torch.from_numpy(outputs[name]).to(tensors[0].device) for name in ctx.outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *cotangents):
        tensors = ctx.saved_tensors
        gradients = _recurrence_vjp(
            ctx.row,
            {**dict(zip(ctx.names, tensors, strict=True)), **ctx.settings},
            dict(zip(ctx.outputs, cotangents, strict=True)),
        )
        by_tensor = (
            torch.from_numpy(gradients[name]).to(device=tensor.device, dtype=tensor.dtype) if name in gradients else None
            for name, tensor in zip(ctx.names, tensors, strict=True)
        )
        return (None, None, None, *by_tensor)


def recurrence(row: str, **inputs: torch.Tensor | float) -> dict[str, torch.Tensor]:
    """``gdssm.recurrence`` on tensors, with gradients for all of them. Plain numbers are settings."""
    settings = {name: value for name, value in inputs.items() if is_setting(value)}
    names = tuple(name for name in inputs if name not in settings)
    results = Recurrence.apply(row, names, settings, *(inputs[name] for name in names))
    outputs = output_shapes(row, {name: tuple(inputs[name].shape) for name in names}, settings)
    return dict(zip(sorted(outputs), results, strict=True))
