"""How an exercise checks itself: run the reader's function on cases, compare with the library's, name the likely error."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from l2r_lite.runs.show import Table

NOTES = Path(".l2r-progress.json")  # in the folder that the notebooks run in
_titles: dict[str, str] = {}
_solved: set[str] = set()


@dataclass(frozen=True)
class Likely:
    """A typical error: a sentence about it, and a function that makes it.

    A wrong answer whose results are this function's, on every case where this function is wrong, is
    told the sentence.
    """

    sentence: str
    wrong: Callable[..., Any]


def exercise(number: str, title: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a check, so that `progress()` lists it: `@exercise("05.1", "the triplet loss")`. It then names its verdict."""

    def register(check: Callable[..., None]) -> Callable[..., None]:
        _titles[number] = title
        check.number = number  # type: ignore[attr-defined]
        return check

    return register


def judge(
    number: str, theirs: Callable[..., Any], right: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]], likely: Sequence[Likely] = (), *, tolerance: float = 1e-5,
) -> None:
    """Check the reader's function on all cases, print the verdict, and note it for `progress()`.

    Args:
        number: the exercise's, "05.1".
        right: the library's function, or the solution.
        cases: tuples of arguments, the simplest first; the first that fails is the one that is
            shown.
        likely: typical errors, the most typical first.
        tolerance: numbers may differ by this much, absolutely or relatively.
    """
    if not callable(theirs):
        _say(number, False,
             "✗ this check wants your function itself, as in check(my_function); it got "
             f"{_short(theirs)}")
        return
    name = getattr(theirs, "__name__", "your function")
    results = [outcome(theirs, case) for case in cases]
    if all(result is None for result in results):
        _say(number, False, f"○ not solved yet: {name} returned None")
        return
    wanted = [outcome(right, case) for case in cases]
    failed = [
        i for i, (a, b) in enumerate(zip(results, wanted, strict=True))
        if not same(a, b, tolerance)]
    if not failed:
        _say(number, True, f"✓ {len(cases)} of {len(cases)} cases")
        return
    first = failed[0]
    why = _likely_error(results, wanted, cases, likely, tolerance) or _in_general(
        results[first], wanted[first])
    told = (
        f"✗ case {first + 1} of {len(cases)}: got {_short(results[first])}, expected "
        f"{_short(wanted[first])}")
    _say(number, False,
         "\n".join(
             filter(None, [told, why and f"  {why}", f"  {name}({_arguments(cases[first])})"])))


# noqa: B006
def judge_answer(
    number: str, answer: Any, right: Any,
    likely: Mapping[Any, str] | Callable[[Any], str | None] = {},
) -> None:
    """Check a reader's answer that is a value: a choice, a number, a list.

    Args:
        likely: the sentence for each wrong answer, or a function that finds it.
    """
    if answer is None or answer is ...:
        _say(number, False, "○ not solved yet: the answer is still None")
    elif same(answer, right):
        _say(number, True, "✓ right")
    else:
        why = likely(answer) if callable(likely) else next(
            (v for k, v in likely.items() if same(answer, k)), None)
        _say(number, False, f"✗ {_short(answer)} is not it." + (f"\n  {why}" if why else ""))


def progress() -> Table:
    """All exercises of the course, and which of them are solved here."""
    notes = _notes()
    rows = [
        [number, title, "✓" if number in notes else "○"]
        for number, title in sorted(_titles.items())]
    done = sum(row[2] == "✓" for row in rows)
    return Table(["exercise", f"{done} of {len(rows)} solved", ""], rows)


def same(a: Any, b: Any, tolerance: float = 1e-5) -> bool:
    """Whether two results are equal: numbers and tensors within a tolerance, shapes exactly, containers item by item."""
    if isinstance(a, Raised) or isinstance(b, Raised):
        return isinstance(a, Raised) and isinstance(b, Raised) and a.kind == b.kind
    if isinstance(a, torch.Tensor | np.ndarray) or isinstance(b, torch.Tensor | np.ndarray):
        try:
            x, y = (
                np.asarray(v.detach().cpu() if isinstance(v, torch.Tensor) else v, dtype=float)
                for v in (a, b))
        except (TypeError, ValueError, RuntimeError):
            return False
        return x.shape == y.shape and bool(
            np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool | np.bool_) and isinstance(b, bool | np.bool_) and bool(
            a) == bool(b)
    if isinstance(a, int | float | np.number) and isinstance(b, int | float | np.number):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) or (
            math.isnan(a) and math.isnan(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    return type(a) is type(b) and bool(a == b)


@dataclass(frozen=True)
class Raised:
    """A function ended in an exception."""

    kind: str
    words: str

    def __repr__(self) -> str:
        return f"{self.kind}: {self.words}" if self.words else self.kind


def outcome(function: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    try:
        return function(*copy.deepcopy(case))
    # noqa: BLE001 - a reader's mistake is shown in a sentence, not as a traceback
    except Exception as error:
        return Raised(type(error).__name__, str(error).split("\n")[0])


def _likely_error(
    results: Sequence[Any], wanted: Sequence[Any], cases: Sequence[tuple[Any, ...]],
    likely: Sequence[Likely], tolerance: float,
) -> str | None:
    for error in likely:
        wrong = [outcome(error.wrong, case) for case in cases]
        telling = [
            i for i, (w, r) in enumerate(zip(wrong, wanted, strict=True))
            if not same(w, r, tolerance)]
        if telling and all(same(results[i], wrong[i], tolerance) for i in telling):
            return error.sentence
    return None


def _in_general(got: Any, wanted: Any) -> str | None:
    if isinstance(got, Raised):
        return "Your function ended in an exception here."
    if got is None:
        return "It returned None here: is a `return` missing in one branch?"
    shapes = [
        tuple(v.shape) if isinstance(v, torch.Tensor | np.ndarray) else None for v in (got, wanted)]
    if shapes[0] != shapes[1]:
        told = [
            f"shape {s}" if s is not None else f"a {type(v).__name__}"
            for s, v in zip(shapes, (got, wanted), strict=True)]
        return f"Yours is {told[0]}, it should be {told[1]}."
    if isinstance(got, float) and math.isnan(got):
        return "nan: something was divided by zero, or infinity was multiplied by zero."
    if type(got) is not type(wanted) and not same(got, wanted):
        return f"Yours is of type {type(got).__name__}, it should be {type(wanted).__name__}."
    return None


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return _short(value.item()) if value.ndim == 0 else _short(value.tolist())
    if isinstance(value, np.ndarray):
        return _short(value.tolist())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        text = ", ".join(map(_short, value))
        text = f"[{text}]" if isinstance(
            value, list) else f"({text}{',' if len(value) == 1 else ''})"
    else:
        text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _arguments(case: tuple[Any, ...]) -> str:
    return ", ".join(map(_short, case))


def _say(number: str, solved: bool, text: str) -> None:
    print(text)
    if solved:
        _solved.add(number)
        # a folder that cannot be written: the note lives as long as this kernel
        with suppress(OSError):
            scratch = NOTES.with_suffix(".writing")
            scratch.write_text(json.dumps(sorted(_notes())), encoding="utf-8")
            scratch.replace(NOTES)


def _notes() -> set[str]:
    """The numbers of what was solved, here or in an earlier kernel."""
    with suppress(OSError, ValueError):
        found = json.loads(NOTES.read_text(encoding="utf-8"))
        return _solved | {x for x in found if isinstance(x, str)} if isinstance(
            found, list) else _solved
    return _solved
