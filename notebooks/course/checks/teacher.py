"""Checks of notebook 04: verification, the fate of replies, the cache's key (budget.py: 05.2)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2r_course.checks.base import Program, exercise, judge, judge_answer
from l2r_lite.data.answers import extract_answer, read
from l2r_lite.data.verify import verify
from l2r_lite.loop.lessons import close_with_answer
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.protocols import Context
from l2r_lite.loop.records import Problem
from l2r_lite.runs.show import Table

# Real replies of SmolLM2-135M-Instruct, run with `transformers serve`, to real mistakes of the
# pocket student.
CLASS_CACHE = Path(__file__).with_name("class_cache.jsonl")

# What the pocket student, the scripted teacher and SmolLM2 really wrote. Made up: the last four,
# and the gold answer of the one before them.
RATIONALES = [
    ("Take away: 54 - 7 = 47. Add: 47 + 19 = 66. The answer is 66.", "66"),
    ("Divide: 76 / 8 = 9. The answer is 9.", "9"),
    ("Together 40 + 9 = 49. That leaves 49 - 7 = 42. The answer is 42.", "7"),
    ("Add: 32 / 4 = 8. Take away: 8 - 9 = 4. The answer is 4.", "4"),
    ("Together 3 + 14 =0. That leaves 20 - 15 = 5. The answer is 5.", "5"),
    ("First 59 / 2 = 8. The answer is 8.", "4"),
    ("That leaves 3 - 6 = 1. The answer is 1.", "1"),
    ("Multiply: 5 * 6 = 30. Add: 30 + 17 = 47. Take away: 47 - 3 = 44. The answer is 44.", "44"),
    ("Add: 40 + 9 = 49. Divide: 49 / 7 = 7. The answer is 7.", "7"),
    ("The correct answer is 47.", "7"),
    ("First 20 - 5 = 10. Then 10 + 5 = 15. The answer is 15.", "15"),
    ("Count them again, step by step. The answer is 9.", "9"),
    ("I am not sure that I can help with this story.", "9"),
    ("Each part is 8 / 0 = 0. The answer is 0.", "0"),
]


def _verify(rationale: str, answer: str) -> str | None:
    """The library's verdict on a number problem's rationale, with nothing to compare it with."""
    return verify(Problem("p", "", answer, "number"), rationale, Context())


_LIKE: dict[str, Callable[[int, int], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def _true(left: int, op: str, right: int, result: int) -> bool:
    if op == "/":
        return right != 0 and result * right == left
    return _LIKE[op](left, right) == result


def _answered(rationale: str, answer: str) -> str | None:
    said = extract_answer(rationale, "number")
    if said is None:
        return "no answer"
    return None if said == answer else "wrong answer"


def _almost(
    *, pattern: str = r"(\d+) ?([-+*/]) ?(\d+) ?= ?(\d+)", some: slice = slice(None),
    true: Program = _true, answered: Program = _answered, arithmetic_first: bool = False,
    arithmetic: bool = True,
) -> Program:
    """A verifier that differs from the right one in what is given."""

    def verify(rationale: str, answer: str) -> str | None:
        claims = re.findall(pattern, rationale)[some]
        broken = not all(true(int(a), op, int(b), int(c)) for a, op, b, c in claims)
        wrong = "wrong arithmetic" if broken and arithmetic else None
        if arithmetic_first and wrong:
            return wrong
        return answered(rationale, answer) or wrong

    return verify


def _whole_division(a: int, op: str, b: int, c: int) -> bool:
    return (b != 0 and a // b == c) if op == "/" else _true(a, op, b, c)


def _none_is_wrong(text: str, answer: str) -> str | None:
    return None if extract_answer(text, "number") == answer else "wrong answer"


def _anything_answered(text: str, answer: str) -> str | None:
    return "no answer" if extract_answer(text, "number") is None else None


def _anywhere(text: str, answer: str) -> str | None:
    if answer in text:
        return None
    return _anything_answered(text, answer) or "wrong answer"


@exercise("04.1", "a right answer is not enough")
def check_verifier(my_reject: Any) -> None:
    judge("04.1", my_reject, _verify, RATIONALES, {
        "You judge the final answer only: a right one behind a false equation passes.":
            _almost(arithmetic=False),
        "`//` and int(a / b) throw the remainder away: 76 // 8 is 9, but 76 / 8 is 9.5.":
            _almost(true=_whole_division),
        "You look at the first equation only (re.search stops there); a later one may be false.":
            _almost(some=slice(1)),
        "You look at the last equation only; an earlier one may be false.":
            _almost(some=slice(-1, None)),
        "Your pattern wants a space behind `=`; this student wrote `3 + 14 =0`, and the false "
        "equation was not seen.": _almost(pattern=r"(\d+) ([-+*/]) (\d+) ?= (\d+)"),
        "You never compare the rationale's answer with the gold one: true equations can lead to a "
        "wrong answer.": _almost(answered=_anything_answered),
        "Where both are wrong you say \"wrong arithmetic\"; the library judges the answer first.":
            _almost(arithmetic_first=True),
        "You look for the gold answer anywhere in the text: the 7 in \"49 - 7\" or in \"47\" is "
        "not the final answer.": _almost(answered=_anywhere),
        "A text without an answer is \"no answer\": extract_answer gives None there.":
            _almost(answered=_none_is_wrong),
        "8 / 0 ended in a ZeroDivisionError; an equation that divides by zero is wrong arithmetic.":
            _almost(true=lambda a, op, b, c: _LIKE[op](a, b) == c),
    })


_STORY = Problem(
    "story",
    "Amy has 40 coins. Amy buys 9 more coins. Amy shares them equally among 7 friends. How many "
    "coins does each one get?", "7", "number")
_WRONG = "Together 40 + 9 = 49. That leaves 49 - 7 = 42. The answer is 42."
_REPLIES = (
    "Add: 40 + 9 = 49. Divide: 49 / 7 = 7. The answer is 7.",
    "Together 40 + 9 = 50. Each part is 50 / 7 = 7. The answer is 7.",
    _WRONG,
    "Add:  40 + 9 = 49.\nDivide: 49 / 7 = 7.\nThe answer is 7.",
    "First 40 + 9 = 49, then 49 / 7 = 7, so each of them gets 7 coins.",
    "The correct answer is 7.",
)
_LESSON = "lesson"
_WHY_NOT = {
    (0, None): "Reply 1: its answer is the gold answer and both equations hold.",
    (1, _LESSON): "Reply 2: recompute its equations. 40 + 9 is 49, and 50 / 7 is not 7.",
    (1, "wrong answer"): "Reply 2: its final answer is 7, and 7 is right. The way there is not.",
    (2, "copy of the mistake"):
        "Reply 3 is the student's mistake, but the answer is judged first: 42 is refused before "
        "anything is compared with the mistakes.",
    (2, "wrong arithmetic"):
        "Reply 3: 40 + 9 = 49 and 49 - 7 = 42 are both true. It is the answer that is not.",
    (3, _LESSON):
        "Reply 4 is reply 1 with other white space; texts are compared after white space is "
        "folded.",
    (4, "no answer"):
        "Reply 5 has no answer line, but its last sentence states a number, and that is read as "
        "its answer.",
    (4, None):
        "Reply 5: a clear conclusion is an answer (make_lessons adds the answer line), and its "
        "equations hold.",
    (5, "no answer"): "Reply 6 states an answer. It states nothing else.",
    (5, None):
        "Reply 6: nothing in it is false, so no check refuses it. That is a limit of "
        "verification: it does not ask for steps.",
}


def six_replies() -> Table:
    """The replies of exercise 04.2, in the order in which they arrive."""
    rows = [
        ["problem", student_prompt(_STORY)], ["gold answer", _STORY.answer], ["mistake", _WRONG]]
    rows += [[f"reply {i}", text] for i, text in enumerate(_REPLIES, 1)]
    return Table(["", "text"], rows)


def _six_verdicts() -> list[str]:
    known: list[str] = []
    verdicts = []
    for text in _REPLIES:
        closed = close_with_answer(text, _STORY, read)
        verdicts.append(verify(_STORY, closed, Context([_WRONG], known)) or _LESSON)
        if verdicts[-1] == _LESSON:
            known.append(closed)
    return verdicts


def _first_wrong_verdict(answer: Any) -> str | None:
    right = _six_verdicts()
    if not isinstance(answer, list | tuple) or len(answer) != len(right):
        return f"A list of {len(right)} verdicts is wanted, one for each reply."
    known = {_LESSON, "no answer", "wrong answer", "wrong arithmetic", "copy of the mistake",
             "duplicate"}
    for i, (said, verdict) in enumerate(zip(answer, right, strict=True)):
        if said == verdict:
            continue
        if said not in known:
            return f"Reply {i + 1}: {said!r} is none of the verdicts; spell it as in the task."
        in_general = (
            f"Reply {i + 1} is not {said!r}; look at its final answer first, then at each "
            "equation.")
        return _WHY_NOT.get((i, said)) or _WHY_NOT.get((i, None)) or in_general
    return None


@exercise("04.2", "which replies become lessons")
def check_verdicts(my_verdicts: Any) -> None:
    judge_answer("04.2", my_verdicts, _six_verdicts(), _first_wrong_verdict)


_IN_THE_KEY = {  # letter → whether it asks for a new call, and why
    "a": (False, "Concurrency decides when a call is made, not what is asked: it is not in the "
                 "key."),
    "b": (False, "The API key opens the door; it is not part of the question, and never in the "
                 "cache."),
    "c": (True, "The longest rationale decides the number of words in the rules, and the token "
                "limit: another question."),
    "d": (True, "An annotator's question has no mistake in it: another question."),
    "e": (False, "The budget decides whether a call is made, not what is asked: it is not in the "
                 "key."),
    "f": (True, "The address is in the key: the same model name behind another address may be "
                "another model."),
    "g": (True, "The mistake is in the question: another wording is another question."),
}


def _are_letters(answer: Any) -> bool:
    return isinstance(answer, str) and set(answer) <= {*_IN_THE_KEY, " ", ","}


def _first_wrong_letter(answer: Any) -> str | None:
    if not _are_letters(answer):
        return 'Give the letters as one string, such as "ab".'
    for letter, (needs_a_call, why) in _IN_THE_KEY.items():
        if (letter in answer) != needs_a_call:
            return f"({letter}) {why}"
    return None


@exercise("05.1", "what the cache's key is made of")
def check_new_calls(my_answer: Any) -> None:
    right = "".join(letter for letter, (needs_a_call, _) in _IN_THE_KEY.items() if needs_a_call)
    given = my_answer
    if _are_letters(my_answer) and _first_wrong_letter(my_answer) is None:
        given = right  # in any order, with any separators
    judge_answer("05.1", given, right, _first_wrong_letter)
