"""Teachers: whoever answers a student's mistake with rationales made for it. lessons.py verifies what they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from l2r_lite.config import LoopConfig
from l2r_lite.errors import UserError
from l2r_lite.pocket import rationales as pocket
from l2r_lite.problems import question_key
from l2r_lite.prompts import ANSWER_MARK
from l2r_lite.records import Mistake, Step
from l2r_lite.sources import cache_folder


class TeacherError(UserError):
    """A teacher that cannot be used: which, why, and what to do."""


@dataclass(frozen=True)
class Reply:
    """What a teacher says to one mistake: what was wrong, and rationales made for it (not yet verified).

    `fault` names the reason where nothing came ("timeout", "refusal", "budget", …).
    """

    mistake: Mistake
    feedback: str
    rationales: tuple[str, ...]
    fault: str = ""


class Teacher(Protocol):
    """Anything that answers mistakes. Replies may come in any order, but one for each mistake.

    A teacher that can be told what was refused also has `teach_again(asks, count)`, each ask a mistake with its refusals.
    """

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        """Ask for `count` rationales for each mistake."""
        ...


class ScriptedTeacher:
    """Teaches the pocket world: finds the first wrong step by the solution program and writes the right ones out."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
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


class NoTeacher:
    """The contrast in which nobody teaches: the student trains on what it got right itself (self-training)."""

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        yield from ()


class RecordedTeacher:
    """Answers from a file of rationales that a real LLM wrote earlier.

    From a cache of OpenAITeacher it takes the reply to this very mistake, if it is there; else it knows nothing of mistakes.

    Reads JSON Lines or a JSON list whose entries have a question ("question" or "input") and one or more rationales
    ("rationale", "rationales", "chain" with the LLM's own "answer", or "completion"); and the layout of Faithful-CoT, where
    FILE has ids and completions, and questions.jsonl beside it has ids and questions.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file).expanduser()
        self.rationales: dict[str, list[str]] = {}
        self.replies: dict[tuple[str, str], tuple[str, list[str]]] = {}  # question and mistake → feedback and rationales
        entries = _read_entries(self.file)
        questions = {}
        beside = self.file.parent / "questions.jsonl"
        if entries and not any(_question(e) for e in entries) and beside.is_file():
            questions = {str(e["id"]): _question(e) for e in _read_entries(beside) if "id" in e}
        for entry in entries:
            question = _question(entry) or questions.get(str(entry.get("id")))
            if question:
                if isinstance(entry.get("mistake"), str) and (texts := _texts(entry)):
                    self.replies[question_key(question), entry["mistake"]] = str(entry.get("feedback", "")), texts
                known = self.rationales.setdefault(question_key(question), [])
                known += [text for text in _texts(entry) if text not in known]
        if not any(self.rationales.values()):
            raise TeacherError(
                f'teacher "recorded:{file}": no entry has both a question ("question" or "input") and a rationale '
                '("rationale", "chain" or "completion").'
            )

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        for mistake in mistakes:
            key = question_key(mistake.problem.question)
            feedback, texts = self.replies.get((key, mistake.rationale)) or ("", self.rationales.get(key, []))
            yield Reply(mistake, feedback, tuple(texts[:count]))


def _read_entries(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TeacherError(f'teacher "recorded:{file}": cannot be read ({error}).') from error
    try:
        if text.lstrip().startswith("["):
            return [e for e in json.loads(text) if isinstance(e, dict)]
    except (ValueError, RecursionError) as error:
        raise TeacherError(f'teacher "recorded:{file}": is not JSON ({error}).') from error
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
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


def open_teacher(config: LoopConfig, stop: Callable[[], bool] = lambda: False, key: str | None = None) -> Teacher:
    """The teacher of a config: "scripted", "recorded:FILE", "openai:MODEL" (with this key; None: the environment's), "none".

    Raises:
        TeacherError: an unknown name, or a file, price or cache that cannot be used.
    """
    kind, _, rest = config.teacher.partition(":")
    if config.teacher == "scripted":
        return ScriptedTeacher()
    if config.teacher == "none":
        return NoTeacher()
    if kind == "recorded" and rest and rest != "FILE":
        return RecordedTeacher(rest)
    if kind == "openai" and rest:
        from l2r_lite.cost import Price  # the openai package takes a second to import
        from l2r_lite.openai_teacher import OpenAITeacher

        return OpenAITeacher(
            rest, base_url=config.base_url, key=key, cache=config.teacher_cache or cache_folder() / "teacher.jsonl",
            budget=config.budget, price=Price.parse(config.price) if config.price else None, annotator=config.annotator,
            max_tokens=config.max_new_tokens, concurrency=config.concurrency, stop=stop,
        )  # fmt: skip
    hints = {"recorded": "name the file with the LLM's rationales", "openai": "name the model, e.g. openai:gpt-4o-mini"}
    raise TeacherError(
        f'teacher "{config.teacher}": {hints.get(kind, "known are scripted, recorded:FILE, openai:MODEL and none")}.'
    )
