"""Execute notebooks, keep their outputs without widget state, and write time and memory into their first cell.

`make notebooks` executes all, `make notebooks ARGS=notebooks/03_the_exam.ipynb` one.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def run_notebook(file: Path, workdir: Path, timeout: int = 900) -> nbformat.NotebookNode:
    """Execute a notebook in a fresh kernel started in `workdir`; an error in a cell is raised.

    The new notebook's metadata has "seconds", "cpu_seconds" and "peak_mb" (None where the system does not tell them).
    """
    notebook = nbformat.read(file, as_version=4)
    started = time.monotonic()
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(workdir)}})
    os.environ["L2R_PROGRESS"] = str(workdir / "progress.json")  # a page shows no progress of whoever ran it
    with client.setup_kernel():
        for i, cell in enumerate(notebook.cells):
            client.execute_cell(cell, i)
        peak, cpu = _peak_mb(client), _cpu_seconds(client)
    seconds = round(time.monotonic() - started, 1)
    notebook.metadata["l2r"] = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak}
    notebook.metadata.pop("widgets", None)  # stored widget state keeps some viewers from rendering the page
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [kept for o in cell.outputs if not _is_progress(o) for kept in without_widget(o)]
    return notebook


def _peak_mb(client: NotebookClient) -> float | None:
    found = re.search(r"VmHWM:\s+(\d+) kB", _about_kernel(client, "status"))
    return round(int(found[1]) / 1e3) if found else None


def _cpu_seconds(client: NotebookClient) -> float | None:
    fields = _about_kernel(client, "stat").rpartition(")")[2].split()  # from the third field on
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else None


def _about_kernel(client: NotebookClient, name: str) -> str:
    process = getattr(client.km.provisioner, "process", None)
    file = Path(f"/proc/{process.pid}/{name}") if process else None
    return file.read_text() if file and file.exists() else ""


def say_what_it_took(notebook: nbformat.NotebookNode) -> None:
    """Write the measured time and memory into the line of the first cell that begins with **Time**."""
    took = notebook.metadata["l2r"]
    seconds = max(5, 5 * round(took["seconds"] / 5))
    spent = f"{seconds} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"
    memory = f" and {took['peak_mb'] / 1e3:.1f} GB of memory" if took["peak_mb"] else ""
    measured = f"measured {datetime.date.today()} by `make notebooks`"
    line = f"**Time** {spent}{memory} on {os.cpu_count()} cores of {_machine()} ({measured})."
    first = notebook.cells[0]
    first.source = re.sub(r"^\*\*Time\*\* .*$", lambda _: line, first.source, flags=re.M)


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return " ".join(re.sub(r"\((?:R|TM)\)|CPU", "", found[1]).split()) if found else platform.processor() or platform.machine()


def _is_progress(output: nbformat.NotebookNode) -> bool:
    """Progress bars are over when the cell is: what they drew is noise on a page."""
    if output.output_type == "stream":
        return output.name == "stderr"
    return "%|" in output.get("data", {}).get("text/plain", "") and WIDGET in output.data


def without_widget(output: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """What a page without a kernel shows: a panel's picture, and its table folded below; of a figure, its picture.

    A picture is an output of its own, with its alternative text: of one that has HTML too, GitHub shows the HTML only, and
    no images in it.
    """
    data = output.get("data", {})
    is_panel = data.pop(WIDGET, None) is not None
    picture, html = data.get("image/png"), data.get("text/html")
    if not picture:
        if is_panel:
            run_it = "*Run this cell to see the panel; it needs a kernel.*"
            output.data = {"text/html": html} if html else {"text/markdown": run_it}
        return [output]
    about = output.metadata.get("image/png", {})
    output.data = {"image/png": picture, "text/plain": f"Figure: {about.get('alt', 'without a description')}"}
    if not (is_panel and html):
        return [output]
    table = re.sub(r"<img [^>]*>", "", html)  # the same picture; what a title holds is escaped, so that ">" ends the tag
    folded = f"<details><summary>The same as a table</summary>{table}</details>"
    return [output, nbformat.v4.new_output("display_data", {"text/html": folded})]


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as scratch:
            notebook = run_notebook(Path(name), Path(scratch))
        say_what_it_took(notebook)
        took = notebook.metadata.pop("l2r")
        nbformat.write(notebook, name)
        print(f"{name}: executed in {took['seconds']} s, {took['peak_mb']} MB, outputs kept", flush=True)
