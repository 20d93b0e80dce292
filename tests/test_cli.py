"""The command line: every setting is a flag, bad input gives one sentence, heavy imports come late."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.students.presets import PRESETS

KNOBS = {f.name: f for f in dataclasses.fields(LoopConfig)}
HINTS = typing.get_type_hints(LoopConfig)
# A value that differs from the default, is allowed, and comes from a terminal as text.
OTHER: dict[str, Any] = {
    "student": "smol", "problems": "mine.jsonl", "data_dir": "/data", "teacher": "recorded:x.jsonl",
    "student_url": "http://localhost:8001/v1", "base_url": "http://localhost:8000/v1", "teacher_cache": "replies.jsonl",
    "budget": 2.5, "price": "0.15,0.6", "annotator": True, "concurrency": 3, "rounds": 5, "demonstrations": 3,
    "samples": 7, "temperature": 0.3, "limit": 11, "validation_limit": 12, "test_limit": 13, "reflection_weight": 0.25,
    "margin": 0.5, "replay": 0.25, "rate_decay": 0.75, "check_steps": True, "lessons": 3, "mistakes_per_question": 2,
    "epochs": 9, "learning_rate": 0.01, "skip_bad": True, "prompt": "chat", "thoughts": True,
    "batch_size": 5, "micro_batch": 2, "max_new_tokens": 99, "exam_rows": 17, "patience": 2, "four_bit": False,
    "lora_rank": 4, "lora_alpha": 8, "gradient_checkpointing": True, "seed": 42, "feedback_limit": 50, "steps": 12,
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoopConfig]:
    """The config that `l2r-lite run` would start a run with."""
    started: list[LoopConfig] = []

    def run_rounds(config: LoopConfig, *_: object, **__: object) -> None:
        started.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("l2r_lite.runs.run.run_rounds", run_rounds)

    def parse(*arguments: str) -> LoopConfig:
        assert main(["run", *arguments]) == 130
        return started[-1]

    return parse


# --- flags ---


def test_this_file_knows_every_knob() -> None:
    assert OTHER.keys() == KNOBS.keys()


def test_every_knob_has_a_flag_that_sets_it_and_nothing_else(parsed: Callable[..., LoopConfig]) -> None:
    for knob, value in OTHER.items():
        flag = "--" + knob.replace("_", "-")
        given = [flag, str(value)] if not isinstance(value, bool) else [flag if value else flag.replace("--", "--no-")]
        if knob == "problems":  # the scripted teacher knows the pocket world only
            given += ["--teacher", "recorded:x.jsonl"]
        config = parsed(*given)
        got = getattr(config, knob)
        assert got == value and type(got) is type(value)
        untouched = {k for k in KNOBS if k not in (knob, "teacher")}
        assert all(getattr(config, k) == getattr(LoopConfig(), k) for k in untouched)


def test_every_knob_is_explained_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["run", "--help"])
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for knob, about in KNOBS.items():
        flag = knob.replace("_", "-")
        assert f"--{flag}" in shown or f"--[no-]{flag}" in shown
        assert about.metadata["help"].split()[0] in shown


def test_a_preset_is_allowed_and_the_start_that_flags_change(parsed: Callable[..., LoopConfig]) -> None:
    for name, preset in PRESETS.items():
        preset.check()
        assert parsed("--preset", name) == preset
        assert parsed("--preset", name, "--seed", "3") == dataclasses.replace(preset, seed=3)


def test_resuming_starts_from_the_runs_own_settings(tmp_path: Path, parsed: Callable[..., LoopConfig]) -> None:
    config = LoopConfig(seed=9, samples=3)
    (tmp_path / "config.json").write_text(json.dumps(config.to_json()))
    assert parsed("--resume", str(tmp_path), "--rounds", "8") == dataclasses.replace(config, rounds=8)


def test_every_numeric_knob_refuses_what_is_out_of_its_range_and_a_counting_one_fractions() -> None:
    for knob in [k for k, f in KNOBS.items() if f.metadata["low"] is not None]:
        low, high = KNOBS[knob].metadata["low"], KNOBS[knob].metadata["high"]
        bad = [low - 1, *([high * 2 + 1] if high is not None else []), float("nan"), float("inf"), "3", True]
        for value in bad + [low + 1.5] * (HINTS[knob] in (int, int | None)):
            with pytest.raises(ConfigError, match=f"^{knob} = "):
                LoopConfig().with_(**{knob: value})
        LoopConfig().with_(**{knob: low})


def test_an_unknown_knob_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no setting sampels; there are: .*samples"):
        LoopConfig().with_(sampels=3)


# --- a dry run ---


def test_a_dry_run_shows_settings_and_amounts_and_runs_nothing(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    assert main(["run", "--dry-run", "--limit", "50", "--samples", "3", "--seed", "77"]) == 0
    shown = capsys.readouterr().out
    assert "train 50, validation 170, test 425" in shown
    assert "150 samples" in shown
    assert "Nothing was run" in shown
    for knob in KNOBS:
        assert knob in shown
    assert not list(elsewhere.iterdir())


def test_a_dry_run_with_a_bad_setting_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--dry-run", "--problems", "gsm9k", "--teacher", "recorded:x"]) == 2
    assert "gsm9k" in capsys.readouterr().err


# --- bad input ---

BAD = {
    "unknown problems": (["--problems", "gsm9k", "--teacher", "recorded:rationales.jsonl"], 'no problems named .gsm9k.*gsm8k'),
    "a problem file that is not there": (["--problems", "gone.jsonl", "--teacher", "recorded:rationales.jsonl"], "gone.jsonl"),
    "a line without an answer": (["--problems", "bad.jsonl", "--teacher", "recorded:rationales.jsonl"],
                                 'line 1: no field "answer"'),
    "too few rounds": (["--rounds", "-1"], "rounds = -1: must be between 0 and 100"),
    "too many samples": (["--samples", "65"], "samples = 65: must be between 1 and 64"),
    "not a number": (["--learning-rate", "nan"], "learning_rate = nan: must be a number"),
    "scripted teacher, real problems": (["--problems", "gsm8k"], '"scripted" can teach the pocket world only.*recorded:FILE'),
    "a recorded file that is not there": (["--teacher", "recorded:gone.jsonl"], "gone.jsonl.*cannot be read"),
    "unknown teacher": (["--teacher", "plato"], 'teacher "plato".*scripted'),
    "no such run": (["--resume", "nowhere"], "nowhere.*is this a run folder"),
    "no such student": (["--student", "./nowhere"], 'student "./nowhere": there is no such folder'),
    "recorded without a file": (["--preset", "smol"], "name the file"),
}  # fmt: skip


@pytest.fixture
def files(elsewhere: Path) -> None:
    (elsewhere / "rationales.jsonl").write_text('{"question": "a", "rationale": "b"}\n')
    (elsewhere / "bad.jsonl").write_text('{"question": "a", "anwser": 3}\n')


@pytest.mark.usefixtures("files")
def test_bad_input_exits_with_2_and_one_sentence_and_leaves_no_run_folder(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    """A folder left behind would refuse the next try, with the setting put right: it "holds a run with other settings"."""
    for case, (arguments, message) in BAD.items():
        place = [] if "--resume" in arguments else ["--out", "mine"]
        assert main(["run", *arguments, *place]) == 2, case
        said = capsys.readouterr().err
        assert said.startswith("l2r-lite: ") and "Traceback" not in said
        assert len(said.strip().splitlines()) <= 2
        assert re.search(message, said), said
        assert not (elsewhere / "mine" / "config.json").exists(), case


def test_another_run_in_the_same_folder_is_refused(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "config.json").write_text(json.dumps(LoopConfig().to_json()))
    assert main(["run", "--out", str(elsewhere), "--seed", "5"]) == 2
    assert "seed = 0 there, 5 asked for" in capsys.readouterr().err


def test_what_argparse_refuses_exits_with_2_too(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["walk"], ["run", "--rounds", "many"], ["run", "--preset", "huge"], ["run", "--nonsense"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert "usage: l2r-lite" in capsys.readouterr().err


def test_a_fault_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only errors that tell a user what to do are shortened."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("ours")

    monkeypatch.setattr("l2r_lite.runs.run.run_rounds", broken)
    with pytest.raises(ValueError, match="ours"):
        main(["run"])


# --- a whole run ---


def test_a_run_ends_with_its_report_a_figure_and_what_to_do_next(
    tiny_folder: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "--limit 6 --validation-limit 3 --test-limit 3 --rounds 1 --samples 1 --epochs 1 --max-new-tokens 8 --out mine"
    assert main(["run", "--student", str(tiny_folder), *small.split()]) == 0
    shown = capsys.readouterr().out
    assert "← kept" in shown and "l2r-lite run --resume mine" in shown
    assert json.loads((elsewhere / "mine" / "report.json").read_text())["stopped"] == "rounds"
    assert (elsewhere / "mine" / "report.png").stat().st_size > 5000


# --- what is imported ---


def imported_by(*arguments: str) -> set[str]:
    code = f"""
import sys
sys.argv = ["l2r-lite", {", ".join(map(repr, arguments))}]
try:
    {"from l2r_lite.app.cli import main; main()" if arguments else "import l2r_lite"}
except SystemExit:
    pass
print("MODULES", *sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.partition("MODULES")[2].split())


def test_torch_is_not_imported_before_it_is_needed() -> None:
    for arguments in ((), ("--help",), ("run", "--help"), ("--version",), ("run", "--rounds", "-1"), ("run", "--dry-run")):
        modules = imported_by(*arguments)
        assert "l2r_lite" in modules
        assert not {"torch", "transformers", "bitsandbytes", "peft", "matplotlib", "ipywidgets"} & modules, arguments


def test_the_installed_command_answers() -> None:
    command = Path(sys.executable).parent / "l2r-lite"
    if not command.exists():
        pytest.skip("the package is not installed")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "run the loop" in done.stdout


def test_summary_shows_each_run_and_the_mean_with_its_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, after in ((0, 0.8), (1, 0.9), (2, 0.85)):
        worked = {"mistakes": 3, "samples": 9, "lessons": 5, "teacher_calls": 3, "items": 5, "triplet_share": 0.5,
                  "validation_accuracy": 0.5, "by_skill": {}, "exam_seconds": 1.0, "train_seconds": 7.0}  # fmt: skip
        rounds = [{"round": n, "accuracy": a, "ci95": [a, a], **worked} for n, a in enumerate((0.5, after))]
        report = {"config": {"seed": seed}, "environment": {}, "rounds": rounds, "best_round": 1, "accuracy": after,
                  "ci95": [after, after], "stopped": "rounds", "peak_rss_mb": 900.0}  # fmt: skip
        (tmp_path / str(seed)).mkdir()
        (tmp_path / str(seed) / "report.json").write_text(json.dumps(report))
    assert main(["summary", *(str(tmp_path / str(seed)) for seed in range(3))]) == 0
    shown = capsys.readouterr().out
    assert "mean        50.0%     85.0%     85.0%" in shown
    assert "± 95 %       0.0%     12.4%     12.4%" in shown  # 4.30 · 0.05 / √3
    assert main(["summary", str(tmp_path / "2")]) == 0
    shown = capsys.readouterr().out
    assert "85.0%" in shown and "nan" not in shown and shown.endswith("needs two seeds or more.\n")
