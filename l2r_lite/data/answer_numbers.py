"""The number that a sentence states as its answer, and the number that a text concludes with."""

import re
from fractions import Fraction

from l2r_lite.data.numbers import (
    NUMBER,
    Number,
    all_in_words,
    canonical_number,
    next_number,
    number_at,
    read_match,
)

NOT_ONE = ""  # stated is not one number: "5 or 6", "5 to 10", "3 + 4", "±5", "10:30"
_CALCULATION = "="  # stated is a calculation, whose result may follow

SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_UNIT = r"(?:\s?[%°][CF]?|(?:\s{1,3}[^\W\d_][^\W\d_'-]{0,20}){1,3}?)??"
_END = r"\s{0,3}(?:$|[.,;:!?)\"'])"
_ABOUT = (
    r"(?:(?:about|around|approximately|exactly|only|just|at least|at most|nearly|maybe|perhaps"
    r"|possibly|even|else|the|another|or|and)\s{1,3}){0,2}")

_LEADS_IN = re.compile(
    r"[\s\"'(*:,-]{0,9}(?:(?:about|around|approximately|exactly|only|just|at least|at most|nearly"
    r"|a total of|that|there (?:are|is|were)|it is|it's|negative|minus)\s{1,3}){0,3}",
    re.IGNORECASE)
# Numbers in words count here too, if others are in digits.
_BEFORE_WORDS = re.compile(
    r"(?:[=≈]|\b(?:and|or|to|plus|minus|times|by|equals?|is|are))\s{1,3}$", re.IGNORECASE)
_PRONOUN = re.compile(
    r"one(?:'s\b|\s(?:of|that|which|who|more|can|could|must|with|where)\b)", re.IGNORECASE)
# A reason, which is no part of the answer stated before it.
_REASON = re.compile(r"[^0-9=+*/×÷]{0,60}?\s(?:so|because|since|(?<!well )as(?!\swell))\b")
_COMMENT = re.compile(r"(?<=[\w%)])\s\((?!or\b)[^()\n]{0,120}\)")  # "5 packs (of ten)"
_CLAUSE = re.compile(  # "After 6 days, they have 390"
    r"^\s{0,3}(?:after|in|with|if|when|for|by|at|on|during|given|since|because)\s[^,.:=\n]{1,80},\s",
    re.IGNORECASE)
_CENTS = re.compile(r"([0-9]{1,9}) dollars? and ([0-9]{1,2}) cents?\b", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?:\bnegative|^[\s:\"'(]{0,9}minus)\s{1,3}$", re.IGNORECASE)
_PLUS_MINUS = r"(?:±|\bplus(?: or |[ /-])minus\b)"
_PLUS_MINUS_BEFORE = re.compile(rf"{_PLUS_MINUS}\s{{0,3}}$", re.IGNORECASE)
_PLUS_MINUS_AFTER = re.compile(rf"{_UNIT}\s{{0,3}}{_PLUS_MINUS}", re.IGNORECASE)

# What makes a number part of a calculation: before it, and after it and its unit.
_SUM_OF = re.compile(
    r"\b(?:sum|product|difference|quotient|average|mean|median|multiple|divisor|factor|total"
    r"|minimum|maximum)\b",
    re.IGNORECASE)
_HALF_OF = re.compile(
    r"\b(?:half|twice|double|triple|thrice)\s(?:of\s)?(?:the\s)?\s{0,3}$", re.IGNORECASE)
_OPERATOR = re.compile(
    rf"\s{{0,3}}\^|{_UNIT}\s{{0,3}}[+*×÷]\s{{0,3}}[-(]?\.?[0-9]|{_UNIT}\s{{1,3}}[-/x]\s{{1,3}}\(?[0-9]"
    rf"|[/x(][0-9]|{_UNIT}\s{{1,3}}over\s{{1,3}}[0-9]"
    rf"|{_UNIT},?\s{{1,3}}(?:plus|minus|times|multiplied by|divided by|added to|subtracted from)"
    rf"\s{{1,3}}{_ABOUT}[0-9]",
    re.IGNORECASE)
_SHARE_OF = re.compile(
    rf"(?:\s?%|\spercent)\sof\b|{_UNIT}\s(?:more|less|fewer)\sthan\b", re.IGNORECASE)
_VARIABLE = re.compile(r"[0-9][^\W\d_]\s*$")  # "3x"
# What stands between a calculation in words and its result.
_RESULTS_IN = re.compile(
    r"\b(?:equals|equal to|which|is|are|was|were|gives?|giving|makes?|making|yields?|totals"
    r"|totall?ing|leaves|leaving|results? in|resulting in|comes? (?:out )?to|for a total of|that is"
    r"|i\.e\.)(?![\w'])|,\s(?:so|or|then|hence|thus)\b|:(?=\s)|[→⇒]",
    re.IGNORECASE)
_TOTALS = re.compile(
    r"\b(?:equals?|totals|for a total of"
    r"|(?:each|apiece)\W{1,3}(?:which\s(?:is|makes|gives)|making|giving|so))\s", re.IGNORECASE)
_SEVERAL_EQUATIONS = re.compile(  # "x = 5 or x = 10"
    r"=\s{0,3}-?[0-9][0-9.,/]{0,20}(?:\s[^\W\d_]{2,20}){0,2}(?:,?\s{1,3}(?:or|and)|,)\s{1,3}"
    r"[^\W\d_]{1,10}\s?=", re.IGNORECASE)
# A second number beside the first: "5 and 10", "$5 to $10", "5 apples or 6 apples", "5, 6".
_SECOND = re.compile(
    rf"(?P<unit>{_UNIT})(?:(?P<dash>[-:,/—])|\s{{0,3}}(?P<sign>[,&~]|\.{{2,3}})\s{{0,3}}"
    r"|\s{0,3},?\s{1,3}\(?(?P<word>or|and(?:/or)?|as well as|(?:up\s)?to|through|until|versus"
    r"|vs\.?)\s{1,3}"
    r"|\s{1,3})"
    rf"{_ABOUT}(?=-?\.?[0-9])",
    re.IGNORECASE)
_VERB = re.compile(
    r"(?:\s{1,3}[^\W\d_]{1,20}){0,2}?\s{1,3}(?:is|are|was|were|has|have|had|left|more|of)\b")
_LISTED = re.compile(rf"{_UNIT}(?:{_END}|\s{{1,3}}(?:and|or|&)\b)")

_BETWEEN = re.compile(r"\bbetween\s[^.!?\n]{1,40}\sand\s{1,3}$", re.IGNORECASE)
_ANSWER_FIRST = re.compile(
    r"(?:^|[^-+*/×÷x^(\s])\s{1,3}(?P<number>-?[0-9][0-9,.]{0,20}(?:/[0-9]{1,9})?)"
    r"(?:\s[^\W\d_]{1,20}){0,2}\s?=(?P<right>[^=\n]{3,80})$")


def stated_number(sentence: str) -> str | None:
    """The number that a sentence states after "The answer is".

    "15 = 5 * 3" states 15; "3 + 4 = 7" and "3 plus 4, which is 7" state 7.

    Returns:
        The number; `NOT_ONE` for several, a range or an open calculation; None without a number.
    """
    sentence = _CENTS.sub(r"\1.\2 dollars", _in_digits(sentence))
    for aside in (_COMMENT, _CLAUSE):
        without = aside.sub(" ", sentence)
        sentence = without if next_number(without) else sentence
    first = next_number(sentence)
    if first and not _HALF_OF.search(sentence[: first.start]):
        if _REASON.match(sentence, first.end):  # "35, so 17 / 5 = 3 are left" states 35
            sentence = sentence[: first.end]
    if _SEVERAL_EQUATIONS.search(sentence):
        return NOT_ONE
    sentence = _without_calculation(sentence)
    parts = [part for part in _RESULTS_IN.split(sentence) if part.strip(" ,;")]
    open_calculation = False
    for part, following in zip(parts, [*parts[1:], ""], strict=False):
        stated = _stated_in_equation(part)
        if stated == _CALCULATION:
            open_calculation = True
        elif stated is not None and not _is_share(part, following):
            return stated
    return NOT_ONE if open_calculation else None


def is_bare(sentence: str) -> bool:
    """Whether a sentence is a number with its unit and nothing else: "about 18 dollars"."""
    number = next_number(sentence)
    if number is None or not _LEADS_IN.fullmatch(sentence, 0, number.start):
        return False
    return bool(re.match(rf"{_UNIT}\s*$", sentence[number.end :]))


def concluding_number(text: str) -> str | None:
    """The last number, or the last result, if the last sentence restates it.

    "80 / 16 = 5 days. It takes 5 days for 80 sacks." means 5, not 80.
    """
    numbers = [match for match in NUMBER.finditer(text) if not match["clock"]]
    if not numbers:
        return None
    value = _concluded(text, numbers[-1])
    before = [text[max(0, m.start() - 3) : m.start()] for m in numbers]
    results = [i for i, part in enumerate(before) if part.rstrip().endswith("=")]
    if results:
        stated, following = _result(numbers[results[-1]]), numbers[-1].start()
        for match in reversed(numbers[results[-1] + 1 :]):
            if SENTENCE_END.search(text, match.end(), following):
                break  # only the last sentence restates
            following = match.start()
            if read_match(match).value == stated:
                value = stated
    return None if value is None else canonical_number(value)


def _concluded(text: str, last: re.Match[str]) -> Fraction | None:
    """The value of the last number; None of a range, and of "15 = 5 * 3" the 15."""
    before = text[max(0, last.start() - 120) : last.start()]
    if _PLUS_MINUS_BEFORE.search(before[-20:]) or _BETWEEN.search(before[-60:]):
        return None
    if found := _ANSWER_FIRST.search(before + last[0]):
        left, right = next_number(found["number"]), next_number(found["right"])
        if left and right and _OPERATOR.match(found["right"], right.end):
            return left.value
    return _result(last) if before.rstrip().endswith("=") else read_match(last).value


def _result(match: re.Match[str]) -> Fraction | None:
    """The value of a number after "="; in "84 / 12 = 7 dozen" the dozen is a unit."""
    number = read_match(match)
    return number.value if number.counted is None else number.counted


def _in_digits(sentence: str) -> str:
    """Numbers in words written in digits.

    Beside numbers in digits only those where an answer is expected: "the three cats weigh 13" has
    one number.
    """
    has_digits = next_number(sentence) is not None
    written, start = "", 0
    for number in all_in_words(sentence):
        before = sentence[: number.start]
        expected = _LEADS_IN.fullmatch(before) or _BEFORE_WORDS.search(before[-20:])
        is_pronoun = _PRONOUN.match(sentence, number.start) or (has_digits and number.value == 1)
        is_part = re.match("-[A-Za-z]", sentence[number.end : number.end + 2])  # "three-digit"
        if is_pronoun or is_part or number.value is None:
            continue
        if expected or not has_digits:
            written += sentence[start : number.start] + canonical_number(number.value)
            start = number.end
    return written + sentence[start:]


def _without_calculation(sentence: str) -> str:
    """The result alone of "8 buses with 45 students each, for a total of 360"."""
    first, total = next_number(sentence), _TOTALS.search(sentence)
    second = next_number(sentence, first.end) if first else None
    if total and second and second.end <= total.start() and next_number(sentence, total.end()):
        return sentence[total.end() :]
    return sentence


def _stated_in_equation(text: str) -> str | None:
    """The number that is the last side of an equation, or its first side: "15 = 5 * 3"."""
    calculated = False
    sides = re.split("[=≈]", text)
    for i, side in reversed(list(enumerate(sides))):
        stated = _stated_alone(side)
        if i and stated and (number := next_number(side)) and number.counted is not None:
            # "84 / 12 = 7 dozen": the dozen is a unit.
            count, before = canonical_number(number.counted), _stated_alone(sides[i - 1])
            stated = count if before in (count, _CALCULATION) else stated
        if stated == _CALCULATION:
            calculated = True
        elif stated is not None and not (calculated and _VARIABLE.search(side)):
            return stated
    return _CALCULATION if calculated else None


def _stated_alone(text: str) -> str | None:
    """The number of a text without "=", if it is one number and no calculation."""
    number = next_number(text)
    if number is None:
        return None
    before = text[max(0, number.start - 40) : number.start]
    if number.value is None or _PLUS_MINUS_BEFORE.search(before[-20:]):
        return NOT_ONE
    if _PLUS_MINUS_AFTER.match(text, number.end):
        return NOT_ONE
    if _OPERATOR.match(text, number.end) or _HALF_OF.search(before):
        return _CALCULATION
    if _has_second(text, number):
        return _CALCULATION if _SUM_OF.search(before) else NOT_ONE
    return canonical_number(-number.value if _NEGATIVE.search(before) else number.value)


def _has_second(text: str, first: Number) -> bool:
    """Whether a second number is stated beside the first."""
    joint = _SECOND.match(text, first.end)
    if joint is None:
        return False
    second = number_at(text, joint.end())
    if second is None or first.value is None or second.value is None:
        return bool(joint["dash"]) or second is not None  # "1,23,456" goes on
    if _same(first.value, second.value):
        return False
    unit, after = joint["unit"].split(), text[second.end :]
    if joint["dash"]:
        return not unit
    if joint["sign"] == ",":
        return not unit and bool(re.match(rf"{_END}|\s{{1,3}}(?:and|or|&)\b", after))
    word = (joint["word"] or joint["sign"] or "").lower()
    if not word:  # "12 200-litre barrels" are twelve
        return not unit and not re.match("-[A-Za-z]", after)
    if word in ("and", "as well as", "&"):
        return not _VERB.match(after) and (not unit or bool(_LISTED.match(after)))
    # "2 hours or 120 minutes" is one answer.
    return not unit or after.split()[: len(unit)] == unit or bool(re.match(_END, after))


def _same(first: Fraction, second: Fraction) -> bool:
    """Whether two numbers are one answer, written twice: 1/2 or 0.5, 50 % or 0.5, 1/3 or 0.33."""
    if first == second or first == 100 * second or second == 100 * first:
        return True
    are_whole = first.denominator == 1 and second.denominator == 1
    return not are_whole and abs(first - second) * 100 <= abs(second)


def _is_share(part: str, following: str) -> bool:
    """Whether a part computes and what follows is the result: "50% of 20, which is 10"."""
    number = next_number(part)
    begins = len(following) - len(following.lstrip())
    if number is None or number.value is None or not number_at(following, begins):
        return False
    is_fraction = 0 < number.value < 1 and part.startswith(" of ", number.end)
    return is_fraction or bool(_SHARE_OF.match(part, number.end))
