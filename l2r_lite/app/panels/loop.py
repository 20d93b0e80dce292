"""The loop panel: settings, a run in the background, and its figures while it is running."""

import time
from pathlib import Path
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.app.panels import words
from l2r_lite.app.panels.base import Panel, say, side_by_side, stack
from l2r_lite.app.panels.live import AT_WORK, DrawBudget, Forecast, Live, Stop
from l2r_lite.app.panels.settings import Settings, folder_for
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError, UserError
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.reading import read, rounds
from l2r_lite.runs.report import TIMES
from l2r_lite.runs.same_run import check_same_run
from l2r_lite.runs.show import Table, html

# Icon and tooltip of each button.
_BUTTONS = {
    "Run": ("play", "Start a run with these settings"),
    "Pause": ("pause", "Pause the run after the current step"),
    "Stop": ("stop", "Stop the run after the current step. Continue resumes it"),
    "Continue": ("step-forward", "Resume a paused or stopped run, or do more rounds"),
    "Reset": ("undo", "Put the settings back to those in the cell"),
}
_REFRESH = 0.3  # seconds between two updates of the status line


class loop_panel(Panel):  # noqa: N801 - used like a function
    """The loop with a field for each main setting: run, pause, stop, resume, and watch it learn.

        loop_panel(LoopConfig(rounds=2))             # writes into runs/panel
        loop_panel(config, name="my-run")            # shows the run in runs/my-run, and resumes it

    The run works in the background: the notebook stays usable, and the kernel's interrupt button
    does not stop the run. Each step is saved in the run folder. You can resume a stopped run, also
    after a restart of the kernel, and add rounds to a finished one. If you change a setting that
    makes a different run, the new run gets its own folder, named after the changed settings.

    Args:
        config: the settings at first and after Reset, and those that have no field.
        folder: the folder of all run folders.
        name: the name of the run folder.

    Attributes:
        out: the run folder of the current settings.
        report: its report so far; None before the first evaluation.
        pause, stop, wait: the methods of `Live`.
    """

    def __init__(
        self, config: LoopConfig | None = None, folder: str | Path = "runs", name: str = "panel"
    ) -> None:
        self._folder, self._name = Path(folder), name
        self.out = self._folder / name
        self.report: dict[str, Any] | None = None
        self._ready: LoopConfig | None = None  # the settings, if they can be run
        self._fault = self._where = ""
        self._logs: dict[int, list[dict[str, float]]] = {}
        self._forecast, self._budget, self._refreshed = Forecast(), DrawBudget(), 0.0
        self._meter: Any = None
        self.live = Live(self._refresh)
        self.pause, self.stop, self.wait = self.live.pause, self.live.stop, self.live.wait
        self._place, self._status, self._cost = w.HTML(), w.HTML(), w.HTML()
        self._pictures = {
            name: w.HTML(layout=w.Layout(max_width="100%"))
            for name in ("rounds", "skills", "losses")}
        self.buttons = {
            text: w.Button(description=text, icon=icon, tooltip=tooltip)
            for text, (icon, tooltip) in _BUTTONS.items()}
        for button in self.buttons.values():
            button.on_click(self._click)
        self.settings = Settings(config or LoopConfig(), self._settings_changed)
        self._result = w.VBox([self._status, self._cost, side_by_side(*self._pictures.values())])
        self.panel = stack(
            self.settings.box, self._place, side_by_side(*self.buttons.values()), self._result)
        self._settings_changed(reload=True)

    # --- what a notebook may use ---

    @property
    def state(self) -> str:
        """idle (no run yet), running, pausing, paused, stopping, stopped, finished or failed."""
        if self.live.state != "idle":
            return self.live.state
        if self.report and self.report["stopped"] in ("rounds", "no-improvement"):
            return "finished"
        return "stopped" if (self.out / "config.json").exists() else "idle"

    def run(self) -> None:
        """Start a run with these settings, or resume the one in its folder.

        Raises:
            ConfigError: no run is possible with these settings.
            RunError: the folder holds another run, or one that is running.
        """
        config = self.settings.config()
        check_same_run(self.out, config)
        self._forecast, self._refreshed, self._fault = Forecast(), 0.0, ""
        who = f"panel “{self._name}” (since {time.strftime('%H:%M')})"
        self.live.start(lambda stop: self._work(config, stop), self.out, who)

    def go_on(self) -> None:
        """Resume a paused, stopped or failed run, or do more rounds of a finished one."""
        if self.live.state in AT_WORK:
            self.live.go_on()
        else:
            self.run()

    def reset(self) -> None:
        """Put the settings back to the config that the panel was made with."""
        if self.live.state not in AT_WORK:
            self.settings.reset()

    def figure(self) -> Figure:
        """Accuracy by round and by skill; before the first evaluation, empty axes."""
        if self.report and self.report["rounds"]:
            return figures.run_overview(self.report)
        return figures.accuracy_by_round({"rounds": []}, rounds=self._rounds())

    def table(self) -> Table:
        """One row per round; before the first evaluation, the settings."""
        if not (self.report and self.report["rounds"]):
            return self.settings.table()
        rows = []
        for r in self.report["rounds"]:
            found = ["–", "–"]  # round 0 has no exam
            if r["round"]:
                found = [f"{r['mistakes']} of {r['samples']}", r["lessons"]]
            kept = "kept" if r["round"] == self.report["best_round"] else ""
            interval = " – ".join(f"{bound:.1%}" for bound in r["ci95"])
            seconds = f"{sum(r.get(name, 0.0) for name in TIMES):.0f}"
            rows.append([r["round"], *found, f"{r['accuracy']:.1%}", interval, seconds, kept])
        head = ["round", "mistakes", "lessons", "test accuracy", "95 % interval", "seconds", ""]
        return Table(head, rows)

    # --- the run, in its own thread ---

    def _work(self, config: LoopConfig, stop: Stop) -> None:
        # Draw something before the slow imports and the loading of the student.
        self._budget.draw(self._draw_rounds)
        # Imported in this thread: torch takes seconds, and the panel should appear at once.
        from l2r_lite.runs.run import run_rounds
        from l2r_lite.teachers.open import open_teacher

        teacher = open_teacher(config, stop, self.settings.key)
        self._meter = teacher.meter
        report = run_rounds(
            config, self.out, teacher=teacher, stop=stop, on_round=self._after_round,
            on_step=self._after_step, on_progress=self._progress, progress=False)
        self._after_round(report)
        if report["stopped"] != "user":  # after Stop, nobody wants to wait for a figure
            self._draw_losses()

    def _after_round(self, report: dict[str, Any]) -> None:
        shown = len(self.report["rounds"]) if self.report else 0
        self.report = report
        # Also called at the end and for earlier rounds, when there is nothing new to draw.
        if len(report["rounds"]) != shown:
            self._budget.draw(self._draw_results)

    def _after_step(self, losses: dict[str, float]) -> None:
        now = self._forecast.now
        self._logs[now.round if now else 0].append(losses)
        if self._budget.due():
            self._budget.draw(self._draw_losses)

    def _progress(self, progress: Progress) -> None:
        if progress.stage == "training" and not progress.done:
            self._logs[progress.round] = []
        before = self._forecast.now
        begins = before is None or progress.stage != before.stage
        self._forecast.tell(progress, self.live.clock())
        if begins or time.monotonic() - self._refreshed > _REFRESH:
            self._refreshed = time.monotonic()
            self._refresh()

    # --- what is shown ---

    def _rounds(self) -> int:
        return (self._ready or self.settings.start).rounds

    def _settings_changed(self, reload: bool = False) -> None:
        """Find the run folder of the settings and show its run."""
        if self.live.state in AT_WORK or not hasattr(self, "panel"):
            return
        with self.live.lock:
            self.live.state, before = "idle", self.out
            try:
                self._ready = self.settings.config()
                self.out, self._where = folder_for(
                    self._folder, self._name, self.settings.start, self._ready)
                check_same_run(self.out, self._ready)
            except UserError as error:
                self._ready, self._where = None, f"⚠ {error}"
                if self.report:
                    self._where += " The result below belongs to the last valid settings."
            self._fault = ""
            if reload or before != self.out:
                self._load()
            self._refresh()

    def _load(self) -> None:
        """Show the run in the folder."""
        self.report, self._logs, self._meter = None, {}, None
        try:
            report = {}
            if (self.out / "report.json").exists():
                report = read(self.out / "report.json")
            # A run that was stopped before its first evaluation has a report without rounds.
            self.report = report if report.get("rounds") else None
            self._logs = {n: read(file) for n, file in rounds(self.out, "losses.jsonl").items()}
        except RunError as error:
            self._fault = f"⚠ {error}"
        if self.report:
            self._draw_results()
            self._draw_losses()
        else:
            for picture in self._pictures.values():
                picture.value = ""

    def _draw_results(self) -> None:
        self._draw_rounds()
        if self.report and self.report["rounds"] and self.report["rounds"][0]["by_skill"]:
            figure = figures.accuracy_by_skill(self.report, rounds=self._rounds())
            self._put("skills", figure, 5.4)
        else:
            self._pictures["skills"].value = ""

    def _draw_rounds(self) -> None:
        report = self.report or {"rounds": []}
        self._put("rounds", figures.accuracy_by_round(report, rounds=self._rounds()), 4.2)

    def _draw_losses(self) -> None:
        if self._logs:
            self._put("losses", figures.losses_by_round(self._logs), 3.4)
        else:
            self._pictures["losses"].value = ""

    def _put(self, place: str, figure: Figure, height: float) -> None:
        # Two figures fit side by side in a page of 1280 px, at full size.
        figure.set_size_inches(5.2, height)
        self._pictures[place].value = figures.as_html(figure)

    def _click(self, button: w.Button) -> None:
        actions = {
            "Run": self.run, "Pause": self.pause, "Stop": self.stop, "Continue": self.go_on,
            "Reset": self.reset}
        try:
            actions[button.description]()
        except UserError as error:
            self._fault = f"⚠ {error}"
            self._refresh()

    def _refresh(self) -> None:
        """Set buttons and lines to match the state. Called from any thread."""
        with self.live.lock:
            state, idle = self.state, self.live.state not in AT_WORK
            startable, more = idle and self._ready is not None, self._has_more()
            can = {
                "Run": startable and state in ("idle", "failed") and not more,
                "Pause": state == "running",
                "Stop": state in ("running", "pausing", "paused"),
                "Continue": state in ("pausing", "paused") or (startable and more),
                "Reset": idle,
            }
            for text, button in self.buttons.items():
                primary = can[text] and text in ("Run", "Continue")
                button.disabled = not can[text]
                button.button_style = "primary" if primary else ""
            self.settings.enable(idle)
            mark = self._result.remove_class if self._ready or not idle else self._result.add_class
            mark("l2r-old")
            self._place.value = say(self._where or f"Run folder: {self.out}")
            line = words.status(
                state, self.report, self._forecast, self._rounds(), self.live.error)
            if self._fault:
                line = html('<div role="alert" class="l2r-fault">{}</div>{}', self._fault, line)
            self._status.value = say(line)
            self._cost.value = say(words.cost(self._ready, self._meter, self.report))

    def _has_more(self) -> bool:
        """Whether these settings would continue the run in the folder."""
        if not (self.out / "config.json").exists():
            return False
        if self.state != "finished" or self._ready is None or self.report is None:
            return True
        more = self._ready.rounds >= len(self.report["rounds"])
        patience = self._ready.patience
        patient = not patience or patience > self.report["config"].get("patience", 0)
        return more and (self.report["stopped"] == "rounds" or patient)
