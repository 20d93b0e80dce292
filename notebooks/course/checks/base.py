"""How an exercise checks itself.

The learner's function runs on cases and is compared with the library's. A wrong answer gets a
sentence about its likely error.
"""

from __future__ import annotations

import contextlib
import copy
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from l2r_course.checks import notes

_titles: dict[str, str] = {}

Program = Callable[..., Any]
Case = tuple[Any, ...]
# A sentence about a typical error → the program, or programs, that make it. A wrong answer gets the
# sentence if it agrees with the program on every case where that program is wrong, and if the case
# that is shown is one of these.
Errors = Mapping[str, Program | Sequence[Program]]


def exercise(number: str, title: str) -> Callable[[Program], Program]:
    """Register a check for `progress()`: `@exercise("06.1", "the triplet loss")`."""

    def register(check: Program) -> Program:
        _titles[number] = title
        check.number = number  # type: ignore[attr-defined]
        return check

    return register


def judge(
    number: str, theirs: Program, right: Program, cases: Sequence[Case],
    errors: Errors = {}, *, tolerance: float = 1e-5,  # noqa: B006
) -> None:
    """Check the learner's function on all cases, print the verdict, and note it for `progress()`.

    What the function prints is shown above the verdict, unless it prints instead of returning.

    Args:
        number: the exercise's, "06.1".
        right: the library's function, or the solution.
        cases: tuples of arguments, the simplest first; the first that fails is shown.
        errors: typical ones, the most typical first.
        tolerance: numbers may differ by this much, absolutely or relatively.
    """
    if not callable(theirs):
        told = "✗ Pass your function itself, as in check(my_function). This check got "
        say(number, False, told + _short(theirs))
        return
    name = getattr(theirs, "__name__", "your function")
    runs = [watched(theirs, case) for case in cases]
    results, printed = [result for result, _ in runs], [text for _, text in runs]
    if all(result is None for result in results):
        say(number, False, nothing_returned(name, printed))
        return
    print("".join(printed), end="")
    wanted = [outcome(right, case) for case in cases]
    pairs = enumerate(zip(results, wanted, strict=True))
    failed = [i for i, (a, b) in pairs if not same(a, b, tolerance)]
    if not failed:
        say(number, True, f"✓ {len(cases)} of {len(cases)} cases")
        return
    first = failed[0]
    got, right_one = results[first], wanted[first]
    lines = [f"✗ case {first + 1} of {len(cases)}: got {_short(got)}, expected {_short(right_one)}"]
    why = _likely_error(results, wanted, cases, errors, tolerance, shown=first)
    if not why and got is None and printed[first].strip():
        why = f"{_printed(printed[first])} here."
    why = why or _in_general(got, right_one)
    if why:
        lines.append(f"  {why}")
    lines.append(f"  {name}({', '.join(map(_short, cases[first]))})")
    say(number, False, "\n".join(lines))


def judge_answer(
    number: str, answer: Any, right: Any,
    likely: Mapping[Any, str] | Callable[[Any], str | None] = {},  # noqa: B006
) -> None:
    """Check a learner's answer that is a value: a choice, a number, a list.

    Args:
        likely: the sentence for each wrong answer, or a function that returns it.
    """
    if answer is None or answer is ...:
        say(number, False, "○ not solved yet: the answer is still None")
    elif same(answer, right):
        say(number, True, "✓ right")
    else:
        if callable(likely):
            why = likely(answer)
        else:
            why = next((told for wrong, told in likely.items() if same(answer, wrong)), None)
        say(number, False, f"✗ {_short(answer)} is wrong." + (f"\n  {why}" if why else ""))


def titles() -> dict[str, str]:
    """Every exercise of the course: number → title."""
    return dict(sorted(_titles.items()))


def same(a: Any, b: Any, tolerance: float = 1e-5) -> bool:
    """Whether two results are equal: numbers within a tolerance, shapes and the rest exactly."""
    both = (a, b)
    if any(isinstance(x, Raised) for x in both):
        return all(isinstance(x, Raised) for x in both) and a.kind == b.kind
    if any(isinstance(x, torch.Tensor | np.ndarray) for x in both):
        try:
            x, y = (
                np.asarray(v.detach().cpu() if isinstance(v, torch.Tensor) else v, dtype=float)
                for v in both)
        except (TypeError, ValueError, RuntimeError):
            return False
        return x.shape == y.shape and bool(
            np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))
    if any(isinstance(x, bool) for x in both):
        return all(isinstance(x, bool | np.bool_) for x in both) and bool(a) == bool(b)
    if all(isinstance(x, int | float | np.number) for x in both):
        near = math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
        return near or (math.isnan(a) and math.isnan(b))
    if all(isinstance(x, list | tuple) for x in both):
        return len(a) == len(b) and all(map(same, a, b, [tolerance] * len(a)))
    if all(isinstance(x, dict) for x in both):
        return a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    return type(a) is type(b) and bool(a == b)


@dataclass(frozen=True)
class Raised:
    """A function raised an exception."""

    kind: str
    words: str

    def __repr__(self) -> str:
        return f"{self.kind}: {self.words}" if self.words else self.kind


def outcome(function: Program, case: Case) -> Any:
    """What a function returns; an exception becomes a value (Raised)."""
    try:
        return function(*copy.deepcopy(case))
    except Exception as error:  # noqa: BLE001 - the learner gets a sentence, not a traceback
        return Raised(type(error).__name__, str(error).split("\n")[0])


def watched(function: Program, case: Case) -> tuple[Any, str]:
    """What a function returns, as `outcome`, and what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = outcome(function, case)
    return result, printed.getvalue()


def nothing_returned(name: str, printed: Sequence[str]) -> str:
    """The verdict on a function that returned None in every case."""
    first = next((text for text in printed if text.strip()), None)
    if first is None:
        return f"○ not solved yet: {name} returned None"
    return f"✗ {_printed(first)}."


def _printed(text: str) -> str:
    shown = _short(" ⏎ ".join(text.strip().splitlines()))
    return f"Your function printed {shown} and returned None: use return instead of print"


def _likely_error(
    results: Sequence[Any], wanted: Sequence[Any], cases: Sequence[Case], errors: Errors,
    tolerance: float, shown: int,
) -> str | None:
    """The sentence about the first typical error that explains the case shown, or None.

    Args:
        shown: the index of the case that is shown.
    """
    for sentence, programs in errors.items():
        for program in [programs] if callable(programs) else programs:
            wrong = [outcome(program, case) for case in cases]
            if same(wrong[shown], wanted[shown], tolerance):
                continue  # this error does not make the case fail that is shown
            triples = zip(results, wanted, wrong, strict=True)
            telling = [(got, w) for got, r, w in triples if not same(w, r, tolerance)]
            if all(same(got, w, tolerance) for got, w in telling):
                return sentence
    return None


def _in_general(got: Any, wanted: Any) -> str | None:
    if isinstance(got, Raised):
        return "Your function raised an exception here."
    if got is None:
        return "It returned None here: is a `return` missing in one branch?"
    if _shape(got) != _shape(wanted):
        return f"Yours is {_kind(got)}; it should be {_kind(wanted)}."
    if isinstance(got, float) and math.isnan(got):
        return "nan: something was divided by zero, or infinity was multiplied by zero."
    if isinstance(got, int | float | np.number) and isinstance(wanted, int | float | np.number):
        return None  # the value is wrong, whatever its type
    if type(got) is not type(wanted) and not same(got, wanted):
        return f"Yours is of type {type(got).__name__}; it should be {type(wanted).__name__}."
    return None


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor | np.ndarray) else None


def _kind(value: Any) -> str:
    shape = _shape(value)
    return f"a {type(value).__name__}" if shape is None else f"shape {shape}"


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor | np.ndarray):
        return _short(value.tolist())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        text = f"[{', '.join(map(_short, value))}]"
    elif isinstance(value, tuple):
        comma = "," if len(value) == 1 else ""
        text = f"({', '.join(map(_short, value))}{comma})"
    else:
        text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def say(number: str, solved: bool, text: str) -> None:
    """Print a verdict, and note it if the exercise is solved."""
    print(text)
    if solved:
        notes.note_solved(number)
