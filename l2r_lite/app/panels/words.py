"""What the loop panel says of a run: where it is, how long it will take, what it reached, what its teacher cost."""

from __future__ import annotations

from typing import Any

from l2r_lite.app.panels.live import AT_WORK, Forecast
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.show import safe
from l2r_lite.teachers.cost import Meter

_STATES = {
    "idle": "Ready", "running": "Running", "pausing": "Pausing after this step", "paused": "Paused",
    "stopping": "Stopping after this step", "stopped": "Stopped", "finished": "Finished", "failed": "Failed",
}  # fmt: skip
_PARTS = {"validation": "questions", "test": "questions", "exam": "questions", "feedback": "mistakes", "training": "steps"}


def status(state: str, report: dict[str, Any] | None, forecast: Forecast, rounds: int, error: BaseException | None) -> str:
    """The state of a run in one line of HTML, with a bar while it is at work. Screen readers hear it when it changes."""
    if state in AT_WORK:
        told = f"{_STATES[state]}: {_place(forecast.now, rounds)}{_time_left(forecast, rounds) * (state == 'running')}"
        return f'<div role="status">{told}</div>{_bar(forecast.now)}'
    reached = _reached(report) if report and report["rounds"] else ""
    if state == "failed":
        what = safe(error) if isinstance(error, UserError) else f"unexpected {type(error).__name__}: {safe(str(error)[:500])}"
        return f'<div role="alert" class="l2r-fault">⚠ Failed: {what} What was finished is kept, and can be gone on with.</div>'
    if state == "stopped":
        why = "the budget is used up" if report and report["stopped"] == "budget" else "it can be gone on with"
        reached = f"{why}. {reached}"
    if state == "finished" and report and report["stopped"] == "no-improvement":
        reached = f"no better round for {report['config']['patience']} rounds. {reached}"
    elif state == "finished":
        reached = f"{reached} More rounds go on with it, another setting begins another run."
    return f'<div role="status">{_STATES[state]}{f": {reached}" if reached else "."}</div>'


def _place(now: Progress | None, rounds: int) -> str:
    if now is None:
        return "getting ready"
    if now.stage == "loading":
        return "loading the student"
    parts = f": {now.done} of {now.total} {_PARTS[now.stage]}" if now.total else ""
    return f"round {now.round} of {rounds} · {now.stage}{parts}"


def _bar(now: Progress | None) -> str:
    if now is None or not now.total:
        return '<progress aria-label="getting ready"></progress>'
    return f'<progress aria-label="{now.stage} of round {now.round}" max="{now.total}" value="{now.done}"></progress>'


def _time_left(forecast: Forecast, rounds: int) -> str:
    seconds, unknown = forecast.left(rounds)
    if seconds == 0:
        return ""
    about = "at least" if unknown else "about"
    missing = f" ({', '.join(unknown)} not measured yet)" if unknown else ""
    return f" · {about} {duration(seconds)} left{missing}"


def duration(seconds: float) -> str:
    """A time as precise as a forecast is: 8 s, 1 min 20 s, 2 h 5 min."""
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _reached(report: dict[str, Any]) -> str:
    rounds = report["rounds"]
    number = len(rounds) - 1
    if not number:
        return f"test accuracy before any training {rounds[0]['accuracy']:.1%}."
    kept = f"the student of round {report['best_round']} is kept" if report["best_round"] else "the untrained student is kept"
    was, now = rounds[0]["accuracy"], rounds[-1]["accuracy"]
    return f"{number} round{'s' * (number > 1)}, test accuracy {was:.1%} → {now:.1%}; {kept} (best on validation)."


def cost(config: LoopConfig | None, meter: Meter | None, report: dict[str, Any] | None) -> str:
    """What the teacher was asked and what it cost: in this start of the run, or in its last one."""
    if meter is None and report:
        noted = [r["teacher_cost_so_far"] for r in report["rounds"] if "teacher_cost_so_far" in r]
        meter = Meter(**noted[-1]) if noted else None
    if meter is None:
        return "Teacher: costs nothing." if config and not config.teacher.startswith("openai:") else ""
    tokens = f"{meter.prompt_tokens:,} tokens to it, {meter.completion_tokens:,} from it"
    dollars = "price not known" if meter.dollars is None else f"${meter.dollars:.4f}"
    limit = f" of at most ${config.budget:.2f}" if config and config.budget is not None and meter.dollars is not None else ""
    return f"Teacher: {meter.calls} calls, {meter.cached} from the cache, {tokens}, {dollars}{limit}."
