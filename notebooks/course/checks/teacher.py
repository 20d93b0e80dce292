"""Checks of notebook 04: the teacher's message, verification, which replies become lessons."""

from __future__ import annotations

import itertools
import json
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2r_course.checks.base import Case, Program, exercise, judge, judge_answer
from l2r_lite.data.answers import extract_answer, read
from l2r_lite.data.verify import verify
from l2r_lite.loop.lessons import close_with_answer
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.protocols import Context
from l2r_lite.loop.records import Problem
from l2r_lite.runs.show import Table

# Replies of SmolLM2-135M-Instruct (`transformers serve`) to mistakes of the pocket student.
CLASS_CACHE = Path(__file__).with_name("class_cache.jsonl")


def _fields(question: str, answer: str, mistake: str | None) -> dict[str, str]:
    """What the teacher should read in its user message."""
    data = {"question": question, "correct_answer": answer}
    return data if mistake is None else {**data, "wrong_rationale": mistake}


def _read_back(payload: Program) -> Program:
    """Read the learner's message as the teacher would."""

    def read_message(question: str, answer: str, mistake: str | None) -> Any:
        text = payload(question, answer, mistake)
        if text is None:
            return None
        if not isinstance(text, str):
            return f"not text: {text!r}"
        try:
            return json.loads(text)
        except ValueError:
            return f"not JSON: {text}"

    read_message.__name__ = getattr(payload, "__name__", "my_payload")
    return read_message


# What a wrong message does where there is no mistake: leaves the field out, or fills it.
_NO_MISTAKE: tuple[Callable[[], dict[str, Any]], ...] = (
    lambda: {}, lambda: {"wrong_rationale": None}, lambda: {"wrong_rationale": ""},
    lambda: {"wrong_rationale": "None"})


def _wrong_message(
    write: Callable[[dict[str, Any]], Any], change: Callable[[str], str] = str,
    others: Callable[[str], str] = str,
) -> list[Program]:
    """A message written in a wrong way, with every way to treat an annotator.

    Args:
        write: the message from its fields.
        change: what is done to the student's text first.
        others: what is done to the question and the answer first.
    """

    def program(nothing: Callable[[], dict[str, Any]]) -> Program:
        def message(question: str, answer: str, mistake: str | None) -> Any:
            data = _fields(others(question), others(answer), None)
            more = nothing() if mistake is None else {"wrong_rationale": change(mistake)}
            return write({**data, **more})

        return _read_back(message)

    return [program(nothing) for nothing in _NO_MISTAKE]


def _by_hand(data: dict[str, Any]) -> str:
    written = (f'"{k}": null' if v is None else f'"{k}": "{v}"' for k, v in data.items())
    return f"{{{', '.join(written)}}}"


def _student_only(data: dict[str, Any]) -> str:
    """json.dumps for the student's text, quotes by hand around the rest."""
    mistake = data.pop("wrong_rationale", ...)
    written = _by_hand(data)
    if mistake is ...:
        return written
    return f'{written[:-1]}, "wrong_rationale": {json.dumps(mistake)}}}'


def _quotes_escaped(text: str) -> str:
    return text.replace('"', '\\"')


def _lines_escaped(text: str) -> str:
    return _quotes_escaped(text).replace("\n", "\\n")


_CHANGES: list[Callable[[str], str]] = [
    lambda text: text.replace('"', "'"), lambda text: text.replace('"', ""),
    lambda text: " ".join(text.split()), lambda text: text.replace("\n", " "), str.strip,
    lambda text: re.sub(r"[^\w\s.+*/=-]", "", text), json.dumps]
_CHANGED_TEXT = [
    program for change, others, write in itertools.product(
        _CHANGES, (False, True), (json.dumps, _by_hand))
    for program in _wrong_message(write, change, change if others else str)]


@exercise("04.1", "the student's text stays data")
def check_payload(my_payload: Any) -> None:
    """The user message: JSON whose fields read back as they were given."""
    if not callable(my_payload):
        judge("04.1", my_payload, _fields, ())
        return
    add = "What is 2 + 3?"
    cases: list[Case] = [
        (add, "5", "2 + 3 = 6."), (add, "5", 'I say "6".'), (add, "5", None),
        (add, "5", 'x", "correct_answer": "6'), (add, "5", "2 + 3\n= 6.\n"),
        (add, "5", "a \\ b"), ('Tom said "two". Which number?', "2", "It is 3."),
        ("Wie groß ist 2 + 3?", "5", "Größer")]
    judge("04.1", _read_back(my_payload), _fields, cases, {
        "That is a dict. The message is text: json.dumps(…).": _wrong_message(lambda data: data),
        "You put the quotes around the texts yourself, so a quote inside a text ends it early. "
        "json.dumps writes quotes and escapes.": _wrong_message(_by_hand),
        "That is how Python writes a dict, not JSON: use json.dumps, not str or repr.":
            _wrong_message(str),
        "You escape quotes only. JSON also escapes backslashes and line breaks; json.dumps does it "
        "all.": [
            program for change in (_quotes_escaped, _lines_escaped) for others in (str, change)
            for program in _wrong_message(_by_hand, change, others)],
        "You changed the text. The teacher must read exactly what was written; json.dumps changes "
        "nothing.": _CHANGED_TEXT,
        "You protect the student's text only. The question comes from outside too.":
            _wrong_message(_student_only),
        "You encoded twice: the message reads back as text, not as an object.":
            _wrong_message(lambda data: json.dumps(json.dumps(data))),
        "Without a mistake, leave out the field wrong_rationale; do not fill it with null or \"\".":
            _wrong_message(json.dumps)[1:],
        "The correct answer is missing. It is the hint that lets a weak teacher explain.":
            _wrong_message(lambda data: json.dumps(
                {k: v for k, v in data.items() if k != "correct_answer"})),
    })


# Written by the pocket student, the scripted teacher and SmolLM2. The last four are made up, and so
# is the gold answer of the one before them.
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


@exercise("04.2", "a right answer is not enough")
def check_verifier(my_reject: Any) -> None:
    judge("04.2", my_reject, _verify, RATIONALES, {
        "You check the final answer only. A right answer after a false equation passes.":
            _almost(arithmetic=False),
        "`//` and int(a / b) drop the remainder: 76 // 8 is 9, but 76 / 8 is 9.5.":
            _almost(true=_whole_division),
        "You check the first equation only (re.search stops there). A later one may be false.":
            _almost(some=slice(1)),
        "You check the last equation only. An earlier one may be false.":
            _almost(some=slice(-1, None)),
        "Your pattern requires a space after `=`. This student wrote `3 + 14 =0`, so the false "
        "equation went unseen.": _almost(pattern=r"(\d+) ([-+*/]) (\d+) ?= (\d+)"),
        "You never compare the rationale's answer with the gold answer. True equations can lead to "
        "a wrong answer.": _almost(answered=_anything_answered),
        "Where both are wrong you return \"wrong arithmetic\"; the answer is judged first.":
            _almost(arithmetic_first=True),
        "You look for the gold answer anywhere in the text. The 7 in \"49 - 7\" or in \"47\" is "
        "not the final answer.": _almost(answered=_anywhere),
        "For a text without an answer return \"no answer\": extract_answer gives None there.":
            _almost(answered=_none_is_wrong),
        "8 / 0 raised a ZeroDivisionError. An equation that divides by zero is wrong arithmetic.":
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
    (0, None): "Reply 1: its answer is the gold answer, and both equations hold.",
    (1, _LESSON): "Reply 2: recompute its equations. 40 + 9 is 49, and 50 / 7 is not 7.",
    (1, "wrong answer"): "Reply 2: its final answer is 7, which is right. Its equations are not.",
    (2, "copy of the mistake"):
        "Reply 3 copies the student's mistake, but the answer is judged first, and 42 is wrong.",
    (2, "wrong arithmetic"):
        "Reply 3: 40 + 9 = 49 and 49 - 7 = 42 are both true. The answer is wrong.",
    (3, _LESSON):
        "Reply 4 is reply 1 with other white space. White space is normalised before texts are "
        "compared.",
    (4, "no answer"):
        "Reply 5 has no answer line, but its last sentence states a number, and that is read as "
        "its answer.",
    (4, None):
        "Reply 5: a clear conclusion counts as an answer (make_lessons adds the answer line), and "
        "its equations hold.",
    (5, "no answer"): "Reply 6 states an answer, and nothing else.",
    (5, None):
        "Reply 6: nothing in it is false, so no check refuses it. That is a limit of "
        "verification: in free text it does not require steps.",
}


def six_replies() -> Table:
    """The replies of exercise 04.3, in the order of arrival."""
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
        return f"Give a list of {len(right)} verdicts, one per reply."
    known = {_LESSON, "no answer", "wrong answer", "wrong arithmetic", "copy of the mistake",
             "duplicate"}
    for i, (said, verdict) in enumerate(zip(answer, right, strict=True)):
        if said == verdict:
            continue
        if said not in known:
            return f"Reply {i + 1}: {said!r} is not a verdict; spell it as in the task."
        in_general = (
            f"Reply {i + 1} is not {said!r}. Check its final answer first, then each equation.")
        return _WHY_NOT.get((i, said)) or _WHY_NOT.get((i, None)) or in_general
    return None


@exercise("04.3", "which replies become lessons")
def check_verdicts(my_verdicts: Any) -> None:
    judge_answer("04.3", my_verdicts, _six_verdicts(), _first_wrong_verdict)
