"""Estimate how long the first round will take on this machine, from a short trial."""

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.items import epoch_batches, make_items, round_batches
from l2r_lite.loop.records import Lesson, Problem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.students.packing import packed_loss


@dataclass(frozen=True)
class RoundTime:
    """Seconds of the first round's exam and training; its evaluation is not included.

    Attributes:
        steps: training steps.
        mistakes: share of questions with a mistake, in [0, 1].
    """

    exam: float
    training: float
    steps: int
    mistakes: float


def time_round(config: LoopConfig, student: Student, problems: Sequence[Problem]) -> RoundTime:
    """Take one batch of the exam and four training steps, and extrapolate to the first round.

    The student's own wrong answers stand in for the lessons, which do not exist yet: they are
    about as long.

    Args:
        problems: the run's training questions.
    """
    batch = problems[: max(1, config.exam_rows // config.samples)]
    share = len(batch) / len(problems)
    # The first tokens are slower, so they are not timed.
    student.generate([student.prompt(p) for p in batch[:2]], max_new_tokens=2)
    started = time.perf_counter()
    exam = take_exam(
        student, batch, samples=config.samples, temperature=config.temperature, seed=config.seed,
        max_new_tokens=config.max_new_tokens, rows=config.exam_rows, prompt=student.prompt,
        progress=False)
    exam_seconds = (time.perf_counter() - started) / share

    wrong = {m.problem.id: m for m in exam.mistakes}
    sent = len(wrong)
    if config.feedback_limit:
        sent = min(sent, math.ceil(config.feedback_limit * share))
    stand_ins = [
        Lesson(key, mistake.rationale + " " * n)  # two lessons on a question must differ
        for key, mistake in list(wrong.items())[:sent] for n in range(config.lessons)]
    items = make_items(
        batch, stand_ins, exam.mistakes, exam.correct, replay=config.replay, seed=config.seed)
    steps = 0
    if items:
        passes = round_batches(items, config.with_(steps=0), random.Random(config.seed))
        steps = config.steps or math.ceil(sum(map(len, passes)) / share / config.batch_size)

    seconds_per_item = []
    student.model.train()
    for some in epoch_batches(items, config.batch_size, random.Random(config.seed))[:4]:
        started = time.perf_counter()
        train_step(student, some, config, packed_loss)
        seconds_per_item.append((time.perf_counter() - started) / len(some))
    student.model.zero_grad()
    student.model.eval()
    per_step = config.batch_size * statistics.median(seconds_per_item or [0.0])
    return RoundTime(exam_seconds, per_step * steps, steps, len(wrong) / len(batch))
