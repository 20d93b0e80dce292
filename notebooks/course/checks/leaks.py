"""The check of notebook 01 about leaks between splits."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from l2r_course.checks.base import Errors, Program, exercise, judge
from l2r_lite.data.benchmarks import masked
from l2r_lite.data.leaks import leaked_pairs
from l2r_lite.data.text import fold

_SPLITS = [
    (["Tom has 3 pens. Tom gets 4 more. How many has Tom?"],
     ["Tom has 15 pens. Tom gets 9 more. How many has Tom?"]),
    (["Is the moon a star?", "Tom has 3 pens."], ["Mia has 3 pens.", "Is the moon a star?"]),
    (["A bag weighs 2.5 kg and costs $1,250."],
     ["A bag weighs 3 kg and costs $80.", "A bag weighs 2.5 tons and costs $80."]),
    (["Ann has 3 eggs.", "Bo has 7 keys.", "Ann has 12 eggs."],
     ["Bo has 1 keys.", "Ann has 5 eggs.", "Bo has 8 keys."]),
    (["ann has  3 eggs."], ["Ann has 4 eggs."]),
    (["Ann has 3 eggs more than Bo."], ["Bo has 3 eggs more than Ann."]),
    (["Ann has three eggs."], ["Ann has 3 eggs."]),
    ([], ["Ann has 3 eggs."]), (["Ann has 3 eggs."], [])]

Pairs = list[tuple[int, int]]


def _with(key: Callable[[str], Any]) -> Program:
    """All pairs of questions with equal keys."""
    return lambda train, test: [
        (i, j) for i, a in enumerate(train) for j, b in enumerate(test) if key(a) == key(b)]


def _one_each(keep: Callable[[dict[str, int], str, int], object]) -> Program:
    """Pairs with one training question per template."""

    def pairs(train: Sequence[str], test: Sequence[str]) -> Pairs:
        seen: dict[str, int] = {}
        for i, question in enumerate(train):
            keep(seen, masked(question), i)
        return [(seen[masked(q)], j) for j, q in enumerate(test) if masked(q) in seen]

    return pairs


def _in_order(function: Program) -> Program:
    """Pairs in any order and any container are the same answer."""

    @functools.wraps(function)
    def ordered(*arguments: Any) -> Any:
        found = function(*arguments)
        return sorted(map(tuple, found)) if isinstance(found, list | tuple | set) else found

    return ordered


_ERRORS: Errors = {
    "You compare the questions as written. Mask their numbers first: both become “Tom has # "
    "pens. …”.":
        [_with(str), _with(fold), _with(str.casefold)],
    "You mask digit by digit: 3 becomes # and 15 becomes ##. Mask each number as a whole.":
        [_with(lambda q: re.sub("[0-9]", "#", fold(q).casefold())),
         _with(lambda q: re.sub("[0-9]", "#", q))],
    "2.5 and 1,250 are one number each. You mask them as two (#.# and #,#).":
        [_with(lambda q: re.sub("[0-9]+", "#", fold(q).casefold())),
         _with(lambda q: re.sub("[0-9]+", "#", q))],
    "You keep one training question per template: a dictionary overwrites the others. Every "
    "pair counts.":
        _one_each(dict.__setitem__),
    "You stop at the first training question that matches. Every pair counts.":
        _one_each(dict.setdefault),
    "You compare the first with the first, the second with the second. Compare every training "
    "question with every test question.":
        lambda a, b: [(i, i) for i in range(min(len(a), len(b))) if masked(a[i]) == masked(b[i])],
    "Capitals and extra spaces do not make another question. Normalise them before you "
    "compare.":
        [_with(lambda q: re.sub("[0-9]+(?:[.,][0-9]+)*", "#", q)),
         _with(lambda q: masked(q.replace(" ", "_"))),
         _with(lambda q: fold(re.sub("[0-9]+(?:[.,][0-9]+)*", "#", q)))],
    "You compare the words but not their order, so you lose who has more than whom.":
        [_with(lambda q: sorted(masked(q).strip(".").split())),
         _with(lambda q: set(masked(q).strip(".").split())),
         _with(lambda q: set(re.findall(r"\w+|#", masked(q))))],
    "Your pairs are (test, train). The index of the training question comes first.":
        lambda a, b: [(j, i) for i, j in leaked_pairs(a, b)],
}


@exercise("01.3", "find a leak")
def check_leaks(theirs: Program) -> None:
    errors = {
        sentence: list(map(_in_order, [programs] if callable(programs) else programs))
        for sentence, programs in _ERRORS.items()}
    judged = _in_order(theirs) if callable(theirs) else theirs
    judge("01.3", judged, _in_order(leaked_pairs), _SPLITS, errors)
