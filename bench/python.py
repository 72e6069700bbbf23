# SPDX-License-Identifier: Apache-2.0
"""Speeds of the Python package beside River: python bench/python.py, where gdssm and river are installed."""

import time

import numpy as np
from river import linear_model, preprocessing

import gdssm
import gdssm.river


def least(run, rounds=5):
    """The least time of several rounds, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    rng = np.random.default_rng(0)
    rows, f = 4000, 10
    x = rng.normal(size=(rows, f))
    y = x @ rng.normal(size=f) + rng.normal(size=rows)
    dicts = [{f"x{j}": float(value) for j, value in enumerate(row)} for row in x]
    targets = y.tolist()

    def stream(model):
        for row, target in zip(dicts, targets, strict=True):
            model.predict_one(row)
            model.learn_one(row, target)

    theirs = least(lambda: stream(preprocessing.StandardScaler() | linear_model.LinearRegression())) / rows
    print(f"{f} inputs, microseconds a row, predicted and learned")
    print(f"  River's StandardScaler | LinearRegression, dicts  {1e6 * theirs:8.2f}")
    for learner in ("nlms", "ridge", "recursive-least-squares", "default"):
        ours = least(lambda: stream(gdssm.river.Regressor(learner))) / rows  # noqa: B023
        print(f"  gdssm.river.Regressor({learner!r}), dicts  {1e6 * ours:8.2f}  {theirs / ours:6.1f} times faster")
    for learner in ("nlms", "ridge", "recursive-least-squares", "default"):
        model = gdssm.OnlineRegressor(learner).fit(x[:10], y[:10])
        ours = least(lambda: model.partial_fit(x, y)) / rows  # noqa: B023
        print(f"  OnlineRegressor({learner!r}).partial_fit, arrays  {1e6 * ours:8.2f}  {theirs / ours:6.1f} times faster")

    print("gated delta rule, one head in float, milliseconds")
    for d, tokens in ((64, 1024), (64, 4096), (128, 1024), (128, 4096)):
        k, v, q = (rng.normal(size=(tokens, d)).astype(np.float32) / np.sqrt(d, dtype=np.float32) for _ in range(3))
        inputs = {
            "k": k,
            "v": v,
            "q": q,
            "beta": rng.uniform(size=tokens).astype(np.float32),
            "alpha": rng.uniform(0.9, 1, tokens).astype(np.float32),
            "S0": np.zeros((d, d), np.float32),
        }
        steps = least(lambda: gdssm.recurrence("gated_delta_rule", **inputs))  # noqa: B023
        print(f"  {d} x {tokens:5}  {1e3 * steps:8.2f}")


if __name__ == "__main__":
    main()
