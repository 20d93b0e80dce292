"""Links that a stranger put into a run folder: nothing is written through them, and one sentence names them."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from l2r_lite.app.cli import main
from l2r_lite.app.figures import base
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.records import Rejection
from l2r_lite.loop.runfolder import Growing, read_json, read_lines, write_json, write_lines
from l2r_lite.runs import guard
from l2r_lite.runs.run import run_rounds
from l2r_lite.teachers.replies import ReplyCache
from same_run import flags

PRECIOUS = "not yours\n"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """Names under a folder that Python opened to write, renamed or made; `sys.addaudithook` cannot be undone."""

    folder: Path | None = None
    names: set[str] = set()

    @classmethod
    def hook(cls, event: str, args: tuple[Any, ...]) -> None:
        if cls.folder is None:
            return
        paths: tuple[Any, ...] = ()
        if event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            paths = args[:1]
        elif event in ("os.rename", "os.mkdir"):
            paths = args[:2]
        for path in paths:
            if isinstance(path, str | Path) and Path(path).is_relative_to(cls.folder):
                cls.names.add(Path(path).relative_to(cls.folder).as_posix())


sys.addaudithook(Watch.hook)


@pytest.fixture(scope="module")
def config(tiny_folder: Path) -> LoopConfig:
    return LoopConfig(
        student=str(tiny_folder), limit=6, validation_limit=3, test_limit=3, rounds=1, samples=2, epochs=1, batch_size=8,
        max_new_tokens=8, reflection_weight=0.5, demonstrations=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A finished run of the command line, and every name that came to be in its folder, if only for a moment."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    Watch.folder = out
    try:
        assert main(flags(config, out)) == 0
    finally:
        Watch.folder = None
    stayed = {f.relative_to(out).as_posix() for f in out.rglob("*")}
    names = sorted(n for n in stayed | Watch.names if not any(p.startswith(guard.SCRATCH) for p in Path(n).parts) and n != ".")
    return out, names


def test_the_names_are_those_of_a_whole_run(whole: tuple[Path, list[str]]) -> None:
    _, names = whole
    assert len(names) > 60
    assert {"run.lock", "running.json", ".running.json.writing", "seals.json", "config.json", "problems", "problems/test.jsonl",
            "demonstrations.jsonl", "round-0/adapter", "round-1/exam.jsonl", "round-1/exam.jsonl.partial",
            "round-1/.exam.jsonl.partial.writing", "round-1/feedback.json", "round-1/stages.json", "report.json",
            "report.png", ".report.png.writing", "student"} <= set(names)  # fmt: skip


@pytest.fixture
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """What the planted links point to: a file, nothing, or a folder with a file."""
    aim = tmp_path / "elsewhere"
    if request.param == "a file":
        aim.write_text(PRECIOUS)
    elif request.param == "a folder":
        aim.mkdir()
        (aim / "file").write_text(PRECIOUS)
    return aim


def unharmed(aim: Path, kind: str) -> bool:
    if kind == "a folder":
        return [f.name for f in aim.iterdir()] == ["file"] and (aim / "file").read_text() == PRECIOUS
    return aim.read_text() == PRECIOUS if kind == "a file" else not os.path.lexists(aim)


def refused(arguments: list[str], link: Path, said: pytest.CaptureFixture[str]) -> None:
    said.readouterr()
    assert main(arguments) == 2
    told = said.readouterr().err
    assert told.count("\n") == 1 and told.startswith(f"l2r-lite: {link}: is a link, and a write through it could land"), told


KINDS = ["a file", "nothing", "a folder"]


@pytest.mark.parametrize("target", KINDS, indirect=True)
def test_a_new_run_writes_through_no_link_at_any_name_that_it_writes(
    whole: tuple[Path, list[str]], config: LoopConfig, target: Path, tmp_path: Path, request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    kind = request.node.callspec.params["target"]
    for name in [*whole[1], "served", "another.jsonl"]:
        out = tmp_path / "run"
        (out / name).parent.mkdir(parents=True)
        (out / name).symlink_to(target)
        refused(flags(config, out), out / name, capsys)
        assert unharmed(target, kind), name
        shutil.rmtree(out)


@pytest.mark.parametrize("target", KINDS, indirect=True)
def test_a_resumed_run_writes_through_no_link_at_any_name_that_it_writes(
    whole: tuple[Path, list[str]], target: Path, tmp_path: Path, request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    kind = request.node.callspec.params["target"]
    out, aside = Path(shutil.copytree(whole[0], tmp_path / "run")), tmp_path / "aside"
    for name in whole[1]:
        there = (out / name).exists()
        if there:
            (out / name).rename(aside)
        (out / name).symlink_to(target)
        resume = ["run", "--resume", str(out), "--rounds", "2"]
        if name == "config.json":  # read first, and no config
            assert main(resume) == 2
            told = capsys.readouterr().err
            assert told.count("\n") == 1 and "config.json: cannot be read as a run's config" in told
        else:
            refused(resume, out / name, capsys)
        assert unharmed(target, kind), name
        (out / name).unlink()
        if there:
            aside.rename(out / name)
    assert main(["run", "--resume", str(out)]) == 0


def test_links_that_are_put_at_temporary_names_while_the_run_works_are_replaced(
    whole: tuple[Path, list[str]], config: LoopConfig, tmp_path: Path
) -> None:
    out, aim = tmp_path / "run", tmp_path / "elsewhere"
    aim.write_text(PRECIOUS)
    temporary = [n for n in whole[1] if n.endswith(".writing") and not n.startswith((".running", ".report.png"))]
    planted = set()

    def plant(_: object) -> None:
        for name in temporary:
            if (out / name).parent.is_dir() and not os.path.lexists(out / name):
                (out / name).symlink_to(aim)
                planted.add(name)

    assert run_rounds(config, out, progress=False, on_progress=plant)["stopped"] == "rounds"
    assert aim.read_text() == PRECIOUS and len(planted) > 20
    assert not [f for f in out.rglob("*") if f.is_symlink()]


# --- the writers themselves, without the look at the whole folder ---


@pytest.fixture
def aim(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "elsewhere"
    file.write_text(PRECIOUS)
    yield file
    assert file.read_text() == PRECIOUS


def test_a_file_is_written_through_no_link(tmp_path: Path, aim: Path) -> None:
    for name in ("data.json", ".data.json.writing"):
        (tmp_path / name).symlink_to(aim)
        write_json(tmp_path / "data.json", {"a": 1})
        assert read_json(tmp_path / "data.json") == {"a": 1} and not (tmp_path / "data.json").is_symlink()
        (tmp_path / "data.json").unlink()


def test_a_growing_file_is_continued_through_no_link(tmp_path: Path, aim: Path) -> None:
    growing = Growing(tmp_path / "exam.jsonl", Rejection)
    growing.append([Rejection("a", "b", "c")])
    growing.partial.unlink()
    growing.partial.symlink_to(aim)
    with pytest.raises(OSError, match="symbolic links"):
        growing.append([Rejection("a", "b", "c")])


def test_a_figure_is_written_through_no_link(tmp_path: Path, aim: Path) -> None:
    for name in ("report.png", ".report.png.writing"):
        (tmp_path / name).symlink_to(aim)
        base.save(base.new_figure(1, 1), tmp_path / "report.png")
        assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG") and not (tmp_path / "report.png").is_symlink()
        (tmp_path / "report.png").unlink()


def test_replies_are_kept_in_a_plain_file_only(tmp_path: Path, aim: Path) -> None:
    """A stranger's config.json names the cache; a device or a pipe would take what is appended to it."""
    file = tmp_path / "replies.jsonl"
    for target in (aim, tmp_path / "nowhere"):
        file.symlink_to(target)
        with pytest.raises(UserError, match="replies.jsonl: is a link, a folder or a device.*Name a plain file"):
            ReplyCache(file)
        file.unlink()
    os.mkfifo(file)
    for other in (file, tmp_path, Path(os.devnull)):
        with pytest.raises(UserError, match="is a link, a folder or a device"):
            ReplyCache(other)
    file.unlink()
    cache = ReplyCache(file)
    cache.put("a", {"text": "b"})
    file.rename(tmp_path / "moved")
    file.symlink_to(aim)
    with pytest.raises(OSError, match="symbolic links"):
        cache.put("c", {"text": "d"})


def test_notes_are_written_through_no_link(tmp_path: Path, aim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from l2r_course.checks import notes

    monkeypatch.setenv("L2R_PROGRESS", str(tmp_path / "notes.json"))
    (tmp_path / "notes.writing").symlink_to(aim)
    notes.note_solved("0.0")
    assert "0.0" in (tmp_path / "notes.json").read_text()


def test_an_export_goes_to_a_new_folder_and_to_no_link(
    whole: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exported").symlink_to(tmp_path / "nowhere")
    assert main(["export", str(whole[0]), "--to", str(tmp_path / "exported")]) == 2
    assert "exported: already exists" in capsys.readouterr().err and not (tmp_path / "nowhere").exists()


def test_a_system_without_the_flag_writes_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_NOFOLLOW")  # as on Windows
    growing = Growing(tmp_path / "exam.jsonl", Rejection)
    growing.append([Rejection("a", "½", "c")])
    growing.finish([Rejection("a", "½", "c")])
    assert read_lines(tmp_path / "exam.jsonl", Rejection) == [Rejection("a", "½", "c")]
    ReplyCache(tmp_path / "replies.jsonl").put("a", {"text": "b"})
    write_lines(tmp_path / "lines.jsonl", [{"a": 1}])


# --- what else may be in the way ---


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail where a read of a pipe would wait for ever."""

    def end(*_: object) -> None:
        raise AssertionError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_pipe_in_a_run_folder_is_refused_and_never_read(
    whole: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(whole[0], tmp_path / "run"))
    for name in ("config.json", "problems/train.jsonl", "round-1/exam.jsonl", "seals.json", "run.lock", "new"):
        there = (out / name).exists()
        if there:
            (out / name).rename(tmp_path / "aside")
        os.mkfifo(out / name)
        with at_most(30):
            assert main(["run", "--resume", str(out), "--rounds", "2"]) == 2
        told = capsys.readouterr().err
        assert f"{out / name}: " in told and ("pipe" in told or "not a file" in told) and told.count("\n") == 1
        (out / name).unlink()
        if there:
            (tmp_path / "aside").rename(out / name)


@pytest.mark.parametrize("place", ["a file", "a link to nothing", "in a file", "report.json", "running.json", "run.lock"])
def test_something_else_in_the_place_of_a_file_or_a_folder_is_named_in_one_sentence(
    place: str, config: LoopConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    if place == "a file":
        out.write_text(PRECIOUS)
    elif place == "a link to nothing":
        out.symlink_to(tmp_path / "nowhere")
    elif place == "in a file":
        out.write_text(PRECIOUS)
        out = out / "run"
    else:
        (out / place).mkdir(parents=True)
    assert main(flags(dataclasses.replace(config, rounds=0), out)) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"l2r-lite: {out}") and "because a file, folder or link is in its place; move that away" in told
