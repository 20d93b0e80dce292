"""The loop: rounds of exam → feedback → tailored training → evaluation, in a run folder.

Each stage writes its files when it is done, and a stage whose files exist is skipped: to resume a
run, run it again. Decisions use the validation split; the test split is for the report only.
"""

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.items import mistakes_and_replay, own_answers, round_batches
from l2r_lite.loop.lessons import choose_mistakes, make_lessons
from l2r_lite.loop.parts import PLAIN, Parts
from l2r_lite.loop.protocols import Students, Teacher
from l2r_lite.loop.records import ExamReport, Lesson, Problem, Sample
from l2r_lite.loop.runfolder import Growing, read_lines, write_json, write_lines
from l2r_lite.loop.stages import Stages
from l2r_lite.loop.training import train_round


class Loop:
    """One run of tailored learning, in the folder of `stages`.

    `problems` has "train", "validation" and "test"; `on_evaluated` gets the round's number.
    """

    def __init__(
        self, config: LoopConfig, problems: dict[str, list[Problem]], students: Students,
        teacher: Teacher, stages: Stages, *, parts: Parts = PLAIN,
        on_evaluated: Callable[[int], object] = lambda number: None,
        on_step: Callable[[dict[str, float]], object] = lambda logged: None, progress: bool = True,
    ) -> None:
        self.config, self.problems, self.students = config, problems, students
        self.teacher, self.stages, self.parts = teacher, stages, parts
        self.on_evaluated, self.on_step, self.progress = on_evaluated, on_step, progress
        self.validation: list[float] = []  # accuracy after each round
        tailored = mistakes_and_replay(config.replay, parts.verify)
        usual = own_answers if config.teacher == "none" else tailored
        self.curriculum = parts.curriculum or usual

    def run(self) -> str:
        """Run every round. Returns why it ended: "rounds", "budget" or "no-improvement"."""
        self.evaluate(0)
        for number in range(1, self.config.rounds + 1):
            exam = self.exam(number)
            lessons = self.feedback(number, exam)
            self.train(number, exam, lessons)
            self.evaluate(number)
            if self.teacher.out_of_budget:
                return "budget"
            if self.config.patience and number - self.best_round >= self.config.patience:
                return "no-improvement"
        return "rounds"

    @property
    def best_round(self) -> int:
        """The round with the best validation accuracy; the earliest one if tied."""
        return self.validation.index(max(self.validation))

    def exam(self, number: int) -> ExamReport:
        """Stage 1: the previous round's student answers every training question."""
        c = self.config
        return self._take(number, "exam", "train", number - 1, c.samples, c.temperature)

    def evaluate(self, number: int) -> None:
        """Greedy answers of this round's student on validation and test."""
        validation = self._take(number, "validation", "validation", number, 1, 0.0)
        self._take(number, "test", "test", number, 1, 0.0)
        if not self.students.adapter(number).exists():
            self.students.after(number)  # the fresh adapter was removed as damaged: save it again
        self.validation.append(validation.accuracy)
        self.on_evaluated(number)

    def feedback(self, number: int, exam: ExamReport) -> list[Lesson]:
        """Stage 2: mistakes go to the teacher; verified rationales come back as lessons."""
        self.stages.between()
        c, file = self.config, self._folder(number) / "lessons.jsonl"
        if file.exists():
            return read_lines(file, Lesson)
        mistakes = choose_mistakes(exam, c, seed=self._seed(number))
        per_question = Counter(m.problem.id for m in mistakes)
        total = sum(min(n, c.mistakes_per_question) for n in per_question.values())
        fits = self.students.fits(number - 1, written=self.teacher.can_revise)
        with self.stages.stage(number, "feedback", total) as advance:

            def heard(*_: object) -> None:
                advance(1)
                self.stages.check()

            found = make_lessons(
                self.teacher, mistakes, c.lessons, per_question=c.mistakes_per_question,
                read=self.parts.read, verify=self.parts.verify, fits=fits, on_reply=heard,
                progress=self.progress)
            self.stages.check()
            meter = self.teacher.meter
            write_lines(file.with_name("rejected.jsonl"), found.rejections)
            write_json(file.with_name("feedback.json"), {
                "teacher_calls": found.sent, "without_lesson": dict(found.without),
                "so_far": dataclasses.asdict(meter) if meter else {}})
        write_lines(file, found.lessons)
        return found.lessons

    def train(self, number: int, exam: ExamReport, lessons: Sequence[Lesson]) -> None:
        """Stage 3: tailored training; if it was killed, it starts over."""
        if self.students.adapter(number).exists():
            return
        self.stages.between()
        c, seed, folder = self.config, self._seed(number), self._folder(number)
        history = [read_lines(self._folder(n) / "lessons.jsonl", Lesson) for n in range(1, number)]
        items = self.curriculum(exam, lessons, history, seed=seed)
        student = self.students.to_be_trained(number - 1)
        steps = len(round_batches(items, c, random.Random(seed)))
        with self.stages.stage(number, "training", steps) as advance:

            def stepped(logged: dict[str, float]) -> None:
                advance(1)
                self.on_step(logged)

            # The better the student, the smaller the steps: large ones break what it knows.
            rate = c.learning_rate * c.rate_decay ** (number - 1)
            log = train_round(
                student, items, dataclasses.replace(c, learning_rate=rate), seed=seed,
                objective=self.parts.objective, step=self.students.step,
                stop=self.stages.asked_to_stop, on_step=stepped, progress=self.progress)
            self.stages.still_ours()
            write_lines(folder / "training.jsonl", [
                {"problem_id": item.problem.id, "anchor": item.anchor, "positive": item.positive,
                 "negative": item.negative, "source": item.source} for item in items])
            write_lines(folder / "losses.jsonl", log)
        self.students.save(number)

    def _take(
        self, number: int, name: str, split: str, after: int, samples: int, temperature: float
    ) -> ExamReport:
        """Examine the student after a round; the exam's file grows part by part."""
        self.stages.between()
        problems, file = self.problems[split], self._folder(number) / f"{name}.jsonl"
        if file.exists():
            return ExamReport(tuple(problems), tuple(read_lines(file, Sample)))
        writer, growing = self.students.writer(after), Growing(file, Sample)
        done = len(growing.taken) / samples
        with self.stages.stage(number, name, len(problems), done) as advance:

            def keep(new: list[Sample]) -> None:
                growing.append(new)
                advance(len(new) / samples)
                self.stages.check()

            report = take_exam(
                writer, problems, samples=samples, temperature=temperature,
                seed=self._seed(number), max_new_tokens=self.config.max_new_tokens,
                rows=self.students.rows, prompt=self.students.prompt, judge=self.parts.judge,
                taken=growing.taken, on_samples=keep, on_token=self.stages.check,
                describe=f"round {number}: {name}", progress=self.progress)
        growing.finish(report.samples)
        return report

    def _folder(self, number: int) -> Path:
        return self.stages.out / f"round-{number}"

    def _seed(self, number: int) -> int:
        return self.config.seed * 1009 + number
