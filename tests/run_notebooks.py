"""Execute notebooks and keep their outputs, without widget state: `make notebooks` (some: `make notebooks ARGS=FILE`)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def run_notebook(file: Path, workdir: Path, timeout: int = 900) -> nbformat.NotebookNode:
    """Execute a notebook in a fresh kernel started in `workdir`; an error in a cell is raised."""
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(workdir)}}).execute()
    notebook.metadata.pop("widgets", None)  # stored widget state keeps some viewers from rendering the page
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [_without_widget(o) for o in cell.outputs if not _is_progress(o)]
    return notebook


def _is_progress(output: nbformat.NotebookNode) -> bool:
    """Progress bars are over when the cell is: what they drew is noise on a page."""
    if output.output_type == "stream":
        return output.name == "stderr"
    return "%|" in output.get("data", {}).get("text/plain", "") and WIDGET in output.data


def _without_widget(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if WIDGET in output.get("data", {}):
        output.data = {"text/markdown": "*Run this cell to see the panel; it needs a kernel.*"}
    return output


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as scratch:
            nbformat.write(run_notebook(Path(name), Path(scratch)), name)
        print(f"{name}: executed, outputs kept")
