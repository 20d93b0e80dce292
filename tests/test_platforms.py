"""Other Pythons and systems: code without torch runs on each Python found here, and the CI workflow covers the rest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from test_packaging import PROJECT

ROOT = Path(__file__).parent.parent
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Imports every module that can be imported with nothing installed, and grades, computes, generates and reads with them.
PLAIN = """
import importlib, pkgutil, sys
import l2r_lite
own = set()
for module in pkgutil.walk_packages(l2r_lite.__path__, "l2r_lite."):
    try:
        importlib.import_module(module.name)
        own.add(module.name.removeprefix("l2r_lite."))
    except ModuleNotFoundError as error:
        assert error.name.split(".")[0] != "l2r_lite", error  # only what is not installed may be missing
from l2r_lite.app.cli import build_parser
from l2r_lite.students.presets import PRESETS
from l2r_lite.data.answers import is_correct
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.data.problems import load_problems
problems = make_problems("train", 34, seed=1)
assert all(is_correct(f"So. The answer is {p.answer}.", p) for p in problems) and not is_correct("It is 0.5.", problems[0])
assert len(load_problems("pocket", "test", limit=17)) == 17
assert build_parser().parse_args(["run", "--preset", "smol"]).preset in PRESETS
print(*sorted(own))
"""


def find_python(version: str) -> str | None:
    """An interpreter of this version: on the path, or installed by pyenv or uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    found = [*pyenv.glob(f"{version}.*/bin/python"), *uv.glob(f"cpython-{version}.*/bin/python")]
    names = [shutil.which(f"python{version}"), *map(str, sorted(found))]
    for name in filter(None, names):
        done = subprocess.run([name, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return name
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_what_needs_no_torch_runs_on_python(version: str, tmp_path: Path) -> None:
    python = find_python(version)
    if not python:
        pytest.skip(f"no Python {version} here")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    # -S: nothing but the standard library, whatever is installed there
    done = subprocess.run([python, "-S", "-W", "error", "-c", PLAIN], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"loop.config", "loop.grading", "loop.items", "data.answers", "data.problems", "data.pocket.world",
            "students.sources", "teachers.scripted", "app.cli"} <= set(done.stdout.split())  # fmt: skip


def test_every_file_can_be_read_by_the_oldest_and_the_newest_python() -> None:
    for version in ("py311", "py313"):
        command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--target-version", version, "--select", "E9", "."]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


# --- the workflow; that it is right, only GitHub can show


def steps(job: str) -> list[str]:
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def test_every_action_is_pinned_to_a_commit_and_may_write_nothing() -> None:
    uses = [step["uses"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "uses" in step]
    assert uses and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in uses)
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    told = re.findall(r"uses: (\S+) # (v\d+\.\d+\.\d+)$", text, re.M)
    assert len(told) == len(uses) and len(set(told)) == len(set(uses)), "one commit per version, named beside it"
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in WORKFLOW["jobs"].values())


def test_dependencies_are_audited_and_guards_removed_once_a_week() -> None:
    for job, command in (("audit", "pip-audit -r constraints.txt --no-deps --disable-pip"), ("guards", "tests/mutations.py")):
        assert "schedule" in WORKFLOW["jobs"][job]["if"] and any(command in run for run in steps(job))
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"[\w.-]+==\S+", line) for line in pinned if not line.startswith("#")), "pip-audit needs exact versions"


def test_the_readmes_two_commands_run_on_three_systems() -> None:
    two = re.findall(r"^make (\w+)", README, re.M)[:2]
    assert [command.split()[1] for command in steps("two-commands")] == two == ["demo", "lab"]
    systems = {WORKFLOW["jobs"]["windows"]["runs-on"], *WORKFLOW["jobs"]["two-commands"]["strategy"]["matrix"]["os"]}
    assert {system.split("-")[0] for system in systems} == {"ubuntu", "macos", "windows"}
    without_make = re.findall(r"^(?:python -m venv|\.venv\\Scripts\\).*", README, re.M)
    assert without_make and set(without_make) <= set(steps("windows"))


def test_supported_pythons_are_tested_and_the_notebooks_once_a_week() -> None:
    told = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["python"] == told
    assert len(WORKFLOW[True]["schedule"]) == 1  # YAML reads the key "on" as true
    assert "schedule" in WORKFLOW["jobs"]["weekly"]["if"] and any("make notebooks" in run for run in steps("weekly"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for run in [run for job in WORKFLOW["jobs"] for run in steps(job)]:
        for target in re.findall(r"^\s*make (\w+)", run, re.M):
            assert re.search(rf"^{target}:", makefile, re.M), target
