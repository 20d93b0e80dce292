"""Checks of notebook 01: numbers compared exactly, texts read, a letter or its option."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from l2r_course.checks import outputs
from l2r_course.checks.base import Errors, Program, Raised, exercise, judge, say
from l2r_course.checks.outputs import Output, Reader, agrees, as_a_person, how_many, read_by
from l2r_lite.data.answers import extract_answer, same_answer
from l2r_lite.data.text import fold
from l2r_lite.loop.records import LETTERS, Kind

BAR = 25  # of the 30 texts


_PAIRS = [
    ("72", "72"), ("72", "27"), ("72", "72.0"), ("$1,234", "1234"), ("1/2", "0.5"), ("-5", "5"),
    ("2.5", "2"), ("0.33", "1/3"), ("9007199254740993", "9007199254740992"), ("three", "three"),
    ("", "0"), ("1/0", "1/0")]


def _bare(text: str) -> str:
    return text.replace("$", "").replace(",", "")


def _float(text: str) -> float:
    over, _, under = _bare(text).partition("/")
    return float(over) / float(under or 1)


def _none(text: str) -> Fraction | None:
    try:
        return Fraction(_bare(text))
    except (ValueError, ZeroDivisionError):
        return None


def _or_false(same: Program, read: Program = str) -> Program:
    """False where a text cannot be read."""

    def guarded(a: str, b: str) -> bool:
        try:
            return same(read(a), read(b))
        except (ValueError, ZeroDivisionError):
            return False

    return guarded


def _close(tolerance: float) -> Program:
    return _or_false(lambda a, b: abs(a - b) < tolerance, _float)


_NUMBER_ERRORS: Errors = {
    "You compare the texts. 72 and 72.0 are written differently and are one number.":
        [lambda a, b: a == b, lambda a, b: a.strip() == b.strip(),
         lambda a, b: _bare(a) == _bare(b)],
    "float() reads neither $1,234 nor 1/2: take away $ and the commas, and fractions.Fraction "
    "reads 1/2 as it stands.":
        [lambda a, b: float(a) == float(b), _or_false(lambda a, b: float(a) == float(b)),
         lambda a, b: float(_bare(a)) == float(_bare(b)),
         _or_false(lambda a, b: a == b, lambda a: float(_bare(a)))],
    "You forgot the $ sign or the commas of $1,234: take them away before you make a number.":
        [lambda a, b: Fraction(a) == Fraction(b), _or_false(lambda a, b: a == b, Fraction)],
    "What is no number, and 1/0, must give False instead of an exception: catch ValueError and "
    "ZeroDivisionError.":
        [lambda a, b: Fraction(_bare(a)) == Fraction(_bare(b)),
         lambda a, b: _float(a) == _float(b)],
    "You call numbers equal that are only close. 0.33 is not 1/3, and an exam that says so "
    "teaches it: compare exactly.":
        [*map(_close, (0.05, 0.01)), _or_false(lambda a, b: round(a, 2) == round(b, 2), _float)],
    "You compare floats. A float keeps about 16 digits, so two long numbers become one: "
    "fractions.Fraction is exact.": _or_false(lambda a, b: a == b, _float),
    "You cut off what stands behind the point: 2.5 is not 2.":
        _or_false(lambda a, b: int(a) == int(b), _float),
    "You lose the sign: -5 is not 5.":
        _or_false(lambda a, b: abs(a) == abs(b), lambda a: Fraction(_bare(a))),
    "Two texts without a number are not the same number: what cannot be read must never count as "
    "right.":
        [lambda a, b: _none(a) == _none(b),
         lambda a, b: a == b if None in (_none(a), _none(b)) else _none(a) == _none(b)],
}


@exercise("01.1", "numbers, compared exactly")
def check_same_number(theirs: Program) -> None:
    judge("01.1", theirs, lambda a, b: same_answer(a, b, "number"), _PAIRS, _NUMBER_ERRORS)


def _substring(text: str, kind: Kind, choices: Sequence[str]) -> str | None:
    if kind != "yes-no":
        return extract_answer(text, kind, choices)
    return next((word for word in ("yes", "no") if word in text.lower()), None)


def _option_text(text: str, kind: Kind, choices: Sequence[str]) -> str | None:
    letter = extract_answer(text, kind, choices)
    return choices[LETTERS.index(letter)] if kind == "choice" and letter else letter


def _at_commas(text: str, kind: Kind, choices: Sequence[str]) -> str | None:
    return extract_answer(re.sub(r"(?<=[0-9]),(?=[0-9]{3})", " ; ", text), kind, choices)


def _run_on(text: str, kind: Kind, choices: Sequence[str]) -> str | None:
    return extract_answer(re.sub(r"^(Question|Q):", "", text, flags=re.MULTILINE), kind, choices)


# The sentence whose reader explains the most wrong readings is told; of two, the earlier.
_READINGS: list[tuple[str, Reader]] = [
    ("Yours reads here what this library reads. A person reads more: look at the text again.",
     extract_answer),
    ("Yours answers a question that the model made up: what follows “Question:” or “Q:” is not "
     "about ours.", _run_on),
    ("Yours breaks 8,000 at its comma: it is one number.", _at_commas),
    ("Yours finds “no” inside other words (another, know, now): ask for whole words, "
     "\\b(yes|no)\\b.", _substring),
    ("For a choice the letter is wanted; yours returns the option's text.", _option_text),
    ("Yours takes the first number (yes or no, letter) of the text. Models calculate first and "
     "answer last.", outputs.first_candidate),
    ("Yours takes the last one, also where the text goes on after its answer or gives none. Look "
     "first for what is stated as the answer (“The answer is …”, #### …, \\boxed{…}), and read "
     "only there.", outputs.last_candidate),
    ("Yours reads only after “The answer is”. Models also write \\boxed{33}, “Answer: 8”, “A) "
     "Ann”, or just a last sentence that holds the answer.", outputs.answer_line_only)]


@exercise("01.2", "read the answer")
def check_extract_answer(theirs: Reader) -> None:
    if not callable(theirs):
        told = "this check wants your function itself, as in check_extract_answer(my_function)"
        say("01.2", False, f"✗ {told}")
        return
    texts = outputs.real_outputs()
    results = [read_by(theirs, output) for output in texts]
    if all(result is None for result in results):
        name = getattr(theirs, "__name__", "your function")
        say("01.2", False, f"○ not solved yet: {name} returned None for all {len(texts)} texts")
        return
    pairs = enumerate(zip(results, texts, strict=True))
    wrong = [i for i, (r, o) in pairs if not agrees(r, o.read, o.problem.kind)]
    right, library = len(texts) - len(wrong), how_many(extract_answer, texts)
    needed = f"needed: {BAR}; this library: {library}"
    score = f"{right} of {len(texts)} read as a person reads them ({needed})"
    if right >= BAR:
        others = outputs.real_outputs(shown=False)
        mine, library = how_many(theirs, others), how_many(extract_answer, others)
        told = f"{mine} of {len(others)} (this library: {library})"
        say("01.2", True, f"✓ {score}\n  On {len(others)} more that you have not seen: {told}")
        return
    first, why = _first_wrong(results, texts, wrong)
    shown = texts[first]
    text = " ⏎ ".join(filter(None, map(fold, shown.text.split("\n"))))
    if len(text) > 240:
        text = f"{text[:150]} … {text[-80:]}"
    lines = [
        f"✗ {score}",
        f"text {first + 1} ({shown.problem.kind}): yours gave {results[first]!r}, a person reads "
        f"{shown.read!r}",
        *textwrap.wrap(why or "", 110),
        *textwrap.wrap(f"“{text}”", 106, initial_indent="  ", subsequent_indent="  ")]
    say("01.2", False, "\n  ".join(lines))


def _first_wrong(
    results: Sequence[Any], texts: Sequence[Output], wrong: Sequence[int]
) -> tuple[int, str | None]:
    """The wrong reading to show, and the sentence about it."""
    for i in wrong:
        if isinstance(results[i], Raised):
            return i, ("Your function ended in an exception: a text may have no number, no match, "
                       "no words at all.")
    for i in wrong:
        is_number = texts[i].problem.kind == "number"
        if is_number and same_answer(str(results[i]), texts[i].read or "", "number"):
            return i, ("Yours keeps what stands around the number (a unit, a bracket): return the "
                       "number alone.")
    best: list[int] = []
    why = None
    for sentence, reader in _READINGS:
        explained = []
        for i in wrong:
            same = agrees(results[i], read_by(reader, texts[i]), texts[i].problem.kind)
            if same and not as_a_person(reader, texts[i]):
                explained.append(i)
        if len(explained) > len(best):
            best, why = explained, sentence
    if 3 * len(best) < len(wrong):
        return wrong[0], None
    easy = (i for i in best if as_a_person(extract_answer, texts[i]))
    return next(easy, best[0]), why


_SAID = [
    ("(B)", ("Zoe", "Pia")), ("Pia", ("Zoe", "Pia")), ("b) Pia", ("Zoe", "Pia")),
    ("(A) Zoe", ("Zoe", "Pia")), ("a bank", ("library", "bank")),
    ("New York", ("York", "New York")), ("Annabel", ("Ann", "Bo")), ("C", ("Zoe", "Pia")),
    ("(A) or (B)", ("Zoe", "Pia")), ("Teddy", ("Zoe", "Pia")), ("", ("Zoe", "Pia"))]


def _library_choice(said: str, choices: Sequence[str]) -> str | None:
    return extract_answer(f"The answer is {said}", "choice", choices)


def _choice(
    said: str, choices: Sequence[str], *, letters: bool = True, texts: bool = True,
    whole: bool = True, longest: bool = True, text_first: bool = True, one: bool = True,
    known: bool = True, small: bool = True,
) -> str | None:
    """The right answer, with parts of the work left out."""
    pattern = r"(?<!\w)([A-Za-z])(?!\w)" if small else r"(?<!\w)([A-Z])(?!\w)"
    named = [m.upper() for m in re.findall(pattern, said)] if letters else []
    if known:
        named = [m for m in named if m in LETTERS[: len(choices)]]
    at = r"(?<!\w){}(?!\w)" if whole else "{}"
    found = []
    for letter, choice in zip(LETTERS, choices, strict=False):
        if texts and re.search(at.format(re.escape(choice.lower())), said.lower()):
            found.append(letter)
    if longest:
        found.sort(key=lambda letter: -len(choices[LETTERS.index(letter)]))
    if one and len(set(named)) > 1:
        return None
    return next(iter(found + named if text_first else named + found), None)


def _without(**left_out: bool) -> Program:
    return lambda said, choices: _choice(said, choices, **left_out)


@exercise("01.4", "the letter or the option's text")
def check_choice(theirs: Program) -> None:
    judge("01.4", theirs, _library_choice, _SAID, {
        "You read letters only. “Pia” is an answer, too: look for the options' texts.":
            [_without(texts=False), _without(texts=False, small=False),
             _without(texts=False, one=False), _without(texts=False, small=False, one=False),
             lambda s, c: next(iter(re.findall(r"\(([A-Z])\)", s)), None)],
        "You look for the options' texts only. “(B)” is an answer, too.":
            [_without(letters=False), _without(letters=False, whole=False),
             _without(letters=False, whole=False, longest=False)],
        "“a bank” begins with an article, not with the letter A: where an option's text stands, "
        "it decides.":
            [_without(text_first=False), _without(text_first=False, longest=False),
             _without(text_first=False, whole=False),
             _without(text_first=False, longest=False, whole=False)],
        "“New York” holds “York”, too: where two options fit, the longer one was meant.":
            [_without(longest=False), _without(longest=False, small=False)],
        "“Annabel” is not “Ann”: ask for whole words (\\b on both sides).":
            [_without(whole=False), _without(whole=False, small=False)],
        "“(A) or (B)” names two letters: that is not one answer, so None.":
            [_without(one=False), _without(one=False, small=False)],
        "With two options there is no C: a letter without an option is no answer.":
            _without(known=False),
    })
