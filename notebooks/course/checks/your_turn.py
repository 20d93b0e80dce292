"""Checks of notebook 11: your problems, your card, your bill."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from l2r_course.checks.base import Program, exercise, judge
from l2r_lite.app.planner import CUDA_CONTEXT, RESERVE


def _line(row: dict[str, str]) -> dict[str, Any]:
    choices = [row[letter].strip() for letter in "ABC" if row[letter].strip()]
    answer = row["Correct"].strip()
    question = row["Question"].strip()
    if not choices:
        return {"question": question, "answer": answer}
    return {"question": question, "answer": answer.upper(), "choices": choices}


def _for_choices(change: Program) -> Program:
    """Wrong for questions with options only."""
    return lambda row: {**_line(row), **(change(row) if "choices" in _line(row) else {})}


def _always_options(keep: Callable[[str], bool], answer: Callable[[str], str]) -> Program:
    """Wrong: treats each row as a question with options.

    Args:
        keep: whether a stripped option is one of the choices.
        answer: what becomes of the stripped answer.
    """

    def wrong(row: dict[str, str]) -> dict[str, Any]:
        choices = [row[letter].strip() for letter in "ABC" if keep(row[letter].strip())]
        return {"question": row["Question"].strip(), "answer": answer(row["Correct"].strip()),
                "choices": choices}

    return wrong


def _unstripped(row: dict[str, str]) -> dict[str, Any]:
    if not row["A"]:
        return {"question": row["Question"], "answer": row["Correct"]}
    choices = [row[letter] for letter in "ABC" if row[letter].strip()]
    return {"question": row["Question"], "answer": row["Correct"].upper(), "choices": choices}


def _row(question: str, a: str, b: str, c: str, correct: str) -> tuple[dict[str, str]]:
    return ({"Question": question, "A": a, "B": b, "C": c, "Correct": correct},)


_ROWS = [
    _row("2 + 3 = ?", "", "", "", "5"), _row("Which is blue?", "sky", "coal", "snow", "A"),
    _row("Which is blue?", "sky", "coal", "", "A"), _row("  Is 3 odd? ", " yes", "no ", " ", "a"),
    _row("Is water wet?", "", "", "", "yes "), _row("Who wrote it?", "Ann", "Bob", "Cy", " c ")]


@exercise("11.1", "from a spreadsheet to a problem file")
def check_line(theirs: Program) -> None:
    judge("11.1", theirs, _line, _ROWS, {
        "A question without options gets no field \"choices\", not an empty list.":
            lambda r: {"choices": [], **_line(r)},
        "You treat every row as a question with options. Where A, B and C are empty, leave out the "
        "field \"choices\" and keep the answer as it is.":
            [_always_options(keep, answer) for keep in (bool, lambda text: True)
             for answer in (str.upper, str)],
        "Empty options are still among your choices.":
            _for_choices(lambda r: {"choices": [r[x].strip() for x in "ABC"]}),
        "The answer of a question with options is its letter; yours is the option's text.":
            _for_choices(lambda r: {"answer": r[_line(r)["answer"]].strip()}),
        "Write the letter in upper case: \"a\" in the table is \"A\" in the file.":
            lambda r: {**_line(r), "answer": r["Correct"].strip()},
        "Only letters of options get upper case: \"yes\" stays as it is.":
            lambda r: {**_line(r), "answer": r["Correct"].strip().upper()},
        "There is still white space around the question, the options or the answer: use strip().":
            _unstripped,
        "The field is called \"choices\"; a field with another name is ignored.":
            lambda r: {("options" if k == "choices" else k): v for k, v in _line(r).items()},
    })


def _room(fixed: float, each: float, card: float) -> float:
    """Items that fit, as a fraction; negative where the weights alone do not fit."""
    return (RESERVE * card * 1e9 - CUDA_CONTEXT - fixed) / each


def _items(fixed: float, each: float, card: float) -> int:
    return max(0, math.floor(_room(fixed, each, card)))


@exercise("11.2", "how many items at once")
def check_items(theirs: Program) -> None:
    cases = [(4e9, 2e9, 12), (4e9, 1e9, 12), (5.5e9, 0.35e9, 8), (5.5e9, 0.35e9, 24),
             (0.2e9, 0.15e9, 16), (14e9, 1e9, 12)]
    judge("11.2", theirs, _items, cases, {
        "You did not leave a tenth of the card for gaps.":
            lambda f, e, c: max(0, int((c * 1e9 - CUDA_CONTEXT - f) // e)),
        "You did not leave 500 MB for CUDA.":
            lambda f, e, c: max(0, int((RESERVE * c * 1e9 - f) // e)),
        "You left no reserve: keep a tenth of the card for gaps, and 500 MB for CUDA.":
            lambda f, e, c: max(0, int((c * 1e9 - f) // e)),
        "Take the tenth of the whole card, not of what is left after weights and CUDA.":
            lambda f, e, c: max(0, int(RESERVE * (c * 1e9 - CUDA_CONTEXT - f) // e)),
        "`round` goes to the nearest whole number, and that may be up: round down, since a part of "
        "an item does not fit.":
            [lambda f, e, c: max(0, round(_room(f, e, c))), lambda f, e, c: round(_room(f, e, c))],
        "You round up: round down, since a part of an item does not fit.":
            [lambda f, e, c: max(0, math.ceil(_room(f, e, c))),
             lambda f, e, c: math.ceil(_room(f, e, c))],
        "Round down to a whole number of items.":
            [lambda f, e, c: max(0, _room(f, e, c)), _room],
        "If the weights alone do not fit, the answer is 0, not a negative number.":
            [lambda f, e, c: math.floor(_room(f, e, c)), lambda f, e, c: int(_room(f, e, c))],
        "A card's GB is 10⁹ bytes here; with 2³⁰ you count on memory that the card does not have.":
            lambda f, e, c: max(0, int((RESERVE * c * 2**30 - CUDA_CONTEXT - f) // e)),
        "`card` is in GB, `fixed` and `each` are in bytes: multiply the card by 10⁹.":
            [lambda f, e, c: max(0, int((RESERVE * c - CUDA_CONTEXT / 1e9 - f) // e)),
             lambda f, e, c: max(0, int((RESERVE * c - CUDA_CONTEXT - f) // e))],
    })


def _bill(
    questions: int, shares: list[float], read: int, written: int, price: tuple[float, float]
) -> float:
    return sum(questions * share for share in shares) * (read * price[0] + written * price[1]) / 1e6


@exercise("11.3", "the bill of a run")
def check_bill(theirs: Program) -> None:
    cases: list[tuple[Any, ...]] = [
        (1000, [0.5, 0.2], 400, 200, (1.0, 2.0)), (1000, [0.5], 400, 200, (0.15, 0.6)),
        (850, [0.6, 0.3, 0.1], 700, 250, (2.5, 10.0)), (100, [], 400, 200, (1.0, 2.0)),
        (500, [1.0, 0.0], 300, 900, (0.0, 3.0))]
    judge("11.3", theirs, _bill, cases, {
        "The price is per million tokens: divide by 10⁶.":
            lambda q, s, r, w, p: _bill(q, s, r, w, p) * 1e6,
        "You divided by a thousand, but the price is per million tokens.":
            lambda q, s, r, w, p: _bill(q, s, r, w, p) * 1e3,
        "You swapped the prices: the first is for tokens read, the second for tokens written.":
            lambda q, s, r, w, p: _bill(q, s, r, w, p[::-1]),
        "Only mistakes go to the teacher: multiply each round's questions by its share.":
            lambda q, s, r, w, p: _bill(q, [1.0] * len(s), r, w, p),
        "You count the first round only: add up the calls of all rounds.":
            lambda q, s, r, w, p: _bill(q, s[:1], r, w, p),
        "You left out the tokens that the teacher reads.":
            lambda q, s, r, w, p: _bill(q, s, 0, w, p),
        "You left out the tokens that the teacher writes.":
            lambda q, s, r, w, p: _bill(q, s, r, 0, p),
    })
