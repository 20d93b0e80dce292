"""Several processes do one run: the same lessons, the same training up to rounding; one dies, all end, and the run goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_simple_launcher_cmd_env
from safetensors.torch import load_file
from test_rounds import assert_same_run, flags, lasting, run

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.loop.items import epoch_batches
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.loop.training import _fold
from l2r_lite.students.devices import join

LAUNCH = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "l2r_lite",
]  # fmt: skip


@pytest.fixture(scope="module")
def tiny_config(tiny_folder: Path) -> LoopConfig:
    """Nonsense, but long enough to be killed in: three parts of an exam, 36 training steps."""
    return LoopConfig(
        student=str(tiny_folder), limit=48, validation_limit=4, test_limit=9, rounds=2, samples=2, epochs=3, batch_size=8,
        max_new_tokens=16, exam_rows=4, reflection_weight=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(tiny_config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run by one process that nothing disturbed."""
    out = tmp_path_factory.mktemp("devices") / "alone"
    run(tiny_config, out)
    return out


@contextmanager
def two_processes(config: LoopConfig, out: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """A run by two processes: the launcher, and a function that waits for its end and returns all that was said."""
    said = out.with_name(out.name + ".log")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with said.open("w") as log:
        # A session of its own, so that Ctrl+C can be sent to the launcher and its processes as a terminal does.
        launcher = subprocess.Popen([*LAUNCH, *flags(config, out)], stdout=log, stderr=subprocess.STDOUT, text=True,
                                    env=environment, start_new_session=True)  # fmt: skip

    def ended() -> str:
        launcher.wait(120)
        return said.read_text()

    try:
        yield launcher, ended
    finally:
        if launcher.poll() is None:
            os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()


def process_of(launcher: subprocess.Popen[str], rank: int) -> psutil.Process:
    children = psutil.Process(launcher.pid).children(recursive=True)
    return next(p for p in children if p.environ().get("RANK") == str(rank))


def wait_for(launcher: subprocess.Popen[str], *files: Path) -> None:
    until = time.monotonic() + 120
    while not all(f.exists() and f.stat().st_size for f in files):
        assert launcher.poll() is None and time.monotonic() < until, f"it ended before {files} were there"
        time.sleep(0.002)


# --- an undisturbed run, by one process and by two ---


@pytest.fixture(scope="module")
def pocket() -> LoopConfig:
    """One validation question: fewer than processes. A worked example, which both put before every prompt."""
    return LoopConfig(
        limit=60, validation_limit=1, test_limit=51, rounds=1, epochs=1, exam_rows=48, batch_size=8, demonstrations=1,
        reflection_weight=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def one_and_two(pocket: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("devices")
    run(pocket, place / "one")
    with two_processes(pocket, place / "two") as (launcher, ended):
        said = ended()
    assert launcher.returncode == 0, said[-3000:]
    assert said.count("after round 1") == 1, "not one process alone has told"
    return place / "one", place / "two"


def of_both(folders: tuple[Path, Path], name: str) -> Any:
    return tuple((f / name).read_text(encoding="utf-8") for f in folders)


@pytest.mark.slow
def test_two_processes_write_the_same_samples_and_get_the_same_lessons(one_and_two: tuple[Path, Path]) -> None:
    for name in ("round-0/test.jsonl", "round-0/validation.jsonl", "round-1/exam.jsonl", "round-1/lessons.jsonl",
                 "round-1/training.jsonl"):  # fmt: skip
        one, two = of_both(one_and_two, name)
        assert one == two and one, name


@pytest.mark.slow
def test_two_processes_train_the_same_student_up_to_rounding(one_and_two: tuple[Path, Path], pocket: LoopConfig) -> None:
    steps = [[json.loads(line) for line in text.splitlines()] for text in of_both(one_and_two, "round-1/losses.jsonl")]
    assert len(steps[0]) == len(steps[1]) > 5
    for one, two in zip(*steps, strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    fresh, one, two = (
        torch.cat([w.flatten() for _, w in sorted(load_file(folder / "adapter" / "adapter_model.safetensors").items())])
        for folder in (one_and_two[0] / "round-0", *(f / "round-1" for f in one_and_two))
    )
    assert (one - two).norm() < 1e-3 * (one - fresh).norm() > 0
    rows = [len(_fold(batch)) for batch in epoch_batches(items_of(one_and_two[0]), pocket.batch_size, random.Random(0))]
    assert min(rows) == 1 < max(rows), "no batch has fewer rows than there are processes"


def items_of(out: Path) -> list[TrainingItem]:
    problems = {p.id: p for p in read_lines(out / "problems" / "train.jsonl", Problem)}
    lines = read_lines(out / "round-1" / "training.jsonl", dict)
    return [TrainingItem(problems[x.pop("problem_id")], **x) for x in lines]


@pytest.mark.slow
def test_two_processes_end_at_the_same_accuracy_within_its_interval(one_and_two: tuple[Path, Path]) -> None:
    one, two = (json.loads(text) for text in of_both(one_and_two, "report.json"))
    assert (one["environment"]["processes"], two["environment"]["processes"]) == (1, 2)
    assert lasting(two["rounds"][0]) == lasting(one["rounds"][0])
    for alone, together in zip(one["rounds"], two["rounds"], strict=True):
        low, high = alone["ci95"]
        assert 0 < low <= together["accuracy"] <= high


# --- ended, and gone on with ---


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 1], ids=["leader, in an exam", "helper, in training"])
def test_when_a_process_is_killed_all_end_in_seconds_and_one_process_goes_on(
    dies: int, tiny_config: LoopConfig, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with two_processes(tiny_config, out) as (launcher, ended):
        wait_for(launcher, out / "round-1" / "lessons.jsonl" if dies else out / "round-1" / "exam.jsonl.partial")
        killed = time.monotonic()
        process_of(launcher, dies).kill()
        said = ended()
    assert time.monotonic() - killed < 10
    assert launcher.returncode not in (0, None)
    ours = [line for line in said.splitlines() if line.startswith("l2r-lite: ")]
    # Which of the two it hears of first is a matter of milliseconds.
    assert len(ours) == 1 and ("another process of this run has ended" in ours[0] or "ended by the launcher" in ours[0]), said
    assert "l2r-lite run --resume" in ours[0]
    assert not (out / "round-1" / ("adapter" if dies else "exam.jsonl")).exists()
    run(tiny_config, out)
    assert_same_run(out, alone)  # what two processes wrote, one would have written, too; training begins anew


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_two_go_on_with_what_one_had_begun(tiny_config: LoopConfig, tmp_path: Path) -> None:
    out, config = tmp_path / "run", tiny_config.with_(rounds=1)
    steps: list[object] = []
    stopped = run(config, out, stop=lambda: len(steps) > 3, on_step=steps.append)
    assert stopped["stopped"] == "user" and (out / "round-1" / "lessons.jsonl").exists()
    lessons = (out / "round-1" / "lessons.jsonl").read_text()
    (out / "round-1" / "lessons.jsonl").unlink()  # so that there is a file to wait for
    with two_processes(config, out) as (launcher, ended):
        wait_for(launcher, out / "round-1" / "lessons.jsonl")
        asked = time.monotonic()
        os.killpg(launcher.pid, signal.SIGINT)
        said = ended()
    assert time.monotonic() - asked < 10 and launcher.returncode not in (0, None)
    assert [line for line in said.splitlines() if line.startswith("l2r-lite: stopped.")], said[-3000:]
    with two_processes(config, out) as (launcher, ended):
        said = ended()
    assert launcher.returncode == 0, said[-3000:]
    assert json.loads((out / "report.json").read_text())["stopped"] == "rounds"
    assert (out / "round-1" / "lessons.jsonl").read_text() == lessons
    assert (out / "student" / "adapter_model.safetensors").is_file()


@pytest.mark.slow
def test_an_error_of_the_leader_is_one_sentence_from_one_process(tiny_config: LoopConfig, tmp_path: Path) -> None:
    run(tiny_config.with_(rounds=0), tmp_path / "run")
    with two_processes(tiny_config.with_(seed=3), tmp_path / "run") as (launcher, ended):
        said = ended()
    assert launcher.returncode not in (0, None)
    ours = [line for line in said.splitlines() if line.startswith("l2r-lite: ")]
    assert len(ours) == 1 and "seed = 0 there, 3 asked for" in ours[0], said[-3000:]


# --- what cannot be done, said at once ---


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put this process into the environment that a launcher makes."""
    join.cache_clear()
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)

    def put(**environment: str) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return put


def test_a_process_alone_is_no_team(launched: Callable[..., None]) -> None:
    assert join() is None


@pytest.mark.parametrize("engine", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_an_engine_that_cuts_the_student_up_is_refused_in_a_sentence(engine: str, launched: Callable[..., None]) -> None:
    launched(WORLD_SIZE="2", RANK="1", **{f"ACCELERATE_USE_{engine}": "true"})
    with pytest.raises(ConfigError, match=f"^{engine}: .*each device holds a whole one.*accelerate config"):
        join()


@pytest.mark.parametrize("how", [["--cpu"], []], ids=["--cpu", "no GPU"])
def test_one_process_where_several_were_asked_for_is_noticed(how: list[str], launched: Callable[..., None]) -> None:
    """accelerate starts one process without a word where it finds no GPU, and with --cpu."""
    asked = launch_command_parser().parse_args([*how, "--num_processes", "2", "-m", "l2r_lite", "run"])
    launched(**prepare_simple_launcher_cmd_env(_validate_launch_command(asked)[0])[1])
    with pytest.raises(ConfigError, match="started one.*--multi_gpu"):
        join()
    asked.num_processes = 1
    launched()
    del os.environ["MASTER_ADDR"]
    launched(**prepare_simple_launcher_cmd_env(_validate_launch_command(asked)[0])[1])
    assert join() is None
