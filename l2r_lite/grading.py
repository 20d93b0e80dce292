"""Reading the final answer out of a rationale, and saying whether it is right, without a model and without `eval`.

Everything the loop knows about right and wrong passes through here: a sample is a mistake if `is_correct` says so, and
a teacher's rationale becomes a lesson only if it is correct and has no `wrong_equations`.

How an answer is read, in this order:

1. *Explicit answers*: "The answer is 42", "Answer: 42", "#### 42", \\boxed{42}. The last one wins, because models
   change their mind; a refusal ("The answer is unknown") counts as no answer.
2. *The conclusion*, if there is no explicit answer: the last number ("…, so 24 / 3 = 8 weeks." → 8), or rather the
   last equation's result where the last sentence restates it; the last yes or no that stands as a clause of its own;
   the last "(C)" or the option named in the last sentence.

Numbers are exact (`fractions.Fraction`): 72.0 is 72, and 0.1 + 0.2 is 0.3. Every pattern is bounded or free of
overlapping repetition, so that a megabyte of any text is read in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from l2r_lite.records import LETTERS, Kind, Problem

MAX_DIGITS = 60  # longer numbers are noise, and big-integer arithmetic on them is not linear

_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8"}
_PLAIN = {"\u2212": "-", "\u2013": "-", "\u2044": "/", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "**": " ", "`": " "}
_LATEX = {r"\times": "×", r"\cdot": "×", r"\div": "÷", r"\approx": "≈", r"\left": "", r"\right": "", r"\%": "%"}
_LATEX |= {r"\$": "$", r"\!": "", r"{,}": ",", r"\(": " ", r"\)": " ", r"\[": " ", r"\]": " "}
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_WORDS = {w: i for i, w in enumerate(f"zero one two three four five six seven eight nine {_TEENS}".split())}
_TENS = {w: 10 * i for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

_NUMBER = re.compile(
    r"(?<![^\W_])(?<![0-9][.,])(?P<sign>(?<!\))-)?"  # not inside a word or number; the minus of "10-3" is no sign
    r"(?P<body>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)(?![^\W_]))?"
    r"(?:[ ]?/[ ]?(?P<over>[0-9]+)|[ ](?P<top>[0-9]+)/(?P<bottom>[0-9]+))?"  # 3/4, and 2 1/2
    r"(?:[ ](?P<scale>hundred|thousand|million|billion)\b)?"
)
_WORD_NUMBER = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(list(_WORDS)[1:10])}))?|(?P<word>{'|'.join(_WORDS)}))"
    rf"\b(?: (?P<scale>{'|'.join(_SCALES)})\b)?",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(  # "3 + 4", "5 or 6", "5-10", "5:30", "1,23,456", "1 000": not one number, so no answer
    r"[ ]?[+*×÷][ ]?[0-9]|[ ][-x/][ ][0-9]|[-,: ][0-9]|[ ](?:or|to)[ ][0-9]"
)
_EXPLICIT = re.compile(
    r"####|\\boxed\s?\{(?P<boxed>[^{}\n]{0,200})\}"
    r"|(?<!\bto )\b(?:answer|final result)\b(?:\s(?:to|for)\b[^.:\n]{1,80}?|\s(?:here|then))?[ ]{0,3}"
    r"(?:\s?,?\s?(?:therefore|thus|then|hence|indeed),?\s?)?"
    r"(?:\b(?:(?:should|would|must|will|has to|can only)\s)?(?:is|was|are|be|equals)\b|[:=]|\n)[ ]?:?",
    re.IGNORECASE,
)
_NEXT_QUESTION = re.compile(r"^[ #]{0,5}(?:Q|Question)[ ]?[0-9]{0,3}:", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_REFUSAL = re.compile(
    r"\b(?:unknown|undefined|unclear|unanswerable|undetermined|indeterminate|impossible|cannot|can't|n/a|not\s"
    r"(?:known|clear|possible|determinable|given|enough|specified|provided))\b",
    re.IGNORECASE,
)
_RETRACTION = re.compile(
    r"[.!?\n]\s{0,3}(?:but\s|oh,?\s|hmm,?\s|no,?\s)?(?:wait|oops|correction|scratch that)\b"
    r"|\bthat(?:'s| is) (?:wrong|not right|incorrect)\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\bnot[ ](?:[$€£][ ]?)?(?:-?[0-9][0-9,.]{0,30}|\(?[A-Z]\)?(?![\w'])|yes\b|no\b)", re.IGNORECASE)
_VERDICT = re.compile(
    r"\b(?P<word>yes|no|true|false)\b(?=[\s)\]}*\"']{0,5}(?:$|[.,;:!?)\n-])|\s(?:because|since|as)\b)", re.IGNORECASE
)
_CLAUSE_START = re.compile(
    r"(?:^|[.!?:;,(\n\"'-]|\b(?:so|thus|therefore|hence|is|say|answer))[\s*\"'(]{0,5}$", re.IGNORECASE
)
_LETTER = r"(?P<letter>[A-Z])"
_SURE_LETTER = re.compile(
    rf"[\s\"'*:]{{0,8}}(?:the\s)?(?:option|choice|letter)?\s?(?:[(\[]{_LETTER}[)\]]|{_LETTER.replace('letter', 'bare')}"
    r"(?=[).:,;\"'*\]}]|\s{0,5}$|\s[-–—]))",
    re.IGNORECASE,
)
_LIKELY_LETTER = re.compile(rf"\s{{0,3}}(?:(?:the\s)?(?:option|choice|letter)\s)?{_LETTER}(?=\s)")
_HEDGE = re.compile(r"[)\]]?\s?(?:or|and|/|,)\s?[(\[]?(?P<other>[A-Z])(?![\w'])")
_NAMED_LETTER = re.compile(
    rf"\((?P<paren>[A-Z])\)|\b(?:[Oo]ption|[Cc]hoice)\s\(?{_LETTER}(?![\w'])|(?:^|\n)(?P<line>[A-Z])[).:](?=\s|$)"
)


def extract_answer(text: str, kind: Kind, choices: Sequence[str] = ()) -> str | None:
    """Read the final answer from what a model wrote, so that an exam can compare it with the gold answer.

    Args:
        text: a rationale as generated, of any length.
        kind: "number", "yes-no" or "choice".
        choices: the texts of the options A, B, C, …; an answer given as an option's text becomes its letter.

    Returns:
        "42", "-3.5" or "1/3" (number), "yes" or "no", a letter; None if there is no readable answer. Never raises.
    """
    text = _plain(text)
    marks = list(_EXPLICIT.finditer(text))
    if marks and (following := _NEXT_QUESTION.search(text, marks[0].end())):
        text = text[: following.start()]  # a base model that runs on into the next question answers that one
        marks = [m for m in marks if m.end() <= following.start()]
    for mark in reversed(marks[-100:]):
        segment, end = _segment(text, mark)
        answer = _explicit(segment, kind, choices)
        if answer == "":
            return None
        if answer is not None:
            if _RETRACTION.search(text, end):
                return _conclusion(text[end:], kind, choices) or answer
            return answer
        if _REFUSAL.search(segment):
            return None
    return _conclusion(text, kind, choices)


def is_correct(text: str, problem: Problem) -> bool:
    """Whether the final answer of `text` is the gold answer of `problem`; a text without an answer never is."""
    return same_answer(extract_answer(text, problem.kind, problem.choices), problem.answer, problem.kind)


def same_answer(a: str | None, b: str | None, kind: Kind) -> bool:
    """Whether two answers are the same: numbers exactly (72.0 = 72, 0.5 = 1/2), others up to case and white space."""
    if a is None or b is None:
        return False
    if kind == "number":
        left, right = parse_number(a), parse_number(b)
        return left is not None and left == right
    return a.strip().casefold() == b.strip().casefold() != ""


def parse_number(text: str) -> Fraction | None:
    """The first number in `text` ("$1,234.50", "-3", "2 1/2", "½", "39.0") as an exact value; None if there is none."""
    match = _NUMBER.search(_plain(text))
    return _value(match) if match else None


def canonical_number(value: Fraction) -> str:
    """The one way a number is written: "42", "-3.5", or "1/3" where no finite decimal exists."""
    twos, fives, rest = 0, 0, value.denominator
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest != 1 or places == 0:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _plain(text: str) -> str:
    """Take away what only decorates: markdown, LaTeX, currency, GSM8K's <<…>> notes; one kind of minus and of space."""
    text = re.sub(r"(?<=[0-9])[\u00a0\u202f\u2009](?=[0-9]{3}(?![0-9]))", ",", text)  # 1 234 with a fixed space
    for old, new in (_PLAIN | _LATEX).items():
        text = text.replace(old, new)
    for old, new in _VULGAR.items():
        if old in text:
            text = re.sub(rf"(?<=[0-9])\s?{old}", f" {new}", text).replace(old, new)
    text = re.sub(r"<<[^<>\n]{0,200}>>", "", text)
    text = re.sub(r"\\[dt]?frac\s?\{([^{}\n]{1,30})\}\s?\{([^{}\n]{1,30})\}", r"\1/\2", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s?\{([^{}\n]{0,200})\}", r"\1", text)
    text = text.replace("\\,", ",") if re.search(r"[0-9]\\,[0-9]{3}", text) else text.replace("\\,", " ")
    text = re.sub(r"-[$€£¥]", "-", text)
    return re.sub(r"[$€£¥]", " ", text)


def _value(match: re.Match[str]) -> Fraction | None:
    parts = match.groupdict()
    if len(match[0]) > MAX_DIGITS or abs(int(parts["exponent"] or 0)) > MAX_DIGITS:
        return None
    value = Fraction(parts["body"].replace(",", "")) * Fraction(10) ** int(parts["exponent"] or 0)
    if parts["over"] or parts["bottom"]:
        bottom = int(parts["over"] or parts["bottom"])
        if bottom == 0:
            return None
        value = value / bottom if parts["over"] else value + Fraction(int(parts["top"]), bottom)
    return value * _SCALES.get(parts["scale"] or "", 1) * (-1 if parts["sign"] else 1)


def _segment(text: str, mark: re.Match[str]) -> tuple[str, int]:
    """What follows an explicit mark, up to the end of its sentence (at most 300 characters), and where it ends."""
    if mark["boxed"] is not None:
        return mark["boxed"], mark.end()
    start = mark.end()
    while start < len(text) and start < mark.end() + 40 and text[start] in " \t\r\n:*":
        start += 1
    stop = _SENTENCE_END.search(text, start, start + 300)
    if stop and stop.start() - start <= 2 and stop[0] == ".":  # "The answer is A. bank": the letter's own dot
        stop = _SENTENCE_END.search(text, stop.end(), start + 300)
    end = stop.start() if stop else min(start + 300, len(text))
    return text[start:end], end


def _explicit(segment: str, kind: Kind, choices: Sequence[str]) -> str | None:
    """The answer stated in `segment`; "" if what is stated is no answer ("A or B", "3 + 4"), None if nothing is."""
    segment = _NEGATED.sub(" ", segment)
    if kind == "number":
        return _stated_number(segment)
    if kind == "yes-no":
        verdict = _VERDICT.search(segment)
        return _yes_no(verdict["word"]) if verdict else None
    return _stated_choice(segment, choices)


def _stated_number(segment: str) -> str | None:
    for part in (segment.rpartition("=")[2], segment):  # "The answer is 3 + 4 = 7" states 7
        if match := _NUMBER.search(part):
            value = None if _UNFINISHED.match(part, match.end()) else _value(match)
            return "" if value is None else canonical_number(value)
    if (word := _WORD_NUMBER.search(segment)) is None:
        return None
    tens, unit, single, scale = (part.lower() if part else "" for part in word.groups())
    number = _WORDS[single] if single else _TENS[tens] + _WORDS.get(unit, 0)
    return str(number * _SCALES.get(scale, 1))


def _concluding_number(text: str) -> str | None:
    """The last number; but "80 / 16 = 5 days. It takes 5 days for 80 sacks." restates a result and means 5, not 80."""
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return None
    value = _value(numbers[-1])
    results = [i for i, m in enumerate(numbers) if text[max(0, m.start() - 3) : m.start()].rstrip().endswith("=")]
    if results:
        stated, following = _value(numbers[results[-1]]), numbers[-1].start()
        for match in reversed(numbers[results[-1] + 1 :]):
            if _SENTENCE_END.search(text, match.end(), following):
                break  # only the last sentence restates
            following = match.start()
            if _value(match) == stated:
                value = stated
    return None if value is None else canonical_number(value)


def _yes_no(word: str) -> str:
    return "yes" if word.lower() in ("yes", "true") else "no"


def _stated_choice(segment: str, choices: Sequence[str]) -> str | None:
    known = LETTERS[: len(choices)] or LETTERS
    if match := _SURE_LETTER.match(segment):
        letter = (match["letter"] or match["bare"]).upper()
        hedge = _HEDGE.match(segment, match.end())
        named = _option_named(segment, choices) if letter == "A" and match["bare"] == "a" else None
        if hedge and hedge["other"] in known and hedge["other"] != letter:
            return ""
        return named or (letter if letter in known else "")
    if named := _option_named(segment, choices):
        return named
    if (match := _LIKELY_LETTER.match(segment)) and match["letter"] in known:
        return "" if _HEDGE.match(segment, match.end()) else match["letter"]
    return None


def _option_named(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the option whose text stands first in `text` (of two at the same place, the longer one)."""
    folded = " ".join(text.casefold().split())
    best: tuple[int, int] | None = None
    letter = None
    for index, choice in enumerate(choices[: len(LETTERS)]):
        option = " ".join(choice.casefold().split())
        found = re.search(rf"(?<!\w){re.escape(option)}(?!\w)", folded) if option else None
        if found and (best is None or (found.start(), -len(option)) < best):
            best, letter = (found.start(), -len(option)), LETTERS[index]
    return letter


def _conclusion(text: str, kind: Kind, choices: Sequence[str]) -> str | None:
    """The answer of a text that never says "the answer is"."""
    if kind == "number":
        return _concluding_number(text)
    if kind == "yes-no":
        verdict = None
        for match in _VERDICT.finditer(text):
            if _CLAUSE_START.search(text[max(0, match.start() - 12) : match.start()]):
                verdict = _yes_no(match["word"])
        return verdict
    known = LETTERS[: len(choices)] or LETTERS
    named = [m["paren"] or m["letter"] or m["line"] for m in _NAMED_LETTER.finditer(text)]
    if letters := [letter for letter in named if letter in known]:
        return letters[-1]
    text = text.strip()
    if len(text) <= 2 and text[:1].upper() in known and text[1:] in ("", ".", ")"):
        return text[:1].upper() or None
    last = text.rstrip(".!? ")[-300:]
    last = last[max((m.end() for m in _SENTENCE_END.finditer(last)), default=0) :]
    options = [LETTERS[i] for i, choice in enumerate(choices[: len(LETTERS)]) if _option_named(last, [choice])]
    return options[0] if len(options) == 1 else _option_named(last, choices) if options else None


# --- equations: every "a op b = c" of a rationale, recomputed exactly -----------------------------------------------


@dataclass(frozen=True)
class Equation:
    """One claim `left = right` found in a text. A chain "2 + 3 = 5 + 1 = 6" makes two: 2 + 3 = 5 + 1 and 5 + 1 = 6.

    Attributes:
        text: the claim as it stands in the (cleaned) text.
        left, right: the values of its two sides; None where a side divides by zero.
        holds: whether they are equal, exactly or up to the rounding of the last decimal written (10 / 3 = 3.33).
    """

    text: str
    left: Fraction | None
    right: Fraction | None
    holds: bool


def equations(text: str) -> list[Equation]:
    """Every arithmetic claim in a rationale, so that a teacher's lesson can be checked step by step.

    Reads + - * / x × ÷ −, "plus", "times", …, brackets, thousands separators, currency and units ("32 apples + 4 apples
    = 36"). What it cannot read for certain (variables, powers, remainders, "2 dozen") it leaves out: an equation that
    is reported as wrong should be wrong. Never raises.
    """
    found: list[Equation] = []
    tokens = list(_TOKEN.finditer(_plain(_LIST_MARK.sub("", text))))
    start = 0
    while start < len(tokens):
        if not _may_start(tokens, start):
            start += 1
            continue
        end, sides = _read_chain(tokens, start)
        for left, right in zip(sides, sides[1:], strict=False):
            if left.operators or (right.operators and not left.labelled):
                found.append(_judge(tokens, left, right))
        start = max(end, start + 1)
    return found


def wrong_equations(text: str) -> list[Equation]:
    """The arithmetic claims of a rationale that are false; empty for a rationale whose arithmetic is right."""
    return [equation for equation in equations(text) if not equation.holds]


_LIST_MARK = re.compile(r"^[ \t]{0,8}(?:[-*•+]|(?:Step )?[0-9]{1,2}[.):])[ \t]+", re.MULTILINE)
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<equals>(?:\n[ \t]{0,20})?(?<![<>!=])[=≈](?![=>]))"
    r"|(?P<op>\*\*|[-+*/×÷·]|\bx\b(?=\s?[(\d])|(?<=[0-9])x(?=[0-9])|\b(?:plus|minus|times|divided by|multiplied by)\b)"
    r"|(?P<open>\()(?![A-Za-z ]{1,40}\))|(?P<close>\))"
    r"|(?P<unit>\([A-Za-z ]{1,40}\)|%|¢|[^\W\d_]+(?:['’/-][^\W\d_]+)*)"
    r"|(?P<other>[^\s~\"'])|(?P<line>\n)"
)
_OPERATORS = {"x": "*", "×": "*", "·": "*", "÷": "/", "plus": "+", "minus": "-", "times": "*"}
_OPERATORS |= {"divided by": "/", "multiplied by": "*"}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_NO_UNIT = set(
    "a an and are as at but by dozen get gets had has have he hundred hundreds is it left make makes million of off "
    "or over pair pairs she so that the their then they thousand to total twice was we were which will".split()
)
_PARTS = {"%", "percent", "half", "third", "quarter", "twice", "double", "thirds", "fourths", "quarters", "fifths"}
_UNREADABLE = set("^/²³<>√)!±")
_SCALING = {"remainder", "rem", "dozen"} | _SCALES.keys()
_HUNDREDTHS = {"%", "¢", "cent", "cents", "percent"}
_MAX_TOKENS, _MAX_NUMBER = 120, 25


@dataclass
class _Side:
    """One side of an equation: its tokens [start, end), operands as written, and what a shunting-yard made of them."""

    start: int
    end: int
    postfix: list[str]  # numbers as written, "%"-marked where they may be hundredths, and operators
    operators: int = 0
    labelled: bool = False  # words stand before its "=": in "3 days = 12 / 4" that makes a label, not a claim


def _may_start(tokens: list[re.Match[str]], i: int) -> bool:
    """An expression starts at a number, "(" or adjacent minus that does not continue something unread before it."""
    token = tokens[i]
    if token.lastgroup == "op":
        nxt = tokens[i + 1] if i + 1 < len(tokens) else None
        if token[0] != "-" or nxt is None or nxt.lastgroup != "number" or nxt.start() != token.end():
            return False
    elif token.lastgroup not in ("number", "open"):
        return False
    if i == 0:
        return True
    before = tokens[i - 1]
    if before.lastgroup in ("op", "number", token.lastgroup) or before[0] in _UNREADABLE:
        return False
    if before.lastgroup == "unit":
        glued = before.end() == token.start()
        word, prior = before[0].lower(), tokens[i - 2] if i > 1 else None
        part_of = word == "of" and prior and (prior.lastgroup == "number" or prior[0].lower() in _PARTS)
        return not (glued or part_of or word in ("x", "y", "over", "by"))
    return True


def _read_chain(tokens: list[re.Match[str]], start: int) -> tuple[int, list[_Side]]:
    """The sides of `side = side = …` from `start`, and the token after them; fewer than two sides are no equation."""
    sides: list[_Side] = []
    i = start
    while True:
        side, stopped = _read_side(tokens, i)
        if side is None:
            start = max(start, stopped - 1 if stopped - i >= _MAX_TOKENS else start)  # too long to read: skip it whole
            break
        sides.append(side)
        if side.end >= len(tokens) or tokens[side.end].lastgroup != "equals" or len(sides) > _MAX_TOKENS:
            break
        i = side.end + 1
    return (sides[-1].end if len(sides) > 1 else start + 1), sides


def _read_side(tokens: list[re.Match[str]], i: int) -> tuple[_Side | None, int]:
    """One expression turned into postfix (shunting-yard), and where it stopped; None if not readable for certain."""
    start, side = i, _Side(i, i, [])
    stack: list[str] = []
    want_number = True
    while i < len(tokens) and i - start < _MAX_TOKENS:
        token, group = tokens[i], tokens[i].lastgroup
        if want_number:
            if group == "open":
                stack.append("(")
            elif group == "number" and len(token[0]) <= _MAX_NUMBER:
                side.postfix.append(token[0].replace(",", ""))
                want_number = False
            elif (
                token[0] == "-"
                and i + 1 < len(tokens)
                and tokens[i + 1].lastgroup == "number"
                and len(tokens[i + 1][0]) <= _MAX_NUMBER
                and tokens[i + 1].start() == token.end()
            ):
                side.postfix.append("-" + tokens[i + 1][0].replace(",", ""))
                want_number, i = False, i + 1
            else:
                return None, i
            i += 1
            continue
        after = _skip_units(tokens, i, side)
        if after is None:
            return None, i
        ends = after >= len(tokens) or tokens[after].lastgroup not in ("op", "close", "equals", "open")
        if ends or (tokens[after].lastgroup == "open" and tokens[after].start() != tokens[after - 1].end()):
            break
        i, token, group = after, tokens[after], tokens[after].lastgroup
        if group == "equals":
            side.labelled = tokens[i - 1].lastgroup == "unit" and tokens[i - 1][0][0].isalpha()
            break
        if group == "close":
            if "(" not in stack:
                break
            while (op := stack.pop()) != "(":
                side.postfix.append(op)
            i += 1
            continue
        op = "*" if group == "open" else _OPERATORS.get(token[0], token[0])  # 2(3 + 4)
        if op not in _PRECEDENCE:
            return None, i
        while stack and stack[-1] != "(" and _PRECEDENCE[stack[-1]] >= _PRECEDENCE[op]:
            side.postfix.append(stack.pop())
        stack.append(op)
        side.operators += 1
        want_number = True
        i += group == "op"
    if want_number or "(" in stack or i - start >= _MAX_TOKENS:
        return None, i
    side.postfix += reversed(stack)
    side.end = i
    return side, i


def _skip_units(tokens: list[re.Match[str]], i: int, side: _Side) -> int | None:
    """Past the unit after a number if an operator or "=" follows; None if what follows makes the number unreadable."""
    j = i
    while j < min(len(tokens), i + 9) and tokens[j].lastgroup == "unit":
        word = tokens[j][0].lower()
        glued = tokens[j].start() == tokens[j - 1].end()
        if len(word) == 1 and word.isalpha() and (glued or word in "xyzr") or word in _SCALING:
            return None  # 5x is a variable, 2 dozen is 24
        if word in _HUNDREDTHS and j == i and tokens[i - 1].lastgroup == "number":
            side.postfix[-1] = side.postfix[-1].rstrip("%") + "%"
        j += 1
    words = [tokens[k][0].lower() for k in range(i, j)]
    if words[:2] == ["with", "a"] or "remainder" in words:
        return None
    if j < len(tokens) and tokens[j][0] in ("^", "²", "³", "!", "**", "√"):
        return None
    if j == i or j >= len(tokens) or tokens[j].lastgroup not in ("op", "equals", "close"):
        return j if j == i else i  # the words belong to the sentence: the expression ends before them
    return j if j - i <= 4 and not _NO_UNIT.intersection(words) - ({"of"} if words[0] != "of" else set()) else i


def _judge(tokens: list[re.Match[str]], left: _Side, right: _Side) -> Equation:
    """Recompute both sides; percent and cents may mean hundredths or plain numbers: either reading will do."""
    first, last = tokens[left.start], tokens[right.end - 1]
    text = " ".join(first.string[first.start() : last.end()].split())
    holds, values = False, (_compute(left, 1), _compute(right, 1))
    for hundredths in (1, 100):
        a, b = _compute(left, hundredths), _compute(right, hundredths)
        if a is not None and b is not None:
            holds = holds or a == b or any(_rounds_to(x, side, y) for x, side, y in ((a, right, b), (b, left, a)))
    return Equation(text, values[0], values[1], holds)


def _rounds_to(value: Fraction, side: _Side, written: Fraction) -> bool:
    """Whether `side`, one number as written, is `value` rounded or cut off after its last decimal."""
    decimals = len(side.postfix[0].rstrip("%").partition(".")[2])
    return side.operators == 0 and decimals > 0 and abs(value - written) < Fraction(1, 10**decimals)


def _compute(side: _Side, hundredths: int) -> Fraction | None:
    stack: list[Fraction] = []
    for item in side.postfix:
        if item not in _PRECEDENCE:
            stack.append(Fraction(item.rstrip("%")) / (hundredths if item.endswith("%") else 1))
            continue
        b, a = stack.pop(), stack.pop()
        if item == "/" and b == 0:
            return None
        stack.append(a + b if item == "+" else a - b if item == "-" else a * b if item == "*" else a / b)
    return stack[0]
