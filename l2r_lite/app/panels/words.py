"""The loop panel's lines about a run: state, time left, accuracy and cost."""

from typing import Any

from markupsafe import Markup

from l2r_lite.app.panels.live import AT_WORK, Forecast
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError
from l2r_lite.loop.runfolder import from_json
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.show import html
from l2r_lite.teachers.cost import Meter

_STATES = {
    "idle": "Ready", "running": "Running", "pausing": "Pausing after the current step",
    "paused": "Paused", "stopping": "Stopping after the current step", "stopped": "Stopped",
    "finished": "Finished", "failed": "Failed",
}
_PARTS = {
    "validation": "questions", "test": "questions", "exam": "questions", "feedback": "mistakes",
    "training": "steps",
}


def status(
    state: str, report: dict[str, Any] | None, forecast: Forecast, rounds: int,
    error: BaseException | None,
) -> Markup:
    """The state of a run as HTML: a line that screen readers announce when it changes.

    A progress bar follows while the run is working.
    """
    if state in AT_WORK:
        line = f"{_STATES[state]}: {_place(forecast.now, rounds)}"
        if state == "running":
            line += _time_left(forecast, rounds)
        return html('<div role="status">{}</div>{}', line, _bar(forecast.now))
    if state == "failed":
        what = str(error)
        if not isinstance(error, UserError):
            what = f"unexpected {type(error).__name__}: {what[:500]}"
        return html(
            '<div role="alert" class="l2r-fault">⚠ Failed: {} The finished steps are saved, '
            "and the run can be resumed.</div>", what)
    reached = _reached(report) if report and report["rounds"] else ""
    stopped = report["stopped"] if report else ""
    if state == "stopped" and stopped == "budget":
        line = f"Stopped: the budget is spent. {reached}"
    elif state == "stopped":
        line = f"Stopped. Press Continue to resume. {reached}"
    elif state == "finished" and report and stopped == "no-improvement":
        patience = report["config"].get("patience", 0)
        rounds_without = "1 round" if patience == 1 else f"{patience} rounds"
        line = f"Finished: no better validation for {rounds_without}. {reached}"
    elif state == "finished":
        line = f"Finished: {reached} For more training, increase the number of rounds."
    else:
        line = f"{_STATES[state]}: {reached}" if reached else f"{_STATES[state]}."
    return html('<div role="status">{}</div>', line)


def _place(now: Progress | None, rounds: int) -> str:
    if now is None:
        return "preparing"
    if now.stage == "loading":
        return "loading the student"
    parts = f": {now.done} of {now.total} {_PARTS[now.stage]}" if now.total else ""
    return f"round {now.round} of {rounds} · {now.stage}{parts}"


def _bar(now: Progress | None) -> Markup:
    if now is None or not now.total:
        return html('<progress aria-label="preparing"></progress>')
    label = f"{now.stage} of round {now.round}"
    return html(
        '<progress aria-label="{}" max="{}" value="{}"></progress>', label, now.total, now.done)


def _time_left(forecast: Forecast, rounds: int) -> str:
    seconds, unknown = forecast.left(rounds)
    if seconds == 0:
        return ""
    if unknown:
        missing = ", ".join(unknown)
        return f" · at least {duration(seconds)} left ({missing} not measured yet)"
    return f" · about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """A time with the precision of a forecast: 8 s, 2 min, 2 h 5 min."""
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _reached(report: dict[str, Any]) -> str:
    before, number = report["rounds"][0]["accuracy"], len(report["rounds"]) - 1
    if number == 0:
        return f"test accuracy before any training {before:.1%}."
    now, best = report["rounds"][-1]["accuracy"], report["best_round"]
    rounds = "1 round" if number == 1 else f"{number} rounds"
    kept = f"student of round {best}" if best else "untrained student"
    return (
        f"{rounds}, test accuracy {before:.1%} → {now:.1%}. The {kept} is kept (best on "
        "validation).")


def cost(config: LoopConfig | None, meter: Meter | None, report: dict[str, Any] | None) -> str:
    """Number of calls to the teacher and their cost, since the run was last started."""
    if meter is None and report:
        noted = [r["teacher_cost_so_far"] for r in report["rounds"] if "teacher_cost_so_far" in r]
        meter = from_json(Meter, noted[-1]) if noted else None
    if meter is None:
        free = config is not None and not config.teacher.startswith("openai:")
        return "Teacher: free of charge." if free else ""
    tokens = f"{meter.prompt_tokens:,} tokens sent, {meter.completion_tokens:,} received"
    dollars = "price unknown"
    if meter.dollars is not None:
        dollars = f"${meter.dollars:.4f}"
        if config and config.budget is not None:
            dollars += f" of at most ${config.budget:.2f}"
    lost = f" {meter.lost} paid replies brought no lesson." if meter.lost else ""
    calls = f"{meter.calls} calls, {meter.cached} from the cache"
    return f"Teacher: {calls}, {tokens}, {dollars}.{lost}"
