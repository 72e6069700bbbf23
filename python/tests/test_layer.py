# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

import gdssm


def figures(golden, name):
    file = json.loads((golden / f"{name}.json").read_text())
    weights = {
        name.removeprefix("params."): np.array(value) for name, value in flat(file["params"], "params.").items()
    }
    return file, weights


def flat(tree, prefix=""):
    if not isinstance(tree, dict):
        return {prefix.removesuffix("."): tree}
    return {name: value for key, part in tree.items() for name, value in flat(part, f"{prefix}{key}.").items()}


@pytest.mark.parametrize("name", ["trained_vector_f3", "trained_scalar_f10", "trained_vector_bilinear_f4"])
def test_predictions_loss_and_gradient_are_the_reference_s(golden, name):
    file, parameters = figures(golden, name)
    kind = "scalar" if "scalar" in name else "vector"
    weights = gdssm.Weights(parameters, discretization=file["discretization"], targets=kind)
    tokens, target = np.array(file["tokens"]), np.array(file["target"])
    np.testing.assert_allclose(weights.predict(tokens), -np.array(file["logits"]), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(weights.predict(tokens[0]), weights.predict(tokens)[0])
    loss, gradient = weights.loss_and_gradient(tokens, target)
    assert loss == pytest.approx(file["loss"], rel=1e-10)
    for parameter, expected in flat(file["grads"]).items():
        if not parameter.endswith(".B"):
            np.testing.assert_allclose(gradient[parameter], np.array(expected), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("sizes", [[0.3], [0.5, 0.2], [0.1, 0.4, 0.2]])
def test_weights_in_closed_form_take_steps_of_gradient_descent(sizes):
    layer = gdssm.Layer(4, steps=len(sizes))
    weights = layer.gradient_step(sizes)
    tokens = np.random.default_rng(0).normal(size=(13, 4))
    x, y, W = tokens[0:-1:2], tokens[1::2], np.zeros((4, 4))
    for a in sizes:
        W = W + a * (y - x @ W.T).T @ x
    np.testing.assert_allclose(weights.predict(tokens)[-1], W @ tokens[-1], rtol=1e-10)


def test_steps_are_predictions_and_the_state_is_a_value():
    layer = gdssm.Layer(3, steps=2)
    weights = layer.draw(seed=5)
    assert all(array.dtype == np.float32 for array in weights.values())
    tokens = np.random.default_rng(0).normal(size=(9, 3))
    double = gdssm.Weights({name: array.astype(float) for name, array in weights.items()}, stack="horner")
    expected = double.predict(tokens)
    stream, other = layer.stream(weights), layer.stream(weights)
    answers = []
    for token in tokens:
        state = stream.state
        answer = stream.step(token)
        other.state = state  # handed from one to the other
        assert np.array_equal(other.step(token), answer) or answer is None
        if answer is not None:
            answers.append(answer)
    np.testing.assert_array_equal(np.array(answers), expected)


def test_wrong_states_and_tokens_are_refused():
    layer = gdssm.Layer(3)
    stream = layer.stream(layer.draw())
    state = stream.state
    with pytest.raises(ValueError, match="the number of features of a token"):
        stream.step(np.ones(4))
    with pytest.raises(ValueError, match="token"):
        stream.step([np.nan, 0, 0])
    with pytest.raises(ValueError, match="axes"):
        stream.step(np.ones((3, 1)))
    for name in state:
        with pytest.raises(ValueError, match=f"'{name}' is missing"):
            stream.state = {key: value for key, value in state.items() if key != name}
    with pytest.raises(ValueError, match="members"):
        stream.state = state | {"more": 1}
    with pytest.raises(ValueError, match="shape"):
        stream.state = {name: value if isinstance(value, int) else np.ones((9, 9)) for name, value in state.items()}


def test_training_finds_the_step_and_explain_says_so():
    layer, tasks = gdssm.Layer(5), gdssm.LinearRegression(5, 5, 5)
    seen = []
    run = gdssm.train(layer, tasks, rate=3e-3, updates=4000, progress=lambda update, loss: seen.append(update))
    assert run.message == "all 4000 updates were made" and run.converged and len(run.losses) == 4000 and seen
    again = gdssm.train(layer, tasks, rate=3e-3, updates=4000, threads=2, progress=False)
    for name, array in run.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)
    tokens, target = tasks.draw(seed=9, count=1000)
    loss = run.weights.loss_and_gradient(tokens, target)[0]
    assert loss == pytest.approx(tasks.expected_loss(tasks.best_step()), rel=0.1)
    found = gdssm.explain(run.weights, tasks=50)
    assert found.algorithm.endswith("gradient-descent") and found.steps == 1 and found.r2 > 0.97


def test_training_can_be_stopped_and_interrupted():
    layer, tasks = gdssm.Layer(3), gdssm.LinearRegression(3, 3, 3)
    run = gdssm.train(layer, tasks, updates=10**7, progress=lambda update, loss: True)
    assert "stopped" in run.message

    def interrupt(update, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gdssm.train(layer, tasks, updates=10**7, progress=interrupt)


def test_several_steps_are_explained():
    found = gdssm.explain(gdssm.Layer(4, steps=2).gradient_step([0.2, 0.3]), tasks=50, context=8)
    assert found.algorithm == "gradient-descent" and found.steps == 2
    np.testing.assert_allclose(sorted(found.step_sizes), [0.2, 0.3], rtol=1e-3)


def test_weights_survive_files(tmp_path):
    weights = gdssm.Layer(3, steps=2).draw(seed=2)
    weights.save(tmp_path / "weights.safetensors")
    again = gdssm.Weights.load(tmp_path / "weights.safetensors")
    assert again.metadata == weights.metadata and set(again) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(again[name], array)
    (tmp_path / "cut").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:-8])
    with pytest.raises(ValueError, match="cut: "):
        gdssm.Weights.load(tmp_path / "cut")
    with pytest.raises(ValueError, match="layers_0.seq.C"):
        gdssm.Weights({name: array for name, array in weights.items() if name != "layers_0.seq.C"}).save(
            tmp_path / "never"
        )
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: gdssm.Layer(0).draw(), "features"),
        (lambda: gdssm.Layer(3, steps=0).draw(), "steps"),
        (lambda: gdssm.Layer(3).gradient_step([0.1, 0.2]), "there are 2 sizes, expected 1"),
        (lambda: gdssm.LinearRegression(0, 1, 1), "features, outputs and context are 0, 1 and 1"),
        (lambda: gdssm.train(gdssm.Layer(3), gdssm.LinearRegression(4, 4, 4)), "the number of rows of tokens"),
        (lambda: gdssm.train(gdssm.Layer(3), gdssm.LinearRegression(3, 3, 3), batch=0), "batch"),
        (lambda: gdssm.explain({"layers_0.seq.C": np.eye(3)}), "Lambda_re': is missing"),
        (lambda: gdssm.Layer(3).draw().predict(np.ones((4, 3))), "tokens"),
        (lambda: gdssm.Layer(3).draw().predict(np.full((5, 3), np.nan)), "nan"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_library_s_sentence(call, text):
    with pytest.raises(ValueError, match=text):
        call()
