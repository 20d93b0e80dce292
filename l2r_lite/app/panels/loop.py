"""The loop panel: settings, a run beside the kernel's main thread, and its figures while it is at work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.panels import words
from l2r_lite.app.panels.base import Panel, say, side_by_side, stack
from l2r_lite.app.panels.live import AT_WORK, Forecast, Live, Sparing, Stop
from l2r_lite.app.panels.settings import Settings, folder_for
from l2r_lite.loop import runfolder as folders
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError, UserError
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.report import TIMES, read_report
from l2r_lite.runs.run import check_same_run, run_rounds
from l2r_lite.runs.show import Table, safe
from l2r_lite.teachers.open import open_teacher

_BUTTONS = {
    "Run": ("play", "starts a run with these settings"),
    "Pause": ("pause", "holds the run at its next step"),
    "Stop": ("stop", "ends the run at its next step; Continue goes on with it"),
    "Continue": ("step-forward", "goes on with a run that is paused or stopped, or that has more rounds to do"),
    "Reset": ("undo", "puts the settings back to those of the cell"),
}


class loop_panel(Panel):  # noqa: N801 - used like a function
    """The loop with a field for each of its main knobs: run it, pause it, stop it, go on, and watch the student learn.

        loop_panel(LoopConfig(rounds=2))                 # writes into runs/panel
        loop_panel(config, name="my-run")                # shows what is in runs/my-run, and goes on with it

    The run is at work beside the cells: the notebook stays usable, and the kernel's interrupt button does not end it. Its
    folder keeps every step, so that a stopped run, or one whose kernel was restarted, is gone on with, and more rounds continue
    a finished one. Settings that make another run than the folder's take a folder of their own, named by what differs.

    Args:
        config: the settings to begin with, and to which Reset leads back; knobs without a field stay as they are here.
        folder: where run folders lie.  name: the run folder's name.

    Attributes:
        out: the run folder of the present settings.  report: its report so far; None before the first evaluation.
    """

    def __init__(self, config: LoopConfig | None = None, folder: str | Path = "runs", name: str = "panel") -> None:
        self._folder, self._name = Path(folder), name
        self.out = self._folder / name
        self.report: dict[str, Any] | None = None
        self._ready: LoopConfig | None = None  # the settings, if they can be run
        self._told = self._place = ""
        self._logs: dict[int, list[dict[str, float]]] = {}
        self._forecast, self._sparing, self._last = Forecast(), Sparing(), 0.0
        self._meter: Any = None
        self.live = Live(self._refresh)
        self._where, self._status, self._cost = w.HTML(), w.HTML(), w.HTML()
        self._pictures = {
            name: w.HTML(layout=w.Layout(max_width="100%")) for name in ("rounds", "skills", "losses")
        }
        self.buttons = {text: w.Button(description=text, icon=icon, tooltip=tip) for text, (icon, tip) in _BUTTONS.items()}
        for button in self.buttons.values():
            button.on_click(self._click)
        self.settings = Settings(config or LoopConfig(), self._look)
        self.panel = stack(
            self.settings.box, self._where, side_by_side(*self.buttons.values()), self._status, self._cost,
            side_by_side(*self._pictures.values()),
        )  # fmt: skip
        self._look(again=True)

    # --- what a notebook may use ---

    @property
    def state(self) -> str:
        """idle (no run yet), running, pausing, paused, stopping, stopped (can be gone on with), finished or failed."""
        if self.live.state != "idle":
            return self.live.state
        if self.report and self.report["stopped"] in ("rounds", "no-improvement"):
            return "finished"
        return "stopped" if (self.out / "config.json").exists() else "idle"

    def run(self) -> None:
        """Start the run of these settings, or go on with it where its folder ends.

        Raises:
            ConfigError: the settings cannot be run.  RunError: the folder holds another run, or one that is at work.
        """
        config = self.settings.config()
        check_same_run(self.out, config)
        self._forecast, self._last, self._told = Forecast(), 0.0, ""
        who = f"panel “{self._name}” (since {time.strftime('%H:%M')})"
        self.live.start(lambda stop: self._work(config, stop), self.out, who)

    def pause(self) -> None:
        """Hold the run at its next step; the student stays in memory."""
        self.live.pause()

    def stop(self) -> None:
        """End the run at its next step; what is finished is in its folder."""
        self.live.stop()

    def go_on(self) -> None:
        """Go on with a paused, stopped or failed run, or with a finished one that is to have more rounds."""
        if self.live.state in AT_WORK:
            self.live.go_on()
        else:
            self.run()

    def reset(self) -> None:
        """Put the settings back to those that the panel was made with."""
        if self.live.state not in AT_WORK:
            self.settings.reset()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the run is paused or has ended, at most so many seconds; whether it is."""
        return self.live.wait(seconds)

    def figure(self) -> Figure:
        """The run at a glance, or the axis that it will fill."""
        if self.report and self.report["rounds"]:
            return figures.run_overview(self.report)
        return figures.accuracy_by_round({"rounds": []}, rounds=self._rounds())

    def table(self) -> Table:
        """The run round by round; before there is one, its settings."""
        if not (self.report and self.report["rounds"]):
            return self.settings.table()
        rows = []
        for r in self.report["rounds"]:
            found = (f"{r['mistakes']} of {r['samples']}", r["lessons"]) if r["round"] else ("–", "–")
            kept = "kept" if r["round"] == self.report["best_round"] else ""
            low, high = r["ci95"]
            seconds = f"{sum(r.get(name, 0.0) for name in TIMES):.0f}"
            rows.append([r["round"], *found, f"{r['accuracy']:.1%}", f"{low:.1%} – {high:.1%}", seconds, kept])
        return Table(["round", "mistakes", "lessons", "test accuracy", "95 % interval", "seconds", ""], rows)

    # --- the run, in its own thread ---

    def _work(self, config: LoopConfig, stop: Stop) -> None:
        self._sparing.draw(self._draw_rounds)  # something to see before what takes long is imported and loaded
        teacher = open_teacher(config, stop, self.settings.key)
        self._meter = getattr(teacher, "meter", None)
        report = run_rounds(
            config, self.out, teacher=teacher, stop=stop, on_round=self._after_round, on_step=self._after_step,
            on_progress=self._progress, progress=False,
        )  # fmt: skip
        self._after_round(report)
        if report["stopped"] != "user":  # who stops a run does not want to wait for a figure
            self._draw_losses()

    def _after_round(self, report: dict[str, Any]) -> None:
        """Also called at the end of the run, and for rounds that were there before: then the figures stay as they are."""
        shown, self.report = len(self.report["rounds"]) if self.report else 0, report
        if len(report["rounds"]) != shown:
            self._sparing.draw(self._draw_results)

    def _after_step(self, losses: dict[str, float]) -> None:
        now = self._forecast.now
        self._logs[now.round if now else 0].append(losses)
        if self._sparing.due():
            self._sparing.draw(self._draw_losses)

    def _progress(self, progress: Progress) -> None:
        if progress.stage == "training" and not progress.done:
            self._logs[progress.round] = []
        begins = self._forecast.now is None or progress.stage != self._forecast.now.stage
        self._forecast.tell(progress, self.live.clock())
        if begins or time.monotonic() - self._last > 0.3:
            self._last = time.monotonic()
            self._refresh()

    # --- what is shown ---

    def _rounds(self) -> int:
        return int(self.settings.fields["rounds"].value) if self._ready is None else self._ready.rounds

    def _look(self, again: bool = False) -> None:
        """The settings have changed: find their folder and what is in it."""
        if self.live.state in AT_WORK or not hasattr(self, "panel"):
            return
        with self.live.lock:
            self.live.state, before = "idle", self.out
            try:
                self._ready = self.settings.config()
                self.out, self._place = folder_for(self._folder, self._name, self.settings.start, self._ready)
                check_same_run(self.out, self._ready)
            except UserError as error:
                self._ready, self._place = None, f"⚠ {error}"
            self._told = ""
            if again or before != self.out:
                self._load()
            self._refresh()

    def _load(self) -> None:
        """Show what the folder holds."""
        self.report, self._logs, self._meter = None, {}, None
        try:
            file = self.out / "report.json"
            begun = file.exists() and folders.read_json(file)
            if begun and not (isinstance(begun, dict) and begun.get("rounds") == []):
                self.report = read_report(self.out)
            for file in sorted(self.out.glob("round-*/losses.jsonl"), key=lambda f: int(f.parent.name[6:])):
                self._logs[int(file.parent.name[6:])] = folders.read_lines(file, dict)
        except RunError as error:
            self._told = f"⚠ {error}"
        if self.report:
            self._draw_results()
            self._draw_losses()
        else:
            for picture in self._pictures.values():
                picture.value = ""

    def _draw_results(self) -> None:
        self._draw_rounds()
        self._draw_skills()

    def _draw_rounds(self) -> None:
        self._put("rounds", figures.accuracy_by_round(self.report or {"rounds": []}, rounds=self._rounds()), 4.2)

    def _draw_skills(self) -> None:
        if self.report and self.report["rounds"] and self.report["rounds"][0]["by_skill"]:
            self._put("skills", figures.accuracy_by_skill(self.report, rounds=self._rounds()), 5.4)
        else:
            self._pictures["skills"].value = ""

    def _draw_losses(self) -> None:
        if self._logs:
            self._put("losses", figures.losses_by_round(self._logs), 3.4)
        else:
            self._pictures["losses"].value = ""

    def _put(self, place: str, figure: Figure, height: float) -> None:
        figure.set_size_inches(5.2, height)  # two beside each other in a page of 1280 px, with letters of full size
        self._pictures[place].value = figures.as_html(figure)

    def _click(self, button: w.Button) -> None:
        actions = {"Run": self.run, "Pause": self.pause, "Stop": self.stop, "Continue": self.go_on, "Reset": self.reset}
        try:
            actions[button.description]()
        except UserError as error:
            self._told = f"⚠ {error}"
            self._refresh()

    def _refresh(self) -> None:
        """Buttons and lines as the state has them. Called from any thread."""
        with self.live.lock:
            state, at_work = self.state, self.live.state in AT_WORK
            more = self._has_more()
            can = {
                "Run": not at_work and self._ready is not None and state in ("idle", "failed") and not more,
                "Pause": state == "running",
                "Stop": state in ("running", "pausing", "paused"),
                "Continue": state in ("pausing", "paused") or (not at_work and self._ready is not None and more),
                "Reset": not at_work,
            }
            for text, button in self.buttons.items():
                button.disabled = not can[text]
                button.button_style = "primary" if can[text] and text in ("Run", "Continue") else ""
            self.settings.enable(not at_work)
            self._where.value = say(safe(self._place or f"The run's folder is {self.out}."))
            told = words.status(state, self.report, self._forecast, self._rounds(), self.live.error)
            self._status.value = say(f'<div role="alert" class="l2r-fault">{safe(self._told)}</div>' * bool(self._told) + told)
            self._cost.value = say(words.cost(self._ready, self._meter, self.report))

    def _has_more(self) -> bool:
        """Whether the folder holds a run that these settings would go on with."""
        if not (self.out / "config.json").exists():
            return False
        if self.state != "finished" or self._ready is None or self.report is None:
            return True
        more = self._ready.rounds >= len(self.report["rounds"])
        patient = self._ready.patience > self.report["config"]["patience"] or not self._ready.patience
        return more and (self.report["stopped"] == "rounds" or patient)
