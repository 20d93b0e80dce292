"""Other ways to write than one rationale after another: each returns an answer and its price."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from l2r_course.labs.arms import continue_rationales, count_tokens, log_probabilities
from l2r_course.labs.search.pool import LONGEST, TEMPERATURE
from l2r_lite.data.answers import is_correct
from l2r_lite.data.arithmetic import wrong_equations
from l2r_lite.data.numbers import canonical_number
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.prompts import ANSWER_MARK, completion
from l2r_lite.loop.records import Problem
from l2r_lite.loop.student import Student

_SENTENCE = re.compile(r".*?\.(?=\s|$)", re.DOTALL)


@dataclass(frozen=True)
class Attempt:
    """A final text, whether its answer is right, and the tokens generated on the way to it."""

    text: str
    is_right: bool
    tokens: int


def direct(student: Student, problems: Sequence[Problem]) -> list[Attempt]:
    """The answer without a rationale: the student continues "The answer is"."""
    begun = [ANSWER_MARK] * len(problems)
    texts = continue_rationales(student, problems, begun, max_new_tokens=8)
    return _attempts(student, problems, texts, [0] * len(problems), begun)


def demonstrated(
    student: Student, problems: Sequence[Problem], shown: Sequence[Problem]
) -> list[Attempt]:
    """Greedy, with worked examples before the question. Reading them is not counted."""
    student.show([(problem, write_rationale(problem, 0)) for problem in shown])
    try:
        texts = continue_rationales(
            student, problems, [""] * len(problems), max_new_tokens=LONGEST)
    finally:
        student.show([])
    return _attempts(student, problems, texts, [0] * len(problems), [""] * len(problems))


def repaired(
    student: Student, problems: Sequence[Problem], greedy: Sequence[str], *, times: int = 3
) -> list[Attempt]:
    """A calculator puts the first false equation right, and the student goes on from there."""
    texts, paid = list(greedy), count_tokens(student, greedy)
    for _ in range(times):
        todo = {i: cut for i, text in enumerate(texts) if (cut := _put_right(text))}
        if not todo:
            break
        begun = list(todo.values())
        longer = continue_rationales(
            student, [problems[i] for i in todo], begun, max_new_tokens=LONGEST)
        for i, text, cut in zip(todo, longer, begun, strict=True):
            texts[i] = text
            paid[i] += count_tokens(student, [text.removeprefix(cut)])[0]
    return [
        Attempt(text, is_correct(text, problem), tokens)
        for text, problem, tokens in zip(texts, problems, paid, strict=True)]


def _put_right(text: str) -> str | None:
    """The text up to its first false equation, with the right result; None if all hold."""
    for equation in wrong_equations(text):
        at = text.find(equation.text)
        if at >= 0 and equation.left is not None:
            left = equation.text.split("=")[0].rstrip()
            return f"{text[:at]}{left} = {canonical_number(equation.left)}."
    return None


def step_beam(
    student: Student, problems: Sequence[Problem], *, width: int = 2, branch: int = 4,
    steps: int = 5, seed: int = 0,
) -> list[Attempt]:
    """Search step by step: sample next sentences, keep the likeliest beginnings, repeat.

    Args:
        width: beginnings kept per question. `branch`: sentences sampled for each.
        steps: most sentences of a rationale.
    """
    beams: list[list[str]] = [[""] for _ in problems]
    paid = [0] * len(problems)
    for step in range(steps):
        places = [(i, t) for i, beam in enumerate(beams) for t in beam if ANSWER_MARK not in t]
        if not places:
            break
        prompts = [student.prompt(problems[i]) + (completion(t) if t else "") for i, t in places]
        written = student.generate(
            prompts, samples=branch, temperature=TEMPERATURE, max_new_tokens=24,
            seed=seed + step)
        for (i, begun), texts in zip(places, written, strict=True):
            nexts = [_first_sentence(text) for text in texts]
            paid[i] += sum(count - 1 for count in count_tokens(student, nexts))
            beams[i] += [f"{begun} {sentence}".strip() for sentence in nexts]
            beams[i].remove(begun)
        beams = _likeliest(student, problems, beams, width)
    return [
        Attempt(beam[0], is_correct(beam[0], problem), tokens)
        for beam, problem, tokens in zip(beams, problems, paid, strict=True)]


def _likeliest(
    student: Student, problems: Sequence[Problem], beams: Sequence[Sequence[str]], width: int
) -> list[list[str]]:
    """The `width` different beginnings with the highest mean log-probability per token."""
    pairs = [(i, text) for i, beam in enumerate(beams) for text in dict.fromkeys(beam)]
    texts = [text for _, text in pairs]
    counts = count_tokens(student, texts)
    logs = log_probabilities(student, [problems[i] for i, _ in pairs], texts, ended=False).tolist()
    scored: list[list[tuple[float, str]]] = [[] for _ in beams]
    for (i, text), log, count in zip(pairs, logs, counts, strict=True):
        scored[i].append((log / max(1, count - 1), text))
    return [[text for _, text in sorted(found, reverse=True)[:width]] for found in scored]


def _first_sentence(text: str) -> str:
    found = _SENTENCE.match(text.strip())
    return found[0] if found else text.strip()


def _attempts(
    student: Student, problems: Sequence[Problem], texts: Sequence[str], paid: Sequence[int],
    begun: Sequence[str],
) -> list[Attempt]:
    written = [t.removeprefix(b).strip() for t, b in zip(texts, begun, strict=True)]
    counts = count_tokens(student, written)
    return [
        Attempt(text, is_correct(text, problem), before + count)
        for text, problem, before, count in zip(texts, problems, paid, counts, strict=True)]
