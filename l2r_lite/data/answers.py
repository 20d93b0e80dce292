"""Reading the final answer out of a rationale, without a model and without `eval`.

A sample is a mistake if its answer, read here, is not the gold answer; a teacher's rationale
becomes a lesson only if its answer is, and no equation in it is wrong (arithmetic.py).

How an answer is read, in this order:

1. *Explicit answers*: "The answer is 42", "Answer: 42", "#### 42", \\boxed{42}. The last one wins,
   because models change their mind. A refusal ("The answer is unknown") counts as no answer.
2. *The conclusion*, if there is no explicit answer: the last number ("…, so 24 / 3 = 8 weeks."
   → 8), or the last equation's result if the last sentence restates it; the last yes or no that is
   a clause of its own; the last "(C)", or the option named in the last sentence.

Numbers are exact (`fractions.Fraction`): 72.0 is 72, and 0.1 + 0.2 is 0.3. Every pattern is
bounded or free of overlapping repetition, so that any text is read in linear time.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from l2r_lite.data.text import unreadable
from l2r_lite.loop.records import LETTERS, Kind, Problem

MAX_DIGITS = 60  # longer numbers are noise, and big-integer arithmetic on them is not linear

_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8",
    "⅜": "3/8", "⅝": "5/8"}
_PLAIN = {
    "\u2212": "-", "\u2013": "-", "\u2044": "/", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "**": " ", "`": " "}
_LATEX = {
    r"\times": "×", r"\cdot": "×", r"\div": "÷", r"\approx": "≈", r"\left": "", r"\right": "",
    r"\%": "%", r"\$": "$", r"\!": "", r"{,}": ",", r"\(": " ", r"\)": " ", r"\[": " ", r"\]": " "}
_UNITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_WORDS = {word: number for number, word in enumerate(_UNITS + _TEENS)}
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS = {word: 10 * number for number, word in enumerate(_DECADES, start=2)}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

_NUMBER = re.compile(
    # Not inside a word or a number; and the minus of "10-3" is no sign.
    r"(?<![^\W_])(?<![0-9][.,])(?P<sign>(?<!\))-)?"
    r"(?P<body>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)(?![^\W_]))?"
    r"(?:[ ]?/[ ]?(?P<over>[0-9]+)|[ ](?P<top>[0-9]+)/(?P<bottom>[0-9]+))?"  # 3/4, and 2 1/2
    r"(?:[ ](?P<scale>hundred|thousand|million|billion)\b)?")
# A single dot is a decimal point: 1.250 is 1.25, and 1.250.000 is 1250000.
_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_.,'’])[1-9][0-9]{0,2}"
    r"(?:(?:[ ][0-9]{3}){1,4}|(?:\.[0-9]{3}){2,4}|(?:['’][0-9]{3}){1,4})(?![0-9])")
_WORD_NUMBER = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(_UNITS[1:])}))?"
    rf"|(?P<word>{'|'.join(_WORDS)}))\b(?: (?P<scale>{'|'.join(SCALES)})\b)?",
    re.IGNORECASE)
# "3 + 4", "5 or 6", "5-10", "5:30", "1,23,456", "1 000": not one number, so no answer.
_UNFINISHED = re.compile(
    r"[ ]?[+*×÷][ ]?[0-9]|[ ][-x/][ ][0-9]|[-,: ][0-9]|[ ](?:or|to)[ ][0-9]")
_EXPLICIT = re.compile(
    r"####|\\boxed\s?\{(?P<boxed>[^{}\n]{0,200})\}"
    r"|(?<!\bto )\b(?:answer|final result)\b"
    r"(?:\s(?:to|for)\b[^.:\n]{1,80}?|\s(?:here|then))?[ ]{0,3}"
    r"(?:\s?,?\s?(?:therefore|thus|then|hence|indeed),?\s?)?"
    r"(?:\b(?:(?:should|would|must|will|has to|can only)\s)?(?:is|was|are|be|equals)\b"
    r"|[:=]|\n)[ ]?:?",
    re.IGNORECASE)
# A reason, which is no part of the answer stated before it.
_REASON = re.compile(r"[^0-9=+*/×÷]{0,60}?\s(?:so|because|since|as)\b")
_NEXT_QUESTION = re.compile(r"^[ #]{0,5}(?:Q|Question)[ ]?[0-9]{0,3}:", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_REFUSAL = re.compile(
    r"\b(?:unknown|undefined|unclear|unanswerable|undetermined|indeterminate|impossible|cannot"
    r"|can't|n/a|not\s(?:known|clear|possible|determinable|given|enough|specified|provided))\b",
    re.IGNORECASE)
_RETRACTION = re.compile(
    r"[.!?\n]\s{0,3}(?:but\s|oh,?\s|hmm,?\s|no,?\s)?(?:wait|oops|correction|scratch that)\b"
    r"|\bthat(?:'s| is) (?:wrong|not right|incorrect)\b",
    re.IGNORECASE)
_NEGATED = re.compile(
    r"\bnot[ ](?:[$€£][ ]?)?(?:-?[0-9][0-9,.]{0,30}|\(?[A-Z]\)?(?![\w'])|yes\b|no\b)",
    re.IGNORECASE)
_VERDICT = re.compile(
    r"\b(?P<word>yes|no|true|false)\b"
    r"(?=[\s)\]}*\"']{0,5}(?:$|[.,;:!?)\n-])|\s(?:because|since|as)\b)",
    re.IGNORECASE)
_CLAUSE_START = re.compile(
    r"(?:^|[.!?:;,(\n\"'-]|\b(?:so|thus|therefore|hence|is|say|answer))[\s*\"'(]{0,5}$",
    re.IGNORECASE)
_LETTER = r"(?P<letter>[A-Z])"
_SURE_LETTER = re.compile(
    rf"[\s\"'*:]{{0,8}}(?:the\s)?(?:option|choice|letter)?\s?(?:[(\[]{_LETTER}[)\]]"
    rf"|{_LETTER.replace('letter', 'bare')}(?=[).:,;\"'*\]}}]|\s{{0,5}}$|\s[-–—]))",
    re.IGNORECASE)
_LIKELY_LETTER = re.compile(rf"\s{{0,3}}(?:(?:the\s)?(?:option|choice|letter)\s)?{_LETTER}(?=\s)")
_HEDGE = re.compile(r"[)\]]?\s?(?:or|and|/|,)\s?[(\[]?(?P<other>[A-Z])(?![\w'])")
_NAMED_LETTER = re.compile(
    rf"\((?P<paren>[A-Z])\)|\b(?:[Oo]ption|[Cc]hoice)\s\(?{_LETTER}(?![\w'])"
    r"|(?:^|\n)(?P<line>[A-Z])[).:](?=\s|$)")


def extract_answer(text: str, kind: Kind, choices: Sequence[str] = ()) -> str | None:
    """Read the final answer from what a model wrote. Never raises.

    Args:
        text: a rationale as generated, of any length.
        kind: "number", "yes-no" or "choice".
        choices: the options A, B, C, …; an answer that is an option's text becomes its letter.

    Returns:
        "42", "-3.5" or "1/3" (number), "yes" or "no", a letter; None if no answer can be read.
    """
    return read_answer(text, kind, choices)[0]


def read(text: str, problem: Problem) -> str | None:
    """`extract_answer` as the Reader of a run; a text that no student could read has no answer."""
    # Such a text may be a megabyte long: looking for an answer in it would take seconds.
    return None if unreadable(text) else extract_answer(text, problem.kind, problem.choices)


def read_answer(text: str, kind: Kind, choices: Sequence[str] = ()) -> tuple[str | None, str]:
    """What `extract_answer` reads, and where it was read, in words for people."""
    text = plain_text(text)
    marks = list(_EXPLICIT.finditer(text))
    if marks and (following := _NEXT_QUESTION.search(text, marks[0].end())):
        # A base model runs on into a next question of its own, and answers that one.
        text = text[: following.start()]
        marks = [m for m in marks if m.end() <= following.start()]
    for mark in reversed(marks[-100:]):
        segment, end = _segment(text, mark)
        answer = _explicit(segment, kind, choices)
        said = " ".join(mark[0].split("{")[0].split())
        if answer == "":
            return None, f"what is stated after “{said}” is not one answer"
        if answer is not None:
            if _RETRACTION.search(text, end):
                corrected = _conclusion(text[end:], kind, choices) or answer
                where = f"what is stated after “{said}” is taken back, so what follows counts"
                return corrected, where
            return answer, f"it is stated after “{said}”"
        if _REFUSAL.search(segment):
            return None, f"after “{said}” the text says that there is none"
    concluded = _conclusion(text, kind, choices)
    where = "so the conclusion counts" if concluded else "and nothing concludes"
    return concluded, f"nothing is stated as the answer, {where}"


def is_correct(text: str, problem: Problem) -> bool:
    """Whether the final answer of `text` is the gold answer of `problem`."""
    answer = extract_answer(text, problem.kind, problem.choices)
    return same_answer(answer, problem.answer, problem.kind)


def same_answer(a: str | None, b: str | None, kind: Kind) -> bool:
    """Whether two answers are the same: numbers exactly (72.0 = 72), others up to case and space.

    None, a missing answer, is never the same.
    """
    if a is None or b is None:
        return False
    if kind == "number":
        left, right = parse_number(a), parse_number(b)
        return left is not None and left == right
    return a.strip().casefold() == b.strip().casefold() != ""


def parse_number(text: str) -> Fraction | None:
    """The first number in a text ("$1,234.50", "-3", "2 1/2", "½"), exactly; None without one."""
    match = _NUMBER.search(plain_text(text))
    return _value(match) if match else None


def match_number(text: str, start: int = 0) -> tuple[Fraction, int] | None:
    """The number that begins at `start`, and where it ends."""
    match = _NUMBER.match(text, start)
    value = _value(match) if match else None
    return (value, match.end()) if match and value is not None else None


def grouped(text: str) -> str:
    """Digits in groups as other countries write them (1 250, 1.250.000, 12'500) with commas."""
    return _GROUPS.sub(lambda found: re.sub(r"[ .'’]", ",", found[0]), text)


def numbers(text: str) -> set[Fraction]:
    """Every number in a text without its sign, in digits or words ("seven", "2 hundred")."""
    text = plain_text(text)
    written = {_value(match) for match in _NUMBER.finditer(text)}
    said = {_word_value(match) for match in _WORD_NUMBER.finditer(text)}
    return said | {abs(value) for value in written if value is not None}


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


def plain_text(text: str) -> str:
    """Remove markdown, LaTeX, currency and GSM8K's <<…>>; write all minuses and spaces alike."""
    if not text.isascii():
        # 1 234 with a fixed space is one number.
        text = re.sub(r"(?<=[0-9])[\u00a0\u202f\u2009](?=[0-9]{3}(?![0-9]))", ",", text)
    replaced = _PLAIN | _LATEX if "\\" in text else _PLAIN
    for old, new in replaced.items():
        text = text.replace(old, new)
    if not text.isascii():
        for old, new in _VULGAR.items():
            if old in text:
                text = re.sub(rf"(?<=[0-9])\s?{old}", f" {new}", text).replace(old, new)
    text = re.sub(r"<<[^<>\n]{0,200}>>", "", text)
    if "\\" in text:
        text = re.sub(r"(?<=[0-9])\\(?=[dt]?frac)", r" \\", text)  # 3\frac{1}{2} is 3 1/2
        text = re.sub(
            r"\\[dt]?frac\s?\{([^{}\n]{1,30})\}\s?\{([^{}\n]{1,30})\}", r"\1/\2", text)
        text = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s?\{([^{}\n]{0,200})\}", r"\1", text)
        thousands = re.search(r"[0-9]\\,[0-9]{3}", text)
        text = text.replace("\\,", "," if thousands else " ")
    return re.sub(r"[$€£¥]", " ", re.sub(r"-[$€£¥]", "-", text))


def _value(match: re.Match[str]) -> Fraction | None:
    parts = match.groupdict()
    if len(match[0]) > MAX_DIGITS or abs(int(parts["exponent"] or 0)) > MAX_DIGITS:
        return None
    value = Fraction(parts["body"].replace(",", ""))
    if parts["exponent"]:
        value *= Fraction(10) ** int(parts["exponent"])
    if parts["over"] or parts["bottom"]:
        bottom = int(parts["over"] or parts["bottom"])
        if bottom == 0:
            return None
        value = value / bottom if parts["over"] else value + Fraction(int(parts["top"]), bottom)
    if parts["scale"]:
        value *= SCALES[parts["scale"]]
    value = -value if parts["sign"] else value
    # What is written of it must be read again.
    return value if len(canonical_number(value)) <= MAX_DIGITS else None


def _segment(text: str, mark: re.Match[str]) -> tuple[str, int]:
    """What follows an explicit mark in its sentence, at most 300 characters, and where it ends."""
    if mark["boxed"] is not None:
        return mark["boxed"], mark.end()
    start = mark.end()
    while start < len(text) and start < mark.end() + 40 and text[start] in " \t\r\n:*":
        start += 1
    stop = _SENTENCE_END.search(text, start, start + 300)
    if stop and stop[0] == ".":
        alone = text[start : stop.start()]
        if len(alone) <= 2 and alone.isalpha():  # the dot of "A. bank" ends no sentence
            stop = _SENTENCE_END.search(text, stop.end(), start + 300)
    end = stop.start() if stop else min(start + 300, len(text))
    return text[start:end], end


def _explicit(segment: str, kind: Kind, choices: Sequence[str]) -> str | None:
    """The answer stated in `segment`; "" if it is not one answer ("A or B"), None if nothing is."""
    segment = _NEGATED.sub(" ", segment)
    if kind == "number":
        return _stated_number(segment)
    if kind == "yes-no":
        verdict = _VERDICT.search(segment)
        return _yes_no(verdict["word"]) if verdict else None
    return _stated_choice(segment, choices)


def _stated_number(segment: str) -> str | None:
    first = _NUMBER.search(segment)
    if first and _REASON.match(segment, first.end()):  # "The answer is 35, so 17 / 5 = 3" states 35
        segment = segment[: first.end()]
    for part in (segment.rpartition("=")[2], segment):  # "The answer is 3 + 4 = 7" states 7
        if match := _NUMBER.search(part):
            value = None if _UNFINISHED.match(part, match.end()) else _value(match)
            return "" if value is None else canonical_number(value)
    word = _WORD_NUMBER.search(segment)
    if word is None:
        return None
    return canonical_number(_word_value(word))


def _word_value(word: re.Match[str]) -> Fraction:
    tens, unit, single, scale = (part.lower() if part else "" for part in word.groups())
    number = _WORDS[single] if single else _TENS[tens] + _WORDS.get(unit, 0)
    return Fraction(number * SCALES.get(scale, 1))


def _concluding_number(text: str) -> str | None:
    """The last number, or the last result, if the last sentence restates it.

    "80 / 16 = 5 days. It takes 5 days for 80 sacks." means 5, not 80.
    """
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return None
    value = _value(numbers[-1])
    before = [text[max(0, m.start() - 3) : m.start()] for m in numbers]
    results = [i for i, part in enumerate(before) if part.rstrip().endswith("=")]
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
    """The letter of the option whose text is found first; of two at one place, the longer one."""
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
    return _option_named(last, choices)
