"""Feedback: mistakes go to the teacher, and only verified rationales become lessons."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from tqdm.auto import tqdm

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.grading import read_answer, same_answer
from l2r_lite.loop.prompts import ANSWER_MARK, answer_line
from l2r_lite.loop.protocols import Ask, Context, Reader, Teacher, Verifier
from l2r_lite.loop.records import ExamReport, Lesson, Mistake, Problem, Rejection, Reply

OUT_OF_BUDGET = "budget"  # why a mistake was not sent


def verify_answer(problem: Problem, text: str, context: Context) -> str | None:
    """The minimum for a lesson: right and new. A run checks more (data/verify.py)."""
    answer = read_answer(text, problem)
    if answer is None:
        return "no answer"
    if not same_answer(answer, problem.answer, problem.kind):
        return "wrong answer"
    return not_new(text, context)


def not_new(text: str, context: Context) -> str | None:
    """Why a right rationale is rejected: it exists already, or is too long for the student."""
    if text in context.mistakes:
        return "copy of the mistake"
    if text in context.accepted:
        return "duplicate"
    return None if context.fits(text) else "too long"


@dataclass
class Feedback:
    """The result of sending mistakes to a teacher."""

    lessons: list[Lesson] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)  # also replies without a rationale
    sent: int = 0
    without: Counter[str] = field(default_factory=Counter)  # reason → mistakes without a lesson


def choose_mistakes(exam: ExamReport, config: LoopConfig, *, seed: int) -> list[Mistake]:
    """Choose the mistakes for the teacher: those on `feedback_limit` questions, drawn by `seed`.

    The annotator, the paper's baseline, gets equally many questions from all, without mistakes.
    """
    if config.teacher == "none":
        return []
    rng = random.Random(f"{seed}/questions")  # noqa: S311
    wrong = list(dict.fromkeys(m.problem.id for m in exam.mistakes))
    count = min(config.feedback_limit or len(wrong), len(exam.problems))
    if config.annotator:
        return [Mistake(problem, "", None) for problem in rng.sample(exam.problems, count)]
    chosen = set(wrong if count >= len(wrong) else rng.sample(wrong, count))
    return [m for m in exam.mistakes if m.problem.id in chosen]


def make_lessons(
    teacher: Teacher, mistakes: Sequence[Mistake], count: int, *, per_question: int = 1,
    read: Reader = read_answer, verify: Verifier = verify_answer,
    fits: Callable[[str], bool] = lambda text: True,
    on_reply: Callable[[list[Lesson], list[Rejection]], object] = lambda lessons, refused: None,
    progress: bool = True,
) -> Feedback:
    """Send mistakes to the teacher and keep the rationales that pass verification.

    A teacher that can revise gets a second try at each mistake without a lesson.

    Args:
        count: rationales per mistake; at most `per_question` mistakes per question are sent.
        fits: whether a rationale is short enough for the student.
        on_reply: called with each reply's lessons and rejections.
    """
    wrong: dict[str, list[Mistake]] = {}
    for mistake in mistakes:
        wrong.setdefault(mistake.problem.id, []).append(mistake)
    sent = [m for group in wrong.values() for m in group[:per_question]]
    feedback = Feedback(sent=len(sent))
    accepted: dict[str, list[str]] = {}  # problem id → texts of its lessons
    failed: dict[Mistake, tuple[Rejection, ...]] = {}

    def collect(replies: Iterator[Reply], asked: Sequence[Mistake], describe: str) -> None:
        with tqdm(total=len(asked), desc=describe, unit="mistake", disable=not progress,
                  leave=False) as bar:
            for reply in in_order(replies, asked):
                problem = reply.mistake.problem
                known = accepted.setdefault(problem.id, [])
                context = Context([m.rationale for m in wrong[problem.id]], known, fits)
                lessons, refused = _check(reply, context, known, read, verify)
                feedback.lessons += lessons
                feedback.rejections += refused
                failed.pop(reply.mistake, None)
                if not lessons:
                    failed[reply.mistake] = tuple(refused)
                bar.update()
                bar.set_postfix_str(str(teacher.meter or ""))
                on_reply(lessons, refused)

    with closing(teacher.teach(sent, count)) as replies:
        collect(replies, sent, "feedback")
    again: list[Ask] = [(m, r) for m, r in failed.items() if r[-1].reason != OUT_OF_BUDGET]
    if again and teacher.can_revise:
        with closing(teacher.teach_again(again, count)) as replies:
            collect(replies, [mistake for mistake, _ in again], "feedback: second try")
    feedback.without.update(refused[-1].reason for refused in failed.values())
    return feedback


def _check(
    reply: Reply, context: Context, known: list[str], read: Reader, verify: Verifier
) -> tuple[list[Lesson], list[Rejection]]:
    """The lessons and rejections of one reply. Adds the lessons to `known`, the context's list."""
    problem = reply.mistake.problem
    if not reply.rationales:
        return [], [Rejection(problem.id, "", reply.fault or "nothing from the teacher")]
    lessons: list[Lesson] = []
    refused: list[Rejection] = []
    for rationale in reply.rationales:
        text = close_with_answer(rationale, problem, read)
        reason = verify(problem, text, context)
        if reason is None:
            known.append(text)
            lessons.append(Lesson(problem.id, text, reply.feedback))
        else:
            refused.append(Rejection(problem.id, rationale, reason))
    return lessons, refused


def close_with_answer(rationale: str, problem: Problem, read: Reader = read_answer) -> str:
    """End a rationale with the answer line for its *own* answer, right or wrong."""
    answer = read(rationale, problem)
    if answer is None:
        return rationale
    text = " ".join(rationale.split())
    line = answer_line(answer, problem.kind)
    cut = text.rfind(ANSWER_MARK)
    ends_in_mark = cut >= 0 and len(text) - cut < len(line) + 12
    return f"{text[:cut]}{line}" if ends_in_mark else f"{text} {line}"


def in_order(replies: Iterable[Reply], mistakes: Sequence[Mistake]) -> Iterator[Reply]:
    """Replies in the order of their mistakes, so that a run does not depend on the network."""
    early: dict[Mistake, Reply] = {}
    due = list(mistakes)
    for reply in replies:
        early[reply.mistake] = reply
        while due and due[0] in early:
            yield early.pop(due.pop(0))
    yield from (early[mistake] for mistake in due if mistake in early)  # the replies ended early
