# SPDX-License-Identifier: Apache-2.0
"""Arrays of other libraries as NumPy's, without a copy where their memory allows it."""

from __future__ import annotations

import numbers

import numpy as np


def to_numpy(name: str, value) -> np.ndarray:
    """An array of numbers of NumPy, JAX, PyTorch or whatever else speaks DLPack; nested lists too.

    Raises TypeError, naming the array, for what does not hold real numbers.
    """
    if type(value).__module__.partition(".")[0] == "torch":
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return _bfloat16(value.float().numpy())
        return value.numpy()
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError) as error:
            raise TypeError(f"{name}: is no array that NumPy can read: {error}") from error
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise TypeError(f"{name}: is no array of numbers: {error}") from error
    if array.dtype.kind not in "fiuV" or (array.dtype.kind == "V" and str(array.dtype) != "bfloat16"):
        raise TypeError(f"{name}: holds {array.dtype} entries, expected float32 or float64")
    return array


def _bfloat16(array: np.ndarray) -> np.ndarray:
    """Marks floats that were bfloat16, which NumPy itself does not have."""
    return array.view(_Widened)


class _Widened(np.ndarray):
    """Floats that were read from bfloat16."""


def is_setting(value) -> bool:
    """Whether a value is a plain number, which has no precision of its own."""
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.generic))


_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def named_floats(values: dict) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays by name in float32 or float64, row by row, and the names of those that were of 16 bits.

    Plain numbers take the precision of the arrays beside them: float64 if any of them is, else float32.
    """
    arrays, halves, settings = {}, {}, {}
    for name, value in values.items():
        if type(value) is np.ndarray and value.dtype in _FLOATS and value.flags.c_contiguous and value.flags.aligned:
            arrays[name] = value
            continue
        if is_setting(value):
            settings[name] = value
            continue
        array = to_numpy(name, value)
        if isinstance(array, _Widened) or str(array.dtype) == "bfloat16":
            halves[name] = "BF16"
        elif array.dtype == np.float16:
            halves[name] = "F16"
        elif array.dtype.kind in "iu" and array.ndim == 0:
            array = array.astype(np.float32)
        elif array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}: holds {array.dtype} entries, expected float32 or float64")
        wide = np.float64 if array.dtype == np.float64 else np.float32
        arrays[name] = np.require(array, wide, "CA").view(np.ndarray)
    if settings:
        precision = np.float64 if any(array.dtype == np.float64 for array in arrays.values()) else np.float32
        for name, value in settings.items():
            try:
                arrays[name] = np.array(value, dtype=precision)
            except OverflowError as error:
                raise ValueError(f"{name}: is {value}, expected a number that {precision.__name__} holds") from error
    return arrays, halves
