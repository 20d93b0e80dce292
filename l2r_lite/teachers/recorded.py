"""The recorded teacher: rationales that a real LLM wrote earlier, from a file."""

import json
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.data.problems import question_key
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.prompts import ANSWER_MARK
from l2r_lite.loop.protocols import Teacher
from l2r_lite.loop.records import Mistake, Reply
from l2r_lite.teachers.heard import clean


class RecordedTeacher(Teacher):
    """Answers from a file of rationales.

    From a cache of OpenAITeacher it takes the reply to this very mistake, if there is one; from
    other files any rationale of the question, whatever the mistake was.

    The file is JSON Lines or a JSON list. Each entry has a question ("question" or "input") and
    rationales: "rationale", "rationales", "completion", or "chain" with the LLM's own "answer".
    In the layout of Faithful-CoT it has an id, and questions.jsonl beside it has the questions.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(os.path.expanduser(file))
        self.rationales: dict[str, list[str]] = {}  # by question
        # By question and mistake: feedback and rationales.
        self.replies: dict[tuple[str, str], tuple[str, list[str]]] = {}
        entries = _read_entries(self.file)
        questions = {}
        beside = self.file.parent / "questions.jsonl"
        if entries and not any(_question(e) for e in entries) and beside.is_file():
            questions = {str(e["id"]): _question(e) for e in _read_entries(beside) if "id" in e}
        for entry in entries:
            question = _question(entry) or questions.get(str(entry.get("id")))
            if question:
                self._add(question_key(question), entry)
        if not any(self.rationales.values()):
            raise TeacherError(
                f'teacher "recorded:{file}": no entry has both a question ("question" or "input") '
                'and a rationale ("rationale", "chain" or "completion").')

    def _add(self, key: str, entry: dict[str, Any]) -> None:
        texts = [clean(text) for text in _texts(entry)]
        if texts and isinstance(entry.get("mistake"), str):
            self.replies[key, entry["mistake"]] = clean(str(entry.get("feedback", ""))), texts
        known = self.rationales.setdefault(key, [])
        known += [text for text in texts if text not in known]

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        for mistake in mistakes:
            key = question_key(mistake.problem.question)
            default = "", self.rationales.get(key, [])
            feedback, texts = self.replies.get((key, mistake.rationale), default)
            yield Reply(mistake, feedback, tuple(texts[:count]))


def _read_entries(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TeacherError(f'teacher "recorded:{file}": cannot be read ({error}).') from error
    if text.lstrip().startswith("["):
        entries = _parse(text, f'{file}"')
    else:
        lines = [(f'{file}", line {n}', line) for n, line in enumerate(text.split("\n"), 1)]
        entries = [_parse(line, where) for where, line in lines if line.strip()]
    return [entry for entry in entries if isinstance(entry, dict)]


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TeacherError(f'teacher "recorded:{where}: is not JSON ({error}).') from error


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
