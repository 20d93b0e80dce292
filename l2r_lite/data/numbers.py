"""Numbers in a text, in digits and in words, exactly.

Numbers are exact (`fractions.Fraction`): 72.0 is 72, and 0.1 + 0.2 is 0.3. Every pattern is bounded
or free of overlapping repetition, so that any text is read in linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from l2r_lite.data.plain import plain_text

MAX_DIGITS = 60  # longer numbers are noise, and big-integer arithmetic on them is not linear

_UNITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_WORDS = {word: number for number, word in enumerate(_UNITS + _TEENS)}
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS = {word: 10 * number for number, word in enumerate(_DECADES, start=2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SCALES = {"hundred": 100} | _LARGE
_DOZENS = {"dozen": 12, "dozens": 12}
_SUFFIXES = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "bn": 10**9}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6,
    "eighth": 8, "tenth": 10}
_A_PART = rf"(?:{'|'.join(_PARTS)})s?\b"
_SCALE = rf"(?:{'|'.join(SCALES)}|dozens?)\b"

NUMBER = re.compile(
    # Not inside a word or a number, no exponent; and the minus of "10-3" is no sign.
    r"(?<![^\W_])(?<![0-9][.,:])(?<!\^)(?<!\^\{)"
    r"(?:(?P<clock>[0-9]{1,4}(?::[0-9]{1,4}){1,3}(?![0-9]))"  # 10:30, and the ratio 3:2
    r"|(?P<sign>(?<!\))-)?"
    r"(?P<body>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)(?![^\W_])"
    r"|[ ]?[×x*·][ ]?10\^\{?(?P<power>[+-]?[0-9]{1,3})(?![0-9])\}?"  # 3 × 10^4
    r"|\^\{?(?P<raised>[+-]?[0-9]{1,3})(?![0-9])\}?"  # 10^4
    r"|[ ]?/[ ]?(?P<over>[0-9]+)(?![0-9]|\.[0-9])"  # 3/4
    r"|[ ](?:and[ ])?(?P<top>[0-9]+)/(?P<bottom>[0-9]+)(?![0-9]|[./][0-9])"  # 2 1/2
    rf"|[ ]and[ ](?P<count>an?|one|two|three)[ -](?P<part>{_A_PART}))?"  # 2 and a half
    rf"(?:[ ](?P<scale>(?i:{_SCALE}))"
    rf"(?:[ ](?:and[ ])?(?P<more>[0-9]{{1,3}})[ ](?P<lower>(?i:{_SCALE})))?"
    r"|(?<!401)(?P<suffix>[kKM]|[mb]n)(?![^\W_]|[ ]?[-+*/=^(]|[ ](?:race|run|walk|marathon))"
    r"|[ ](?P<millions>M)(?=[ ]?(?:$|[.,;:!?)])))?)")

_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_UNITS[1:])})\b)?|{'|'.join(_WORDS)})\b"
_CHUNK = re.compile(  # up to 9,900: "twenty-five", "one hundred and five", the "a" of "a million"
    rf"(?:{_SMALL}|an?(?=[ ]hundred))(?:[- ]hundred\b(?:[- ](?:and[- ])?{_SMALL}(?![- ]hundred))?)?"
    rf"|(?:half[ ])?an?(?=[ ](?:{'|'.join(_LARGE)}|dozen)\b)",
    re.IGNORECASE)
_CHUNK_START = re.compile(rf"\b(?={_CHUNK.pattern})", re.IGNORECASE)
_CHUNK_SCALE = re.compile(rf"[- ](?P<scale>{'|'.join(_LARGE)}|dozens?)\b", re.IGNORECASE)
_POINT = re.compile(rf"[ ]point((?:[ ]{_SMALL}){{1,9}})", re.IGNORECASE)
_OF_A_WHOLE = re.compile(rf"[- ](?P<part>{_A_PART})", re.IGNORECASE)
_AND_PART = re.compile(rf"[ ]and[ ](?P<count>an?|one|two|three)[ -](?P<part>{_A_PART})", re.I)
_NEXT_CHUNK = re.compile(r",?[- ](?:and[ ])?", re.IGNORECASE)


@dataclass(frozen=True)
class Number:
    """A number in a text.

    Attributes:
        start, end: where it stands.
        value: None for what is no number: 10:30, 5/0, a thousand digits.
        parts: what it is made of: 100 and 5 for "one hundred and five", 10 and 30 for "10:30".
        counted: how many dozens; None for any other number.
        in_words: "twenty", not "20".
    """

    start: int
    end: int
    value: Fraction | None
    parts: tuple[Fraction, ...] = ()
    counted: Fraction | None = None
    in_words: bool = False


def number_at(text: str, start: int = 0) -> Number | None:
    """The number in digits that begins at `start` of a plain text."""
    match = NUMBER.match(text, start)
    return read_match(match) if match else None


def next_number(text: str, start: int = 0) -> Number | None:
    """The first number in digits of a plain text."""
    match = NUMBER.search(text, start)
    return read_match(match) if match else None


def all_in_words(text: str, start: int = 0) -> Iterator[Number]:
    """Every number in words of a plain text, in order."""
    while begin := _CHUNK_START.search(text, start):
        number = _words_at(text, begin.start())
        if number is None:
            return
        yield number
        start = number.end


def parse_number(text: str) -> Fraction | None:
    """The first number in a text ("$1,234.50", "-3", "2 1/2", "½"), exactly; None without one."""
    found = next_number(plain_text(text))
    return found.value if found else None


def match_number(text: str, start: int = 0) -> tuple[Fraction, int] | None:
    """The number in digits that begins at `start`, and where it ends."""
    found = number_at(text, start)
    return (found.value, found.end) if found and found.value is not None else None


def numbers(text: str) -> set[Fraction]:
    """Every number in a text without its sign, in digits or words ("seven", "2 hundred").

    What a number is made of counts too: "3 dozen" is 3 and 36, "one hundred five" 100, 5 and 105.
    """
    text = plain_text(text)
    found: set[Fraction | None] = set()
    for number in (*map(read_match, NUMBER.finditer(text)), *all_in_words(text)):
        found |= {number.value, number.counted, *number.parts}
    return {abs(value) for value in found if value is not None}


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


def read_match(match: re.Match[str]) -> Number:
    """The number that `NUMBER` found."""
    if match["clock"]:
        parts = tuple(Fraction(part) for part in match["clock"].split(":"))
        return Number(match.start(), match.end(), None, parts)
    body, value = None, None
    if len(match[0]) <= MAX_DIGITS:
        body = Fraction(match["body"].replace(",", ""))
        value = _scaled(match, _with_fraction(match, body))
        # What is written of it must be read again.
        if value is not None and len(canonical_number(value)) > MAX_DIGITS:
            value = None
        if value is not None and match["sign"]:
            value = -value
    dozens = body is not None and "dozen" in (match["scale"] or "").lower()
    return Number(match.start(), match.end(), value, counted=body if dozens else None)


def _with_fraction(match: re.Match[str], body: Fraction) -> Fraction | None:
    """The body with its power of ten or its fraction: 3 × 10^4, 3/4, 2 1/2, 2 and a half."""
    power = match["exponent"] or match["power"] or match["raised"]
    if power:
        if abs(int(power)) > MAX_DIGITS:
            return None
        if match["raised"]:  # 2^5 is a calculation
            return Fraction(10) ** int(power) if body == 10 else None
        return body * Fraction(10) ** int(power)
    if match["over"]:
        return body / int(match["over"]) if int(match["over"]) else None
    if match["bottom"]:
        top, bottom = int(match["top"]), int(match["bottom"])
        return body + Fraction(top, bottom) if 0 < top < bottom else None
    return body + _part(match) if match["part"] else body


def _scaled(match: re.Match[str], value: Fraction | None) -> Fraction | None:
    """The value times its scale: 2 million 500 thousand, 2 dozen, 1.5k."""
    suffix = match["suffix"] or match["millions"]
    if value is None or not (match["scale"] or suffix):
        return value
    if suffix:
        return value * _SUFFIXES[suffix]
    scales = SCALES | _DOZENS
    scale, lower = scales[match["scale"].lower()], scales.get((match["lower"] or "").lower(), 0)
    if lower >= scale:
        return None
    return value * scale + (int(match["more"]) * lower if lower else 0)


def _part(match: re.Match[str]) -> Fraction:
    """The fraction of "and a half", "and two thirds"."""
    part = match["part"].lower()
    size = _PARTS[part] if part in _PARTS else _PARTS[part.removesuffix("s")]
    return Fraction(_WORDS.get(match["count"].lower(), 1), size)


def _words_at(text: str, start: int) -> Number | None:
    """The number in words that begins at `start`: chunks with falling scales.

    "three million | two hundred thousand | five"; "one thousand and two thousand" are two numbers.
    """
    total, end, at = Fraction(0), start, start
    below: int | None = None
    counted: Fraction | None = None
    parts: list[Fraction] = []
    while chunk := _CHUNK.match(text, at):
        value, stop = _chunk(chunk[0]), chunk.end()
        if point := _POINT.match(text, stop):
            digits = "".join(str(_chunk(word)) for word in point[1].split())
            value, stop = value + Fraction(int(digits), 10 ** len(digits)), point.end()
        elif half := _AND_PART.match(text, stop):
            value, stop = value + _part(half), half.end()
        elif value <= 10 and (part := _OF_A_WHOLE.match(text, stop)):
            parts.append(value)
            name = part["part"].lower()
            value, stop = value / _PARTS.get(name, _PARTS.get(name[:-1], 1)), part.end()
        scale = _CHUNK_SCALE.match(text, stop)
        size = (_LARGE | _DOZENS)[scale["scale"].lower()] if scale else 1
        if below is not None and not value * size < below:
            break
        total, end, below = total + value * size, scale.end() if scale else stop, size
        parts += [value * size, *_hundreds(chunk[0])]
        counted = value if size == 12 else None
        step = _NEXT_CHUNK.match(text, end) if size in _LARGE.values() else None
        if not step:
            break
        at = step.end()
    if end == start:
        return None
    return Number(start, end, total, tuple(parts), counted, in_words=True)


def _chunk(words: str) -> Fraction:
    """The value of "seven", "twenty-five", "two hundred and five", "a" (1) or "half a" (1/2)."""
    value = Fraction(0)
    for word in re.split(r"[- ]", words.lower()):
        if word == "half":
            return Fraction(1, 2)
        if word in ("a", "an"):
            value += 1
        elif word == "hundred":
            value *= 100
        elif word != "and":
            value += _TENS.get(word, _WORDS.get(word, 0))
    return value


def _hundreds(words: str) -> list[Fraction]:
    """Both parts of "two hundred | and five"."""
    before, _, after = words.lower().partition("hundred")
    after = after.strip(" -")
    return [_chunk(f"{before}hundred"), _chunk(after)] if after else []
