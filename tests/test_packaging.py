"""Packaging: dependencies are in one place, the lock fits them, and the Makefile installs once."""

import ast
import hashlib
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import venv
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
        for name in found - set(sys.stdlib_module_names) - {"l2r_lite", "l2r_course"}
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


def test_modules_import_only_what_is_declared():
    for path in [*(ROOT / "l2r_lite").rglob("*.py"), *(ROOT / "notebooks" / "course").rglob("*.py")]:
        undeclared = imports_of(path, only_at_import_time=True) - names(CORE)
        assert not undeclared, f"{path} imports {undeclared}: add to pyproject.toml, or import an extra lazily"
        undeclared = imports_of(path, only_at_import_time=False) - names(CORE + EXTRAS["data"] + EXTRAS["gguf"])
        assert not undeclared, f"{path} imports {undeclared}: declare it in pyproject.toml"


def test_importing_the_package_loads_no_torch():
    code = "import sys, l2r_lite; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_installed_version_is_the_packages_version():
    assert metadata.version("l2r-lite") == l2r_lite.__version__


def test_every_package_and_every_data_file_is_shipped():
    tools = PROJECT["tool"]["setuptools"]
    covered = set()
    for package in tools["packages"]:
        root, _, rest = package.partition(".")
        folder = ROOT / tools["package-dir"][root] / rest.replace(".", "/")
        covered |= set(folder.glob("*.py"))
        covered |= {file for pattern in tools["package-data"].get(package, []) for file in folder.glob(pattern)}
    for root in tools["package-dir"].values():
        for path in (ROOT / root).rglob("*"):
            if path.is_file() and path.suffix != ".pyc" and not path.name.endswith(".lock"):
                assert path in covered, f"{path} is in no package of pyproject.toml"


@pytest.mark.slow
def test_the_built_wheel_runs_notebooks_00_09_and_10_outside_the_checkout(tmp_path):
    """In a fresh environment that borrows the dependencies installed here, but not this package."""
    source = tmp_path / "source"
    for name in ("l2r_lite", "notebooks/course"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path / "wheel", source], check=True, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    shutil.rmtree(source)
    venv.create(tmp_path / "venv", with_pip=False)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True, cwd=tmp_path)
    # Dependencies come from here, as files on the path: the .pth files that would bring the checkout are not read.
    here = [path for path in sys.path if path.endswith("site-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *here])}
    python = tmp_path / "venv" / "bin" / "python"
    told = subprocess.run([python, "-c", "import l2r_lite, l2r_course; print(l2r_lite.__file__, l2r_course.__file__)"],
                          check=True, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout  # fmt: skip
    assert str(ROOT) not in told and told.count(str(site)) == 2
    for name in ("00_the_whole_loop.ipynb", "09_statistics.ipynb", "10_evidence.ipynb"):
        shutil.copy(ROOT / "notebooks" / name, tmp_path)
        code = ("import nbformat, sys; from nbclient import NotebookClient; "
                f"NotebookClient(nbformat.read({name!r}, 4), timeout=900, kernel_name='wheel').execute()")
        kernel = tmp_path / "jupyter" / "kernels" / "wheel"
        kernel.mkdir(parents=True, exist_ok=True)
        command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "wheel", "language": "python"}))
        done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                              env=environment | {"JUPYTER_PATH": str(tmp_path / "jupyter")})  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]


# --- the lock


def test_the_lock_satisfies_every_range_in_pyproject():
    wanted = [r for r in CORE + [r for extra in EXTRAS.values() for r in extra] if r.name != "l2r-lite"]
    for system, python_version in itertools.product(("Linux", "Darwin", "Windows"), MINOR_VERSIONS):
        pins = pins_on(python_version, system)
        for requirement in wanted:
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
    assert {"make test-all", "make lint"} <= {line.split(" 2>&1")[0] for line in lines_of(".ci/run")}


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
    targets = ("help demo test test-all soak lab lint notebooks course class pocket bench evidence labs results badges "
               "versions lock clean").split()  # fmt: skip
    assert re.findall(r"^make ([\w-]+)", output, re.M) == targets
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
