"""Several processes do one run: same lessons, same training up to rounding; if one dies, all end and the run can resume."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_simple_launcher_cmd_env
from safetensors.torch import load_file
from torch import Tensor

from killing import start
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.students.devices import join
from l2r_lite.students.packing import Share, packed_loss
from same_run import assert_same_run, flags, lasting, read_report, run

LAUNCH = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "l2r_lite",
]  # fmt: skip


# --- shares of a training step ---


@pytest.mark.parametrize("size", [2, 3])
def test_the_shares_of_a_batch_add_up_to_its_gradients_and_losses(
    load_tiny: Callable, pocket_problems: list[Problem], size: int
) -> None:
    """Also where a share is empty, or has no triplet; every share needs the counts of all."""
    student: Student = load_tiny(wake=True, device="cpu")
    p, wrong = pocket_problems, "It is so. The answer is 1."
    three = [TrainingItem(q, write_rationale(q, 0), write_rationale(q, 1), wrong) for q in p[:2]]
    for items in (three + [TrainingItem(q, write_rationale(q, 0)) for q in p[2:5]], three[:1]):
        for config in (LoopConfig(reflection_weight=0.5), LoopConfig(reflection_weight=0.5, micro_batch=1)):
            whole = of_step(student, items, config, packed_loss)
            counts: list[Tensor] = []
            for rank in range(size):  # each process counts what it has …
                next(packed_loss(student, items, config, share=Share(rank, size, partial(noted, counts))), None)
            added_up = partial(lambda total, _: total, torch.stack(counts).sum(0))  # … and all counts are added up
            found = [of_step(student, items, config, partial(packed_loss, share=Share(r, size, added_up))) for r in range(size)]
            for name, value in whole[0].items():
                assert sum(logged.get(name, 0.0) for logged, _ in found) == pytest.approx(value, rel=1e-4), name
            torch.testing.assert_close(sum(gradients for _, gradients in found), whole[1], rtol=1e-3, atol=1e-6)


def noted(counts: list[Tensor], numbers: Tensor) -> Tensor:
    counts.append(numbers)
    return numbers


def of_step(student: Student, items: list[TrainingItem], config: LoopConfig, objective: Any) -> tuple[dict[str, float], Tensor]:
    student.model.zero_grad(set_to_none=True)
    logged = train_step(student, items, config, objective)
    weights = student.trainable.values()
    return logged, torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights])


# --- two processes, forked ---


def two(config: LoopConfig, out: Path, *, die_at: tuple[int | str, int | str] = (0, 0)) -> list[Any]:
    """A run by two processes, as a launcher would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        start(config, out, die_at=die_at[rank], told=out.with_name(f"told-{rank}"), said=out.with_name(f"said-{rank}"),
              RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        for rank in range(2)
    ]  # fmt: skip


def ended(processes: list[Any], seconds: float = 60) -> list[int | None]:
    """The status of each, once all have ended."""
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    statuses = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return statuses


def ours(out: Path) -> list[str]:
    """What the processes of a run said in our name."""
    texts = [out.with_name(f"said-{rank}").read_text() for rank in range(2)]
    return [line for text in texts for line in text.splitlines() if line.startswith("l2r-lite: ")]


def assert_same_up_to_rounding(one: Path, two: Path) -> None:
    """One process and two: the same samples and lessons, and nearly the same student."""
    for name in ("round-0/test", "round-0/validation", "round-1/exam", "round-1/lessons", "round-1/training"):
        texts = [(out / f"{name}.jsonl").read_text(encoding="utf-8") for out in (one, two)]
        assert texts[0] == texts[1] and texts[0], name
    steps = [[json.loads(x) for x in (out / "round-1" / "losses.jsonl").read_text().splitlines()] for out in (one, two)]
    assert len(steps[0]) == len(steps[1]) > 2
    for alone, together in zip(*steps, strict=True):
        assert together == pytest.approx(alone, rel=1e-3)
    fresh, mine, theirs = (
        torch.cat([w.flatten() for _, w in sorted(load_file(folder / "adapter" / "adapter_model.safetensors").items())])
        for folder in (one / "round-0", one / "round-1", two / "round-1")
    )
    assert (mine - theirs).norm() < 1e-3 * (mine - fresh).norm() > 0
    reports = [read_report(out) for out in (one, two)]
    assert [report["environment"]["processes"] for report in reports] == [1, 2]
    assert lasting(reports[0]["rounds"][0]) == lasting(reports[1]["rounds"][0])
    for alone, together in zip(*(report["rounds"] for report in reports), strict=True):
        low, high = alone["ci95"]
        assert low <= together["accuracy"] <= high


def test_two_processes_write_the_same_samples_get_the_same_lessons_and_train_the_same_student(
    tiny_config: LoopConfig, tmp_path: Path
) -> None:
    """One validation question: fewer than processes. A worked example, which both put before every prompt."""
    config = tiny_config.with_(rounds=1, validation_limit=1, demonstrations=1)
    run(config, tmp_path / "one")
    assert ended(two(config, tmp_path / "two")) == [0, 0]
    assert_same_up_to_rounding(tmp_path / "one", tmp_path / "two")
    assert not ours(tmp_path / "two")


@pytest.mark.parametrize("dies", [0, 1], ids=["leader, in an exam", "helper, in training"])
def test_when_a_process_dies_the_other_ends_with_a_sentence_and_one_process_goes_on(
    dies: int, tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    statuses = ended(two(tiny_config, out, die_at=(0, "1/training") if dies else ("1/exam", 0)))
    assert statuses[dies] == -signal.SIGKILL and statuses[1 - dies] not in (0, None, -signal.SIGKILL)
    (said,) = ours(out)
    assert "another process of this run has ended" in said and "l2r-lite run --resume" in said
    assert (out / "round-1" / ("lessons.jsonl" if dies else "exam.jsonl.partial")).exists()
    assert not (out / "round-1" / ("adapter" if dies else "exam.jsonl")).exists()
    run(tiny_config, out)
    assert_same_run(out, finished_run)  # what two processes wrote, one would have written, too; training begins anew


def test_an_interrupt_ends_both_at_once_and_two_go_on_with_what_was_begun(tiny_config: LoopConfig, tmp_path: Path) -> None:
    out, config = tmp_path / "run", tiny_config.with_(rounds=1, epochs=20)
    processes = two(config, out)
    wait_for(processes[0].is_alive, out / "round-1" / "lessons.jsonl")
    for process in processes:
        os.kill(process.pid, signal.SIGINT)
    assert ended(processes, 10) == [128 + signal.SIGINT] * 2
    assert len(ours(out)) == 1 and ours(out)[0].startswith("l2r-lite: stopped.")
    lessons = (out / "round-1" / "lessons.jsonl").read_text()
    assert not (out / "round-1" / "adapter").exists()
    assert ended(two(config, out)) == [0, 0]
    assert read_report(out)["stopped"] == "rounds" and (out / "round-1" / "lessons.jsonl").read_text() == lessons


def test_an_error_of_the_leader_is_its_own_and_the_helper_goes_without_a_word(
    tiny_config: LoopConfig, copied_run: Path
) -> None:
    assert ended(two(tiny_config.with_(seed=3), copied_run)) == [0, 0]
    assert "seed = 0 there, 3 asked for" in json.loads(copied_run.with_name("told-0").read_text())["error"]
    assert not copied_run.with_name("told-1").exists() and not ours(copied_run)


# --- two processes of accelerate's launcher ---


@contextmanager
def two_processes(config: LoopConfig, out: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """A run by two processes: the launcher, and a function that waits for its end and returns all that was said."""
    said = out.with_name(out.name + ".log")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with said.open("w") as log:
        # A session of its own, so that Ctrl+C can be sent to the launcher and its processes as a terminal does.
        launcher = subprocess.Popen([*LAUNCH, *flags(config, out)], stdout=log, stderr=subprocess.STDOUT, text=True,
                                    env=environment, start_new_session=True)  # fmt: skip

    def end() -> str:
        launcher.wait(120)
        return said.read_text()

    try:
        yield launcher, end
    finally:
        if launcher.poll() is None:
            os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()


def process_of(launcher: subprocess.Popen[str], rank: int) -> psutil.Process:
    children = psutil.Process(launcher.pid).children(recursive=True)
    return next(p for p in children if p.environ().get("RANK") == str(rank))


def wait_for(alive: Callable[[], bool], *files: Path) -> None:
    until = time.monotonic() + 120
    while not all(f.exists() and f.stat().st_size for f in files):
        assert alive() and time.monotonic() < until, f"it ended before {files} were there"
        time.sleep(0.002)


@pytest.mark.slow
def test_the_launchers_two_processes_train_the_same_pocket_student(tmp_path: Path) -> None:
    config = LoopConfig(limit=60, validation_limit=1, test_limit=51, rounds=1, epochs=1, exam_rows=48, batch_size=8,
                        demonstrations=1, reflection_weight=0.5)  # fmt: skip
    run(config, tmp_path / "one")
    with two_processes(config, tmp_path / "two") as (launcher, end):
        said = end()
    assert launcher.returncode == 0, said[-3000:]
    assert said.count("after round 1") == 1, "not one process alone has told"
    assert_same_up_to_rounding(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_the_launcher_ends_all_in_seconds_when_one_is_killed_or_by_ctrl_c(tiny_config: LoopConfig, tmp_path: Path) -> None:
    config = tiny_config.with_(rounds=1, epochs=100)
    for who in (0, 1, "everybody"):
        out = tmp_path / str(who)
        with two_processes(config, out) as (launcher, end):
            wait_for(lambda launcher=launcher: launcher.poll() is None, out / "round-1" / "lessons.jsonl")
            asked = time.monotonic()
            if who == "everybody":
                os.killpg(launcher.pid, signal.SIGINT)
            else:
                process_of(launcher, int(who)).kill()
            said = end()
        assert time.monotonic() - asked < 10 and launcher.returncode not in (0, None)
        told = [line for line in said.splitlines() if line.startswith("l2r-lite: ")]
        # Which of the two it hears of first, the death or the launcher, is a matter of milliseconds.
        words = ("stopped.",) if who == "everybody" else ("another process of this run has ended", "ended by the launcher")
        assert any(word in line for word in words for line in told), said[-3000:]
        assert len(told) == 1 or who == "everybody", told


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


def test_an_engine_that_cuts_the_student_up_is_refused_in_a_sentence(
    launched: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for engine in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        launched(WORLD_SIZE="2", RANK="1", **{f"ACCELERATE_USE_{engine}": "true"})
        with pytest.raises(ConfigError, match=f"^{engine}: .*each device holds a whole one.*accelerate config"):
            join()
        monkeypatch.delenv(f"ACCELERATE_USE_{engine}")


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
