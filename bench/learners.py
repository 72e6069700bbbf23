#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `predict --compare` on data that three Python packages ship, and on generated streams, and prints the root mean
square errors of the learners as a table in Markdown.

    python3 -m venv build/learners
    build/learners/bin/pip install statsmodels==0.15.0 scikit-learn==1.9.1 river==0.26.1
    build/learners/bin/python bench/learners.py --predict build/release/bin/predict

Nothing is downloaded by the program itself. Rows are in the order of the package, or drawn without replacement where
the comment says shuffled; rows with a missing number are left out.
"""
import argparse
import csv
import json
import math
import pathlib
import subprocess
import tempfile

import numpy as np
import pandas as pd
import river.datasets
import sklearn.datasets
import statsmodels.api

LEARNERS = ["default", "ridge", "recursive-least-squares", "window", "nlms", "descent", "last-value", "mean"]


def last(frame, target):
    """The frame with the target as its last column."""
    return frame[[name for name in frame.columns if name != target] + [target]]


def lags(series, count):
    """A value of a series from the `count` before it."""
    values = np.asarray(series, float)
    columns = {f"lag{k}": values[count - k : len(values) - k] for k in range(1, count + 1)}
    return pd.DataFrame(columns | {"target": values[count:]})


def shuffled(frame):
    return frame.sample(frac=1, random_state=1)


def stats(name):
    return getattr(statsmodels.api.datasets, name).load_pandas().data


def learn(name):
    return getattr(sklearn.datasets, "load_" + name)(as_frame=True).frame


def stream(dataset):
    frame = pd.DataFrame([x | {"target": y} for x, y in dataset])
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]:
        frame[name] = pd.factorize(frame[name], sort=True)[0]  # categories and dates by their order
    return last(frame, "target")


def real():
    """Pairs of a name and a table whose last column is the target."""
    yield "diabetes", sklearn.datasets.load_diabetes(as_frame=True, scaled=False).frame
    yield "wine, class, shuffled", shuffled(learn("wine"))
    yield "wine, proline", last(learn("wine").drop(columns="target"), "proline")
    yield "iris, in order", learn("iris")
    yield "breast cancer", learn("breast_cancer")
    yield "digits", learn("digits")
    yield "anes96, party, shuffled", shuffled(last(stats("anes96"), "PID"))
    yield "fair, affairs", last(stats("fair"), "affairs")
    yield "engel", last(stats("engel"), "foodexp")
    yield "star98, maths", last(stats("star98"), "NABOVE")
    yield "randhie, visits", last(stats("randhie"), "mdvis")
    yield "grunfeld", last(stats("grunfeld").drop(columns="firm"), "invest")
    yield "sunspots, 9 lags", lags(stats("sunspots")["SUNACTIVITY"], 9)
    yield "nile", last(stats("nile"), "volume")
    yield "co2, 6 lags", lags(stats("co2")["co2"].interpolate(), 6)
    yield "el nino, 12 lags", lags(stats("elnino").drop(columns="YEAR").to_numpy().ravel(), 12)
    yield "macrodata, unemployment", last(stats("macrodata"), "unemp")
    yield "macrodata, consumption", last(stats("macrodata").drop(columns=["year", "quarter"]), "realcons")
    yield "interest", last(stats("interest_inflation").drop(columns=["year", "quarter"]), "R")
    yield "trump approval", stream(river.datasets.TrumpApproval())
    yield "airline, 12 lags", lags([y for _, y in river.datasets.AirlinePassengers()], 12)
    yield "water flow, 24 lags", lags([y for _, y in river.datasets.WaterFlow()], 24)
    yield "chick weights", stream(river.datasets.ChickWeights())
    yield "phishing", stream(river.datasets.Phishing())
    segments = pd.DataFrame([x for x, _ in river.datasets.ImageSegments()])
    yield "segments, hue", last(segments, "hue-mean")


def generated():
    """As `real`: linear relations with noise of deviation 1, unless the name says otherwise."""
    random = np.random.default_rng(11)
    normal = random.standard_normal

    def table(x, y):
        return pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])]).assign(target=y)

    x = normal((2000, 10))
    yield "stationary", table(x, x @ normal(10) + normal(2000))
    x, w = normal((2000, 10)), np.cumsum(0.1 * normal((2000, 10)), 0) + normal(10)
    yield "coefficients walk", table(x, (x * w).sum(1) + normal(2000))
    x, w = normal((3000, 6)), np.repeat(normal((6, 6)), 500, 0)
    yield "coefficients change", table(x, (x * w).sum(1) + normal(3000))
    x = normal((1500, 3))
    yield "target walks, no input helps", table(x, np.cumsum(normal(1500)))
    x = normal((1500, 4)) @ normal((4, 10))
    yield "rank 4 of 10", table(x, x @ normal(10) + normal(1500))
    x = normal((2000, 8))
    y = x @ normal(8) + normal(2000)
    yield "scales 1e-6 to 1e6", table(x * [1e6, 1e-3, 1, 1e3, 1e-6, 1, 1e6, 1e-3] + [1e7, 5, 0, -1e4, 0, 1e3, 0, 1], y)
    x = normal((2000, 8))
    x[:400, 2], x[:900, 5] = 3, -1
    yield "columns wake late", table(x, x @ normal(8) + normal(2000))
    x = normal((20000, 50))
    yield "50 inputs", table(x, x @ (normal(50) * (random.random(50) < 0.3)) + normal(20000))
    x = normal((2000, 6))
    yield "heavy tails (t, 2.5)", table(x, x @ normal(6) + random.standard_t(2.5, 2000))
    x = random.uniform(-1, 1, (2000, 4))
    yield "nonlinear", table(x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + x[:, 2] * x[:, 3] + 0.1 * normal(2000))
    yield "noise alone", table(normal((1500, 6)), normal(1500))


def measure(predict, table, folder):
    """Root mean square errors by learner, and the share of targets inside the default's intervals, burn-in excluded."""
    data, out, summary = (str(folder / name) for name in ["data.csv", "out.csv", "summary.json"])
    table.astype(float).dropna().to_csv(data, index=False)
    command = [predict, data, "--target", table.columns[-1], "--compare", "--out", out, "--summary", summary]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    numbers = json.loads(pathlib.Path(summary).read_text())
    errors = {"default": numbers["rmse"]} | {name: entry["rmse"] for name, entry in numbers["learners"].items()}
    with open(out, newline="") as file:
        rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)][10:]
    return errors, sum(row["low"] <= row["target"] <= row["high"] for row in rows) / len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predict", default="build/release/bin/predict", help="the program (default: %(default)s)")
    predict = parser.parse_args().predict

    print("| data | rows | inputs | " + " | ".join(LEARNERS) + " | within 95 % |")
    print("|---" * (len(LEARNERS) + 4) + "|")
    logarithms = {name: [] for name in LEARNERS}
    with tempfile.TemporaryDirectory() as folder:
        for tables in [real, generated]:
            for name, table in tables():
                errors, coverage = measure(predict, table, pathlib.Path(folder))
                least = min(errors[learner] for learner in LEARNERS)
                cells = [f"**{errors[k]:.4g}**" if errors[k] == least else f"{errors[k]:.4g}" for k in LEARNERS]
                counts = f"{len(table.dropna())} | {table.shape[1] - 1}"
                print(f"| {name} | {counts} | {' | '.join(cells)} | {coverage:.3f} |", flush=True)
                for learner in LEARNERS:
                    logarithms[learner].append(math.log(errors[learner] / errors["default"]))
    means = [f"{math.exp(np.mean(logarithms[learner])):.3f}" for learner in LEARNERS]
    print("| geometric mean of error / default's | | | " + " | ".join(means) + " | |")


if __name__ == "__main__":
    main()
