"""A full disk, a folder that cannot be written or is missing, a clock set back, two runs at once, an interrupted notebook:
one sentence, nothing lost, and the run can resume."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from killing import start
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from same_run import assert_same_run, run


def size(out: Path) -> int:
    return sum(f.stat().st_size for f in out.rglob("*") if f.is_file())


def orphans(out: Path) -> list[Path]:
    return [f for f in out.rglob("*") if f.name.startswith(".")]


def one_sentence(error: pytest.ExceptionInfo[RunError]) -> str:
    said = str(error.value)
    assert "\n" not in said and len(said) < 400
    return said


# --- the disk ---


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small disk: disk("size=300k") mounts it or changes it."""
    place, mounted = tmp_path / "disk", False

    def mount(options: str) -> Path:
        nonlocal mounted
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"{'remount,' * mounted}{options}", "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small disk can only be mounted by root on Linux")
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("share", [0.02, pytest.param(0.3, marks=pytest.mark.slow), 0.6, 0.95])
def test_a_full_disk_is_one_sentence_and_with_more_room_the_run_goes_on(
    share: float, tiny_config: LoopConfig, finished_run: Path, disk: Callable[[str], Path]
) -> None:
    out = disk(f"size={max(8, int(size(finished_run) * share) // 1024)}k") / "run"
    with pytest.raises(RunError, match="the disk is full; free some space.*l2r-lite run --resume") as error:
        run(tiny_config, out)
    one_sentence(error)
    assert not orphans(out), "what was half-written fills the disk still"
    disk("size=100m")
    run(tiny_config, out)
    assert_same_run(out, finished_run)


def test_a_disk_that_can_only_be_read_is_one_sentence_and_the_run_goes_on_later(
    tiny_config: LoopConfig, finished_run: Path, disk: Callable[[str], Path]
) -> None:
    out = disk("size=100m") / "run"
    run(tiny_config.with_(rounds=1), out)
    disk("ro")
    with pytest.raises(RunError, match="can only be read; make it writable") as error:
        run(tiny_config, out)
    one_sentence(error)
    disk("rw")
    run(tiny_config, out)
    assert_same_run(out, finished_run)


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_leave_to_write_is_one_sentence(tiny_config: LoopConfig, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(RunError, match="may not be written; make it writable"):
        run(tiny_config, tmp_path / "run")
    tmp_path.chmod(0o755)


@pytest.mark.parametrize("moment", ["exam", "training"])
def test_a_folder_removed_midway_is_told_and_does_not_come_back_empty(
    moment: str, tiny_config: LoopConfig, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    gone = threading.Event()

    def remove(*_: object) -> None:
        if not gone.is_set() and (moment == "training" or (out / "round-1" / "exam.jsonl.partial").exists()):
            shutil.rmtree(out)
            gone.set()

    told = {"on_step": remove} if moment == "training" else {"on_progress": remove}
    with pytest.raises(RunError, match="the run folder was removed while its run was in progress") as error:
        run(tiny_config, out, **told)  # type: ignore[arg-type]
    one_sentence(error)
    assert gone.is_set() and not out.exists()


def test_a_folder_put_back_midway_is_not_taken_for_the_old_one(
    tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"

    def swap(report: dict[str, Any]) -> None:
        if len(report["rounds"]) == 1:
            out.rename(tmp_path / "elsewhere")
            shutil.copytree(finished_run, out)

    with pytest.raises(RunError, match="was removed"):
        run(tiny_config, out, on_round=swap)
    (tmp_path / "elsewhere").rename(tmp_path / "again")
    run(tiny_config, tmp_path / "again")
    assert_same_run(tmp_path / "again", finished_run)


# --- the clock ---


def test_a_clock_set_back_changes_nothing(
    tiny_config: LoopConfig, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look at the clock is an hour before the last one, and the files of the run's first half lie in the future."""
    now, real = time.time(), time.time
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(looks))
    looks = iter(range(10**9))
    run(tiny_config.with_(rounds=1), tmp_path / "run")
    for file in (tmp_path / "run").rglob("*"):
        os.utime(file, (real() + 10**8, real() + 10**8))
    report = run(tiny_config, tmp_path / "run")
    assert_same_run(tmp_path / "run", finished_run)
    assert all(0 <= r[key] < 600 for r in report["rounds"] for key in r if key.endswith("_seconds"))


# --- two at once ---


def wait_for(file: Path) -> None:
    until = time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_second_run_on_a_folder_is_told_who_holds_it_and_takes_over_from_the_dead(
    tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    long = tiny_config.with_(teacher_cache=str(tmp_path / "x"))
    first = start(long, out)
    wait_for(out / "round-0" / "validation.jsonl.partial")
    os.kill(first.pid, signal.SIGSTOP)  # so that it is still at it, however slow this process is
    try:
        before = {f: f.stat().st_mtime_ns for f in out.rglob("*")}
        with pytest.raises(RunError, match=rf"another run is using this folder \(process {first.pid} on .*, since 20") as error:
            run(tiny_config, out)
        one_sentence(error)
        assert before == {f: f.stat().st_mtime_ns for f in out.rglob("*")}
    finally:
        first.kill()
        first.join()
    assert (out / "running.json").exists()
    run(tiny_config, out)
    assert_same_run(out, finished_run)
    assert not (out / "running.json").exists()


def test_two_runs_of_one_process_on_a_folder_exclude_each_other(
    tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    """As two panels of one notebook would."""
    errors: list[str] = []

    def second(report: dict[str, Any]) -> None:
        try:
            run(tiny_config, tmp_path / "run")
        except RunError as error:
            errors.append(str(error))

    def panel(report: dict[str, Any]) -> None:
        thread = threading.Thread(target=second, args=(report,))
        thread.start()
        thread.join()

    run(tiny_config, tmp_path / "run", on_round=panel)
    assert len(errors) == 3 and all(f"process {os.getpid()}" in e for e in errors)
    assert_same_run(tmp_path / "run", finished_run)


# --- a notebook ---

CELL = """
from l2r_lite.loop.config import LoopConfig
from l2r_lite.runs.run import run_rounds
config = LoopConfig(**{config!r})
print("begins", flush=True)
report = run_rounds(config, {out!r}, on_step=lambda step: (print("step", flush=True), __import__("time").sleep({pause})))
print("ended:", report["stopped"], len(report["rounds"]), flush=True)
"""


@pytest.mark.slow
def test_an_interrupted_cell_and_a_restarted_kernel_lose_nothing(
    tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    client = pytest.importorskip("jupyter_client")
    manager, kernel = client.manager.start_new_kernel(kernel_name="python3", env={**os.environ, "OMP_NUM_THREADS": "1"})
    out = str(tmp_path / "run")

    def said(until: Callable[[str], bool]) -> str:
        text = ""
        while not until(text):
            message = kernel.get_iopub_msg(timeout=60)
            content = message["content"]
            text += content.get("text", "") + "\n".join(content.get("traceback", ()))
            if message["msg_type"] == "error":
                break
        return text

    try:
        kernel.execute(CELL.format(config=tiny_config.to_json(), out=out, pause=1.0))
        said(lambda text: "step" in text)
        manager.interrupt_kernel()
        assert "ended: user 1" in said(lambda text: "ended" in text)  # one sentence, no traceback
        assert not orphans(Path(out))
        kernel.execute(CELL.format(config=tiny_config.to_json(), out=out, pause=1.0))
        said(lambda text: "step" in text)
        manager.restart_kernel(now=True)  # in the middle of training
        kernel.wait_for_ready(timeout=120)
        kernel.execute(CELL.format(config=tiny_config.to_json(), out=out, pause=0))
        assert "ended: rounds 3" in said(lambda text: "ended" in text)
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    assert_same_run(Path(out), finished_run)
    assert json.loads((Path(out) / "report.json").read_text())["stopped"] == "rounds"
