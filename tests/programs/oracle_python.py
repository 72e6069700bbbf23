# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/oracle.md, tried in their order:

    python3 oracle_python.py EVALUATE

Blocks of Python run one after the other in one namespace, but for those that need PyTorch; each command of `evaluate`
must end with the status and say the verdicts and the first tokens that the block after it shows. Then the page's kernel,
on other lengths, decays and starts, must be rounding, and a bug where its state is not carried.

Needs Python's safetensors and numpy; without them it says so and exits with status 77, which ctest takes for a skipped
test (property SKIP_RETURN_CODE 77).
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import safetensors.numpy  # noqa: F401
except ImportError:
    print("safetensors for Python is missing: pip install safetensors numpy", file=sys.stderr)
    sys.exit(77)

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/oracle.md"
# name, precision, four numbers, the verdict and, of a bug, its first token
LINE = re.compile(r"^(\S+) +(\S+)(?: +\S+){4} +(rounding|a bug(?:, from token \d+)?)", re.M)


def try_page(evaluate):
    """Runs the page; returns the namespace of its Python."""
    names = {}
    tried = 0
    shown = None  # what the last command printed
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        if language == "python" and "import torch" not in block:
            exec(block, names)
        elif language == "sh":
            program, *arguments = shlex.split(block)
            assert program == "build/release/bin/evaluate", program
            run = subprocess.run([evaluate, *arguments], capture_output=True, text=True)
            assert run.stderr == "", run.stderr
            shown = LINE.findall(run.stdout)
            assert run.returncode == (1 if "a bug" in run.stdout else 0), run.returncode
        elif shown is not None:
            assert LINE.findall(block) == shown, f"the page shows {LINE.findall(block)}, evaluate says {shown}"
            tried += 1
            shown = None
    assert tried == 2, f"{tried} commands of the page were tried, expected 2"
    verdict = json.load(open("verdict.json"))
    assert verdict["verdict"] == "rounding" and set(verdict["tensors"]) == {"o", "S_T"}, verdict
    return names


def verdict_of(evaluate, inputs, outputs, save):
    save("inputs.safetensors", **inputs)
    save("out.safetensors", **outputs)
    command = [evaluate, "--recurrence", "gated_delta_rule", "inputs.safetensors", "--against", "out.safetensors"]
    run = subprocess.run([*command, "--json", "verdict.json"], capture_output=True, text=True)
    assert run.stderr == "", run.stderr
    return run.returncode, json.load(open("verdict.json"))


def main():
    evaluate = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        page = try_page(evaluate)
        rng = np.random.default_rng(1)
        most = 0
        for least_decay in (0.999, 0.9, 0.5, 0.2):
            for T in (1, 17, 33, 96):
                d_k, d_v = int(rng.integers(2, 33)), int(rng.integers(2, 17))
                k = rng.normal(size=(T, d_k))
                inputs = {
                    "k": k / np.linalg.norm(k, axis=1, keepdims=True),
                    "v": rng.normal(size=(T, d_v)),
                    "q": rng.normal(size=(T, d_k)),
                    "beta": rng.uniform(0, 1, T),
                    "alpha": rng.uniform(least_decay, 1, T),
                    "S0": rng.normal(size=(d_v, d_k)),
                }
                inputs = {name: x.astype(np.float32) for name, x in inputs.items()}
                case = f"T = {T}, {d_v} x {d_k}, decays from {least_decay}"
                o, S_T = page["kernel"](**inputs)
                status, verdict = verdict_of(evaluate, inputs, {"o": o, "S_T": S_T}, page["save"])
                assert status == 0, f"{case}: {verdict}"
                most = max(most, *(tensor["units"] for tensor in verdict["tensors"].values()))
                if T <= 16:
                    continue
                o, S_T = page["kernel"](**inputs, carry=False)
                status, verdict = verdict_of(evaluate, inputs, {"o": o}, page["save"])
                assert status == 1, f"{case}, not carried: {verdict}"
                assert verdict["tensors"]["o"]["first_token"] == 16, f"{case}, not carried: {verdict}"
        print(f"the largest difference of correct kernels is {most:.2f} of the bound")
        os.chdir("/")


if __name__ == "__main__":
    main()
