# SPDX-License-Identifier: Apache-2.0
"""A checkpoint exported by Python's safetensors, as docs/from-jax.md shows, through `evaluate` and back.

    python3 evaluate_python.py EVALUATE

Runs the reference's case tests/golden/trained_vector_f10.json in double precision: logits, loss and gradients must
agree with the reference's to 1e-12 of the largest entry.

Needs Python's safetensors and numpy; without them it says so and exits with status 77, which ctest takes for a skipped
test (property SKIP_RETURN_CODE 77).
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from safetensors.numpy import load_file, save_file
except ImportError:
    print("safetensors for Python is missing: pip install safetensors numpy", file=sys.stderr)
    sys.exit(77)

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
TOLERANCE = 1e-12


def flatten(tree, prefix=""):
    """{"layers_0": {"seq": {"w_q": x}}} -> {"layers_0.seq.w_q": x}"""
    flat = {}
    for name, value in tree.items():
        if hasattr(value, "items"):
            flat |= flatten(value, prefix + name + ".")
        else:
            flat[prefix + name] = np.ascontiguousarray(value)
    return flat


def export(params, path, discretization="zoh", targets="vector", readout="none", **more):
    metadata = {"discretization": discretization, "targets": targets, "readout": readout, **more}
    save_file(flatten(params), path, metadata=metadata)


def main():
    program = sys.argv[1]
    with open(GOLDEN / "trained_vector_f10.json") as file:
        case = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        model, tokens, out = (f"{folder}/{name}.safetensors" for name in ("model", "tokens", "out"))
        export(case["params"], model, discretization=case["discretization"], targets="vector")
        save_file({name: np.ascontiguousarray(case[name]) for name in ("tokens", "target")}, tokens)
        subprocess.run([program, model, tokens, "--out", out], check=True)
        results = load_file(out)

    expected = {"predictions": -np.array(case["logits"]), "loss": np.array(case["loss"])}
    for name, gradient in flatten(case["grads"]).items():
        if not name.endswith(".B"):
            expected["grad." + name] = gradient
    assert results.keys() == expected.keys(), f"evaluate wrote {sorted(results)}, expected {sorted(expected)}"
    for name, figures in expected.items():
        result = results[name]
        assert result.dtype == np.float64, f"{name} is {result.dtype}, expected float64"
        assert result.shape == figures.shape, f"{name} has shape {result.shape}, expected {figures.shape}"
        error = np.abs(result - figures).max() / np.abs(figures).max()
        print(f"{name:27} {error:.1e}")
        assert error < TOLERANCE, f"{name} differs by {error:.1e} of the largest entry, expected below {TOLERANCE}"


if __name__ == "__main__":
    main()
