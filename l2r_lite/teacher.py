"""The teacher: turns a student's mistake into lessons. And verification: nothing unverified is trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm.auto import tqdm

from l2r_lite.arithmetic import wrong_equations
from l2r_lite.grading import extract_answer, is_correct
from l2r_lite.pocket import rationales as pocket
from l2r_lite.problems import question_key
from l2r_lite.prompts import ANSWER_MARK, answer_line
from l2r_lite.records import Lesson, Mistake, Problem, Rejection, Step


class TeacherError(ValueError):
    """A teacher that cannot be used: which, why, and what to do."""


@dataclass(frozen=True)
class Reply:
    """What a teacher says to one mistake: what was wrong, and rationales made for it (not yet verified)."""

    mistake: Mistake
    feedback: str
    rationales: tuple[str, ...]


class Teacher(Protocol):
    """Anything that answers mistakes. Replies may come in any order, but one for each mistake."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Iterator[Reply]:
        """Ask for `count` rationales for each mistake."""
        ...


class ScriptedTeacher:
    """Teaches the pocket world: finds the first wrong step by the solution program and writes the right ones out."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Iterator[Reply]:
        for mistake in mistakes:
            if not mistake.problem.program:
                raise TeacherError(
                    f'teacher "scripted": {mistake.problem.id} has no solution program; the scripted teacher knows the '
                    "pocket world only. Use recorded:FILE for real problems."
                )
            # Which styles come first differs from question to question, so that every style is taught.
            first = hashlib.sha256(mistake.problem.id.encode()).digest()[0]
            styles = [(first + i) % len(pocket.STYLES) for i in range(min(count, len(pocket.STYLES)))]
            texts = tuple(pocket.write_rationale(mistake.problem, style) for style in styles)
            yield Reply(mistake, what_went_wrong(mistake), texts)


def what_went_wrong(mistake: Mistake) -> str:
    """One sentence on the first step in which a pocket-world rationale leaves the solution program."""
    wrong = pocket.first_wrong_step(mistake.problem, mistake.rationale)
    if wrong is None:
        said = "no answer" if mistake.answer is None else f"the answer {mistake.answer}"
        return f"Every step is right, but you gave {said}; it is {mistake.problem.answer}."
    position, got, want = wrong
    return f"Step {position + 1}: {_compare(got, want)}"


def _compare(got: Step | None, want: Step | None) -> str:
    if got is None:
        return f"you stopped too early; {want} is missing."
    if want is None:
        return f"you had all you needed and went on with {got}."
    if (got.left, got.op, got.right) == (want.left, want.op, want.right):
        return f"{got.left} {got.op} {got.right} is {want.result}, not {got.result if got.result >= 0 else 'left open'}."
    if not pocket.is_true(got):
        return f"{got} is not even true; this step is {want}."
    return f"you wrote {got}, but the story asks for {want}."


class RecordedTeacher:
    """Answers from a file of rationales that a real LLM wrote earlier; knows nothing of the student's mistake.

    Reads JSON Lines or a JSON list whose entries have a question ("question" or "input") and one or more rationales
    ("rationale", "rationales", "chain" with the LLM's own "answer", or "completion"); and the layout of Faithful-CoT, where
    FILE has ids and completions, and questions.jsonl beside it has ids and questions.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file).expanduser()
        self.rationales: dict[str, list[str]] = {}
        entries = _read_entries(self.file)
        questions = {}
        beside = self.file.parent / "questions.jsonl"
        if entries and not any(_question(e) for e in entries) and beside.is_file():
            questions = {e["id"]: _question(e) for e in _read_entries(beside) if "id" in e}
        for entry in entries:
            question = _question(entry) or questions.get(entry.get("id"))
            if question:
                known = self.rationales.setdefault(question_key(question), [])
                known += [text for text in _texts(entry) if text not in known]
        if not any(self.rationales.values()):
            raise TeacherError(
                f'teacher "recorded:{file}": no entry has both a question ("question" or "input") and a rationale '
                '("rationale", "chain" or "completion").'
            )

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Iterator[Reply]:
        for mistake in mistakes:
            yield Reply(mistake, "", tuple(self.rationales.get(question_key(mistake.problem.question), [])[:count]))


def _read_entries(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TeacherError(f'teacher "recorded:{file}": cannot be read ({error}).') from error
    try:
        if text.lstrip().startswith("["):
            return [e for e in json.loads(text) if isinstance(e, dict)]
    except (ValueError, RecursionError) as error:
        raise TeacherError(f'teacher "recorded:{file}": is not JSON ({error}).') from error
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise TeacherError(f'teacher "recorded:{file}", line {number}: is not JSON ({error}).') from error
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def _question(entry: dict[str, Any]) -> str:
    return str(entry.get("question") or entry.get("input") or "")


def _texts(entry: dict[str, Any]) -> list[str]:
    if isinstance(entry.get("rationales"), list):
        return [str(t) for t in entry["rationales"]]
    if "chain" in entry:  # Mentor-KD keeps the LLM's answer beside its chain
        answer = entry.get("answer")
        return [f"{entry['chain']} {ANSWER_MARK} {answer}." if answer else str(entry["chain"])]
    text = entry.get("rationale") or entry.get("completion")
    return [str(text)] if text else []


def open_teacher(name: str) -> Teacher:
    """The teacher of a config: "scripted" or "recorded:FILE".

    Raises:
        TeacherError: an unknown name, or a file that cannot be used.
    """
    kind, _, rest = name.partition(":")
    if name == "scripted":
        return ScriptedTeacher()
    if kind == "recorded" and rest and rest != "FILE":
        return RecordedTeacher(rest)
    hint = "name the file with the LLM's rationales" if kind == "recorded" else "known are scripted and recorded:FILE"
    raise TeacherError(f'teacher "{name}": {hint}.')


def reject(problem: Problem, rationale: str, mistakes: Sequence[str], accepted: Sequence[str]) -> str | None:
    """Why a teacher's rationale must not be trained on; None if it may.

    Its own final answer must be the gold answer, every equation in it must hold when recomputed, and it must be neither
    one of the student's wrong rationales nor a lesson that is there already.
    """
    text = " ".join(rationale.split())
    if not text:
        return "empty"
    for version in (rationale, text):  # folding line breaks must not change what is read
        if extract_answer(version, problem.kind, problem.choices) is None:
            return "no answer"
        if not is_correct(version, problem):
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
    answer = extract_answer(rationale, problem.kind, problem.choices)
    if answer is None:
        return rationale
    text = " ".join(rationale.split())
    cut = text.rfind(ANSWER_MARK)
    line = answer_line(answer, problem.kind)
    return f"{text[:cut]}{line}" if cut >= 0 and len(text) - cut < len(line) + 12 else f"{text} {line}"


def make_lessons(
    teacher: Teacher, mistakes: Sequence[Mistake], count: int, *, per_question: int = 1,
    on_reply: Callable[[list[Lesson], list[Rejection]], object] | None = None, progress: bool = True,
) -> tuple[list[Lesson], list[Rejection], int]:  # fmt: skip
    """Send mistakes to the teacher and keep the rationales that pass verification.

    Args:
        count: rationales asked for each mistake.
        per_question: at most so many mistakes on one question are sent, the first ones.
        on_reply: called with what each reply brought, the moment it is verified.

    Returns:
        Lessons, rejections (a mistake for which there was nothing at all counts as one), and how many mistakes were sent.
    """
    wrong: dict[str, list[Mistake]] = {}
    for mistake in mistakes:
        wrong.setdefault(mistake.problem.id, []).append(mistake)
    sent = [m for group in wrong.values() for m in group[:per_question]]
    lessons: list[Lesson] = []
    rejections: list[Rejection] = []
    accepted: dict[str, list[str]] = {}
    replies = tqdm(teacher.teach(sent, count), total=len(sent), desc="feedback", unit="mistake", disable=not progress,
                   leave=False)  # fmt: skip
    for reply in replies:
        problem = reply.mistake.problem
        known = accepted.setdefault(problem.id, [])
        new: list[Lesson] = []
        refused = [] if reply.rationales else [Rejection(problem.id, "", "nothing from the teacher")]
        for rationale in reply.rationales:
            text = close_with_answer(rationale, problem)
            reason = reject(problem, text, [m.rationale for m in wrong[problem.id]], known)
            if reason is None:
                known.append(text)
                new.append(Lesson(problem.id, text, reply.feedback))
            else:
                refused.append(Rejection(problem.id, rationale, reason))
        lessons += new
        rejections += refused
        if on_reply:
            on_reply(new, refused)
    return lessons, rejections, len(sent)
