"""Checks of notebook 06: the triplet loss, its margin, its negative, its positive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from l2r_course.checks.base import Case, Program, exercise, judge, judge_answer
from l2r_lite.loop.items import make_items
from l2r_lite.loop.losses import triplet_loss
from l2r_lite.loop.prompts import ANSWER_MARK
from l2r_lite.loop.records import Lesson, Problem

EAST, NORTH, WEST, NOWHERE = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]
Triplets = tuple[Tensor, Tensor, Tensor, Tensor, float]


def _triplets(
    *rows: tuple[list[float], list[float], list[float], bool], margin: float = 1.0
) -> Triplets:
    anchor, positive, negative, has = (torch.tensor(x) for x in zip(*rows, strict=True))
    return anchor, positive, negative, has, margin


def _kept(loss: Tensor, has: Tensor) -> Tensor:
    return torch.where(has, loss, torch.zeros_like(loss)).sum() / has.sum().clamp_min(1)


def _by_cosines(loss: Program, mean: Program = _kept) -> Program:
    """A triplet loss from loss(cos⁺, cos⁻, margin) per item and mean(losses, has_triplet)."""

    def function(a: Tensor, p: Tensor, n: Tensor, has: Tensor, margin: float = 1.0) -> Tensor:
        return mean(loss(cosine_similarity(a, p, -1), cosine_similarity(a, n, -1), margin), has)

    return function


def _hinge(near: Tensor, far: Tensor, margin: float) -> Tensor:
    return (margin - near + far).clamp_min(0)


def _dots(a: Tensor, p: Tensor, n: Tensor, has: Tensor, margin: float = 1.0) -> Tensor:
    return _kept((margin - (a * p).sum(-1) + (a * n).sum(-1)).clamp_min(0), has)


def _distances(a: Tensor, p: Tensor, n: Tensor, has: Tensor, margin: float = 1.0) -> Tensor:
    return _kept((margin + (a - p).norm(dim=-1) - (a - n).norm(dim=-1)).clamp_min(0), has)


def _no_floor(a: Tensor, p: Tensor, n: Tensor, has: Tensor, margin: float = 1.0) -> Tensor:
    near, far = ((a * v).sum(-1) / (a.norm(dim=-1) * v.norm(dim=-1)) for v in (p, n))
    return (_hinge(near, far, margin) * has).sum() / has.sum().clamp_min(1)


@exercise("06.1", "the triplet loss")
def check_triplet_loss(my_triplet_loss: Program) -> None:
    """max(0, ρ − cos(h, h⁺) + cos(h, h⁻)), the mean over the items that have a triplet."""
    clamped, pushed = (EAST, EAST, WEST, True), (EAST, NORTH, NORTH, True)
    worst = (EAST, WEST, EAST, True)
    cases: list[Case] = [
        _triplets(pushed), _triplets(clamped), _triplets(worst, margin=0.5),
        _triplets(([3.0, 0.0], [0.5, 0.5], [2.0, 7.0], True)),
        _triplets(worst, clamped), _triplets((*worst[:3], False), pushed),
        _triplets((EAST, NOWHERE, NOWHERE, False), worst, pushed, margin=0.25),
        _triplets((EAST, WEST, NORTH, False))]

    def right(a: Tensor, p: Tensor, n: Tensor, has: Tensor, margin: float = 1.0) -> Tensor:
        return triplet_loss(a, p, n, margin=margin, has_triplet=has)

    judge("06.1", my_triplet_loss, right, cases, {
        "A loss cannot be below 0: clamp each item, max(0, …). Yours is negative where h⁺ is much "
        "closer than h⁻.": _by_cosines(lambda near, far, m: m - near + far),
        "You took the mean first and clamped it afterwards. Clamp each item: one below 0 must not "
        "lower the loss of the others.":
            _by_cosines(lambda near, far, m: m - near + far,
                        lambda loss, has: _kept(loss, has).clamp_min(0)),
        "Two signs are swapped: it is − cos(h, h⁺) + cos(h, h⁻). Yours pulls h towards the "
        "mistake.": _by_cosines(lambda near, far, m: _hinge(far, near, m)),
        "These are dot products. Divide by both lengths to get cosines "
        "(torch.nn.functional.cosine_similarity).": _dots,
        "These are Euclidean distances. The paper uses cosines, and a cosine grows as vectors get "
        "closer: swap the signs too.": _distances,
        "You averaged over all items, including those without a triplet: divide by "
        "has_triplet.sum().": _by_cosines(_hinge, lambda loss, has: (loss * has).mean()),
        "You do not use has_triplet: items without a triplet must not count.":
            _by_cosines(_hinge, lambda loss, has: loss.mean()),
        "If no item has a triplet, you divide 0 by 0 or take the mean of nothing: return 0, not "
        "nan.": _by_cosines(_hinge, lambda loss, has: loss[has].mean()),
        "This is the sum over the items. The loss is their mean.":
            _by_cosines(_hinge, lambda loss, has: loss[has].sum()),
        "You always use margin 1: use the argument.":
            _by_cosines(lambda near, far, m: _hinge(near, far, 1.0)),
        "An item without a triplet may have vectors of length 0: the cosine is 0/0 = nan, and "
        "nan · 0 is nan. Select the other items with loss[has_triplet].": _no_floor,
    })


PAIRS = {"A": (0.95, 0.15), "B": (0.8, 0.6), "C": (0.6, 0.9), "D": (0.9, -0.3)}
MARGINS = (0.1, 0.5, 1.0, 1.5)


_MARGIN_ERRORS: dict[str, Program] = {  # sentence → a wrong rule of (margin, cos⁺, cos⁻)
    "These are the margins at which the item is satisfied: loss 0, no gradient.":
        lambda m, near, far: m <= near - far,
    "An item can push although h⁺ is closer than h⁻: h⁺ must be closer by ρ.":
        lambda m, near, far: far > near,
    "Not every margin pushes: if ρ is below cos⁺ − cos⁻, max(0, …) is 0, and so is its slope.":
        lambda m, near, far: True,
    "Look at D again: cos⁻ is negative there, and cos⁺ − cos⁻ is 0.9 + 0.3.":
        lambda m, near, far: m > near - abs(far),
    "Look at C again: h⁻ is closer than h⁺ there, so cos⁺ − cos⁻ is negative.":
        lambda m, near, far: m > abs(near - far),
    "You subtracted the other way round: an item pushes while ρ > cos⁺ − cos⁻.":
        lambda m, near, far: m > far - near,
}


def _pushing(pushes: Program) -> dict[str, list[float]]:
    return {name: [m for m in MARGINS if pushes(m, *pair)] for name, pair in PAIRS.items()}


@exercise("06.2", "which margins push")
def check_pushing_margins(my_answer: dict[str, list[float]] | None) -> None:
    """An item pushes while its loss is above 0: while ρ > cos⁺ − cos⁻."""
    right = _pushing(lambda m, near, far: m > near - far)
    if isinstance(my_answer, dict) and my_answer and all(v is None for v in my_answer.values()):
        my_answer = None

    def why(answer: Any) -> str | None:
        lists = isinstance(answer, dict) and all(isinstance(v, list) for v in answer.values())
        if not lists or set(answer) != set(right):
            return (
                'The answer is a dictionary of lists, as in {"A": [1.5], "B": [], "C": [0.1], '
                '"D": []}.')
        for sentence, pushes in _MARGIN_ERRORS.items():
            if {k: sorted(v) for k, v in answer.items()} == _pushing(pushes):
                return sentence
        wrong = next(k for k in right if sorted(answer[k]) != right[k])
        near, far = PAIRS[wrong]
        return (
            f"Look at {wrong} again: cos⁺ − cos⁻ = {near - far:.2f}. It pushes at margins above "
            "that.")

    tidy: Any = my_answer
    if isinstance(tidy, dict) and all(isinstance(v, list | tuple) for v in tidy.values()):
        tidy = {k: sorted(v) for k, v in tidy.items()}
    judge_answer("06.2", tidy, right, why)


def _texts(lesson: str, other: str, mistake: str, gold_line: str) -> tuple[str, str, str]:
    return f"{lesson} {gold_line}", f"{other} {gold_line}", mistake


def _negative(change: Callable[[str, str], str]) -> Program:
    return lambda lesson, other, mistake, gold: (
        f"{lesson} {gold}", f"{other} {gold}", change(mistake, gold))


def _body(mistake: str) -> str:
    return mistake.split(ANSWER_MARK)[0].strip()


@exercise("06.3", "a negative that ends right")
def check_triplet_texts(my_triplet_texts: Program) -> None:
    """Anchor and positive end in the gold answer, the negative in the student's own answer."""
    # What the pocket student wrote in an exam; the last was cut off before its answer.
    multiply_then_add = (
        "First 5 * 6 = 30. Then 30 + 27 = 57.", "Multiply: 5 * 6 = 30. Add: 30 + 27 = 57.")
    cases: list[Case] = [
        (*multiply_then_add, "First 5 + 6 = 11. The answer is 11.", "The answer is 57."),
        ("First 11 + 31 = 42. Then 42 > 27.", "Add: 11 + 31 = 42. Compare: 42 > 27.",
         "Compare: 11 < 31. The answer is no.", "The answer is yes."),
        ("Here 6 < 10. Pia is (B).", "First 6 < 10. Pia is (B).",
         "Here 6 < 10. Sam is (A). The answer is (A).", "The answer is (B)."),
        (*multiply_then_add, "First 5 + 6 = 11. Then 11 +", "The answer is 57.")]
    judge("06.3", my_triplet_texts, _texts, cases, {
        "The gold answer still follows the mistake: the negative has two answers and ends in the "
        "right one.": _negative(lambda mistake, gold: f"{mistake} {gold}"),
        "Your negative has the gold answer instead of its own: wrong steps, right answer. The "
        "student did not write that.":
            [_negative(lambda mistake, gold: f"{_body(mistake)} {gold}"),
             _negative(lambda mistake, gold: f"{mistake.split(ANSWER_MARK)[0]}{gold}")],
        "You removed the mistake's answer. The wrong answer is part of the mistake: keep it.":
            [_negative(lambda mistake, gold: _body(mistake)),
             _negative(lambda mistake, gold: mistake.split(ANSWER_MARK)[0])],
        "The last mistake was cut off before any answer, and you gave it the gold answer. Leave "
        "every mistake as it is.":
            _negative(
                lambda mistake, gold: mistake if ANSWER_MARK in mistake else f"{mistake} {gold}"),
        "Anchor and positive have no answer. Lessons come without one here: append the gold "
        "answer.": lambda lesson, other, mistake, gold: (lesson, other, mistake),
        "The order is anchor, positive, negative.": lambda *case: _texts(*case)[::-1],
    })


QUESTION = Problem(
    "q", "Tom has 3 pens. Tom gets 4 more. How many pens does Tom have now?", "7", "number")


def _positive(anchor: str, lessons: Sequence[str], own_correct: Sequence[str]) -> str | None:
    """As items.make_items chooses it."""
    items = make_items([QUESTION], [Lesson("q", x) for x in lessons], [], {"q": list(own_correct)})
    return next(item.positive for item in items if item.anchor == anchor)


@exercise("06.4", "where a positive comes from")
def check_positive(my_positive: Program) -> None:
    """Another lesson, else one of the student's own correct samples, else None."""
    add, first, both = (
        f"{word} 3 + 4 = 7. The answer is 7." for word in ("Add:", "First", "Together"))

    def different(texts: Sequence[str], anchor: str) -> str | None:
        return next((t for t in texts if t != anchor), None)

    cases: list[Case] = [
        (add, [add, first], []), (first, [add, first], [both]), (add, [add], [both]),
        (add, [add], []), (add, [add], [add, first]), (add, [add, add], [first]),
        (add, [add], [add]), (both, [add, first, both], [])]
    judge("06.4", my_positive, _positive, cases, {
        "The first lesson may be the anchor itself. Then cos(h, h⁺) is 1 and nothing pulls: take "
        "a different text.":
            lambda a, lessons, own: lessons[0] if len(lessons) > 1 else next(iter(own), None),
        "You never use own_correct: a question with one lesson then has no positive.":
            lambda a, lessons, own: different(lessons, a),
        "Lessons come first. Use the student's own correct sample only if there is no other "
        "lesson.": lambda a, lessons, own: different(own, a) or different(lessons, a),
        "The student's own correct sample can equal the anchor word for word: skip it, as you do "
        "with lessons.": lambda a, lessons, own: different(lessons, a) or next(iter(own), None),
        "With no other rationale there is no positive: return None. The anchor as its own "
        "positive only hides that.": lambda a, lessons, own: different([*lessons, *own], a) or a,
        "With no other rationale there is no positive: return None, not an empty text, which "
        "would be trained on.": lambda a, lessons, own: different([*lessons, *own], a) or "",
        "You compare positions, not texts: the same lesson may be in the list twice.":
            lambda a, lessons, own: next(
                (t for i, t in enumerate(lessons) if i != lessons.index(a)), different(own, a)),
    })
