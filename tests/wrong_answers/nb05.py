"""Typical wrong answers to the exercises of notebook 05."""

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
_NOT_RESERVED = "return self.spent + worst <= self.limit"


def _budget(reserve: str = _RESERVE, settle: str = _SETTLE) -> str:
    return _BUDGET.format(reserve=reserve, settle=settle)


def _plan(read: str = "sum(math.ceil(len(p) / 4) for p in prompts)", written: str = "len(prompts) * reply",
          cost: str = "(read * price[0] + written * price[1]) / 1_000_000") -> str:
    return f"""
import math
def my_plan(prompts, reply, price):
    read = {read}
    written = {written}
    return {cost}
"""


WRONG = {
    "05.1": [
        (_plan(cost="read * price[0] + written * price[1]"), "divide by 10⁶"),
        (_plan(cost="(read * price[0] + written * price[1]) / 1000"), "by a thousand"),
        (_plan(cost="(read * price[1] + written * price[0]) / 1e6"), "exchanged the prices"),
        (_plan(cost="(read + written) * price[0] / 1e6"), "one price for all tokens"),
        (_plan(cost="(read + written) * price[1] / 1e6"), "one price for all tokens"),
        (_plan(read="sum(len(p) for p in prompts)"), "characters as tokens"),
        (_plan(read="sum(len(p.split()) for p in prompts)"), "counted words"),
        (_plan(read="len(prompts)"), "counted prompts"),
        (_plan(written="reply"), "Every call brings a reply"),
        (_plan(read="math.ceil(sum(len(p) for p in prompts) / 4)"), "not their sum"),
        (_plan(read="sum(len(p) // 4 for p in prompts)"), "Round up"),
        (_plan(read="sum(len(p) / 4 for p in prompts)"), "up to a whole number"),
        (_plan(read="0"), "left out the input"),
        (_plan(written="0"), "left out the output"),
    ],
    "05.2": [
        (_budget(_NOT_RESERVED, _ONLY_ADDS), "You reserve nothing"),
        (_budget(_NOT_RESERVED, "self.spent += cost"), "You reserve nothing"),
        (_budget(_NOT_RESERVED, "self.spent += cost or 0"), "You reserve nothing"),
        (_budget(_NOT_RESERVED, "if cost is not None:\n            self.spent += cost"), "You reserve nothing"),
        (_budget("return self.spent + worst < self.limit", _ONLY_ADDS), "You reserve nothing"),
        (_budget("if self.spent + worst > self.limit:\n            return False\n        self.waiting.append(worst)\n"
                 "        return True"), "You reserve nothing"),
        (_budget("self.waiting.append(worst)\n        return True"), "refuses nothing"),
        (_budget(settle=_ONLY_ADDS), "never frees the reservation"),
        (_budget(settle="cost = worst if cost is None else cost\n        self.waiting.append(-cost)\n"
                        "        self.spent += cost"), "frees the cost instead"),
        (_budget("if self.spent + worst > self.limit:\n            return False\n        self.spent += worst\n"
                 "        return True", "if cost is not None:\n            self.spent += cost - worst"), "Keep them apart"),
        (_budget("if self.spent + worst > self.limit:\n            return False\n        self.spent += worst\n"
                 "        return True", _ONLY_ADDS), "Keep them apart"),
        (_budget(settle="self.waiting.remove(worst)\n        if cost is not None:\n            self.spent += cost"),
         "an unknown cost (None) as 0"),
        (_budget(settle="self.waiting.remove(worst)\n        self.spent += cost"), "cost may be None"),
        (_budget(settle="self.waiting.remove(worst)\n        self.spent += cost or worst"), "a cost of 0"),
        (_budget(settle="self.waiting.remove(worst)\n        self.spent += worst"), "book the worst"),
        (_budget(_RESERVE.replace("<=", "<")), "reaches the limit exactly"),
        (_budget(_RESERVE.replace(" + worst <=", " <")), "still fits"),
        (_budget("return self.spent < self.limit", _ONLY_ADDS), "still fits"),
        (_budget("self.waiting.append(worst)\n        return self.spent + sum(self.waiting) <= self.limit"),
         "must not stay reserved"),
        (_budget(settle="self.waiting.remove(worst)"), "never adds the cost"),
        (_budget(settle="self.reserved -= worst"), "exception"),
    ],
    "05.3": [
        ('my_answer = "cdefg"', "whether a call is made"), ('my_answer = "bcdfg"', "gives access"),
        ('my_answer = "dfg"', "token limit"), ('my_answer = "cfg"', "annotator"), ('my_answer = "cdf"', "other words"),
        ('my_answer = "cdg"', "behind another address"), ('my_answer = "acdfg"', "when a call is made"),
        ("my_answer = 3", "letters"),
    ],
}  # fmt: skip
