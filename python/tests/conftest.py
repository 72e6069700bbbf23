# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def golden():
    """tests/golden of the C++ library."""
    return ROOT / "tests" / "golden"


def golden_cases():
    """Every case of tests/golden/recurrences: its row, its number, its arrays by kind."""
    for path in sorted((ROOT / "tests" / "golden" / "recurrences").glob("*.json")):
        for number, case in enumerate(json.loads(path.read_text())["cases"]):
            yield path.stem, number, case


def arrays(entries, dtype=np.float64):
    """Arrays and numbers of a file of figures, by name."""

    def one(entry):
        if isinstance(entry, dict):
            return np.array(entry["data"], dtype).reshape(entry["shape"])
        return entry

    return {name: one(entry) for name, entry in entries.items()}


def program(name):
    """The C++ program of that name: of build/release, or where GDSSM_PROGRAMS says."""
    folder = os.environ.get("GDSSM_PROGRAMS", ROOT / "build" / "release" / "bin")
    path = shutil.which(name, path=str(folder))
    if path is None:
        pytest.skip(f"{name} is not built: cmake --build --preset release --target {name}")
    return path
