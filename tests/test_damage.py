"""Damaged run folders: the message names fault and remedy, the remedy works, and undamaged files are used."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError, UserError
from same_run import assert_same_run, run


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
    return Path(message.partition("Remove the ")[2].partition(" to repeat")[0].removeprefix("folder ").removeprefix("file"))


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_flipped_byte_is_named_and_with_that_file_removed_the_run_is_whole_again(
    tiny_config: LoopConfig, finished_run: Path, copied_run: Path
) -> None:
    for file in SEALED:
        flip(copied_run / file)
        with pytest.raises(UserError, match="is not what the run wrote.*Remove the ") as error:
            run(tiny_config, copied_run)
        assert str(error.value).startswith(str(copied_run / file))
        remove(copied_run / file if file.endswith((".json", ".jsonl")) else advised(str(error.value)))
        if file.endswith(("training.jsonl", "losses.jsonl")):
            shutil.rmtree(copied_run / "round-1" / "adapter")
        elif file.endswith("feedback.json"):
            (copied_run / "round-1" / "lessons.jsonl").unlink()
        run(tiny_config, copied_run)
        assert_same_run(copied_run, finished_run)


def test_an_edit_that_is_meant_is_used_once_the_seals_are_removed(tiny_config: LoopConfig, copied_run: Path) -> None:
    lessons = copied_run / "round-2" / "lessons.jsonl"
    lessons.write_text("".join(lessons.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="if you meant to change it, remove .*seals.json"):
        run(tiny_config, copied_run)
    (copied_run / "seals.json").unlink()
    with pytest.warns(UserWarning, match="no checksums"):
        report = run(tiny_config, copied_run)
    assert report["rounds"][2]["lessons"] == len(lessons.read_text().splitlines())


# --- missing parts ---


def test_a_missing_adapter_is_named_and_its_round_trained_again(
    tiny_config: LoopConfig, finished_run: Path, copied_run: Path
) -> None:
    (copied_run / "round-1" / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match="adapter_model.safetensors: is missing. Remove the folder .*round-1/adapter"):
        run(tiny_config, copied_run)
    shutil.rmtree(copied_run / "round-1" / "adapter")
    sound = (copied_run / "round-2" / "exam.jsonl").stat().st_mtime_ns
    run(tiny_config, copied_run)
    assert_same_run(copied_run, finished_run)
    assert (copied_run / "round-2" / "exam.jsonl").stat().st_mtime_ns == sound, "what was sound was not used"


def test_what_can_be_made_again_is_made_again(tiny_config: LoopConfig, finished_run: Path, copied_run: Path) -> None:
    for gone in ("student", "report.json", "run.lock", "round-2", "round-1/stages.json", "config.json"):
        remove(copied_run / gone)
        run(tiny_config, copied_run)
        assert_same_run(copied_run, finished_run)


# --- settings ---


def edit(file: Path, **changes: Any) -> None:
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | changes))


def test_a_config_edited_by_hand_is_named_with_what_the_run_was_made_with(
    tiny_config: LoopConfig, finished_run: Path, copied_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copied_run / "config.json", seed=5)
    assert main(["run", "--resume", str(copied_run)]) == 2
    assert "was edited by hand: seed = 5 there, and the run was made with 0. Put that back" in capsys.readouterr().err
    edit(copied_run / "config.json", seed=0)
    run(tiny_config, copied_run)
    assert_same_run(copied_run, finished_run)


def test_a_run_whose_config_is_gone_cannot_go_on_with_other_settings(tiny_config: LoopConfig, copied_run: Path) -> None:
    (copied_run / "config.json").unlink()
    with pytest.raises(UserError, match="other settings: samples = 2 there, 3 asked for"):
        run(tiny_config.with_(samples=3), copied_run)


# --- versions ---


def test_a_folder_of_a_newer_version_is_refused_and_not_touched(tiny_config: LoopConfig, copied_run: Path) -> None:
    edit(copied_run / "seals.json", format=2)
    before = {f: f.stat().st_mtime_ns for f in copied_run.rglob("*")}
    with pytest.raises(UserError, match=r"written by a newer l2r_lite \(format 2; this one reads 1\). Update"):
        run(tiny_config.with_(rounds=3), copied_run)
    assert before == {f: f.stat().st_mtime_ns for f in copied_run.rglob("*")}


def test_a_folder_of_the_version_before_seals_is_named_and_used(
    tiny_config: LoopConfig, finished_run: Path, copied_run: Path
) -> None:
    for name in ("seals.json", "run.lock"):
        (copied_run / name).unlink()
    settings = json.loads((copied_run / "config.json").read_text())
    del settings["concurrency"]  # a knob that came later
    (copied_run / "config.json").write_text(json.dumps(settings))
    with pytest.warns(UserWarning, match="made by a version that kept no checksums.*are used as they are"):
        run(tiny_config, copied_run)
    assert_same_run(copied_run, finished_run)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # from now on it has them
        run(tiny_config, copied_run)


def test_a_run_of_the_version_before_the_decaying_rate_is_not_gone_on_with(tiny_config: LoopConfig, copied_run: Path) -> None:
    seals = json.loads((copied_run / "seals.json").read_text())
    del seals["config"]["rate_decay"]
    edit(copied_run / "seals.json", config=seals["config"])
    with pytest.raises(RunError, match="an earlier l2r_lite, which trained differently.*use another folder"):
        run(tiny_config.with_(rounds=3), copied_run)


def test_damaged_seals_are_named(tiny_config: LoopConfig, copied_run: Path) -> None:
    for text in ("{", "[]", "{}", '{"format": "x", "config": {}, "sha256": {}}', "[" * 100_000):
        (copied_run / "seals.json").write_text(text)
        with pytest.raises(UserError, match=r"seals\.json: (is .*must be|has no field|format is .*must be|cannot be read)"):
            run(tiny_config, copied_run)


# --- whatever happens to a file ---


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half of it": lambda data: data[: len(data) // 2], "nothing": lambda data: b"", "zeros": lambda data: bytes(len(data)),
    "another file": lambda data: b"\x89PNG\r\n", "deep": lambda data: b"[" * 100_000,
    "a line twice": lambda data: data + data.splitlines(keepends=True)[0] if data else b"\n",
}  # fmt: skip


def test_whatever_happened_to_a_file_one_sentence_names_it(tiny_config: LoopConfig, copied_run: Path) -> None:
    last = copied_run / "round-1" / "test.jsonl"
    for file in ("config.json", "problems/test.jsonl", "round-1/exam.jsonl", "round-1/feedback.json", "round-1/stages.json",
                 "round-1/adapter/adapter_model.safetensors"):  # fmt: skip
        sound, tested = (copied_run / file).read_bytes(), last.read_bytes()
        for damage in DAMAGE.values():
            (copied_run / file).write_bytes(damage(sound))
            if file.endswith("stages.json"):  # times only: read when it is needed
                last.unlink(missing_ok=True)
            with pytest.raises(UserError) as error:
                run(tiny_config, copied_run)
            assert file in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 500
        (copied_run / file).write_bytes(sound)
        last.write_bytes(tested)
