"""Typical wrong answers to the exercises of notebook 13, and a part of the message that each must get."""

_DEF = "def my_{name}({arguments}):\n    return {result}\n"


def validity(result: str) -> str:
    return _DEF.format(name="validity", arguments="wrong, right", result=result)


def reranked(result: str) -> str:
    return _DEF.format(name="reranked", arguments="seen, verified, future", result=result)


_PAIRS = """
def my_auc(scores, wrong):
    above = [s for s, w in zip(scores, wrong) if w]
    below = [s for s, w in zip(scores, wrong) if not w]
    return sum({each} for a in above for b in below){divided}
"""


def pairs(each: str, divided: str = " / (len(above) * len(below))") -> str:
    return _PAIRS.format(each=each, divided=divided)


def twin(text: str) -> str:
    return f"my_twin = {text!r}"


WRONG = {
    "13.1": [
        (validity("sum(right) / len(right) - sum(wrong) / len(wrong)"), "sign is reversed"),
        (validity("sum(wrong) - sum(right)"), "These are counts"),
        (validity("sum(wrong) / len(wrong)"), "P(h | wrong) alone"),
        (validity("sum(wrong) / (sum(wrong) + sum(right))"), "how often such questions go wrong"),
        (validity("abs(sum(wrong) / len(wrong) - sum(right) / len(right))"), "Keep the sign"),
    ],
    "13.2": [
        (reranked("future[seen.index(max(seen))]"), "winner's curse"),
        (reranked("max(future)"), "Nobody has those"),
        (reranked("max(verified)"), "You return V from verification"),
        (reranked("verified.index(max(verified))"), "You return a position"),
        (reranked("future[max(range(len(seen)), key=lambda i: seen[i] + verified[i])]"), "You added V as seen"),
    ],
    "13.3": [
        (pairs("a > b"), "Ties count 0"),
        (pairs("a >= b"), "Ties count 1"),
        (pairs("(b > a) + 0.5 * (a == b)"), "The order is reversed"),
        (pairs("(a > b) + 0.5 * (a == b)", ""), "number of pairs"),
        ("def my_auc(scores, wrong):\n    return sum((s >= 0.5) == w for s, w in zip(scores, wrong)) / len(wrong)\n",
         "no threshold"),
    ],
    "13.4": [
        (twin("Mia has 22 apples. Mia buys 15 more apples. Mia loses 17 apples. How many apples does Mia have now?"),
         "2 numbers differ"),
        (twin("Mia has 27 apples. Mia buys 15 more apples. Mia loses 11 apples. How many apples does Mia have now?"),
         "still carries: 27 + 15 = 42"),
        (twin("Tom has 22 apples. Tom buys 15 more apples. Tom loses 12 apples. How many apples does Tom have now?"),
         "A name or thing differs"),
        (twin("Mia has 22 apples. Mia gets 15 more. Mia loses 12 apples. How many apples does Mia have now?"), "Words differ"),
        (twin("Mia has 27 apples. Mia buys 41 more apples. Mia loses 12 apples. How many apples does Mia have now?"),
         "has no such story"),
        ("my_twin = 22", "whole question as a text"),
    ],
}  # fmt: skip
