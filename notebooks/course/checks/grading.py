"""Checks of notebook 01: numbers compared exactly, texts read, a letter or its option."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from l2r_course.checks import base, outputs
from l2r_course.checks.base import Errors, Program, Raised, exercise, judge, say
from l2r_course.checks.outputs import Output, Reader, agrees, as_a_person, how_many, read_by
from l2r_lite.data.answers import extract_answer, same_answer
from l2r_lite.data.text import fold
from l2r_lite.loop.records import LETTERS, Kind

BAR, HIDDEN_BAR = 25, 20  # of the 30 texts that the notebook shows, and of the 30 hidden ones


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
    """False if a text cannot be read."""

    def guarded(a: str, b: str) -> bool:
        try:
            return same(read(a), read(b))
        except (ValueError, ZeroDivisionError):
            return False

    return guarded


def _close(tolerance: float) -> Program:
    return _or_false(lambda a, b: abs(a - b) < tolerance, _float)


_NUMBER_ERRORS: Errors = {
    "You compare the texts. 72 and 72.0 are written differently but are the same number.":
        [lambda a, b: a == b, lambda a, b: a.strip() == b.strip(),
         lambda a, b: _bare(a) == _bare(b)],
    "float() reads neither $1,234 nor 1/2. Remove $ and commas; fractions.Fraction then reads "
    "1/2, too.":
        [lambda a, b: float(a) == float(b), _or_false(lambda a, b: float(a) == float(b)),
         lambda a, b: float(_bare(a)) == float(_bare(b)),
         _or_false(lambda a, b: a == b, lambda a: float(_bare(a)))],
    "You forgot the $ sign or the commas of $1,234. Remove them before you convert.":
        [lambda a, b: Fraction(a) == Fraction(b), _or_false(lambda a, b: a == b, Fraction)],
    "A text that is no number, or 1/0, must give False, not an exception: catch ValueError and "
    "ZeroDivisionError.":
        [lambda a, b: Fraction(_bare(a)) == Fraction(_bare(b)),
         lambda a, b: _float(a) == _float(b)],
    "You accept numbers that are only close. 0.33 is not 1/3, and a grader that accepts it "
    "teaches it. Compare exactly.":
        [*map(_close, (0.05, 0.01)), _or_false(lambda a, b: round(a, 2) == round(b, 2), _float)],
    "You compare floats. A float keeps about 16 digits, so two long numbers can become equal. "
    "fractions.Fraction is exact.": _or_false(lambda a, b: a == b, _float),
    "You cut off the decimals: 2.5 is not 2.":
        _or_false(lambda a, b: int(a) == int(b), _float),
    "You lose the sign: -5 is not 5.":
        _or_false(lambda a, b: abs(a) == abs(b), lambda a: Fraction(_bare(a))),
    "Two texts without a number are not the same number. An unreadable answer must never count "
    "as right.":
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


# The learner gets the sentence whose reader explains the most wrong readings; of two, the earlier.
_READINGS: list[tuple[str, Reader]] = [
    ("The library misreads this text in the same way. A person reads more: look at it again.",
     extract_answer),
    ("You answer a question that the model made up. The text after “Question:” or “Q:” is not "
     "about ours.", _run_on),
    ("You break 8,000 at its comma. It is one number.", _at_commas),
    ("You find “no” inside other words (another, know, now). Match whole words: "
     "\\b(yes|no)\\b.", _substring),
    ("For a choice, return the letter, not the option's text.", _option_text),
    ("You take the first number (or yes or no, or letter) of the text. Models calculate first and "
     "answer last.", outputs.first_candidate),
    ("You take the last one, even if the text goes on after its answer or gives none. Look "
     "first for a stated answer (“The answer is …”, #### …, \\boxed{…}), and read only there.",
     outputs.last_candidate),
    ("You read only after “The answer is”. Models also write \\boxed{33}, “Answer: 8”, “A) "
     "Ann”, or just end with a sentence that contains the answer.", outputs.answer_line_only)]


@exercise("01.2", "read the answer")
def check_extract_answer(theirs: Reader) -> None:
    """Passes with enough of the shown texts, and enough of those that the learner cannot see."""
    if not callable(theirs):
        told = "Pass your function itself, as in check_extract_answer(my_function)."
        say("01.2", False, f"✗ {told}")
        return
    texts, hidden = outputs.real_outputs(), outputs.real_outputs(shown=False)
    runs = [base.watched(theirs, outputs.arguments(output)) for output in texts]
    results = [result for result, _ in runs]
    if all(result is None for result in results):
        name = getattr(theirs, "__name__", "your function")
        say("01.2", False, base.nothing_returned(name, [text for _, text in runs]))
        return
    print("".join(text for _, text in runs), end="")
    pairs = enumerate(zip(results, texts, strict=True))
    wrong = [i for i, (r, o) in pairs if not agrees(r, o.read, o.problem.kind)]
    score = _score(len(texts) - len(wrong), texts, BAR, "texts read as a person reads them")
    if len(texts) - len(wrong) >= BAR:
        missed = [o.problem.kind for o in hidden if not as_a_person(theirs, o)]
        unseen = _score(len(hidden) - len(missed), hidden, HIDDEN_BAR, "hidden texts")
        if len(hidden) - len(missed) >= HIDDEN_BAR:
            say("01.2", True, f"✓ {score}\n  {unseen}")
        else:
            say("01.2", False, f"✗ {unseen}\n  {_fitted(missed)}\n  Shown: {score}")
        return
    first, why = _first_wrong(results, texts, wrong)
    shown = texts[first]
    text = " ⏎ ".join(filter(None, map(fold, shown.text.split("\n"))))
    if len(text) > 240:
        text = f"{text[:150]} … {text[-80:]}"
    lines = [
        f"✗ {score}",
        f"text {first + 1} ({shown.problem.kind}): yours returned {results[first]!r}, a person "
        f"reads {shown.read!r}",
        *textwrap.wrap(why or "", 110),
        *textwrap.wrap(f"“{text}”", 106, initial_indent="  ", subsequent_indent="  ")]
    say("01.2", False, "\n  ".join(lines))


def _score(right: int, texts: Sequence[Output], needed: int, what: str) -> str:
    library = how_many(extract_answer, texts)
    return f"{right} of {len(texts)} {what} (needed: {needed}; this library: {library})"


def _fitted(missed: Sequence[Kind]) -> str:
    """Why a program passes on the shown texts and fails on the hidden ones."""
    kinds = ", ".join(f"{missed.count(kind)} {kind}" for kind in ("number", "yes-no", "choice"))
    return (
        "Your rules fit the texts that you have seen, not new ones. Replace each rule made for\n"
        "  one text by a rule about how models announce an answer.\n"
        f"  Hidden texts misread: {kinds}")


def _first_wrong(
    results: Sequence[Any], texts: Sequence[Output], wrong: Sequence[int]
) -> tuple[int, str | None]:
    """The wrong reading to show, and the sentence about it."""
    for i in wrong:
        if isinstance(results[i], Raised):
            return i, ("Your function raised an exception. A text may contain no number, no match, "
                       "or no words at all.")
    for i in wrong:
        is_number = texts[i].problem.kind == "number"
        if is_number and same_answer(str(results[i]), texts[i].read or "", "number"):
            return i, ("You return more than the number (a unit, a bracket). Return the number "
                       "alone.")
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
    """The right answer, with steps left out."""
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
        "You read letters only. “Pia” is an answer, too. Look for the options' texts.":
            [_without(texts=False), _without(texts=False, small=False),
             _without(texts=False, one=False), _without(texts=False, small=False, one=False),
             lambda s, c: next(iter(re.findall(r"\(([A-Z])\)", s)), None)],
        "You look for the options' texts only. “(B)” is an answer, too.":
            [_without(letters=False), _without(letters=False, whole=False),
             _without(letters=False, whole=False, longest=False)],
        "“a bank” begins with an article, not with the letter A. If there is an option's text, "
        "it decides.":
            [_without(text_first=False), _without(text_first=False, longest=False),
             _without(text_first=False, whole=False),
             _without(text_first=False, longest=False, whole=False)],
        "“New York” contains “York”. If two options match, take the longer one.":
            [_without(longest=False), _without(longest=False, small=False)],
        "“Annabel” is not “Ann”. Match whole words (\\b on both sides).":
            [_without(whole=False), _without(whole=False, small=False)],
        "“(A) or (B)” names two letters. That is not one answer, so return None.":
            [_without(one=False), _without(one=False, small=False)],
        "With two options there is no C. A letter without an option is no answer.":
            _without(known=False),
    })
