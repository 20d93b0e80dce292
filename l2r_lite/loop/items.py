"""Curricula: what a round trains on, made from its exam and its lessons."""

import itertools
import random
from collections.abc import Sequence

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.protocols import Curriculum
from l2r_lite.loop.records import ExamReport, Lesson, Mistake, Problem, TrainingItem


def mistakes_and_replay(replay: float) -> Curriculum:
    """The loop's curriculum: this round's lessons, and `replay` earlier items per lesson."""

    def curriculum(exam: ExamReport, lessons: Sequence[Lesson],
                   history: Sequence[Sequence[Lesson]], *, seed: int) -> list[TrainingItem]:
        earlier = [lesson for one_round in history for lesson in one_round]
        return make_items(exam.problems, lessons, exam.mistakes, exam.correct, earlier=earlier,
                          replay=replay, seed=seed)

    return curriculum


def own_answers(exam: ExamReport, lessons: Sequence[Lesson],
                history: Sequence[Sequence[Lesson]], *, seed: int) -> list[TrainingItem]:
    """Self-training without a teacher (as in STaR): all that the student itself got right."""
    return [
        TrainingItem(problem, text, source="own")
        for problem in exam.problems
        for text in exam.correct.get(problem.id, ())
    ]


def make_items(
    problems: Sequence[Problem], lessons: Sequence[Lesson], mistakes: Sequence[Mistake],
    correct: dict[str, list[str]], *, earlier: Sequence[Lesson] = (), replay: float = 0.0,
    seed: int = 0,
) -> list[TrainingItem]:
    """Turn a round's lessons and mistakes into training items.

    The anchor is a lesson. The positive is a *different* correct rationale of the same question:
    another lesson, else the student's own correct sample. The negative is one of the student's
    own mistakes on the question, with its own wrong answer.

    Args:
        correct: problem id → the student's own correct rationales in this round's exam.
        earlier: lessons of earlier rounds.
        replay: replayed items per lesson (0: the paper), half from `earlier`, half from `correct`,
            on questions without a lesson in this round.
    """
    problem = {p.id: p for p in problems}
    taught: dict[str, list[str]] = {}
    for lesson in lessons:
        texts = taught.setdefault(lesson.problem_id, [])
        if lesson.rationale not in texts:
            texts.append(lesson.rationale)
    wrong: dict[str, list[str]] = {}
    for mistake in mistakes:
        wrong.setdefault(mistake.problem.id, []).append(mistake.rationale)

    items = []
    for key, texts in taught.items():
        for number, anchor in enumerate(texts):
            # Lessons come in pairs (0 and 1, 2 and 3, …), each the other's positive, both with
            # one negative: students/packing.py computes such a pair at once.
            partner = texts[number ^ 1 : (number ^ 1) + 1]
            others = [text for text in (*partner, *texts, *correct.get(key, ())) if text != anchor]
            positive = others[0] if others else None
            negatives = wrong.get(key, [])
            negative = negatives[number // 2 % len(negatives)] if negatives else None
            items.append(TrainingItem(problem[key], anchor, positive, negative))

    rng = random.Random(f"{seed}/items")  # noqa: S311
    wanted = round(replay * len(items))
    old = [
        TrainingItem(problem[lesson.problem_id], lesson.rationale, source="replay")
        for lesson in earlier
        if lesson.problem_id not in taught
    ]
    own = [
        TrainingItem(problem[key], texts[0], source="own")
        for key, texts in correct.items()
        if texts and key not in taught
    ]
    from_old = min(len(old), wanted // 2)
    from_own = min(len(own), wanted - from_old)
    return items + rng.sample(old, from_old) + rng.sample(own, from_own)


def epoch_batches(
    items: Sequence[TrainingItem], size: int, rng: random.Random
) -> list[list[TrainingItem]]:
    """One pass in random order, in batches of items of like length (less padding)."""
    together: dict[str, list[TrainingItem]] = {}  # a question's items stay in one batch
    for item in items:
        together.setdefault(item.problem.id, []).append(item)
    order = list(together.values())
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), size * 4):
        groups = sorted(order[start : start + size * 4], key=lambda group: _length(group[0]))
        pool = [item for group in groups for item in group]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    rng.shuffle(batches)
    return batches


def round_batches(
    items: Sequence[TrainingItem], config: LoopConfig, rng: random.Random
) -> list[list[TrainingItem]]:
    """A round's batches: `config.epochs` passes, or passes until there are `config.steps`."""
    batches: list[list[TrainingItem]] = []
    for number in itertools.count(1):
        batches += epoch_batches(items, config.batch_size, rng)
        enough = len(batches) >= config.steps if config.steps else number == config.epochs
        if enough or not items:
            break
    return batches[: config.steps or None]


def _length(item: TrainingItem) -> int:
    return sum(len(t or "") for t in (
        item.problem.question, item.anchor, item.positive, item.negative))
