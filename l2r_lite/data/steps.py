"""Check whether a rationale's steps lead to its answer: true equations alone do not show that.

"First 7 - 5 = 2. Then 2 - 2 = 0. The answer is 6." has true equations. If 6 is the gold answer, it
also has the right answer, because the teacher was given it. But its steps lead elsewhere.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from l2r_lite.data.answers import read
from l2r_lite.data.arithmetic import equations
from l2r_lite.data.numbers import next_number, numbers, parse_number
from l2r_lite.data.plain import plain_text
from l2r_lite.data.pocket.rationales import is_true, read_steps
from l2r_lite.loop.records import LETTERS, Problem, Step

NO_STEP = "no step"
NOWHERE = "number from nowhere"
FALSE = "false step"
ELSEWHERE = "steps lead elsewhere"

# Numbers that a word of the question implies: "three dozen eggs" implies 12.
_IMPLIED = {
    "dozens?": (12,),
    "weeks?|weekly": (7, 4, 52),
    "days?|daily": (7, 24, 30, 365),
    "hours?|hourly|minutes?|seconds?": (24, 60, 3600),
    "months?|monthly|years?|yearly|annual(?:ly)?": (4, 12, 30, 52, 365),
    "penn(?:y|ies)|nickels?|dimes?|quarters?": (5, 10, 25),
    "foot|feet|inch(?:es)?|yards?": (3, 12, 36),
    "pounds?|ounces?": (16,),
    "(?:kilo|centi|milli)[a-z]+|km|cm|kg|mm": (10, 1000),
    "thrice|tripled?|thirds?": (3,),
    "quarters?|fourths?|quadrupled?": (4,),
    "fifths?": (5,),
}
_IMPLIES = [(re.compile(rf"\b(?:{words})\b", re.I), found) for words, found in _IMPLIED.items()]
_ALWAYS = (0, 1, 2, 100)  # nothing, each, twice or half, per cent and cents
# "x + 8 = 10": algebra, which equations() reads only in part.
_LETTER = r"[a-zB-HJ-Z](?![\w'’])"
_VARIABLE = re.compile(rf"(?:(?<![\w'’])|(?<=[0-9])){_LETTER}\s?[-+*/=]|[-+*/=]\s?(?!a){_LETTER}")


def follows(problem: Problem, text: str) -> bool:
    """Whether the steps of a rationale lead to its answer, as far as they can be read."""
    return gap(problem, text) is None


def gap(problem: Problem, text: str) -> str | None:
    """Why the steps of a rationale do not lead to its answer; None if they do. Never raises.

    The last step must compute the answer (or, for yes or no and for choices, the last comparison
    must decide it), and each number must come from the question or an earlier step. In free text,
    steps that cannot be read (words without an equation, algebra) get the benefit of the doubt.
    """
    answer = read(text, problem)
    if answer is None:
        return None
    if problem.program:
        return _pocket_gap(problem, read_steps(text), answer)
    return _free_gap(problem, text, answer)


def _pocket_gap(problem: Problem, steps: Sequence[Step], answer: str) -> str | None:
    if not steps:
        return NO_STEP
    known = {int(n) for n in numbers(problem.question)}
    for step in steps:
        if not {step.left, step.right} <= known:
            return NOWHERE
        if not is_true(step):
            return FALSE
        if step.op not in "<>":
            known.add(step.result)
    return None if _pocket_answer(problem, steps[-1]) == answer else ELSEWHERE


def _pocket_answer(problem: Problem, last: Step) -> str | None:
    """The answer that a last step gives; None if it answers no question of this kind."""
    relation = problem.program[-1]
    if relation.op not in "<>":
        if last.op in "<>":
            return None
        if problem.kind == "number":
            return str(last.result)
        options = [LETTERS[i] for i, o in enumerate(problem.choices) if o == str(last.result)]
        return options[0] if options else None
    # The program compares the first person's number, on the left, with the other one.
    other = relation.right
    if last.op not in "<>" or other not in (last.left, last.right):
        return None
    first_is_more = last.op == (">" if last.right == other else "<")
    if first_is_more == (relation.op == ">"):
        return problem.answer
    if problem.kind == "yes-no":
        return "no" if problem.answer == "yes" else "yes"
    return LETTERS[1 - LETTERS.index(problem.answer)]


def _free_gap(problem: Problem, text: str, answer: str) -> str | None:
    steps = equations(text)
    if not steps or _VARIABLE.search(text):
        return None
    question = " ".join([problem.question, *problem.choices])
    # Of "2 1/2 cups" the steps may use 5/2, or 2 and 1 and 2.
    known = numbers(question) | numbers(question.replace("/", " ")) | set(map(Fraction, _ALWAYS))
    for pattern, implied in _IMPLIES:
        if pattern.search(question):
            known.update(map(Fraction, implied))
    for step in steps:
        if not known.issuperset(map(abs, step.operands)):
            return NOWHERE
        known.update(abs(value) for value in (step.left, step.right) if value is not None)
    if problem.kind != "number":
        return None
    # A number after a last "=" that equations() could not read counts too.
    results = [steps[-1].left, steps[-1].right]
    if last := next_number(plain_text(text).rpartition("=")[2]):
        results += [last.value, last.counted]
    wanted = parse_number(answer)
    reached = {abs(result) for result in results if result is not None}
    return None if wanted is None or abs(wanted) in reached else ELSEWHERE
