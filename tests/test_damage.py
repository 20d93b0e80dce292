"""Damaged run folders: what is wrong is named with its remedy, the remedy works, and what is sound is used."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_rounds import assert_same_run

from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.runs.run import run_rounds


@pytest.fixture(scope="module")
def config(tiny_folder: Path) -> LoopConfig:
    return LoopConfig(
        student=str(tiny_folder), limit=18, validation_limit=9, test_limit=9, rounds=2, samples=2, epochs=1, batch_size=8,
        max_new_tokens=12, exam_rows=12, reflection_weight=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_rounds(config, out, progress=False)
    return out


@pytest.fixture
def out(undisturbed: Path, tmp_path: Path) -> Path:
    shutil.copytree(undisturbed, tmp_path / "run")
    return tmp_path / "run"


def flip(file: Path) -> None:
    """Another digit, or another bit of a weight: still JSON, still safetensors."""
    data = bytearray(file.read_bytes())
    place = len(data) - 9 if file.suffix == ".safetensors" else max(data.rfind(digit) for digit in b"0123456789")
    data[place] ^= 1
    file.write_bytes(bytes(data))


SEALED = ["problems/train.jsonl", "round-0/validation.jsonl", "round-1/exam.jsonl", "round-1/lessons.jsonl",
          "round-1/feedback.json", "round-1/training.jsonl", "round-1/losses.jsonl", "round-2/test.jsonl",
          "round-0/adapter/adapter_model.safetensors", "round-2/adapter/adapter_model.safetensors"]  # fmt: skip


def advised(message: str) -> Path:
    """The file or folder that a message says to remove."""
    return Path(message.partition("Remove the ")[2].partition(" to have")[0].removeprefix("folder ").removeprefix("file"))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("file", SEALED)
def test_a_flipped_byte_is_named_and_with_that_file_removed_the_run_is_whole_again(
    file: str, config: LoopConfig, undisturbed: Path, out: Path
) -> None:
    flip(out / file)
    with pytest.raises(UserError, match="is not what the run wrote.*Remove the ") as error:
        run_rounds(config, out, progress=False)
    assert str(error.value).startswith(str(out / file))
    remove(out / file if file.endswith((".json", ".jsonl")) else advised(str(error.value)))
    if file.endswith(("training.jsonl", "losses.jsonl")):
        shutil.rmtree(out / "round-1" / "adapter")
    elif file.endswith("feedback.json"):
        (out / "round-1" / "lessons.jsonl").unlink()
    run_rounds(config, out, progress=False)
    assert_same_run(out, undisturbed)


def test_an_edit_that_is_meant_is_used_once_the_seals_are_removed(config: LoopConfig, out: Path) -> None:
    lessons = out / "round-2" / "lessons.jsonl"
    lessons.write_text("".join(lessons.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="if you meant to change it, remove .*seals.json"):
        run_rounds(config, out, progress=False)
    (out / "seals.json").unlink()
    with pytest.warns(UserWarning, match="no checksums"):
        report = run_rounds(config, out, progress=False)
    assert report["rounds"][2]["lessons"] == len(lessons.read_text().splitlines())


# --- missing parts ---


def test_a_missing_adapter_is_named_and_its_round_trained_again(config: LoopConfig, undisturbed: Path, out: Path) -> None:
    (out / "round-1" / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match="adapter_model.safetensors: is missing. Remove the folder .*round-1/adapter"):
        run_rounds(config, out, progress=False)
    shutil.rmtree(out / "round-1" / "adapter")
    sound = (out / "round-2" / "exam.jsonl").stat().st_mtime_ns
    run_rounds(config, out, progress=False)
    assert_same_run(out, undisturbed)
    assert (out / "round-2" / "exam.jsonl").stat().st_mtime_ns == sound, "what was sound was not used"


@pytest.mark.parametrize("gone", ["student", "report.json", "run.lock", "round-2", "round-1/stages.json", "config.json"])
def test_what_can_be_made_again_is_made_again(gone: str, config: LoopConfig, undisturbed: Path, out: Path) -> None:
    remove(out / gone)
    run_rounds(config, out, progress=False)
    assert_same_run(out, undisturbed)


# --- settings ---


def edit(file: Path, **changes: Any) -> None:
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | changes))


def test_a_config_edited_by_hand_is_named_with_what_the_run_was_made_with(
    config: LoopConfig, undisturbed: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(out / "config.json", seed=5)
    assert main(["run", "--resume", str(out)]) == 2
    assert "was edited by hand: seed = 5 there, and the run was made with 0. Put that back" in capsys.readouterr().err
    edit(out / "config.json", seed=0)
    run_rounds(config, out, progress=False)
    assert_same_run(out, undisturbed)


def test_a_run_whose_config_is_gone_cannot_go_on_with_other_settings(config: LoopConfig, out: Path) -> None:
    (out / "config.json").unlink()
    with pytest.raises(UserError, match="other settings: samples = 2 there, 3 asked for"):
        run_rounds(config.with_(samples=3), out, progress=False)


# --- versions ---


def test_a_folder_of_a_newer_version_is_refused_and_not_touched(config: LoopConfig, out: Path) -> None:
    edit(out / "seals.json", format=2)
    before = {f: f.stat().st_mtime_ns for f in out.rglob("*")}
    with pytest.raises(UserError, match=r"written by a newer l2r_lite \(format 2; this one reads 1\). Update"):
        run_rounds(config.with_(rounds=3), out, progress=False)
    assert before == {f: f.stat().st_mtime_ns for f in out.rglob("*")}


def test_a_folder_of_the_version_before_seals_is_named_and_used(config: LoopConfig, undisturbed: Path, out: Path) -> None:
    for name in ("seals.json", "run.lock"):
        (out / name).unlink()
    settings = json.loads((out / "config.json").read_text())
    del settings["concurrency"]  # a knob that came later
    (out / "config.json").write_text(json.dumps(settings))
    with pytest.warns(UserWarning, match="made by an l2r_lite that kept no checksums.*are used as they are"):
        run_rounds(config, out, progress=False)
    assert_same_run(out, undisturbed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # from now on it has them
        run_rounds(config, out, progress=False)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "x", "config": {}, "sha256": {}}', "[" * 100_000])
def test_damaged_seals_are_named(text: str, config: LoopConfig, out: Path) -> None:
    (out / "seals.json").write_text(text)
    with pytest.raises(UserError, match=r"seals\.json: (is damaged|cannot be read)"):
        run_rounds(config, out, progress=False)


# --- whatever happens to a file ---


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half of it": truncate, "nothing": lambda data: b"", "zeros": lambda data: bytes(len(data)),
    "another file": lambda data: b"\x89PNG\r\n", "deep": lambda data: b"[" * 100_000,
    "a line twice": lambda data: data + data.splitlines(keepends=True)[0] if data else b"\n",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", ["config.json", "problems/test.jsonl", "round-1/exam.jsonl", "round-1/feedback.json",
                                  "round-1/adapter/adapter_model.safetensors", "round-1/stages.json"])  # fmt: skip
def test_whatever_happened_to_a_file_one_sentence_names_it(damage: str, file: str, config: LoopConfig, out: Path) -> None:
    (out / file).write_bytes(DAMAGE[damage]((out / file).read_bytes()))
    if file.endswith("stages.json"):  # times only: read when it is needed
        (out / "round-1" / "test.jsonl").unlink()
    try:
        run_rounds(config, out, progress=False)
    except UserError as error:
        assert file in str(error) and "\n" not in str(error) and len(str(error)) < 500
    else:
        pytest.fail("it went on as if nothing had happened")
