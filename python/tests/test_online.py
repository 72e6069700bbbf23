# SPDX-License-Identifier: Apache-2.0
import csv
import pickle
import subprocess
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import ROOT, program
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import gdssm
from gdssm import OnlineRegressor


def rows(n=300, f=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, f))
    return x, x @ np.arange(1.0, f + 1) + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize("learner", [None, "ridge", "recursive-least-squares", "nlms"])
def test_scikit_learn_s_checks_pass(learner):
    check_estimator(OnlineRegressor(learner))


def test_it_learns_and_its_intervals_hold_the_targets():
    x, y = rows(600)
    model = OnlineRegressor().fit(x[:400], y[:400])
    np.testing.assert_allclose(model.predict(x[400:]), y[400:], atol=0.6)
    low, high = model.predict_interval(x[400:])
    inside = np.mean((low <= y[400:]) & (y[400:] <= high))
    assert 0.88 <= inside <= 1
    assert model.n_samples_seen_ == 400 and model.learner_ == "default" and model.n_features_in_ == 4


@pytest.mark.parametrize("learner", gdssm.learner_names())
def test_every_learner_goes_by_name_and_survives_pickling(learner):
    x, y = rows(80)
    model = OnlineRegressor(learner).fit(x, y)
    assert model.learner_ == learner
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    again.partial_fit(x[:20], y[:20])
    model.partial_fit(x[:20], y[:20])
    assert again.to_bytes() == model.to_bytes()


def test_rows_at_once_in_parts_or_one_by_one_give_the_same_state():
    x, y = rows(60)
    whole = OnlineRegressor().fit(x, y).to_bytes()
    parts = OnlineRegressor()
    for first in range(0, 60, 17):
        parts.partial_fit(x[first : first + 17], y[first : first + 17])
    singles = OnlineRegressor()
    for i in range(60):
        singles.partial_fit(x[i : i + 1], y[i : i + 1])
    assert parts.to_bytes() == whole == singles.to_bytes()


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({}, 0),
        ({"learner": "nlms"}, 1e-13),  # whose sums the compiler contracts otherwise in the program
        ({"ridge": 0.1, "forgetting": 0.98}, 0),
        ({"learner": "ridge", "lags": 2}, 0),
    ],
)
def test_predictions_are_those_of_the_program_to_the_bit(options, tolerance, tmp_path):
    with open(ROOT / "examples" / "data" / "sunspots_lags.csv") as file:
        table = list(csv.reader(file))
    numbers = np.array([[float(cell or "nan") for cell in row] for row in table[1:]])
    numbers[7, 0] = numbers[40, 2] = np.nan
    path = tmp_path / "table.csv"
    text = [",".join(table[0])] + [",".join("" if np.isnan(n) else repr(float(n)) for n in row) for row in numbers]
    path.write_text("\n".join(text) + "\n")
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    out = subprocess.run([program("predict"), str(path), *flags], check=True, capture_output=True, text=True).stdout
    lines = list(csv.DictReader(out.splitlines()))
    frame = pd.DataFrame(numbers, columns=table[0])
    model = OnlineRegressor(**options)
    predictions, low, high = model.predict_and_learn(frame.iloc[:, :-1], frame.iloc[:, -1])
    for found, name in ((predictions, "prediction"), (low, "low"), (high, "high")):
        np.testing.assert_allclose(found, [float(line[name] or "nan") for line in lines], rtol=tolerance)


def test_text_dates_and_gaps_in_frames_are_as_the_program_takes_them(tmp_path):
    rng = np.random.default_rng(3)
    n = 120
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d"),
            "place": rng.choice(["north", "south", "east"], n),
            "wet": rng.choice([True, False], n),
            "size": rng.normal(size=n),
        }
    )
    frame.loc[5, "place"] = None
    frame.loc[9, "size"] = np.nan
    y = (frame["place"] == "south") * 3.0 + frame["size"].fillna(0) + rng.normal(size=n) * 0.1
    path = tmp_path / "table.csv"
    frame.assign(y=y).to_csv(path, index=False)
    out = subprocess.run([program("predict"), str(path)], check=True, capture_output=True, text=True).stdout
    expected = [float(line["prediction"]) for line in csv.DictReader(out.splitlines())]
    pandas = OnlineRegressor()
    np.testing.assert_array_equal(pandas.predict_and_learn(frame, y)[0], expected)
    assert "'day': dates" in pandas.columns_
    polars_frame = pl.DataFrame({name: [None if pd.isna(cell) else cell for cell in frame[name]] for name in frame})
    polars = OnlineRegressor()
    np.testing.assert_array_equal(polars.predict_and_learn(polars_frame, y.to_numpy())[0], expected)
    np.testing.assert_array_equal(polars.predict(polars_frame.head(3)), pandas.predict(frame.head(3)))
    assert list(polars.feature_names_in_) == list(frame.columns)


def test_the_program_continues_from_a_saved_state_and_back(tmp_path):
    x, y = rows(50)
    frame = pd.DataFrame(x, columns=list("abcd"))
    model = OnlineRegressor("ridge").fit(frame, y)
    state = tmp_path / "state.safetensors"
    model.save(state)
    table = tmp_path / "more.csv"
    frame.assign(y=y).to_csv(table, index=False)
    subprocess.run([program("predict"), str(table), "--state", str(state), "--out", str(tmp_path / "o")], check=True)
    again = OnlineRegressor.load(state)
    assert again.n_samples_seen_ == 100 and list(again.feature_names_in_) == list("abcd")
    np.testing.assert_array_equal(again.predict(frame), model.partial_fit(frame, y).predict(frame))


def test_merged_learners_are_as_if_one_had_seen_all_rows():
    x, y = rows(90)
    first = OnlineRegressor("ridge").fit(x[:40], y[:40])
    second = OnlineRegressor("ridge").fit(x[40:], y[40:])
    whole = OnlineRegressor("ridge").fit(x, y)
    np.testing.assert_allclose(first.merge(second).predict(x), whole.predict(x), rtol=1e-9)
    assert first.n_samples_seen_ == 90
    with pytest.raises(ValueError, match="its learner is"):
        first.merge(OnlineRegressor("nlms").fit(x, y))
    with pytest.raises(ValueError, match="expected another"):
        first.merge(first)
    with pytest.raises(ValueError, match="its columns are"):
        first.merge(OnlineRegressor("ridge").fit(x[:, :2], y))


def test_several_targets_are_learned_beside_each_other():
    x, y = rows()
    both = OnlineRegressor().fit(x, np.column_stack([y, -y]))
    assert both.predict(x).shape == (300, 2)
    np.testing.assert_array_equal(both.predict(x)[:, 0], OnlineRegressor().fit(x, y).predict(x))


def test_it_works_in_pipelines_and_grid_searches():
    x, y = rows()
    model = make_pipeline(StandardScaler(), OnlineRegressor())
    assert model.fit(x, y).score(x, y) > 0.99
    search = GridSearchCV(OnlineRegressor("ridge"), {"ridge": [0.1, 10.0], "learner": ["ridge", "descent"]}, cv=2)
    assert search.fit(x, y).best_params_["ridge"] == 0.1
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_predict_changes_nothing_and_missing_cells_are_filled_in():
    x, y = rows()
    model = OnlineRegressor().fit(x, y)
    state = model.to_bytes()
    gaps = x[:5].copy()
    gaps[:, 1] = np.nan
    means = x[:5].copy()
    means[:, 1] = x[:, 1].mean()
    np.testing.assert_allclose(model.predict(gaps), model.predict(means), rtol=1e-6)
    assert model.to_bytes() == state


@pytest.mark.parametrize("layout", ["C", "F", "reversed", "float32", "read-only", "list"])
def test_memory_may_be_laid_out_anyhow(layout):
    x, y = rows(40)
    x = x.astype(np.float32).astype(float)
    given = {
        "C": x,
        "F": np.asfortranarray(x),
        "reversed": x[::-1].copy()[::-1],
        "float32": x.astype(np.float32),
        "read-only": x.copy(),
        "list": x.tolist(),
    }[layout]
    if layout == "read-only":
        given.flags.writeable = False
    assert OnlineRegressor().fit(given, y).to_bytes() == OnlineRegressor().fit(x, y).to_bytes()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"learner": "none"}, "learner: there is no 'none', expected one of default"),
        ({"learner": "nlms", "ridge": 1.0}, "ridge: the learner nlms does not take it"),
        ({"ridge": -1.0}, "ridge: is -1, expected a finite number of at least 0"),
        ({"forgetting": 1.5}, "decay is 1.5"),
        ({"learner": "window", "window": 0}, "window: is 0, expected at least 1"),
        ({"lags": -1}, "lags: is -1, expected at least 0"),
        ({"features": "cubic"}, "features: got 'cubic', expected linear"),
    ],
)
def test_wrong_options_are_refused_when_rows_come(options, text):
    x, y = rows(5)
    with pytest.raises(ValueError, match=text):
        OnlineRegressor(**options).fit(x, y)


def test_wrong_rows_are_refused_and_change_nothing():
    x, y = rows(20)
    model = OnlineRegressor().fit(x, y)
    state = model.to_bytes()
    huge = x.copy()
    huge[3, 1] = 1e101
    for bad_x, bad_y, text in [
        (huge, y, "column 'x1' of row 3 is 1e.101, expected a number of magnitude up to 1e.100"),
        (x, np.where(np.arange(20) == 7, 1e101, y), "the target of row 7 is 1e.101"),
        (x[:, :3], y, "X has 3 features, but OnlineRegressor is expecting 4"),
        (x, y[:7], "inconsistent numbers of samples"),
        (x[:0], y[:0], "0 sample"),
        (np.where(x > 1, np.inf, x), y, "infinity"),
        (x, np.where(y > 1, np.nan, y), "NaN"),
        (x, np.column_stack([y, y]), "targets are 20 x 2, expected 20 x 1"),
    ]:
        with pytest.raises(ValueError, match=text):
            model.partial_fit(bad_x, bad_y)
        assert model.to_bytes() == state
    for bad in (b"", b"nonsense", state[:-8], state[:40]):
        with pytest.raises(ValueError, match="state: "):
            OnlineRegressor.from_bytes(bad)


def test_two_threads_cannot_teach_one_learner_at_once():
    x, y = rows(20000, 6)
    model = OnlineRegressor().fit(x[:50], y[:50])
    refused = []
    start = threading.Barrier(3)

    def teach():
        start.wait()
        try:
            model.partial_fit(x, y)
        except ValueError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=teach) for _ in range(2)]
    for thread in threads:
        thread.start()
    start.wait()
    assert np.isfinite(model.predict(x[:10])).all()  # waits, and then predicts
    for thread in threads:
        thread.join()
    assert len(refused) == 1 and "another thread is teaching it" in refused[0]
    assert model.n_samples_seen_ == 20050
