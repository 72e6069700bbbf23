# SPDX-License-Identifier: Apache-2.0
"""Frames of pandas and Polars as rows of cells."""

from __future__ import annotations


def object_rows(frame) -> list[tuple] | None:
    """The rows of a frame with columns other than numbers, missing cells as None; None for whatever is no such frame."""
    if not (hasattr(frame, "columns") and hasattr(frame, "dtypes")):
        return None
    if hasattr(frame, "schema") and hasattr(frame, "iter_rows"):  # Polars
        if all(dtype.is_numeric() for dtype in frame.dtypes):
            return None
        return list(frame.iter_rows())
    kinds = [getattr(dtype, "kind", "O") for dtype in frame.dtypes]
    if all(kind in "iufb" for kind in kinds):
        return None
    columns = []
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        gaps = column.isna().to_numpy()
        columns.append([None if gap else cell for cell, gap in zip(column.astype(object), gaps, strict=True)])
    return list(zip(*columns, strict=True))
