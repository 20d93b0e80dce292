"""Feedback: mistakes go to the teacher, and what it says is verified. Nothing unverified is trained on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from l2r_lite.arithmetic import wrong_equations
from l2r_lite.benchmarks import unreadable
from l2r_lite.cost import OUT_OF_BUDGET
from l2r_lite.grading import extract_answer, same_answer
from l2r_lite.prompts import ANSWER_MARK, answer_line
from l2r_lite.records import Lesson, Mistake, Problem, Rejection
from l2r_lite.teacher import Reply, Teacher, TeacherError

if TYPE_CHECKING:
    from l2r_lite.config import LoopConfig
    from l2r_lite.exam import ExamReport

TOO_LONG = "too long"


def reject(problem: Problem, rationale: str, mistakes: Sequence[str], accepted: Sequence[str]) -> str | None:
    """Why a teacher's rationale must not be trained on; None if it may.

    Its own final answer must be the gold answer, every equation in it must hold when recomputed, and it must be neither
    one of the student's wrong rationales nor a lesson that is there already.
    """
    text = " ".join(rationale.split())
    if not text:
        return "empty"
    if unreadable(text):
        return "unreadable characters"
    for version in {rationale, text}:  # folding line breaks must not change what is read
        answer = extract_answer(version, problem.kind, problem.choices)
        if answer is None:
            return "no answer"
        if not same_answer(answer, problem.answer, problem.kind):
            return "wrong answer"
        if wrong_equations(version):
            return "wrong arithmetic"
    if text in mistakes:
        return "copy of the mistake"
    if text in accepted:
        return "duplicate"
    return None


def close_with_answer(rationale: str, problem: Problem) -> str:
    """The rationale ending in the student's answer line: the rationale's *own* answer, which verification still judges."""
    if unreadable(rationale):  # it will be refused; of a megabyte the answer would be sought for seconds
        return rationale
    answer = extract_answer(rationale, problem.kind, problem.choices)
    if answer is None:
        return rationale
    text = " ".join(rationale.split())
    cut = text.rfind(ANSWER_MARK)
    line = answer_line(answer, problem.kind)
    return f"{text[:cut]}{line}" if cut >= 0 and len(text) - cut < len(line) + 12 else f"{text} {line}"


@dataclass
class Feedback:
    """What came of the mistakes that were sent to a teacher.

    Attributes:
        lessons: verified rationales.
        rejections: rationales that were refused, and replies without any, each with its reason.
        sent: how many mistakes were sent.
        without: reason → how many of them brought no lesson in the end.
    """

    lessons: list[Lesson] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    sent: int = 0
    without: Counter[str] = field(default_factory=Counter)


def questions_to_ask(exam: ExamReport, config: LoopConfig, *, seed: int) -> list[Mistake]:
    """What goes to the teacher in a round: the mistakes of the exam, of `feedback_limit` questions that the seed draws.

    An annotator gets as many questions, drawn from all of the exam, and no mistake. A run without a teacher asks nothing.
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
    fits: Callable[[str], bool] = lambda text: True,
    on_reply: Callable[[list[Lesson], list[Rejection]], object] | None = None, progress: bool = True,
) -> Feedback:  # fmt: skip
    """Send mistakes to the teacher and keep the rationales that pass verification.

    A teacher that can be told (`teach_again`) gets one more try at each mistake that brought no lesson.

    Args:
        count: rationales asked for each mistake.
        per_question: at most so many mistakes on one question are sent, the first ones.
        fits: whether the student could write a rationale of this length.
        on_reply: called with what each reply brought, the moment it is verified.
    """
    wrong: dict[str, list[Mistake]] = {}
    for mistake in mistakes:
        wrong.setdefault(mistake.problem.id, []).append(mistake)
    sent = [m for group in wrong.values() for m in group[:per_question]]
    feedback = Feedback(sent=len(sent))
    accepted: dict[str, list[str]] = {}
    failed: list[tuple[Mistake, tuple[Rejection, ...]]] = []

    def judge(replies: Generator[Reply], mistakes: Sequence[Mistake], describe: str) -> None:
        failed.clear()
        bar = tqdm(total=len(mistakes), desc=describe, unit="mistake", disable=not progress, leave=False)
        with closing(replies), bar:
            for reply in in_order(replies, mistakes):
                problem = reply.mistake.problem
                lessons, refused = _verify(reply, wrong[problem.id], accepted.setdefault(problem.id, []), fits)
                feedback.lessons += lessons
                feedback.rejections += refused
                if not lessons:
                    failed.append((reply.mistake, tuple(refused)))
                bar.update()
                bar.set_postfix_str(getattr(teacher, "meter", ""))
                if on_reply:
                    on_reply(lessons, refused)

    judge(teacher.teach(sent, count), sent, "feedback")
    again = [(m, refused) for m, refused in failed if refused[-1].reason != OUT_OF_BUDGET]
    if again and hasattr(teacher, "teach_again"):
        spent_up = [f for f in failed if f not in again]
        judge(teacher.teach_again(again, count), [mistake for mistake, _ in again], "feedback: second try")
        failed += spent_up
    feedback.without.update(refused[-1].reason for _, refused in failed)
    return feedback


def in_order(replies: Iterable[Reply], mistakes: Sequence[Mistake]) -> Iterator[Reply]:
    """Replies in the order of their mistakes: one that comes early waits, so that a run depends on no network's whims.

    What is left when a teacher ends early comes last, in the same order.
    """
    place = {mistake: number for number, mistake in enumerate(mistakes)}
    early: dict[int, Reply] = {}
    due = 0
    for reply in replies:
        early[place[reply.mistake]] = reply
        while due in early:
            yield early.pop(due)
            due += 1
    yield from (early[number] for number in sorted(early))


def make_demonstrations(teacher: Teacher, problems: Sequence[Problem], count: int, *, seed: int = 0) -> list[Lesson]:
    """Verified rationales for so many problems that the seed draws, to be shown to the student before every question.

    The teacher is asked as if the student had written nothing, and for others where a problem brings no lesson.

    Raises:
        TeacherError: it has no good rationale for so many of the problems.
    """
    tried = min(len(problems), 10 * count)
    order = random.Random(f"{seed}/demonstrations").sample(problems, tried)
    found: list[Lesson] = []
    while len(found) < count and order:
        wanted = count - len(found)
        asked, order = order[:wanted], order[wanted:]
        lessons = make_lessons(teacher, [Mistake(p, "", None) for p in asked], 1, progress=False).lessons
        found += {x.problem_id: x for x in reversed(lessons)}.values()
    if len(found) < count:
        raise TeacherError(
            f"demonstrations = {count}: the teacher wrote a right rationale for {len(found)} of {tried} problems only; ask for "
            "fewer, or name another teacher."
        )
    return found


def _verify(
    reply: Reply, mistakes: Sequence[Mistake], known: list[str], fits: Callable[[str], bool]
) -> tuple[list[Lesson], list[Rejection]]:
    """The lessons of one reply (their texts are added to `known`), and what was refused of it."""
    problem = reply.mistake.problem
    lessons: list[Lesson] = []
    refused = [] if reply.rationales else [Rejection(problem.id, "", reply.fault or "nothing from the teacher")]
    for rationale in reply.rationales:
        text = close_with_answer(rationale, problem)
        reason = reject(problem, text, [m.rationale for m in mistakes], known)
        if reason is None and not fits(text):
            reason = TOO_LONG
        if reason is None:
            known.append(text)
            lessons.append(Lesson(problem.id, text, reply.feedback))
        else:
            refused.append(Rejection(problem.id, rationale, reason))
    return lessons, refused
