"""The house's outer walls: dependencies live in one place, the lock fits them, and the Makefile installs once."""

import ast
import fnmatch
import hashlib
import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import l2r_lite

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CORE = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines]
    for name, lines in PROJECT["project"]["optional-dependencies"].items()
}
LOCK = [
    Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
]
MINOR_VERSIONS = ("3.11", "3.12", "3.13")

# What the project promises to build on, and what its modules import besides.
PROMISED = {"jupyterlab", "ipywidgets", "torch", "transformers", "peft", "bitsandbytes", "openai", "matplotlib"}
# Import name → the dependency it belongs to, where the two differ. IPython is where ipywidgets lives.
DISTRIBUTION_OF = {"PIL": "pillow", "IPython": "ipywidgets"}


def names(requirements):
    return {canonicalize_name(requirement.name) for requirement in requirements}


def imports_of(path, *, only_at_import_time):
    """Top-level names a module imports; with only_at_import_time, those not inside a function or TYPE_CHECKING."""
    found = set()

    def visit(node):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        if not (lazy and only_at_import_time):
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return {
        canonicalize_name(DISTRIBUTION_OF.get(name, name))
        for name in found - set(sys.stdlib_module_names) - {"l2r_lite"}
    }


def pins_on(python_version, system):
    """The lock as pip reads it on one system: name → version."""
    platform = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}[system]
    environment = {
        "python_version": python_version,
        "python_full_version": python_version + ".9",
        "platform_system": system,
        "sys_platform": platform,
        "os_name": "nt" if system == "Windows" else "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    pins = {}
    for requirement in LOCK:
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in pins, f"constraints.txt pins {name} twice for Python {python_version} on {system}"
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            pins[name] = Version(specifier.version)
    return pins


# --- dependencies


def test_every_promised_dependency_is_declared():
    assert names(CORE) >= PROMISED


def test_the_test_extra_contains_the_other_extras():
    (own,) = [requirement for requirement in EXTRAS["test"] if requirement.name == "l2r-lite"]
    assert own.extras == set(EXTRAS) - {"test"}


@pytest.mark.parametrize("path", sorted((ROOT / "l2r_lite").rglob("*.py")), ids=lambda path: path.name)
def test_a_module_imports_only_what_is_declared(path):
    undeclared = imports_of(path, only_at_import_time=True) - names(CORE)
    assert not undeclared, f"{path.name} imports {undeclared}: add to pyproject.toml, or import an extra lazily"
    undeclared = imports_of(path, only_at_import_time=False) - names(CORE + EXTRAS["data"] + EXTRAS["gguf"])
    assert not undeclared, f"{path.name} imports {undeclared}: declare it in pyproject.toml"


def test_importing_the_package_loads_no_torch():
    code = "import sys, l2r_lite; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_installed_version_is_the_packages_version():
    assert metadata.version("l2r-lite") == l2r_lite.__version__


def test_every_data_file_is_packaged():
    globs = PROJECT["tool"]["setuptools"]["package-data"]
    for path in (ROOT / "l2r_lite").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            covered = [ROOT / package.replace(".", "/") / glob for package, found in globs.items() for glob in found]
            assert any(fnmatch.fnmatch(str(path), str(pattern)) for pattern in covered), path


# --- the lock


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
@pytest.mark.parametrize("python_version", MINOR_VERSIONS)
def test_the_lock_satisfies_every_range_in_pyproject(python_version, system):
    pins = pins_on(python_version, system)
    for requirement in CORE + [requirement for extra in EXTRAS.values() for requirement in extra]:
        if requirement.name != "l2r-lite":
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_the_lock_admits_torchs_cpu_build_and_pins_no_cuda():
    (torch,) = [requirement for requirement in LOCK if requirement.name == "torch"]
    assert torch.specifier.contains("2.13.0") and torch.specifier.contains("2.13.0+cpu")
    assert not [requirement.name for requirement in LOCK if re.match("nvidia|cuda|triton", requirement.name)]


def test_the_lock_pins_what_the_installed_packages_ask_for():
    pins = pins_on(f"{sys.version_info.major}.{sys.version_info.minor}", "Linux")
    for name in names(CORE):
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                if not re.match("nvidia|cuda|triton", requirement.name):
                    assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), (name, line)


# --- conda and Binder


def lines_of(path):
    return [line.strip().removeprefix("- ") for line in (ROOT / path).read_text().splitlines()]


def test_conda_and_binder_install_this_package_and_list_no_dependency_of_their_own():
    conda, binder = lines_of("environment.yml"), lines_of("binder/requirements.txt")
    assert conda[conda.index("pip:") + 1 :] == ["-c constraints.txt", "-e .[data,gguf]"]
    packages = [line for line in binder if line and not line.startswith(("#", "-c", "--extra-index-url"))]
    assert packages == ["-e .[data,gguf]", "notebook>=7"]
    assert "-c ../constraints.txt" in binder
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in binder


def test_conda_and_binder_use_a_supported_python():
    (binder,) = lines_of("binder/runtime.txt")
    (conda,) = [line for line in lines_of("environment.yml") if line.startswith("python=")]
    assert binder == "python-3.11" and conda == "python=3.11"
    assert "3.11" in MINOR_VERSIONS and PROJECT["project"]["requires-python"] == ">=3.11"


@pytest.mark.parametrize("script", ["binder/start", "binder/postBuild", ".ci/run"])
def test_a_script_is_executable_and_parses(script):
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["bash", "-n", ROOT / script]).returncode == 0


def test_ci_runs_the_readmes_commands():
    assert {"make test", "make lint"} <= {line.split(" 2>&1")[0] for line in lines_of(".ci/run")}


def test_the_licence_is_apaches_text_unchanged():
    digest = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # apache.org/licenses/LICENSE-2.0.txt
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == digest


# --- the Makefile, run for real on a Python that only notes what it is asked to do

RECORDER = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
    *"-m venv .venv"*) mkdir -p .venv/bin && ln -sf "$0" .venv/bin/python && ln -sf "$0" .venv/bin/l2r-lite ;;
    *"{fails}"*) exit 1 ;;
esac
"""


@pytest.fixture
def house(tmp_path):
    """A copy of the Makefile's surroundings; make(*arguments) returns (exit status, output, what Python was asked)."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    log, python = tmp_path / "log", tmp_path / "python"

    def make(*arguments, fails="never"):
        log.write_text("")
        python.write_text(RECORDER.format(log=log, fails=fails))
        python.chmod(0o755)
        # This test may itself run under make, whose flags and variables must not reach the one started here.
        clean = {"PATH": os.environ["PATH"]}
        command = ["make", f"PYTHON={python}", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr, log.read_text().splitlines()

    return make


def installs(asked):
    return [line for line in asked if "pip install" in line]


def test_make_alone_lists_every_target(house):
    _, output, asked = house()
    targets = ["help", "demo", "test", "soak", "lab", "lint", "notebooks", "pocket", "bench", "evidence", "results", "badges",
               "versions", "lock", "clean"]  # fmt: skip
    assert re.findall(r"^make (\w+)", output, re.M) == targets
    assert not asked


def test_a_second_make_demo_installs_nothing(house):
    _, output, asked = house("demo")
    assert len(installs(asked)) == 1 and "installing" in output and asked[-1] == "run"
    status, output, asked = house("demo", "ARGS=--seed 1")
    assert (status, output, asked) == (0, "", ["run --seed 1"])


def test_make_test_after_make_demo_installs_only_the_test_tools(house):
    house("demo")
    _, _, asked = house("test")
    assert len(installs(asked)) == 1 and ".[test]" in installs(asked)[0]
    _, _, asked = house("test")
    assert not installs(asked) and asked[-1].startswith("-m pytest -n 2")


def test_every_install_is_held_to_the_lock(house):
    for line in installs(house("test")[2]):
        assert "-c constraints.txt" in line


def test_an_interrupted_install_is_done_again(house):
    assert house("demo", fails="-e .")[0] != 0
    status, _, asked = house("demo")
    assert status == 0 and len(installs(asked)) == 1


def test_cpu_takes_only_torch_from_the_other_index(house):
    torch, rest = installs(house("demo", "CPU=1", "TORCH_CPU_INDEX=file:///wheels")[2])
    assert "--no-deps --index-url file:///wheels torch" in torch
    assert rest.endswith("-e .") and "index" not in rest


@pytest.mark.parametrize(
    ("fails", "message"),
    [("version_info", "needs Python 3.11 or newer"), ("ensurepip", "lacks the venv module")],
)
def test_an_unfit_python_is_named_in_one_sentence(house, fails, message):
    status, output, asked = house("demo", fails=fails)
    assert status != 0 and message in output
    assert len([line for line in output.splitlines() if not line.startswith("make")]) == 1
    assert not installs(asked)


def test_a_missing_python_is_named_in_one_sentence(house):
    status, output, _ = house("demo", "PYTHON=python-of-nowhere")
    assert status != 0 and "python-of-nowhere was not found" in output
