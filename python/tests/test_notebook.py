# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "paper.ipynb"


def test_the_notebook_runs_and_finds_the_step():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert len(notebook.cells) == 10
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    text = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert "gradient descent" in text and "This is" in text
