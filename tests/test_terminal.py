"""What the command line prints cannot command a terminal: the real CLI, with hostile names, byte by byte."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tqdm import tqdm

from l2r_lite.app.cli import main
from l2r_lite.app.terminal import Plain
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, printable

# ESC sequences (colour, title, clear, cursor), C1 as one character, direction marks, carriage return, backspace.
HOSTILE = "\x1b[31mred\x1b]0;owned\x07\x1b[2J\x9b2J\x1b[1A\u202egnp.exe\u2066\rl2r-lite: all is well\x08\x7f\x85"
MOVES = re.compile(rb"\r|\x1b\[A")  # how tqdm moves its bars, at the beginning of what it writes


def run(folder: Path, *arguments: str) -> bytes:
    """Everything that `l2r-lite …` writes to the terminal."""
    command = [sys.executable, "-m", "l2r_lite", *arguments]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", "COLUMNS": "200"}
    env = {name: value for name, value in env.items() if name not in ("OPENAI_API_KEY", "L2R_API_KEY")}
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300, env=env)
    assert done.stdout + done.stderr
    return done.stdout + done.stderr


def harmless(said: bytes) -> bool:
    text = said.decode("utf-8")
    return printable(text) == text


# Before: ESC reached the terminal in those marked with *.
COMMANDS = [
    ["run", "--dry-run", "--teacher", f"openai:{HOSTILE}"],  # * in the line about the cost; refused now
    ["run", f"--{HOSTILE}"],  # * argparse: unrecognized arguments
    ["run", "--dry-run", HOSTILE],  # *
    [HOSTILE], ["run", "--rounds", HOSTILE], ["run", "--preset", HOSTILE],
    ["run", "--dry-run", "--problems", f"{HOSTILE}.jsonl"],
    ["summary", HOSTILE], ["run", "--resume", HOSTILE], ["export", HOSTILE, "--to", f"{HOSTILE}2"],
    ["run", "--dry-run", "--teacher", f"recorded:{HOSTILE}"], ["run", "--dry-run", "--price", HOSTILE, "--teacher", "openai:m"],
]  # fmt: skip


def test_names_in_arguments_reach_the_terminal_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """In this process, so that all commands are tried in a second."""
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        try:
            main(command)
        except SystemExit as end:
            assert end.code == 2
        said = b"".join(capfdbinary.readouterr())
        assert said and harmless(said), (command, said)
    assert sys.stdout.write.__self__.__class__ is not Plain, "put back"


def test_the_real_command_line_writes_no_control_byte(tmp_path: Path) -> None:
    """Before: ESC, BEL, C1, U+202E and carriage returns, as they were given."""
    for command in COMMANDS[:2]:
        said = run(tmp_path, *command)
        assert harmless(said) and rb"\x1b[31mred" in said, said
    assert b"\\x9b2J\\x1b[1A\\u202egnp.exe\\u2066\\r" in said


def test_a_setting_with_control_characters_or_an_endless_name_is_refused() -> None:
    """Before: they were kept, and an endless name ended in "OSError: File name too long"."""
    for text in ("a\x1b[31m", "a\nb", "a\rb", "a\x9b", "\u202eb", "\ud800", "w" * 251, f"folder/{'w' * 251}/student"):
        for knob in ("student", "problems", "teacher", "data_dir", "teacher_cache", "price"):
            with pytest.raises(ConfigError, match=f"^{knob} = .*must be short text without control characters") as error:
                LoopConfig().with_(**{knob: text})
            assert len(str(error.value)) < 300
    LoopConfig().with_(student="/".join(["folder"] * 100), problems="数学.jsonl", teacher="none")


def test_a_folder_that_cannot_exist_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """Before: OSError, ValueError ("embedded null byte")."""
    for name in ("w" * 300, f"runs/{'é' * 200}", "a\0b"):
        for command in (["run", "--out"], ["run", "--resume"], ["summary"], ["export", "run", "--to"]):
            with pytest.raises(SystemExit):
                main([*command, name])
            assert "is not a name that a folder can have" in capfd.readouterr().err


def hostile_report(folder: Path) -> Path:
    """A report that the schema takes, with names that want to command the terminal."""
    entry = {"accuracy": 0.5, "ci95": [0.4, 0.6], "validation_accuracy": 0.5, "by_skill": {HOSTILE: 0.5}}
    report = {
        "config": {"student": HOSTILE, "teacher": f"openai:{HOSTILE}"}, "environment": {HOSTILE: HOSTILE},
        "rounds": [{"round": 0, **entry}], "best_round": 0, "accuracy": 0.5, "ci95": [0.4, 0.6], "peak_rss_mb": None,
        "stopped": HOSTILE,
    }  # fmt: skip
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def test_a_strangers_report_and_folder_reach_the_terminal_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Before: fields such as `mistakes` or `config.seed` were printed as they stood."""
    monkeypatch.chdir(tmp_path)
    out = hostile_report(tmp_path / "run").rename(tmp_path / HOSTILE)
    assert main(["summary", str(out)]) == 0
    for field, value in (("mistakes", HOSTILE), ("seed", HOSTILE)):
        report = json.loads((out / "report.json").read_text())
        (report["config"] if field == "seed" else report["rounds"][0])[field] = value
        (out / "report.json").write_text(json.dumps(report))
        main(["summary", str(out)])
    (out / "config.json").write_text(json.dumps({"teacher": f"openai:{HOSTILE}", HOSTILE: 1}))
    assert main(["run", "--resume", str(out)]) == 2
    said = b"".join(capfdbinary.readouterr())
    assert harmless(said) and b"\\x1b[31mred" in said


def test_a_fault_of_our_own_and_a_warning_cannot_command_it_either(tmp_path: Path) -> None:
    """Before: a traceback and a warning with an outsider's words in it."""
    code = f"""
import warnings, l2r_lite.app.cli as cli
def fault(arguments):
    warnings.warn({HOSTILE!r})
    raise KeyError.__base__({HOSTILE!r})
cli.COMMANDS["summary"] = fault
cli.main(["summary", "x"])"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert b"Traceback" in done.stderr and b"UserWarning" in done.stderr and harmless(done.stderr), done.stderr


def test_progress_bars_still_move_and_what_they_show_is_text() -> None:
    """Before: a bar's description was written as it was."""
    bare, plain = io.StringIO(), io.StringIO()
    for stream in (bare, Plain(plain, bars=True)):
        with tqdm(total=2, file=stream, ascii=True, desc="round", mininterval=0) as bar:  # type: ignore[arg-type]
            with tqdm(total=1, file=stream, ascii=True, leave=False, mininterval=0) as inner:  # type: ignore[arg-type]
                inner.update()
            bar.update(2)
    moves = [re.findall(r"\r|\n|\x1b\[A|\d/\d", stream.getvalue()) for stream in (bare, plain)]
    assert moves[0] == moves[1] and "\x1b[A" in moves[1]

    shown = io.StringIO()
    with tqdm(total=1, file=Plain(shown, bars=True), desc=HOSTILE, postfix=HOSTILE) as bar:  # type: ignore[arg-type]
        bar.update()
    assert harmless(MOVES.sub(b"", shown.getvalue().encode()))


def test_only_bars_may_move_the_cursor_and_only_at_the_beginning() -> None:
    out, bars = io.StringIO(), io.StringIO()
    print("\rx\x1b[A", file=Plain(out))  # type: ignore[arg-type]
    Plain(bars, bars=True).writelines(["\rround 1\r", "\n\n\x1b[A", "x\x1b[A"])
    assert out.getvalue() == "\\rx\\x1b[A\n"
    assert bars.getvalue() == "\rround 1\\r\n\n\x1b[Ax\\x1b[A"


@pytest.mark.slow
def test_the_other_commands_write_no_control_byte(tmp_path: Path, tiny_folder: Path) -> None:
    """doctor, plan, and a run with its bars and its export in folders with hostile names."""
    small = "--limit 6 --validation-limit 3 --test-limit 3 --rounds 1 --samples 1 --epochs 1 --max-new-tokens 8".split()
    for command in (
        ["doctor", "--teacher", f"openai:{HOSTILE}", "--base-url", "http://127.0.0.1:9/v1"],
        ["plan", "--student", HOSTILE], ["run", "--student", str(tiny_folder), "--out", f"{HOSTILE}-run", *small],
        ["summary", f"{HOSTILE}-run"], ["export", f"{HOSTILE}-run", "--to", f"{HOSTILE}-exported"],
    ):  # fmt: skip
        said = run(tmp_path, *command)
        assert harmless(MOVES.sub(b"", said)), (command, said)
    assert (tmp_path / f"{HOSTILE}-exported" / "model" / "README.md").exists()
