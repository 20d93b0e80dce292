"""The loop: rounds of exam → feedback → tailored training → evaluation, in a run folder that survives a kill.

Each stage writes its files whole when it is done, and a stage whose files are there is not done again: resuming is running
again. Decisions (which student is best, when to stop) read the validation split only; test is for the report.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2r_lite import guard
from l2r_lite import runfolder as folder
from l2r_lite.config import LoopConfig
from l2r_lite.devices import Team, join
from l2r_lite.exam import ExamReport, take_exam
from l2r_lite.lessons import make_demonstrations, make_lessons, questions_to_ask
from l2r_lite.problems import load_problems
from l2r_lite.prompts import demonstrations
from l2r_lite.records import Lesson, Problem, Sample, TrainingItem
from l2r_lite.report import build_report
from l2r_lite.run_student import RunStudent
from l2r_lite.teacher import Teacher, open_teacher
from l2r_lite.training import Stopped, epoch_batches, make_items, own_items, train_round

MAY_CHANGE = ("rounds", "patience", "exam_rows", "student_url", "base_url", "teacher_cache", "budget", "price", "concurrency")

OnRound = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Progress:
    """How far a stage of a run is: `done` of `total` questions (validation, test, exam), mistakes (feedback), steps (training).

    `loading` (the student, once) has no parts: its total is 0. A total may be an estimate, and `done` never exceeds it.
    """

    round: int
    stage: str
    done: int
    total: int


def run_rounds(
    config: LoopConfig, out: str | Path, *, teacher: Teacher | None = None, stop: Callable[[], bool] = lambda: False,
    on_round: OnRound | None = None, on_step: Callable[[dict[str, float]], object] | None = None,
    on_progress: Callable[[Progress], object] | None = None, progress: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Run the loop in the folder `out`, or go on where it was left there; with more `rounds`, a finished run continues.

    Several processes that accelerate started do one run together: each calls this, and all that is passed counts in the first.

    Args:
        teacher: None opens the one that the config names.
        stop: asked between steps; True ends the run as soon as that is possible, ready to be resumed.
        on_round: called with the report so far after each evaluation.  on_step: called with each training step's losses.
        on_progress: called when a stage begins and again as it advances; a stage that is done already is passed over.
        progress: show a bar for each stage in the terminal or the cell.

    Returns:
        The report, as in `out`/report.json. The best student's adapter (by validation accuracy; the untrained one if no
        round was better) lies in `out`/student.

    Raises:
        ConfigError, ProblemError, TeacherError, StudentError, RunError: one sentence on what is wrong; nothing is lost.
    """
    config.check()
    team = join()
    if team and team.rank:
        return team.help()

    def work() -> dict[str, Any]:
        run = _Run(config, Path(out), teacher or open_teacher(config, stop), stop, on_step, on_progress, progress, team)
        with guard.held(run.out) as held:
            run.begin(held)
            try:
                return run.go(on_round)
            finally:
                run.student.close()

    return team.lead(work) if team else work()


def check_same_run(out: str | Path, config: LoopConfig) -> None:
    """Check that a run that is in the folder has this config; what decides no result (MAY_CHANGE) may differ.

    Raises:
        RunError: the folder holds another run, or its config.json was edited.
    """
    file, made = Path(out) / "config.json", guard.sealed_config(Path(out))
    there = LoopConfig.read(file).to_json() if file.exists() else made
    deciding = [f.name for f in dataclasses.fields(config) if f.name in there and f.name not in MAY_CHANGE]
    for name in deciding:
        if made.get(name, there[name]) != there[name]:
            raise folder.RunError(f"{file}: was edited by hand: {name} = {there[name]!r} there, and the run was made with "
                                  f"{made[name]!r}. Put that back, or take another folder for other settings.")  # fmt: skip
    differs = [name for name in deciding if there[name] != getattr(config, name)]
    if differs:
        told = ", ".join(f"{n} = {there[n]!r} there, {getattr(config, n)!r} asked for" for n in differs)
        raise folder.RunError(f"{out} holds a run with other settings: {told}. Take another folder, or those settings.")


class _Run:
    """One run: what all its stages share."""

    def __init__(
        self, config: LoopConfig, out: Path, teacher: Teacher, stop: Callable[[], bool],
        on_step: Callable[[dict[str, float]], object] | None, on_progress: Callable[[Progress], object] | None, progress: bool,
        team: Team | None,
    ) -> None:  # fmt: skip
        self.config, self.out, self.teacher, self.team = config, out, teacher, team
        self._stop, self.on_step, self.on_progress, self.progress = stop, on_step, on_progress, progress
        self._waited = 0.0  # seconds spent in `stop`, which may hold the run for a while: no stage's time
        check_same_run(out, config)
        # Problems come first: a run that cannot start leaves no folder behind that refuses the corrected command.
        self.problems = {split: self._load(split) for split in ("train", "validation", "test")}
        self.student = RunStudent(config, out, self.problems, team, lambda number: self._begin(number, "loading", 0))

    def begin(self, held: guard.Held) -> None:
        """What may be written only while the folder is held: settings and problems, after a look at what is there."""
        check_same_run(self.out, self.config)  # another process may have begun a run there since
        self.held = held
        if not (self.out / "config.json").exists():  # as with problems: what cannot start must not refuse the corrected command
            self.student.load()
        self.seals = guard.Seals(self.out, self.config.to_json())
        self.seals.check()
        folder.write_json(self.out / "config.json", self.config.to_json())
        for split, problems in self.problems.items():
            if not self._problem_file(split).exists():
                folder.write_lines(self._problem_file(split), problems)

    def _load(self, split: str) -> list[Problem]:
        c = self.config
        limit = {"train": c.limit, "validation": c.validation_limit, "test": c.test_limit}[split] or None
        # Validation and test questions do not depend on the seed: runs with different seeds sit the same test.
        seed = c.seed if split == "train" else 0
        file = self._problem_file(split)
        if file.exists():
            return folder.read_lines(file, Problem)
        return load_problems(c.problems, split, limit, seed, c.data_dir)

    def _problem_file(self, split: str) -> Path:
        return self.out / "problems" / f"{split}.jsonl"

    def round(self, number: int) -> Path:
        return self.out / f"round-{number}"

    def _seed(self, number: int) -> int:
        return self.config.seed * 1009 + number

    def go(self, on_round: OnRound | None) -> dict[str, Any]:
        stopped, number = "rounds", 0
        try:
            self.demonstrate()
            self.evaluate(0, on_round)
            for number in range(1, self.config.rounds + 1):
                exam = self.examine(number)
                lessons = self.get_feedback(number, exam)
                self.train(number, exam, lessons)
                self.evaluate(number, on_round)
                if getattr(self.teacher, "out_of_budget", False):  # a later start with more money goes on
                    stopped = "budget"
                    break
                if self._no_better_since(number):
                    stopped = "no-improvement"
                    break
        except (Stopped, KeyboardInterrupt):
            stopped = "user"
        report = self.report(stopped)
        self._settle()
        best = self.student.adapter(report["best_round"])
        if best.exists():
            folder.copy_folder(best, self.out / "student")
        folder.write_json(self.out / "report.json", report)
        return report

    def demonstrate(self) -> None:
        """Stage 0: the teacher's worked examples that stand before every question; those questions leave the training set."""
        if not self.config.demonstrations:
            return
        self._check_stop()
        file, train = self.out / "demonstrations.jsonl", self.problems["train"]
        if not file.exists():
            made = make_demonstrations(self.teacher, train, self.config.demonstrations, seed=self.config.seed)
            folder.write_lines(file, made)
        shown = {lesson.problem_id: lesson.rationale for lesson in folder.read_lines(file, Lesson)}
        self.student.demonstrations = demonstrations((p, shown[p.id]) for p in train if p.id in shown)
        self.problems["train"] = [p for p in train if p.id not in shown]

    def report(self, stopped: str) -> dict[str, Any]:
        return build_report(self.out, self.config, stopped)

    def _no_better_since(self, number: int) -> bool:
        best = self.report("rounds")["best_round"]
        return bool(self.config.patience) and number - best >= self.config.patience

    def _clock(self) -> float:
        return time.monotonic() - self._waited

    def _begin(self, number: int, stage: str, total: int, done: float = 0) -> Callable[[float], None]:
        """Tell that a stage begins; the result is called with how many more of its parts are done."""

        def advance(more: float) -> None:
            nonlocal done
            done += more
            if self.on_progress:
                self.on_progress(Progress(number, stage, min(int(done), total), total))

        advance(0)
        return advance

    def _timed(self, number: int, stage: str, started: float) -> None:
        file = self.round(number) / "stages.json"
        seconds = folder.read_json(file) if file.exists() else {}
        seconds[stage] = round(seconds.get(stage, 0.0) + self._clock() - started, 2)
        folder.write_json(file, seconds)

    def stop(self) -> bool:
        asked = time.monotonic()
        try:
            return self._stop()
        finally:
            self._waited += time.monotonic() - asked

    def _check_stop(self) -> None:
        if self.stop():
            raise Stopped
        self.held.check()

    def _settle(self) -> None:
        """Between two stages: is the folder still there, and seals on what is finished."""
        self.held.check()
        self.seals.sweep()

    def _sit(self, number: int, name: str, split: str, after_round: int, *, samples: int, temperature: float) -> ExamReport:
        """An exam as one file of samples, batch by batch, so that little is lost by a kill."""
        self._settle()
        self._check_stop()
        problems, file = self.problems[split], self.round(number) / f"{name}.jsonl"
        if file.exists():
            return ExamReport(tuple(problems), tuple(folder.read_lines(file, Sample)))
        writer, growing, started = self.student.writer(after_round), folder.Growing(file, Sample), self._clock()
        advance = self._begin(number, name, len(problems), len(growing.taken) / samples)

        def keep(new: list[Sample]) -> None:
            growing.append(new)
            advance(len(new) / samples)
            self._check_stop()

        report = take_exam(
            writer, problems, samples=samples, temperature=temperature, seed=self._seed(number),
            max_new_tokens=self.config.max_new_tokens, taken=growing.taken, on_samples=keep,
            rows=self.config.exam_rows * (self.team.size if self.team else 1), on_token=self._check_stop,
            describe=f"round {number}: {name}", progress=self.progress,
        )  # fmt: skip
        self._timed(number, name, started)
        growing.finish(report.samples)
        return report

    def evaluate(self, number: int, on_round: OnRound | None) -> None:
        """Greedy answers on validation (for decisions) and test (for the report) by the student of this round."""
        for split in ("validation", "test"):
            self._sit(number, split, split, number, samples=1, temperature=0.0)
        if not self.student.adapter(number).exists():  # only the fresh one can be gone here, removed as damaged
            self.student.after(number)
        report = self.report("user")
        folder.write_json(self.out / "report.json", report)
        if on_round:
            on_round(report)

    def examine(self, number: int) -> ExamReport:
        """Stage 1: the student of the round before answers every training question, several samples each."""
        return self._sit(number, "exam", "train", number - 1, samples=self.config.samples, temperature=self.config.temperature)

    def get_feedback(self, number: int, exam: ExamReport) -> list[Lesson]:
        """Stage 2: mistakes go to the teacher; verified rationales come back as lessons."""
        self._settle()
        self._check_stop()
        file = self.round(number) / "lessons.jsonl"
        if file.exists():
            return folder.read_lines(file, Lesson)
        asks = questions_to_ask(exam, self.config, seed=self._seed(number))
        asked = Counter(m.problem.id for m in asks)
        fits, started = self.student.fits(number - 1, written=hasattr(self.teacher, "teach_again")), self._clock()
        advance = self._begin(
            number, "feedback", sum(min(n, self.config.mistakes_per_question) for n in asked.values())
        )

        def heard(*_: object) -> None:
            advance(1)
            self._check_stop()

        feedback = make_lessons(
            self.teacher, asks, self.config.lessons, per_question=self.config.mistakes_per_question,
            fits=fits, on_reply=heard, progress=self.progress,
        )  # fmt: skip
        self._check_stop()
        cost = dataclasses.asdict(meter) if (meter := getattr(self.teacher, "meter", None)) else {}
        folder.write_lines(self.round(number) / "rejected.jsonl", feedback.rejections)
        counts = {"teacher_calls": feedback.sent, "without_lesson": dict(feedback.without), "so_far": cost}
        folder.write_json(self.round(number) / "feedback.json", counts)
        self._timed(number, "feedback", started)
        folder.write_lines(file, feedback.lessons)
        return feedback.lessons

    def train(self, number: int, exam: ExamReport, lessons: list[Lesson]) -> None:
        """Stage 3: tailored training from the student of the round before; a killed training starts this round's anew."""
        if self.student.adapter(number).exists():
            return
        self._settle()
        self._check_stop()
        earlier = [x for r in range(1, number) for x in folder.read_lines(self.round(r) / "lessons.jsonl", Lesson)]
        seed = self._seed(number)
        items = own_items(self.problems["train"], exam.correct) if self.config.teacher == "none" else make_items(
            self.problems["train"], lessons, exam.mistakes, exam.correct, earlier=earlier, replay=self.config.replay, seed=seed
        )  # fmt: skip
        student, started = self.student.to_be_trained(number - 1), self._clock()
        one_pass = epoch_batches(items, self.config.batch_size, random.Random(seed))
        advance = self._begin(number, "training", self.config.steps or self.config.epochs * len(one_pass))

        def stepped(losses: dict[str, float]) -> None:
            advance(1)
            if self.on_step:
                self.on_step(losses)

        log = train_round(
            student, items, self.config, seed=seed, stop=self.stop, on_step=stepped, progress=self.progress, team=self.team
        )
        self.held.check()
        folder.write_lines(self.round(number) / "training.jsonl", [_item_line(i) for i in items])
        folder.write_lines(self.round(number) / "losses.jsonl", log)
        self._timed(number, "training", started)
        self.student.save(number)


def _item_line(item: TrainingItem) -> dict[str, Any]:
    return {"problem_id": item.problem.id, "anchor": item.anchor, "positive": item.positive, "negative": item.negative,
            "source": item.source}  # fmt: skip

