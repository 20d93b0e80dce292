"""A notebook's statements about its own run hold with another seed and another number of threads.

stories/nbNN.py lists the sentences of notebook NN about its own run, each with a condition that must be true when all cells
have run. Sentences about a reference run are marked as such in the notebook and are not listed.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import nbformat
import pytest

from run_notebooks import NOTEBOOKS, run_notebook

# Notebook → (a sentence as it stands in the notebook, an expression in the notebook's own names).
STORIES: dict[str, list[tuple[str, str]]] = {
    file.stem[2:]: importlib.import_module(f"stories.{file.stem}").STORIES
    for file in sorted((Path(__file__).parent / "stories").glob("nb*.py"))
}
SEED = re.compile(r"^seed = 0$", re.M)


def notebook_file(number: str) -> Path:
    return next(NOTEBOOKS.glob(f"{number}_*.ipynb"))


@pytest.mark.parametrize("number", STORIES)
def test_every_sentence_that_is_held_stands_in_its_notebook_once(number: str) -> None:
    cells = nbformat.read(notebook_file(number), as_version=4).cells
    text = " ".join(" ".join(c.source.split()) for c in cells if c.cell_type == "markdown")
    assert [s for s, _ in STORIES[number] if text.count(s) != 1] == []


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("number", STORIES)
def test_sentences_are_true_with_another_seed_and_number_of_threads(
    number: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # threads that wait must not keep the cores from other tests
    notebook = nbformat.read(notebook_file(number), as_version=4)
    places = [c for c in notebook.cells if c.cell_type == "code" and SEED.search(c.source)]
    assert len(places) == 1, "one cell says `seed = 0`"
    places[0].source = SEED.sub(f"seed = {threads}", places[0].source)
    for sentence, holds in STORIES[number]:
        notebook.cells.append(nbformat.v4.new_code_cell(f"assert {holds}, {sentence!r}"))
    changed = tmp_path / "changed.ipynb"
    nbformat.write(notebook, changed)
    run_notebook(changed, tmp_path)
