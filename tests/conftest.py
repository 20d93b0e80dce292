"""Fixtures of all tests: a tiny student with fast nonsense answers, a finished run of it, and pocket-world problems."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny_student import build_tiny, wake_up

# Tests run in parallel: two processes with two torch threads each on two cores are 5–10 times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of 2 layers and hidden size 64, as a folder."""
    return build_tiny(tmp_path_factory.mktemp("students") / "tiny")


@pytest.fixture(scope="session")
def load_tiny(tiny_folder: Path) -> Callable:
    """Load the tiny student anew; `wake=True` draws its LoRA B, which starts at 0 and hides A's gradients."""

    def load(*, wake: bool = False, **options):  # noqa: ANN202
        import torch

        from l2r_lite.students.loading import load_student

        student = load_student(str(tiny_folder), **options)
        if wake:
            wake_up(student, torch.Generator().manual_seed(1))
        return student

    return load


@pytest.fixture
def tiny(load_tiny: Callable):  # noqa: ANN201
    """A freshly loaded tiny student: a test may train it."""
    return load_tiny()


@pytest.fixture(scope="session")
def pocket_student():  # noqa: ANN201
    """The pocket student as it comes; tests only read it."""
    from l2r_lite.students.loading import load_student

    return load_student("pocket", device="cpu")


@pytest.fixture(scope="session")
def pocket_problems() -> list:
    from l2r_lite.data.pocket.world import make_problems

    return make_problems("train", 72, seed=5)


@pytest.fixture(scope="session")
def tiny_config(tiny_folder: Path):  # noqa: ANN201
    """Two rounds in about a second, by a student that answers nonsense: what it says still depends on every weight."""
    from l2r_lite.loop.config import LoopConfig

    return LoopConfig(
        student=str(tiny_folder), limit=18, validation_limit=9, test_limit=17, rounds=2, samples=2, epochs=1, batch_size=8,
        max_new_tokens=12, exam_rows=4, reflection_weight=0.5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def finished_run(tiny_config, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ANN001
    """The run of `tiny_config` that nothing disturbed; tests only read it."""
    from l2r_lite.runs.run import run_rounds

    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_rounds(tiny_config, out, progress=False)
    return out


@pytest.fixture
def copied_run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured (record_property), passed or not."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties if report.when == "call" else ():
                terminalreporter.write_line(f"measured: {name}: {value}")
