"""Typical wrong answers to the exercises of notebook 10, and a part of the message that each must get."""

_UNFAIR = """
def my_unfair(first, second, slack):
    names = {names}
    return {result}
"""


def unfair(differs: str = "", names: str = "sorted(first | second)", result: str = "") -> str:
    known = "n in first and n in second"
    differs = differs or "abs(first[n] - second[n]) > slack * max(first[n], second[n])"
    return _UNFAIR.format(names=names, result=result or f"[n for n in names if not ({known}) or {differs}]")


_VERDICT = """
def my_verdict(low, high, matters):
    if {better}:
        return "better"
    if {worse}:
        return "worse"
    return {otherwise}
"""
_EITHER = '"equivalent" if {} else "undecided"'


def verdict(better: str = "low > 0", worse: str = "high < 0", same: str = "-matters < low and high < matters",
            otherwise: str = "") -> str:  # fmt: skip
    return _VERDICT.format(better=better, worse=worse, otherwise=otherwise or _EITHER.format(same))


_SHARE = "abs(first[n] - second[n])"
WRONG = {
    "10.1": [
        (unfair(f"{_SHARE} > slack"), "compared the difference itself"),
        (unfair("first[n] - second[n] > slack * max(first[n], second[n])"), "in both directions"),
        (unfair(f"{_SHARE} > slack * first[n]"), "the larger amount"),
        (unfair(f"{_SHARE} > slack * min(first[n], second[n])"), "the larger amount"),
        (unfair(f"first[n] != second[n] and {_SHARE} >= slack * max(first[n], second[n])"), "exactly slack"),
        (unfair(f"{_SHARE} / max(first[n], second[n]) > slack"), "your division fails"),
        (unfair(names="sorted(first)", result=f"[n for n in names if {_SHARE} > slack * max(first[n], second[n])]"),
         "only one arm reports"),
        (unfair(names="sorted(first | second)", result=(
            "[n for n in names if abs(first.get(n, 0) - second.get(n, 0)) > slack * max(first.get(n, 0), second.get(n, 0))]")),
         "only one arm reports"),
        (unfair(names="first | second"), "sort them"),
        (unfair(f"{_SHARE} <= slack * max(first[n], second[n])", names="sorted(set(first) & set(second))"), "that agree"),
        (unfair(result=f"any(n not in first or n not in second or {_SHARE} > slack * max(first[n], second[n]) for n in names)"),
         "Return the list of names"),
    ],
    "10.2": [
        ('my_claims = ["a", "b", "c"]', "(b) does not belong"), ('my_claims = ["a", "d"]', "No row compares these two"),
        ('my_claims = ["c", "e"]', "collected by the rounds"), ('my_claims = "a, c, f"', "in one synthetic world"),
        ('my_claims = ["c"]', "(a) is missing"), ('my_claims = ["A"]', "(c) is missing"),
        ("my_claims = []", "a list of letters"), ("my_claims = 3", "a list of letters"),
    ],
    "10.3": [
        (verdict(otherwise='"equivalent"'), "does not show that the arms are equal"),
        (verdict(otherwise='"undecided"'), "You never say equivalent"),
        (verdict(same="high < matters"), "Look at both ends"),
        (verdict(same="low > -matters"), "Look at both ends"),
        (verdict(same="high - low < matters"), "The width alone"),
        (verdict(same="high - low < 2 * matters"), "The width alone"),
        (verdict(same="abs(low + high) / 2 < matters"), "by the middle"),
        (verdict(better="low > matters", worse="high < -matters"), "on which side of 0"),
        (verdict(better="low >= 0", worse="high <= 0"), "contains 0"),
        (verdict(better="high < 0", worse="low > 0"), "are swapped"),
    ],
    "10.4": [
        ('my_exploratory = ["b", "c", "d", "f"]', "An undecided answer does not change"),
        ('my_exploratory = ["b", "d"]', "(f) is missing"), ('my_exploratory = ["b", "d", "e", "f"]', "An unwelcome answer"),
        ('my_exploratory = ["a", "e"]', "(a) does not belong"), ('my_exploratory = ["f"]', "(2 are missing.)"),
    ],
}  # fmt: skip
