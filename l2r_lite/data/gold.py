"""Read the gold answer of a row of your own file: the whole text must be the answer."""

from __future__ import annotations

import re
from fractions import Fraction

from l2r_lite.data.answers import grouped, match_number, plain_text

_MARK = "####"  # GSM8K: a worked solution, this mark, the answer
# Allowed before a number: a currency. Allowed after it: a percent sign, or a unit in words.
_CURRENCY = re.compile(r"(?:[A-Z]{2,3}|Rs\.?|approx\.?|~|≈)?\s*")
_UNIT = re.compile(r"\s*(?:%|°[CF]?|[^\W\d_][^\d=+*/<>:;,\n]{0,60})?[.!]?\s*")
_SEVERAL = re.compile(r"\b(?:or|to|and|between|plus|minus|times)\b", re.IGNORECASE)


def split_solution(text: str) -> tuple[str, str]:
    """A worked solution and the answer after its "####"; ("", text) without the mark."""
    before, mark, after = text.rpartition(_MARK)
    if not mark:
        return "", text.strip()
    return re.sub(r"<<[^<>\n]{0,200}>>", "", before).strip(), after.strip()


def gold_number(text: str) -> Fraction | None:
    """The number of a gold answer, ignoring currency and unit; None if it is anything else."""
    plain = grouped(plain_text(text)).strip()
    start = _CURRENCY.match(plain)
    begin = start.end() if start else 0
    found = match_number(plain, begin)
    if found is None:
        return None
    value, end = found
    rest = plain[end:]
    return None if _SEVERAL.search(rest) or not _UNIT.fullmatch(rest) else value
