"""The recorded teacher: rationales that a real LLM wrote earlier, from a file."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.data.problems import question_key
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.prompts import ANSWER_MARK
from l2r_lite.loop.protocols import Teacher
from l2r_lite.loop.records import Mistake, Reply


class RecordedTeacher(Teacher):
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
