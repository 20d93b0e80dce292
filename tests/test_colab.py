"""Colab and Binder: what they have installed, what we install, and that addresses and badges match pyproject.toml."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from badges import BADGES, COLAB, START, colab_cell, fresh_readme, freshen, main, move, repository

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIST = (ROOT / "tests" / "colab_versions.txt").read_text(encoding="utf-8")
COLAB_HAS = {
    canonicalize_name(name): Version(version) for name, version in re.findall(r"^([\w.-]+)==(\S+)$", LIST, re.M)
}  # fmt: skip
# What Colab's kernel and its page stand on: another version of these and the runtime must be restarted, or shows no panels.
KEPT = {"torch", "numpy", "ipywidgets", "widgetsnbextension", "ipykernel", "ipython", "tornado", "traitlets", "pandas"}


def needs(name: str, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    found = [Requirement(line) for line in metadata.requires(name) or []]
    return [r for r in found if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in ("", *extras))]


def test_the_list_of_colabs_versions_says_its_date_and_where_it_is_from() -> None:
    assert re.search(r"Date: \d{4}-\d\d-\d\d", LIST) and "backend-info" in LIST and len(COLAB_HAS) > 100


def test_what_colab_stands_on_suits_us_as_it_is() -> None:
    for requirement in needs("l2r-lite", frozenset({"data", "gguf"})):
        name = canonicalize_name(requirement.name)
        if name in KEPT | {"transformers", "peft", "matplotlib", "datasets", "huggingface-hub", "tokenizers", "safetensors"}:
            assert requirement.specifier.contains(COLAB_HAS[name], prereleases=True), requirement


def test_nothing_that_is_added_on_colab_asks_for_another_torch_or_numpy() -> None:
    """Every package that we bring there, and all they bring: their newest versions are those installed here."""
    todo, seen = [Requirement("l2r-lite[data,gguf]")], set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if (there := COLAB_HAS.get(name)) and requirement.specifier.contains(there, prereleases=True):
            continue  # pip leaves it as it is
        assert name not in KEPT, f"{requirement} would replace Colab's {name} {there}"
        if name not in seen:
            seen.add(name)
            todo += needs(requirement.name, frozenset(requirement.extras))
    assert {"bitsandbytes", "gguf", "openai"} <= seen


def run_cell(cell: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A cell in an IPython of its own, as a kernel runs it."""
    (folder / "cell.ipy").write_text(cell, encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "COLAB_"))}
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "cell.ipy"]
    env |= {"IPYTHONDIR": str(folder / "ipython"), **settings}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def test_colabs_cell_does_nothing_elsewhere(tmp_path: Path) -> None:
    done = run_cell(COLAB.format(repository="nobody/nothing"), tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (0, "", "")


def test_colabs_cell_adds_the_package_and_replaces_nothing(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("l2r_lite", "notebooks/course"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "student", "logs"))
    cell = COLAB.format(repository="x/y").replace("git+https://github.com/x/y", tmp_path.as_uri())
    done = run_cell(cell, tmp_path, COLAB_RELEASE_TAG="release", PIP_DRY_RUN="1", PIP_NO_INDEX="1", PIP_REPORT="report.json",
                    PIP_NO_BUILD_ISOLATION="0")  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) if done.returncode == 0 else done
    assert [entry["metadata"]["name"] for entry in report["install"]] == ["l2r-lite"]
    # Had it asked for another torch, pip would have refused instead of replacing it.
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(re.sub(r'"torch[^"]*"', '"torch>=99"', pyproject.read_text(encoding="utf-8")), encoding="utf-8")
    refused = run_cell(cell, tmp_path, COLAB_RELEASE_TAG="release", PIP_DRY_RUN="1", PIP_NO_INDEX="1",
                       PIP_NO_BUILD_ISOLATION="0")  # fmt: skip
    assert re.search(r"torch.*conflict|conflict.*torch", refused.stdout + refused.stderr, re.S | re.I)


# --- one address


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_notebook_has_the_badges_and_colabs_cell_of_this_repository(file: Path) -> None:
    notebook, where = nbformat.read(file, as_version=4), repository()
    assert BADGES.format(repository=where, notebook=file.name) in notebook.cells[0].source, "stale: make badges"
    cell = colab_cell(notebook)
    assert cell is not None and cell.source == COLAB.format(repository=where), "stale: make badges"


def test_no_address_of_ours_is_stale() -> None:
    where, readme = repository(), (ROOT / "README.md").read_text(encoding="utf-8")
    assert BADGES.format(repository=where, notebook=START) in readme, "stale: make badges"
    texts = [readme, (ROOT / "pyproject.toml").read_text(encoding="utf-8")]
    texts += ["".join(c.source for c in nbformat.read(f, as_version=4).cells) for f in FILES]
    name = where.rpartition("/")[2]
    ours = re.findall(rf"(?:github\.com|v2/gh|com/github)/([\w.-]+/{re.escape(name)})\b", "\n".join(texts))
    assert len(ours) > 20 and set(ours) == {where}


def test_make_badges_moves_the_project_whole_and_again(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "README.md", f"notebooks/{START}"):
        shutil.copy(ROOT / name, tmp_path / name)
    move("someone/other-name", tmp_path)
    main(tmp_path)
    once = {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()}
    main(tmp_path)
    assert once == {p: p.read_bytes() for p in once}
    assert repository(tmp_path) == "someone/other-name"
    assert not [p for p, text in once.items() if b"l2r-lite/l2r-lite" in text]
    assert "cd other-name" in (tmp_path / "README.md").read_text(encoding="utf-8")
    moved = nbformat.read(tmp_path / "notebooks" / START, as_version=4)
    assert "git+https://github.com/someone/other-name" in colab_cell(moved).source  # type: ignore[union-attr]
    with pytest.raises(SystemExit, match="must be owner/name"):
        move("https://elsewhere", tmp_path)


def test_a_new_notebook_gets_colabs_cell_first_and_its_others_keep_their_outputs() -> None:
    code = [nbformat.v4.new_code_cell(s, execution_count=i + 1, outputs=[]) for i, s in enumerate(["1 + 1", "2 + 2"])]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 10 · New"), *code])
    freshen(notebook, "10_new.ipynb", "a/b")
    freshen(notebook, "10_new.ipynb", "a/b")
    assert [c.execution_count for c in notebook.cells[1:]] == [1, 2, 3] and "a/b" in notebook.cells[1].source


def test_a_readme_without_badges_gets_them_below_its_title() -> None:
    assert fresh_readme("# Title\n\nText", "a/b").startswith("# Title\n\n[![Open in Colab]")


# --- Binder


def test_binder_would_build_what_we_mean() -> None:
    tool = shutil.which("jupyter-repo2docker")
    if not tool:
        pytest.skip("jupyter-repo2docker is not installed: pip install jupyter-repo2docker (it needs no container engine here)")
    done = subprocess.run([tool, "--no-build", "--debug", "."], cwd=ROOT, capture_output=True, text=True, timeout=120)
    recipe = done.stdout + done.stderr
    assert done.returncode == 0, recipe
    assert "py-2d3-2e11" in recipe  # the folder of Python 3.11, as runtime.txt asks
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in recipe
    assert "RUN ./binder/postBuild" in recipe and 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in recipe


def test_a_session_on_binder_uses_one_thread() -> None:
    script = ["bash", str(ROOT / "binder" / "start"), "bash", "-c", "echo $OMP_NUM_THREADS"]
    done = subprocess.run(script, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.stdout.strip() == "1"
