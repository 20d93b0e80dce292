"""Typical wrong answers to the exercises of notebook 04."""

_REJECT = """
import re
from l2r_lite.data.answers import extract_answer

def my_reject(rationale, answer):
    said = extract_answer(rationale, "number")
    {answered}
    for a, op, b, c in {found}:
        a, b, c = int(a), int(b), int(c)
        {judged}
            return "wrong arithmetic"
    return None
"""
_ANSWERED = 'if said is None: return "no answer"\n    if said != answer: return "wrong answer"'
_FOUND = 're.findall(r"(\\d+)\\s*([-+*/])\\s*(\\d+)\\s*=\\s*(\\d+)", rationale)'
_JUDGED = 'if op == "/" and b == 0 or eval(f"{a} {op} {b}") != c:'


def _reject(answered: str = _ANSWERED, found: str = _FOUND, judged: str = _JUDGED) -> str:
    return _REJECT.format(answered=answered, found=found, judged=judged)


_BUDGET = """
class MyBudget:
    def __init__(self, limit):
        self.limit = limit
        self.spent = 0.0
        self.waiting = []

    def reserve(self, worst):
        {reserve}

    def settle(self, worst, cost):
        {settle}
"""
_RESERVE = """if self.spent + sum(self.waiting) + worst <= self.limit:
            self.waiting.append(worst)
            return True
        return False"""
_SETTLE = """self.waiting.remove(worst)
        self.spent += worst if cost is None else cost"""

_ONLY_ADDS = "self.spent += worst if cost is None else cost"


def _budget(reserve: str = _RESERVE, settle: str = _SETTLE) -> str:
    return _BUDGET.format(reserve=reserve, settle=settle)


def _verdicts(number: int, said: str) -> str:
    verdicts = ["lesson", "wrong arithmetic", "wrong answer", "duplicate", "lesson", "lesson"]
    verdicts[number - 1] = said
    return f"my_verdicts = {verdicts}"


WRONG = {
    "04.1": [
        (_reject(found="[]"), "the final answer only"),
        (_reject(found=_FOUND.replace("=\\s*", "= ")), "space behind `=`"),
        (_reject(judged='if op == "/" and (b == 0 or a // b != c) or op != "/" and eval(f"{a} {op} {b}") != c:'), "// 8 is 9"),
        (_reject(found=_FOUND + "[:1]"), "first equation only"),
        (_reject(found=_FOUND + "[-1:]"), "last equation only"),
        (_reject(answered="").replace("    return None", '    if said is None: return "no answer"\n'
                 '    return None if said == answer else "wrong answer"'), "judges the answer first"),
        (_reject(answered='if said is None: return "no answer"'), "never compare"),
        (_reject(answered='if said is None: return "no answer"\n    if answer not in rationale: return "wrong answer"'),
         "anywhere in the text"),
        (_reject(answered='if said != answer: return "wrong answer"'), "extract_answer gives None"),
        (_reject(judged='if eval(f"{a} {op} {b}") != c:'), "divides by zero"),
        ("def my_reject(rationale, answer):\n    return True", "type bool"),
    ],
    "05.2": [
        (_budget(reserve="return self.spent + worst <= self.limit", settle=_ONLY_ADDS), "not at what is reserved"),
        (_budget(settle=_ONLY_ADDS), "never gives the reservation back"),
        (_budget(settle="cost = worst if cost is None else cost\n        self.waiting.append(-cost)\n"
                        "        self.spent += cost"), "gives back the cost instead"),
        (_budget(settle="self.waiting.remove(worst)\n        if cost is not None:\n            self.spent += cost"), "billed"),
        (_budget(settle="self.waiting.remove(worst)\n        self.spent += cost or worst"), "a cost of 0"),
        (_budget(settle="self.waiting.remove(worst)\n        self.spent += worst"), "book the worst"),
        (_budget(reserve=_RESERVE.replace("<=", "<")), "reaches the limit exactly"),
        (_budget(reserve=_RESERVE.replace(" + worst <=", " <")), "still fits"),
        (_budget(reserve="self.waiting.append(worst)\n        return self.spent + sum(self.waiting) <= self.limit"),
         "must not stay reserved"),
        (_budget(settle="self.waiting.remove(worst)"), "never adds the cost"),
        (_budget(settle="self.reserved -= worst"), "exception"),
    ],
    "04.2": [
        (_verdicts(2, "lesson"), "recompute its equations"), (_verdicts(3, "copy of the mistake"), "judged first"),
        (_verdicts(4, "lesson"), "white space"), (_verdicts(5, "no answer"), "no answer line"),
        (_verdicts(6, "wrong answer"), "limit of verification"), ("my_verdicts = ['lesson', 'false']", "one for each reply"),
        ("my_verdicts = ['ok'] * 6", "spell it"), (_verdicts(2, "duplicate"), "each equation"),
    ],
    "05.1": [
        ('my_answer = "cdefg"', "whether a call is made"), ('my_answer = "bcdfg"', "opens the door"),
        ('my_answer = "dfg"', "token limit"), ('my_answer = "cfg"', "annotator"), ('my_answer = "cdf"', "another wording"),
        ('my_answer = "cdg"', "behind another address"), ('my_answer = "acdfg"', "when a call is made"),
        ("my_answer = 3", "letters"),
    ],
}  # fmt: skip
