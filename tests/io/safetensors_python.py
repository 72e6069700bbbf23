# SPDX-License-Identifier: Apache-2.0
"""The safetensors format as its own Python package sees it, for tests of gdssm's reader and writer.

    python3 safetensors_python.py write PATH [--dtype F32|F64]
        writes a checkpoint in the reference's names: one layer that is one step of gradient descent, f = 2, step 1/2
        (A = e_0 e_1^T, decay 1, C = -I/2, d = e_2), with the metadata that `evaluate` asks for
    python3 safetensors_python.py read PATH
        prints what the package reads from PATH, as one JSON object:
        {"metadata": {name: text}, "tensors": {name: {"dtype": "F64", "shape": [2, 3], "data": [row-major numbers]}}}

Needs Python's safetensors and numpy; without them it says so and exits with status 77, which ctest takes for a skipped
test (property SKIP_RETURN_CODE 77).
"""

import argparse
import json
import sys

try:
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import save_file
except ImportError:
    print("safetensors for Python is missing: pip install safetensors numpy", file=sys.stderr)
    sys.exit(77)

DTYPES = {"F32": np.float32, "F64": np.float64}


def write(path, dtype):
    tensors = {
        "layers_0.seq.w_q": [[0, 1, 0], [0, 0, 0], [0, 0, 0]],
        "layers_0.seq.Lambda_re": [[0, 0], [0, 0]],
        "layers_0.seq.log_step": [[-2.5], [-3.25]],
        "layers_0.seq.C": [[-0.5, 0], [0, -0.5]],
        "layers_0.seq.D": [0, 0, 1],
        "layers_0.seq.B": [[0.125, 0.25], [0.375, 0.5]],
    }
    metadata = {"discretization": "zoh", "targets": "vector", "readout": "none"}
    save_file({name: np.array(data, DTYPES[dtype]) for name, data in tensors.items()}, path, metadata)


def read(path):
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    with safe_open(path, framework="numpy") as file:
        tensors = {}
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            dtype = names.get(tensor.dtype, str(tensor.dtype))
            tensors[name] = {"dtype": dtype, "shape": list(tensor.shape), "data": tensor.ravel().tolist()}
        metadata = dict(sorted((file.metadata() or {}).items()))
        print(json.dumps({"metadata": metadata, "tensors": tensors}))


def main():
    parser = argparse.ArgumentParser(description="Writes or reads a safetensors file with Python's own package.")
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode in ("write", "read"):
        modes.add_parser(mode).add_argument("path")
    modes.choices["write"].add_argument("--dtype", choices=DTYPES, default="F64")
    arguments = parser.parse_args()
    if arguments.mode == "write":
        write(arguments.path, arguments.dtype)
    else:
        read(arguments.path)


if __name__ == "__main__":
    main()
