"""Checks of notebook 11: own problems, own card, own bill."""

from __future__ import annotations

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
    """Wrong in questions with options only."""
    return lambda row: {**_line(row), **(change(row) if "choices" in _line(row) else {})}


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


@exercise("11.1", "from your table to the loop's")
def check_line(theirs: Program) -> None:
    judge("11.1", theirs, _line, _ROWS, {
        "A question without options gets no field \"choices\" at all, not an empty list.":
            lambda r: {"choices": [], **_line(r)},
        "Empty options are still among your choices.":
            _for_choices(lambda r: {"choices": [r[x].strip() for x in "ABC"]}),
        "The answer of a question with options is its letter; yours is the option's text.":
            _for_choices(lambda r: {"answer": r[_line(r)["answer"]].strip()}),
        "The letter must be in upper case: \"a\" in the table is \"A\" in the file.":
            lambda r: {**_line(r), "answer": r["Correct"].strip()},
        "Only answers that are letters get upper case: \"yes\" stays as it is.":
            lambda r: {**_line(r), "answer": r["Correct"].strip().upper()},
        "White space around the question, the options or the answer is still there: strip().":
            _unstripped,
        "The field is called \"choices\": a misspelt one would be left unread.":
            lambda r: {("options" if k == "choices" else k): v for k, v in _line(r).items()},
    })


def _items(fixed: float, each: float, card: float) -> int:
    return max(0, int((RESERVE * card * 1e9 - CUDA_CONTEXT - fixed) // each))


@exercise("11.2", "how many items at once")
def check_items(theirs: Program) -> None:
    cases = [(4e9, 2e9, 12), (4e9, 1e9, 12), (5.5e9, 0.35e9, 8), (5.5e9, 0.35e9, 24),
             (0.2e9, 0.15e9, 16), (14e9, 1e9, 12)]
    judge("11.2", theirs, _items, cases, {
        "Where not even the weights fit, no item does: 0, not a negative number.":
            lambda f, e, c: int((RESERVE * c * 1e9 - CUDA_CONTEXT - f) // e),
        "You forgot to leave a tenth of the card for gaps.":
            lambda f, e, c: max(0, int((c * 1e9 - CUDA_CONTEXT - f) // e)),
        "You forgot CUDA's own 500 MB.": lambda f, e, c: max(0, int((RESERVE * c * 1e9 - f) // e)),
        "Your card has no reserve: a tenth for gaps, and 500 MB for CUDA.":
            lambda f, e, c: max(0, int((c * 1e9 - f) // e)),
        "The tenth is of the card, not of what is left after the weights.":
            lambda f, e, c: max(0, int(RESERVE * (c * 1e9 - CUDA_CONTEXT - f) // e)),
        "Round down: half an item does not fit.":
            lambda f, e, c: max(0, -int(-(RESERVE * c * 1e9 - CUDA_CONTEXT - f) // e)),
        "Round down to a whole number of items.":
            lambda f, e, c: max(0, (RESERVE * c * 1e9 - CUDA_CONTEXT - f) / e),
        "A GB of a card is 10⁹ bytes here; 2³⁰ promises memory that is not there.":
            lambda f, e, c: max(0, int((RESERVE * c * 2**30 - CUDA_CONTEXT - f) // e)),
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
        "The price is for a million tokens: divide by 10⁶.":
            lambda q, s, r, w, p: _bill(q, s, r, w, p) * 1e6,
        "You divided by a thousand; the price is for a million tokens.":
            lambda q, s, r, w, p: _bill(q, s, r, w, p) * 1e3,
        "The first price is for tokens read, the second for tokens written; yours are exchanged.":
            lambda q, s, r, w, p: _bill(q, s, r, w, p[::-1]),
        "Only mistakes are sent to the teacher: multiply each round by its share.":
            lambda q, s, r, w, p: _bill(q, [1.0] * len(s), r, w, p),
        "That is the first round only: add up the calls of all rounds.":
            lambda q, s, r, w, p: _bill(q, s[:1], r, w, p),
        "You left out the tokens that the teacher reads.":
            lambda q, s, r, w, p: _bill(q, s, 0, w, p),
        "You left out the tokens that the teacher writes.":
            lambda q, s, r, w, p: _bill(q, s, r, 0, p),
    })
