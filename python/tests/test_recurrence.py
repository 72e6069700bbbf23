# SPDX-License-Identifier: Apache-2.0
import subprocess

import numpy as np
import pytest
from conftest import arrays, golden_cases, program

import gdssm

CASES = list(golden_cases())
IDS = [f"{row}-{number}" for row, number, _ in CASES]


@pytest.mark.parametrize(("row", "number", "case"), CASES, ids=IDS)
def test_outputs_and_gradients_are_those_of_public_code(row, number, case):
    inputs, outputs = arrays(case["inputs"]), arrays(case["outputs"])
    found = gdssm.recurrence(row, **inputs)
    assert set(found) == set(outputs)
    for name, expected in outputs.items():
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, atol=1e-12)
    gradients = gdssm.recurrence_vjp(row, inputs, arrays(case["cotangents"]))
    for name, expected in arrays(case["gradients"]).items():
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-9, atol=1e-11)


def test_every_row_has_figures():
    assert {row for row, _, _ in CASES} == set(gdssm.recurrence_rows())


@pytest.mark.parametrize("row", ["gated_delta_rule", "mesa", "paper_layer", "ttt_linear"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_those_of_the_program_to_the_bit(row, dtype, tmp_path):
    from safetensors.numpy import load_file, save_file

    case = next(case for name, _, case in CASES if name == row)
    inputs, cotangents = arrays(case["inputs"], dtype), arrays(case["cotangents"], dtype)
    tensors = {name: np.asarray(value, dtype, order="C") for name, value in inputs.items()}
    save_file(tensors | {"cotangent." + name: value for name, value in cotangents.items()}, tmp_path / "in")
    subprocess.run(
        [program("evaluate"), "--recurrence", row, str(tmp_path / "in"), "--out", str(tmp_path / "out")], check=True
    )
    expected = load_file(tmp_path / "out")
    found = gdssm.recurrence(row, **inputs)
    gradients = gdssm.recurrence_vjp(row, inputs, cotangents)
    for name, array in (found | {"grad." + name: array for name, array in gradients.items()}).items():
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def delta_rule(dtype=np.float64, tokens=7, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "k": rng.normal(size=(tokens, 4)).astype(dtype),
        "v": rng.normal(size=(tokens, 3)).astype(dtype),
        "q": rng.normal(size=(tokens, 4)).astype(dtype),
        "beta": rng.uniform(size=tokens).astype(dtype),
        "S0": np.zeros((3, 4), dtype),
    }


def test_arrays_may_lie_anyhow_in_memory_and_are_not_changed():
    inputs = delta_rule()
    expected = gdssm.recurrence("delta_rule", **inputs)
    spread = {name: np.repeat(array, 2, axis=0)[::2] for name, array in inputs.items()}
    for array in spread.values():
        array.flags.writeable = False
    fortran = {name: np.asfortranarray(array) for name, array in inputs.items()}
    reversed_ = {name: array[::-1].copy()[::-1] for name, array in inputs.items()}
    packed = np.zeros(7, dtype=[("k", float, 4), ("byte", "u1")])  # strides that are no whole number of entries
    packed["k"] = inputs["k"]
    for given in (spread, fortran, reversed_, inputs | {"k": packed["k"]}):
        found = gdssm.recurrence("delta_rule", **given)
        np.testing.assert_array_equal(found["o"], expected["o"])


def test_numbers_take_the_precision_of_the_arrays():
    case = next(case for name, _, case in CASES if name == "precond_gated_delta_rule")
    found = gdssm.recurrence("precond_gated_delta_rule", **arrays(case["inputs"], np.float32))
    assert found["o"].dtype == np.float32


def test_lists_and_half_precision_are_read():
    inputs = delta_rule(np.float16)
    single = {name: array.astype(np.float32) for name, array in inputs.items()}
    found = gdssm.recurrence("delta_rule", **inputs)
    assert found["o"].dtype == np.float32
    np.testing.assert_array_equal(found["o"], gdssm.recurrence("delta_rule", **single)["o"])
    double = delta_rule()
    lists = {name: array.tolist() for name, array in double.items()}
    np.testing.assert_array_equal(
        gdssm.recurrence("delta_rule", **lists)["o"], gdssm.recurrence("delta_rule", **double)["o"]
    )


def test_no_tokens_leave_the_state_as_it_is():
    inputs = delta_rule(tokens=0) | {"S0": np.ones((3, 4))}
    found = gdssm.recurrence("delta_rule", **inputs)
    assert found["o"].shape == (0, 3)
    np.testing.assert_array_equal(found["S_T"], np.ones((3, 4)))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"k": np.ones(3)}, ValueError, "tensor 'k': shape is .3., expected .T, d_k."),
        ({"q": np.ones((7, 5))}, ValueError, "'q': shape is .7, 5., expected .7, 4."),
        ({"gamma": np.ones(7)}, ValueError, "'gamma' is unknown"),
        ({"beta": None}, TypeError, "beta"),
        ({"beta": np.array([object()] * 7)}, TypeError, "beta: holds object entries"),
        ({"beta": np.ones(7, complex)}, TypeError, "beta: holds complex128 entries"),
        ({"beta": np.ones(7, int)}, TypeError, "beta: holds int64 entries"),
        ({"beta": "text"}, TypeError, "beta"),
        ({"beta": [[1.0], [1.0, 2.0]]}, TypeError, "beta: is no array of numbers"),
    ],
)
def test_wrong_inputs_are_refused_with_the_library_s_sentence(change, error, text):
    with pytest.raises(error, match=text):
        gdssm.recurrence("delta_rule", **(delta_rule() | change))


def test_missing_inputs_and_unknown_rows_are_refused():
    inputs = delta_rule()
    with pytest.raises(ValueError, match="there is no row 'delta', expected one of linear_attention"):
        gdssm.recurrence("delta", **inputs)
    del inputs["beta"]
    with pytest.raises(ValueError, match="'beta' is missing"):
        gdssm.recurrence("delta_rule", **inputs)
    with pytest.raises(ValueError, match="cotangents"):
        gdssm.recurrence_vjp("delta_rule", delta_rule(), {})
    with pytest.raises(ValueError, match="'cotangent.S_T' is missing"):
        gdssm.recurrence_vjp("delta_rule", delta_rule(), {"o": np.ones((7, 3))})


def test_a_rounded_kernel_is_told_from_a_wrong_one():
    inputs = delta_rule(np.float32, tokens=20)
    right = gdssm.recurrence("delta_rule", **inputs)
    assert all(one.is_rounding for one in gdssm.compare_with_recurrence("delta_rule", inputs, right).values())
    wrong = {"o": right["o"].copy()}
    wrong["o"][11:] += 0.01
    found = gdssm.compare_with_recurrence("delta_rule", inputs, wrong)["o"]
    assert not found.is_rounding and found.first_token == 11 and found.precision == "f32"
    assert str(found).startswith("a bug, from token 11")


def test_gradients_are_compared_where_there_are_cotangents():
    inputs = delta_rule(np.float32)
    bars = {"o": np.ones((7, 3), np.float32), "S_T": np.zeros((3, 4), np.float32)}
    gradients = gdssm.recurrence_vjp("delta_rule", inputs, bars)
    found = gdssm.compare_with_recurrence("delta_rule", inputs, {}, cotangents=bars, gradients=gradients)
    assert set(found) == {"grad." + name for name in inputs}
    assert all(one.is_rounding for one in found.values())
    with pytest.raises(ValueError, match="cotangents"):
        gdssm.compare_with_recurrence("delta_rule", inputs, {}, gradients=gradients)
    with pytest.raises(ValueError, match="precision: there is no 'f8'"):
        gdssm.compare_with_recurrence("delta_rule", inputs, gradients, precision="f8")
    with pytest.raises(ValueError, match="has no tensor"):
        gdssm.compare_with_recurrence("delta_rule", inputs, {})


def test_half_precision_is_judged_as_such():
    inputs = delta_rule(np.float32)
    exact = gdssm.recurrence("delta_rule", **inputs)
    found = gdssm.compare_with_recurrence("delta_rule", inputs, {"o": exact["o"].astype(np.float16)})["o"]
    assert found.precision == "f16" and found.is_rounding
    single = gdssm.compare_with_recurrence("delta_rule", inputs, {"o": exact["o"].astype(np.float16).astype(np.float32)})
    assert not single["o"].is_rounding and single["o"].rounding_in in ("tf32", "f16")


def test_jax_differentiates_it():
    jax = pytest.importorskip("jax")
    import gdssm.jax

    inputs = delta_rule(np.float32)

    def loss(inputs):
        out = gdssm.jax.recurrence("delta_rule", **inputs)
        return (out["o"] ** 2).sum() + out["S_T"].sum()

    value, found = jax.jit(jax.value_and_grad(loss))(inputs)
    out = gdssm.recurrence("delta_rule", **inputs)
    np.testing.assert_allclose(value, (out["o"] ** 2).sum() + out["S_T"].sum(), rtol=1e-5)
    expected = gdssm.recurrence_vjp("delta_rule", inputs, {"o": 2 * out["o"], "S_T": np.ones_like(out["S_T"])})
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


def test_jax_takes_settings_and_bfloat16():
    jax = pytest.importorskip("jax")
    import gdssm.jax

    case = next(case for name, _, case in CASES if name == "ttt_linear")
    inputs = arrays(case["inputs"], np.float32)
    found = gdssm.jax.recurrence("ttt_linear", **inputs)
    np.testing.assert_array_equal(found["o"], gdssm.recurrence("ttt_linear", **inputs)["o"])
    half = jax.numpy.asarray(delta_rule()["k"], jax.numpy.bfloat16)
    inputs = delta_rule(np.float32) | {"k": half}
    out = gdssm.recurrence("delta_rule", **inputs)
    theirs = {"o": jax.numpy.asarray(out["o"], jax.numpy.bfloat16)}
    assert gdssm.compare_with_recurrence("delta_rule", inputs, theirs)["o"].precision == "bf16"


def test_torch_differentiates_it():
    torch = pytest.importorskip("torch")
    import gdssm.torch

    inputs = {name: torch.tensor(array, requires_grad=True) for name, array in delta_rule().items()}
    assert torch.autograd.gradcheck(
        lambda *tensors: gdssm.torch.recurrence("delta_rule", **dict(zip(inputs, tensors, strict=True)))["o"],
        tuple(inputs.values()),
    )
    out = gdssm.torch.recurrence("delta_rule", **inputs)
    assert set(out) == {"o", "S_T"}
    assert gdssm.compare_with_recurrence("delta_rule", inputs, out)["o"].is_rounding
