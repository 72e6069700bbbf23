# SPDX-License-Identifier: Apache-2.0
"""Other online learners on the same files, with what their documentation proposes: predict a row, then learn it."""

import math
import numbers
import tempfile
import time
from pathlib import Path

import numpy as np

from tables import MISSING, Table, numbers_of

ROWS = {"River, linear": 20000, "River, scaled linear": 20000, "River, tree": 3000, "River, forest": 1000,
        "Vowpal Wabbit": 20000}  # files with more rows are left out
BURN_IN = 10  # targets that are learned and not scored, as by predict


def rmse(predictions, targets):
    """Of the targets that are known, without the first ten of them."""
    errors = [p - y for p, y in zip(predictions, targets, strict=True) if not math.isnan(y)][BURN_IN:]
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(np.square(np.clip(errors, -1e100, 1e100))))) if errors else None


def features_of(table, target):
    """A dictionary for each row: numbers, and text as it stands. Missing cells are left out."""
    rows = [{} for _ in table.rows]
    for j in table.inputs(target):
        values = numbers_of(table.columns[j])
        for i, cell in enumerate(table.columns[j]):
            if cell not in MISSING:
                rows[i][f"c{j}"] = cell if values is None else float(values[i])
    return rows


def river(name):
    from river import compose, forest, linear_model, preprocessing, tree

    text = compose.SelectType(str) | preprocessing.OneHotEncoder(drop_zeros=True)
    if name == "River, tree":
        return (compose.SelectType(numbers.Number) + text) | tree.HoeffdingAdaptiveTreeRegressor(seed=1)
    if name == "River, forest":
        return (compose.SelectType(numbers.Number) + text) | forest.ARFRegressor(seed=1)
    numeric = compose.SelectType(numbers.Number) | preprocessing.StandardScaler()
    regression = linear_model.LinearRegression()
    if name == "River, scaled linear":
        regression = preprocessing.TargetStandardScaler(regression)
    return (numeric + text) | regression


def with_river(name, rows, targets):
    model, predictions = river(name), []
    for x, y in zip(rows, targets):
        predictions.append(model.predict_one(x))
        if not math.isnan(y):
            model.learn_one(x, y)
    return rmse(predictions, targets)


def with_vowpal_wabbit(rows, targets):
    """Its CSV reader takes a label, and text in place of a number as a level."""
    import vowpalwabbit

    def word(cell):
        return repr(cell) if isinstance(cell, float) else "t" + "".join(c if c.isalnum() else "_" for c in cell)

    # A line without any feature would be skipped.
    rows = [row or {"none": "t"} for row in rows]
    names = sorted({name for row in rows for name in row})
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data.csv", Path(folder) / "predictions"
        lines = [",".join(["_label", *names])]
        for row, y in zip(rows, targets):
            label = "" if math.isnan(y) else repr(float(y))
            lines.append(",".join([label, *(word(row[name]) if name in row else "" for name in names)]))
        data.write_text("\n".join(lines) + "\n")
        vowpalwabbit.Workspace(f"--csv -d {data} -p {out} --no_stdin --quiet").finish()
        return rmse([float(line) for line in out.read_text().split()], targets)


def measure(path, column):
    """Root mean square error and seconds of each peer, for one table."""
    table = Table(Path(path))
    targets = numbers_of(table.columns[column])
    rows, result = features_of(table, column), {}
    for peer, limit in ROWS.items():
        if len(rows) > limit:
            continue
        start = time.perf_counter()
        try:
            error = with_vowpal_wabbit(rows, targets) if peer == "Vowpal Wabbit" else with_river(peer, rows, targets)
        except Exception as refusal:  # what a peer can't do is part of the comparison
            error = None
            result.setdefault("errors", {})[peer] = f"{type(refusal).__name__}: {refusal}"[:200]
        result[peer] = {"rmse": error, "seconds": time.perf_counter() - start}
    return result


