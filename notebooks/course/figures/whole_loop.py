"""Notebook 00: what a run reached, in sentences and tables made from the run itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2r_course.figures.common import percent
from l2r_course.show import Markdown
from l2r_lite.loop.errors import RunError
from l2r_lite.runs.fields import shown
from l2r_lite.runs.reading import read, rounds
from l2r_lite.runs.show import Table, code

KNOWN = 0.8  # a skill counts as known from this accuracy on


def run_in_words(report: dict[str, Any]) -> Markdown:
    """What a run reached, what it learned and what it forgot, as a list of sentences.

    Args:
        report: of a run with at least one round.

    Raises:
        ValueError: the run has no round yet.
    """
    entries = report["rounds"]
    if len(entries) < 2:
        raise ValueError("the run has no finished round yet; run the cell above it to its end")
    sentences = {
        "Accuracy": _accuracy(entries), "Mistakes": _mistakes(entries[1:]),
        "Learned": _learned(entries[0]["by_skill"], entries[-1]["by_skill"]),
        "Forgotten": _forgotten(entries[0]["by_skill"], entries[-1]["by_skill"]),
        "Kept": _kept(report)}
    return Markdown("\n".join(f"- **{head}.** {said}" for head, said in sentences.items()))


def answers_by_round(out: str | Path, problem_id: str) -> Table:
    """What the students of a run wrote to one test question: before training, and after each round.

    Raises:
        RunError: the run's test has no such question.
    """
    rows = []
    for number, file in rounds(Path(out), "test.jsonl").items():
        sample = next((s for s in read(file) if s.problem_id == problem_id), None)
        if sample is None:
            raise RunError(f"{file}: has no question {shown(problem_id)}.")
        student = f"after round {number}" if number else "before training"
        rows.append([student, sample.rationale, "✓ right" if sample.correct else "✗ wrong"])
    return Table(["student", "answer", ""], rows)


def _accuracy(rounds: Sequence[dict[str, Any]]) -> str:
    shares = [entry["accuracy"] for entry in rounds]
    line = (
        f"{percent(shares[0])} of the test questions right before training, then "
        f"{_listed([percent(share) for share in shares[1:]])}.")
    pairs = zip(shares, shares[1:], strict=False)
    no_rise = [f"round {n}" for n, (one, other) in enumerate(pairs, 1) if other <= one]
    if no_rise:
        return f"{line} It did not rise in {_listed(no_rise)}."
    return f"{line} It rose in every round." if len(shares) > 2 else line


def _mistakes(rounds: Sequence[dict[str, Any]]) -> str:
    found = _listed([f"{entry['mistakes']:,}" for entry in rounds])
    if len(rounds) == 1:
        return f"The exam found {found} in {rounds[0]['samples']:,} answers."
    return f"The exams found {found}, in {rounds[0]['samples']:,} answers each."


def _learned(before: dict[str, float], after: dict[str, float]) -> str:
    up = sorted((s for s in before if after[s] > before[s]), key=lambda s: before[s] - after[s])
    if not up:
        return "No skill has risen."
    most = _listed([_change(s, before, after) for s in up[:3]])
    return f"{len(up)} of {_skills(len(before))} rose, most of all {most}."


def _forgotten(before: dict[str, float], after: dict[str, float]) -> str:
    known = [s for s in before if before[s] >= KNOWN]
    if not known:
        return "It knew no skill well enough to forget it."
    down = sorted((s for s in known if after[s] < before[s]), key=lambda s: after[s] - before[s])
    if not down:
        return "Nothing: no skill that it knew has fallen."
    fell = _listed([_change(s, before, after) for s in down])
    return f"{len(down)} of {_skills(len(known))} that it knew fell: {fell}."


def _kept(report: dict[str, Any]) -> str:
    best = report["best_round"]
    student = f"The student of round {best}" if best else "The untrained student"
    share = percent(report["rounds"][best]["validation_accuracy"])
    return f"{student}, the best on the validation questions ({share} right)."


def _change(skill: str, before: dict[str, float], after: dict[str, float]) -> str:
    return f"{code(skill)} ({percent(before[skill])} → {percent(after[skill])})"


def _skills(number: int) -> str:
    return "1 skill" if number == 1 else f"{number} skills"


def _listed(parts: Sequence[str]) -> str:
    """Parts as "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
