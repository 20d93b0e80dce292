"""Equations in a rationale, recomputed exactly, so that a lesson can be checked step by step."""

import operator
import re
from dataclasses import dataclass
from fractions import Fraction

from l2r_lite.data.numbers import SCALES
from l2r_lite.data.plain import plain_text


@dataclass(frozen=True)
class Equation:
    """One claim `left = right` found in a text.

    A chain "2 + 3 = 5 + 1 = 6" makes two: 2 + 3 = 5 + 1, and 5 + 1 = 6.

    Attributes:
        text: the claim as it stands in the (cleaned) text.
        left, right: the values of its two sides; None for a side that divides by zero.
        holds: whether they are equal, exactly or as rounded in the text (10 / 3 = 3.33).
        operands: the numbers that the left side computes with.
    """

    text: str
    left: Fraction | None
    right: Fraction | None
    holds: bool
    operands: tuple[Fraction, ...] = ()


def equations(text: str) -> list[Equation]:
    """Every arithmetic claim in a rationale. Never raises.

    Reads + - * / x × ÷ −, "plus", "times", …, brackets, thousands separators, currency and units
    ("32 apples + 4 apples = 36"). What it cannot read for certain (variables, powers, remainders,
    "2 dozen") is left out: an equation that is reported as wrong should be wrong.
    """
    text = _LIST_MARK.sub("", text)
    found = _equations(plain_text(text))
    if all(equation.holds for equation in found):
        return found
    # "= 30 528 + 30 = 558" was two lines, and 30 528 is two numbers.
    ungrouped = _equations(plain_text(text, spaced=False))
    return min(found, ungrouped, key=lambda read: sum(not equation.holds for equation in read))


def wrong_equations(text: str) -> list[Equation]:
    """The arithmetic claims of a rationale that are false."""
    return [equation for equation in equations(text) if not equation.holds]


def _equations(text: str) -> list[Equation]:
    found: list[Equation] = []
    tokens = list(_TOKEN.finditer(text))
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


_LIST_MARK = re.compile(r"^[ \t]{0,8}(?:[-*•+]|(?:Step )?[0-9]{1,2}[.):])[ \t]+", re.MULTILINE)
_TOKEN = re.compile(
    r"(?P<clock>[0-9]{1,4}(?::[0-9]{1,4}){1,3}(?![0-9]))"  # 10:30, or the ratio 3:2
    r"|(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
    r"(?:\.[0-9]+|[ ][0-9]{1,3}/[0-9]{1,4}(?![0-9]|[./][0-9]))?|\.[0-9]+)"  # 2.5, 2 1/2
    r"|(?P<equals>(?:\n[ \t]{0,20})?(?<![<>!=])[=≈](?![=>]))"
    r"|(?P<op>\*\*|[-+*/×÷·]|\bx\b(?=\s?[(\d])|(?<=[0-9])x(?=[0-9])"
    r"|\b(?:plus|minus|times|divided by|multiplied by)\b)"
    r"|(?P<open>\()(?![A-Za-z ]{1,40}\))|(?P<close>\))"
    r"|(?P<unit>\([A-Za-z ]{1,40}\)|%|¢|[^\W\d_]+(?:['’/-][^\W\d_]+)*)"
    r"|(?P<other>[^\s~\"'])|(?P<line>\n)")
_OPERATORS = {
    "x": "*", "×": "*", "·": "*", "÷": "/", "plus": "+", "minus": "-", "times": "*",
    "divided by": "/", "multiplied by": "*"}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_COMPUTE = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_NO_UNIT = set(
    "a an and are as at but by dozen get gets had has have he hundred hundreds is it left make "
    "makes million of off or over pair pairs she so that the their then they thousand to total "
    "twice was we were which will".split())
_PARTS = set("% percent half third quarter twice double thirds fourths quarters fifths".split())
_UNREADABLE = set("^/²³<>√)!±")
_SCALING = {"remainder", "rem", "dozen"} | SCALES.keys()
_HUNDREDTHS = {"%", "¢", "cent", "cents", "percent"}
_MAX_TOKENS, _MAX_NUMBER = 120, 25  # of an expression; characters of a number: longer is noise


@dataclass
class _Side:
    """One side of an equation, the tokens [start, end)."""

    start: int
    end: int
    postfix: list[str]  # operators, and numbers as written, with "%" if they may be hundredths
    operators: int = 0
    labelled: bool = False  # words stand before its "=": "3 days = 12 / 4" is a label, no claim


def _may_start(tokens: list[re.Match[str]], i: int) -> bool:
    """Whether an expression starts here, and does not continue something that was not read."""
    token = tokens[i]
    if token.lastgroup not in ("number", "open") and not _is_sign(tokens, i):
        return False
    if i == 0:
        return True
    before = tokens[i - 1]
    if before.lastgroup in ("op", "number", "clock", token.lastgroup) or before[0] in _UNREADABLE:
        return False
    if before.lastgroup == "unit":
        glued = before.end() == token.start()
        word, prior = before[0].lower(), tokens[i - 2] if i > 1 else None
        part = prior and (prior.lastgroup == "number" or prior[0].lower() in _PARTS)
        if word == "and" and part and tokens[min(i + 1, len(tokens) - 1)][0] == "/":
            return False  # "2 and 1/2" is one number
        return not (glued or (word == "of" and part) or word in ("x", "y", "over", "by"))
    return True


def _is_sign(tokens: list[re.Match[str]], i: int) -> bool:
    """Whether the token is a minus that belongs to the number right behind it."""
    if tokens[i][0] != "-" or i + 1 >= len(tokens):
        return False
    return tokens[i + 1].lastgroup == "number" and tokens[i + 1].start() == tokens[i].end()


def _read_chain(tokens: list[re.Match[str]], start: int) -> tuple[int, list[_Side]]:
    """The sides of `side = side = …`, and the token after them; one side is no equation."""
    sides: list[_Side] = []
    i = start
    while True:
        side, stopped = _read_side(tokens, i)
        if side is None:
            if stopped - i >= _MAX_TOKENS:  # too long to read: skip it whole
                start = max(start, stopped - 1)
            break
        sides.append(side)
        goes_on = side.end < len(tokens) and tokens[side.end].lastgroup == "equals"
        if not goes_on or len(sides) > _MAX_TOKENS:
            break
        i = side.end + 1
    return (sides[-1].end if len(sides) > 1 else start + 1), sides


def _read_side(tokens: list[re.Match[str]], i: int) -> tuple[_Side | None, int]:
    """One expression in postfix order (by a shunting-yard), and where reading stopped.

    None if it cannot be read for certain.
    """
    start, side = i, _Side(i, i, [])
    stack: list[str] = []
    want_number = True
    while i < len(tokens) and i - start < _MAX_TOKENS:
        token, group = tokens[i], tokens[i].lastgroup
        if want_number:
            if group == "open":
                stack.append("(")
            elif group == "number" and (number := _number(tokens, i, stack)):
                side.postfix.append(number)
                want_number = False
            elif _is_sign(tokens, i) and (number := _number(tokens, i + 1, stack)):
                side.postfix.append("-" + number)
                want_number, i = False, i + 1
            else:
                return None, i
            i += 1
            continue
        after = _skip_units(tokens, i, side)
        if after is None:
            return None, i
        if after >= len(tokens):
            break
        i, token, group = after, tokens[after], tokens[after].lastgroup
        if group not in ("op", "close", "equals", "open"):
            break
        if group == "open" and token.start() != tokens[i - 1].end():
            break
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


def _number(tokens: list[re.Match[str]], i: int, stack: list[str]) -> str | None:
    """A number token as `Fraction` reads it; None if it cannot be read for certain."""
    written = tokens[i][0]
    if len(written) > _MAX_NUMBER or _is_loose_fraction(tokens, i, stack):
        return None
    whole, mixed, part = written.replace(",", "").partition(" ")
    if not mixed:
        return whole
    top, bottom = map(int, part.split("/"))
    # "= 5 1/2 * 10 = 5" was two lines, of which the first ends in 5.
    goes_on = i + 1 < len(tokens) and tokens[i + 1].lastgroup == "op"
    if not 0 < top < bottom or (goes_on and i and tokens[i - 1].lastgroup == "equals"):
        return None
    return str(int(whole) + Fraction(top, bottom))


def _is_loose_fraction(tokens: list[re.Match[str]], i: int, stack: list[str]) -> bool:
    """Whether a tight fraction follows a division or a hyphen: "6 ÷ 1/2" is 12 to most people."""
    if i + 2 >= len(tokens) or not i or tokens[i + 1][0] != "/":
        return False
    before, slash, under = tokens[i - 1], tokens[i + 1], tokens[i + 2]
    is_tight = tokens[i].end() == slash.start() and slash.end() == under.start()
    if not is_tight or before.lastgroup != "op" or not stack:
        return False
    glued = before.end() == tokens[i].start()
    if stack[-1] == "/":
        return before[0] != "/" or not glued
    return before[0] == "-" and glued and before.start() == tokens[i - 2].end()  # 3-1/2


def _skip_units(tokens: list[re.Match[str]], i: int, side: _Side) -> int | None:
    """The token after a number's unit, if an operator or "=" follows; else `i`.

    None if the words make the number unreadable: 5x is a variable, 2 dozen is 24.
    """
    j = i
    while j < min(len(tokens), i + 9) and tokens[j].lastgroup == "unit":
        word = tokens[j][0].lower()
        glued = tokens[j].start() == tokens[j - 1].end()
        variable = len(word) == 1 and word.isalpha() and (glued or word in "xyzr")
        if variable or word in _SCALING:
            return None
        if word in _HUNDREDTHS and j == i and tokens[i - 1].lastgroup == "number":
            side.postfix[-1] = side.postfix[-1].rstrip("%") + "%"
        j += 1
    words = [tokens[k][0].lower() for k in range(i, j)]
    if words[:2] == ["with", "a"] or "remainder" in words:
        return None
    if j < len(tokens) and tokens[j][0] in ("^", "²", "³", "!", "**", "√"):
        return None
    if not words or j >= len(tokens) or tokens[j].lastgroup not in ("op", "equals", "close"):
        return i  # the words belong to the sentence: the expression ends before them
    sentence = _NO_UNIT.intersection(words)
    if words[0] != "of":
        sentence -= {"of"}  # "3 bags of sand" is a unit
    return i if sentence or len(words) > 4 else j


def _judge(tokens: list[re.Match[str]], left: _Side, right: _Side) -> Equation:
    """Recompute both sides. Percent and cents may mean hundredths or not: one reading must hold."""
    first, last = tokens[left.start], tokens[right.end - 1]
    text = " ".join(first.string[first.start() : last.end()].split())
    values = _compute(left, 1), _compute(right, 1)
    readings = [values]
    if any(item.endswith("%") for item in (*left.postfix, *right.postfix)):
        readings.append((_compute(left, 100), _compute(right, 100)))
    holds = False
    for a, b in readings:
        if a is not None and b is not None:
            holds = holds or a == b or _rounds_to(a, right, b) or _rounds_to(b, left, a)
    operands = tuple(Fraction(n.rstrip("%")) for n in left.postfix if n not in _COMPUTE)
    return Equation(text, *values, holds, operands)


def _rounds_to(value: Fraction, side: _Side, written: Fraction) -> bool:
    """Whether `side`, one number as written, is `value` rounded or cut off at its last decimal."""
    decimals = len(side.postfix[0].rstrip("%").partition(".")[2])
    if side.operators or not decimals:
        return False
    return abs(value - written) < Fraction(1, 10**decimals)


def _compute(side: _Side, hundredths: int) -> Fraction | None:
    stack: list[Fraction] = []
    for item in side.postfix:
        if item not in _COMPUTE:
            stack.append(Fraction(item.rstrip("%")) / (hundredths if item.endswith("%") else 1))
            continue
        b, a = stack.pop(), stack.pop()
        if item == "/" and b == 0:
            return None
        stack.append(_COMPUTE[item](a, b))
    return stack[0]
