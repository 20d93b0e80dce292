"""Curricula: build a round's training items from its exam and its lessons."""

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.protocols import Context, Curriculum, Verifier
from l2r_lite.loop.records import ExamReport, Lesson, Mistake, Problem, TrainingItem


def mistakes_and_replay(replay: float, verify: Verifier) -> Curriculum:
    """The loop's curriculum: this round's lessons, earlier ones, and own right answers."""

    def curriculum(exam: ExamReport, lessons: Sequence[Lesson],
                   history: Sequence[Sequence[Lesson]], *, seed: int) -> list[TrainingItem]:
        earlier = [lesson for one_round in history for lesson in one_round]
        # Own answers must pass `verify`, too: right by luck, they would teach wrong steps.
        sound = {p.id: [text for text in exam.correct.get(p.id, ())
                        if verify(p, text, Context()) is None] for p in exam.problems}
        return make_items(
            exam.problems, lessons, exam.mistakes, sound, earlier=earlier, replay=replay, seed=seed)

    return curriculum


def own_answers(exam: ExamReport, lessons: Sequence[Lesson],
                history: Sequence[Sequence[Lesson]], *, seed: int) -> list[TrainingItem]:
    """Self-training without a teacher (as in STaR): what the student got right by itself."""
    return [TrainingItem(problem, text, source="own")
            for problem in exam.problems for text in exam.correct.get(problem.id, ())]


def make_items(
    problems: Sequence[Problem], lessons: Sequence[Lesson], mistakes: Sequence[Mistake],
    correct: dict[str, list[str]], *, earlier: Sequence[Lesson] = (), replay: float = 0.0,
    seed: int = 0,
) -> list[TrainingItem]:
    """Turn lessons and mistakes into training items, each lesson once.

    The anchor is a lesson. The positive is a *different* correct rationale of the same question:
    another lesson, else the student's own correct sample. The negative is one of the student's
    own mistakes on the question in this round, wrong answer included.

    Args:
        correct: problem id → the student's own correct rationales in this round's exam.
        earlier: lessons of earlier rounds.
        replay: share of `earlier` to train on again, and own correct rationales per lesson, one
            per question without a lesson in this round (0: neither, as in the paper).
    """
    rng = random.Random(f"{seed}/items")  # noqa: S311
    problem = {p.id: p for p in problems}
    now = dict.fromkeys((lesson.problem_id, lesson.rationale) for lesson in lessons)
    old = dict.fromkeys((lesson.problem_id, lesson.rationale) for lesson in earlier)
    again = [pair for pair in old if pair not in now]
    taught, wrong = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for key, text in (*now, *rng.sample(again, round(replay * len(again)))):
        taught[key].append(text)
    for mistake in mistakes:
        wrong[mistake.problem.id].append(mistake.rationale)

    items = []
    for key, texts in taught.items():
        for number, anchor in enumerate(texts):
            # Lessons come in pairs (0 and 1, 2 and 3, …), each the other's positive, with the
            # same negative: students/packing.py computes the pair in one sequence.
            partner = texts[number ^ 1 : (number ^ 1) + 1]
            others = [text for text in (*partner, *texts, *correct.get(key, ())) if text != anchor]
            positive = others[0] if others else None
            negative = wrong[key][number // 2 % len(wrong[key])] if wrong[key] else None
            source = "lesson" if (key, anchor) in now else "replay"
            items.append(TrainingItem(problem[key], anchor, positive, negative, source))
    questions = {key for key, _ in now}
    own = [TrainingItem(problem[key], texts[0], source="own")
           for key, texts in correct.items() if texts and key not in questions]
    return items + rng.sample(own, min(len(own), round(replay * len(items))))


def epoch_batches(
    items: Sequence[TrainingItem], size: int, rng: random.Random
) -> list[list[TrainingItem]]:
    """One pass in random order, in batches of items of similar length (less padding)."""
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
    """A round's batches: `config.epochs` passes, or enough passes for `config.steps` batches.

    Every pass has all lessons. The student knows its own answers already, so they are spread
    over the passes: each appears once per `config.epochs` passes.
    """
    lessons = [item for item in items if item.source != "own"]
    own = [item for item in items if item.source == "own"] if lessons else []
    rng.shuffle(own)
    batches: list[list[TrainingItem]] = []
    for number in itertools.count() if config.steps else range(config.epochs):
        some = own[number % config.epochs :: config.epochs]
        batches += epoch_batches([*(lessons or items), *some], config.batch_size, rng)
        if not items or len(batches) >= config.steps > 0:
            break
    return batches[: config.steps or None]


def _length(item: TrainingItem) -> int:
    return sum(len(t or "") for t in (
        item.problem.question, item.anchor, item.positive, item.negative))
