# SPDX-License-Identifier: Apache-2.0
"""Whatever Python passes, the answer is a result, a ValueError or a TypeError."""

import datetime
import time

import numpy as np

import gdssm
import gdssm.river

SECONDS = 2


def something(rng, depth=0):
    """An object of any kind."""
    shape = tuple(rng.integers(0, 5, rng.integers(0, 4)))
    choices = [
        lambda: rng.normal(size=shape),
        lambda: rng.normal(size=shape).astype(rng.choice([np.float16, np.float32])),
        lambda: np.asfortranarray(rng.normal(size=shape)),
        lambda: rng.normal(size=(6, 8))[:: rng.integers(1, 4), :: -rng.integers(1, 4)],
        lambda: np.broadcast_to(rng.normal(), (4, 3)),
        lambda: rng.integers(-3, 3, shape),
        lambda: rng.normal(size=shape) > 0,
        lambda: rng.normal(size=shape) * 1j,
        lambda: np.array([object(), "text", None], dtype=object),
        lambda: np.array(["text", "more"]),
        lambda: np.array(["2024-01-01"], dtype="datetime64[D]"),
        lambda: np.full(shape, rng.choice([np.nan, np.inf, -np.inf, 1e308, 5e-324])),
        lambda: np.zeros(3, dtype=[("a", float), ("b", "u1")])["a"],
        lambda: rng.choice([0.0, 1.0, -1.0, np.nan, np.inf, 1e300]).item(),
        lambda: int(rng.integers(-5, 10)),
        lambda: 10**400,
        lambda: None,
        lambda: "text",
        lambda: b"bytes",
        lambda: "\ud800",
        lambda: datetime.datetime(2024, 1, 1),
        lambda: {},
        lambda: object(),
        lambda: [something(rng, depth + 1) for _ in range(rng.integers(0, 4))] if depth < 2 else [],
    ]
    return choices[rng.integers(len(choices))]()


def survives(call):
    try:
        call()
    except (ValueError, TypeError, OverflowError):
        pass


def inputs(rng):
    tokens, k, v = rng.integers(0, 5, 3)
    right = {
        "k": rng.normal(size=(tokens, k)),
        "v": rng.normal(size=(tokens, v)),
        "q": rng.normal(size=(tokens, k)),
        "beta": rng.normal(size=tokens),
        "alpha": rng.normal(size=tokens),
        "S0": rng.normal(size=(v, k)),
        "eps": 1e-6,
        "batch": 2,
        "gamma": rng.normal(size=(tokens, 2)),
        "k_before": rng.normal(size=(1, k)),
        "tokens": rng.normal(size=(tokens, k)),
    }
    kept = {name: value for name, value in right.items() if rng.random() < 0.8}
    return {name: something(rng) if rng.random() < 0.15 else value for name, value in kept.items()}


def until(seconds):
    end = time.monotonic() + seconds
    seed = 0
    while time.monotonic() < end:
        yield np.random.default_rng(seed)
        seed += 1


def test_recurrences_refuse_or_answer():
    rows = gdssm.recurrence_rows()
    for rng in until(SECONDS):
        row = rows[rng.integers(len(rows))]
        given = inputs(rng)
        survives(lambda: gdssm.recurrence(row, **given))  # noqa: B023
        survives(lambda: gdssm.recurrence_vjp(row, given, {"o": something(rng), "S_T": something(rng)}))  # noqa: B023
        survives(lambda: gdssm.compare_with_recurrence(row, given, {"o": something(rng)}))  # noqa: B023


def test_rows_refuse_or_teach():
    for rng in until(SECONDS):
        model = gdssm.river.Regressor(rng.choice(gdssm.learner_names()).item())
        for _ in range(8):
            x = {("a", "b", 1, None, (1, 2))[rng.integers(5)]: something(rng) for _ in range(3)}
            survives(lambda: model.learn_one(x, something(rng)))  # noqa: B023
            survives(lambda: model.predict_one(x))  # noqa: B023
        model.learn_one({"a": 1.0}, 1.0)
        assert np.isfinite(model.predict_one({"a": 2.0}))


def test_tables_refuse_or_teach():
    for rng in until(SECONDS):
        model = gdssm.OnlineRegressor(rng.choice(gdssm.learner_names()).item())
        for _ in range(3):
            survives(lambda: model.partial_fit(something(rng), something(rng)))  # noqa: B023
            survives(lambda: model.predict(something(rng)))  # noqa: B023
        fresh = gdssm.OnlineRegressor().fit(np.eye(3), np.arange(3.0))
        state = bytearray(fresh.to_bytes())
        for _ in range(4):
            state[rng.integers(len(state))] ^= 1 << rng.integers(8)
            survives(lambda: gdssm.OnlineRegressor.from_bytes(bytes(state)).predict(np.eye(3)))  # noqa: B023


def test_weights_refuse_or_answer():
    for rng in until(SECONDS):
        weights = gdssm.Layer(2, steps=int(rng.integers(1, 3))).draw(seed=int(rng.integers(9)))
        weights[rng.choice(list(weights)).item()] = something(rng)
        survives(lambda: weights.predict(something(rng)))  # noqa: B023
        survives(lambda: weights.loss_and_gradient(rng.normal(size=(5, 2)), something(rng)))  # noqa: B023
        survives(lambda: gdssm.Layer(2).stream(weights).step(something(rng)))  # noqa: B023
