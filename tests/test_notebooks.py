"""Notebooks run from top to bottom, and what is committed is what a reader sees without a kernel."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from run_notebooks import NOTEBOOKS, run_notebook

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
ROOT = NOTEBOOKS.parent


@pytest.fixture(params=FILES, ids=lambda f: f.stem)
def committed(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_notebook_runs_from_top_to_bottom_in_a_fresh_kernel(file: Path, tmp_path: Path) -> None:
    notebook = run_notebook(file, tmp_path)
    assert all(c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source.strip())


def test_committed_cells_were_run_once_in_order_without_an_error(committed: nbformat.NotebookNode) -> None:
    code = [c for c in committed.cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert not [o for c in code for o in c.outputs if o.output_type == "error"]


def test_committed_notebook_shows_figures_and_stores_no_widget_state(committed: nbformat.NotebookNode) -> None:
    assert "widgets" not in committed.metadata
    images = [o for c in committed.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert images


def test_cells_are_at_most_25_lines_and_the_file_at_most_a_megabyte(committed: nbformat.NotebookNode) -> None:
    assert all(len(c.source.splitlines()) <= 25 for c in committed.cells if c.cell_type == "code")
    assert len(nbformat.writes(committed)) <= 1_000_000


def test_committed_outputs_hold_no_path_of_the_machine_they_were_made_on(committed: nbformat.NotebookNode) -> None:
    text = str([c.get("outputs") for c in committed.cells])
    assert not re.search(r"/(?:home|Users|root|tmp|work)/", text)


def test_every_notebook_is_in_the_readmes_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [f.name for f in FILES if f"notebooks/{f.name}" not in readme] == []
