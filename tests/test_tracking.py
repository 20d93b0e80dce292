"""A run's numbers for TensorBoard and the like: each once, also over an interruption; a tool that fails ends no run."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.tracking import Tracker

SKILL = "skill/add"


class Tool:
    """What accelerate calls a tracker, keeping all it is told."""

    made: list[Tool] = []
    fails_at = ""

    def __init__(self, project: str, **options: Any) -> None:
        self.project, self.options, self.told = project, options, []
        Tool.made.append(self)

    def start(self) -> None:
        self._maybe_fail("start")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.told.append(("config", 0, values))

    def log(self, values: dict[str, float], step: int) -> None:
        self._maybe_fail("log")
        self.told.append(("log", step, values))

    def finish(self) -> None:
        self.told.append(("finish", 0, {}))

    def _maybe_fail(self, what: str) -> None:
        if Tool.fails_at == what:
            raise ConnectionError(f"no\nservice \x1b[31m at {what}")


@pytest.fixture(autouse=True)
def tool(monkeypatch: pytest.MonkeyPatch) -> type[Tool]:
    for kind in ("wandb", "trackio"):
        monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, kind, Tool)
        module = types.ModuleType(kind)
        module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment] - installed, as far as find_spec knows
        monkeypatch.setitem(sys.modules, kind, module)
    Tool.made, Tool.fails_at = [], ""
    return Tool


def told(kind: str, name: str) -> list[tuple[int, float]]:
    return [(step, values[name]) for tool in Tool.made for what, step, values in tool.told if what == kind and name in values]


def run(config: LoopConfig, out: Path, kind: str = "wandb", **options: Any) -> dict[str, Any]:
    with Tracker(kind, out, config) as tracker:
        return run_rounds(config, out, on_step=tracker.step, on_round=tracker.round, progress=False, **options)


def test_every_step_and_round_is_reported_once_with_its_number(tiny_config: LoopConfig, tmp_path: Path) -> None:
    report = run(tiny_config, tmp_path / "mine")
    losses = [step for n in (1, 2) for step in read_lines(tmp_path / "mine" / f"round-{n}" / "losses.jsonl", dict)]
    assert told("log", "training/lm") == [(i, step["lm"]) for i, step in enumerate(losses, 1)]
    assert [value for _, value in told("log", "round/accuracy")] == [r["accuracy"] for r in report["rounds"]]
    assert [value for _, value in told("log", SKILL)] == [r["by_skill"]["add"] for r in report["rounds"]]
    (tool,) = Tool.made
    assert tool.project == "l2r-lite" and tool.options == {"name": "mine", "dir": str(tmp_path / "mine")}
    assert tool.told[0][2]["reflection_weight"] == 0.5 and tool.told[-1][0] == "finish"


def test_a_resumed_run_goes_on_where_its_numbers_ended(tiny_config: LoopConfig, tmp_path: Path) -> None:
    run(tiny_config.with_(rounds=1), tmp_path / "run")
    run(tiny_config, tmp_path / "run")
    run(tiny_config, tmp_path / "whole")
    first, second, whole = Tool.made
    resumed = [(step, values) for what, step, values in first.told + second.told if what == "log"]
    undisturbed = [(step, values) for what, step, values in whole.told if what == "log"]

    def lasting(told: list[tuple[int, dict[str, float]]]) -> list[tuple[int, dict[str, float]]]:
        return [(step, {n: v for n, v in values.items() if "seconds" not in n}) for step, values in told]

    assert lasting(resumed) == lasting(undisturbed)


@pytest.mark.parametrize("fails_at", ["start", "log"])
def test_a_tool_that_fails_is_told_once_and_the_run_goes_on(fails_at: str, tiny_config: LoopConfig, tmp_path: Path) -> None:
    Tool.fails_at = fails_at
    with pytest.warns(UserWarning) as warned:
        report = run(tiny_config, tmp_path / "run", "trackio")
    assert len(report["rounds"]) == 3
    (message,) = [str(w.message) for w in warned if "trackio" in str(w.message)]
    assert message.startswith(f"trackio: no service \\x1b[31m at {fails_at}. The run goes on without it")
    assert len(Tool.made) == 1


def test_a_tool_that_is_missing_is_named_before_anything_begins(
    tiny_config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:  # fmt: skip
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="report_to = tensorboard: it is not installed; run: pip install tensorboard"):
        Tracker("tensorboard", tmp_path / "run", tiny_config)
    with pytest.raises(ConfigError, match="'excel': must be one of tensorboard, trackio, wandb"):
        Tracker("excel", tmp_path / "run", tiny_config)
    assert main(["run", "--report-to", "wandb", "--out", str(tmp_path / "run")]) == 2
    assert "pip install wandb" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_the_command_line_reports_and_resumes(tiny_config: LoopConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ["--student", tiny_config.student, "--limit", "18", "--validation-limit", "9", "--test-limit", "17",
             "--rounds", "1", "--epochs", "1", "--max-new-tokens", "12", "--out", str(out)]  # fmt: skip
    assert main(["run", "--report-to", "trackio", *flags]) == 0
    assert main(["run", "--report-to", "trackio", "--resume", str(out), "--rounds", "2"]) == 0
    assert [step for step, _ in told("log", "training/lm")] == list(range(1, 1 + len(told("log", "training/lm"))))
    assert len(told("log", "round/accuracy")) == 3


def test_tensorboard_shows_the_run(tiny_config: LoopConfig, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    report = run(tiny_config, tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [e.value for e in events.Scalars("round/accuracy")] == pytest.approx([r["accuracy"] for r in report["rounds"]])
    assert run(tiny_config, tmp_path / "run", "tensorboard")["rounds"] == report["rounds"]  # its files disturb no run
