# SPDX-License-Identifier: Apache-2.0
import copy
import datetime
import math
import pickle

import numpy as np
import pytest
from river import compose, datasets, evaluate, metrics, preprocessing, stream
from river.checks import yield_checks

import gdssm
import gdssm.river


@pytest.mark.parametrize("learner", [None, "ridge", "nlms"])
def test_river_s_checks_pass(learner):
    model = gdssm.river.Regressor(learner)
    for check in yield_checks(model):
        if check.__name__ not in model._unit_test_skips():
            check(model.clone())


def test_dicts_give_the_state_of_arrays():
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x @ [1.0, 2.0, -1.0]
    of_dicts = gdssm.river.Regressor()
    of_arrays = gdssm.OnlineRegressor()
    for row, target in zip(x, y, strict=True):
        named = dict(zip(("a", "b", "c"), row, strict=True))
        expected, low, high = of_arrays.predict_and_learn(row[None], np.array([target]))
        assert of_dicts.predict_one(named) == expected[0]
        np.testing.assert_array_equal(of_dicts.predict_interval_one(named), (low[0], high[0]))
        of_dicts.learn_one(named, target)


def test_keys_may_come_and_go():
    rng = np.random.default_rng(1)
    model, aware = gdssm.river.Regressor("ridge"), gdssm.river.Regressor("ridge")
    for t in range(300):
        x = {"a": rng.normal(), "b": rng.normal(), "late": rng.normal() if t >= 100 else math.nan}
        y = x["a"] - 2 * x["b"] + (3 * x["late"] if t >= 100 else 0)
        aware.learn_one(x, y)
        present = {name: value for name, value in x.items() if not math.isnan(value)}
        items = list(present.items())
        rng.shuffle(items)
        model.learn_one(dict(items), y)
    query = {"b": 0.3, "a": -0.2, "late": 1.0}
    assert model.predict_one(query) == pytest.approx(aware.predict_one(query), rel=1e-9)
    assert model.predict_one(query) == pytest.approx(-0.2 - 0.6 + 3, abs=0.2)
    before = pickle.dumps(model._core.to_bytes())
    assert math.isfinite(model.predict_one({"never": 1.0, "seen": "text"}))
    assert math.isfinite(model.predict_one({}))
    assert pickle.dumps(model._core.to_bytes()) == before


def test_absent_keys_may_be_zeros():
    model = gdssm.river.Regressor("ridge", absent=0.0)
    for word in ("good", "bad", "good", "bad") * 20:
        model.learn_one({word: 1}, 1.0 if word == "good" else -1.0)
    assert model.predict_one({"good": 1}) > 0.5 > -0.5 > model.predict_one({"bad": 1})


def test_values_may_be_text_dates_truth_values_and_numbers_of_any_kind():
    model = gdssm.river.Regressor()
    day = datetime.date(2024, 1, 1)
    for t in range(60):
        x = {
            "text": "ab"[t % 2],
            "day": day + datetime.timedelta(t),
            "on": t % 3 == 0,
            "size": np.float32(t),
            "none": None,
            7: t,
        }
        model.learn_one(x, 5.0 * (t % 2))
    assert model.predict_one(x | {"text": "b"}) > model.predict_one(x | {"text": "a"})


def test_states_survive_pickling_copies_and_integer_keys():
    model = gdssm.river.Regressor()
    for x, y in stream.iter_array(np.eye(4), np.arange(4.0)):
        model.learn_one(x, y)
    one, other = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    for x, y in stream.iter_array(np.eye(4), np.arange(4.0)):
        assert one.predict_one(x) == other.predict_one(x)
        one.learn_one(x, y)
        other.learn_one(x, y)
    assert one._core.rows == other._core.rows == 8 and model._core.rows == 4
    fresh = model.clone()
    assert fresh.predict_one({0: 1.0}) == 0


def test_it_works_in_pipelines_and_beats_the_linear_model():
    data = datasets.TrumpApproval
    ours = evaluate.progressive_val_score(data(), gdssm.river.Regressor(), metrics.MAE()).get()
    piped = preprocessing.StandardScaler() | gdssm.river.Regressor()
    assert evaluate.progressive_val_score(data(), piped, metrics.MAE()).get() < 0.5
    assert ours < 0.5
    encoded = compose.SelectType(str) | preprocessing.OneHotEncoder()
    encoded |= gdssm.river.Regressor("ridge", absent=0.0)
    for t in range(20):
        encoded.learn_one({"place": "ab"[t % 2]}, float(t % 2))
    assert encoded.predict_one({"place": "b"}) > 0.5


@pytest.mark.parametrize(
    ("x", "y", "error", "text"),
    [
        ({"a": math.inf}, 1.0, ValueError, "column 'a' of row 0 is inf"),
        ({"a": 1e101}, 1.0, ValueError, "column 'a'"),
        ({"a": [1.0]}, 1.0, TypeError, "column 'a' is of type list, expected a number, text, a date or None"),
        ({"a": 1 + 2j}, 1.0, TypeError, "column 'a' is of type complex"),
        ({"a": 1.0}, math.inf, ValueError, "the target of row 0 is inf"),
        ({"a": 1.0}, "text", TypeError, "learn_one"),
        ([1.0], 1.0, TypeError, "learn_one"),
        (None, 1.0, TypeError, "learn_one"),
    ],
)
def test_wrong_values_are_refused_and_change_nothing(x, y, error, text):
    model = gdssm.river.Regressor()
    model.learn_one({"a": 1.0}, 2.0)
    state = model._core.to_bytes()
    with pytest.raises(error, match=text):
        model.learn_one(x, y)
    assert model._core.to_bytes() == state


def test_a_row_without_its_target_passes():
    model = gdssm.river.Regressor("ridge")
    model.learn_one({"a": 1.0}, 2.0)
    model.learn_one({"a": 2.0}, None)
    assert model._core.rows == 2
    assert model.predict_one({"a": 1.0}) == pytest.approx(2.0)


def test_values_that_call_back_are_refused():
    model = gdssm.river.Regressor()

    class Sly:
        def __float__(self):
            model.learn_one({"a": 1.0}, 1.0)
            return 1.0

    with pytest.raises((ValueError, TypeError)):
        model.learn_one({"a": Sly()}, 1.0)
    model.learn_one({"a": 1.0}, 1.0)
