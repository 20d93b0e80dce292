"""Check that questions fit a student's context: beyond it, most models write noise.

They were never trained on later positions; models with a position table raise an IndexError.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.student import Student


def room(student: Student, prompts: Iterable[str]) -> float:
    """Tokens left for a rationale after the longest of these prompts; negative if too long."""
    longest = max((len(student.encode(prompt)[0]) for prompt in prompts), default=0)
    return (student.context or math.inf) - len(student.prefix) - longest


def check_room(student: Student, prompts: Mapping[str, str], new_tokens: int) -> None:
    """Check that a rationale of `new_tokens` tokens fits after each prompt.

    Args:
        prompts: name for the message → prompt.

    Raises:
        StudentError: names the first one that is too long.
    """
    long = [name for name, prompt in prompts.items() if room(student, [prompt]) < new_tokens]
    if not long:
        return
    size, shown = len(student.encode(prompts[long[0]])[0]), len(student.prefix)
    more = f" (and so are {len(long) - 1} more)" if len(long) > 1 else ""
    before = f" after {shown:,} of demonstrations" if shown else ""
    raise StudentError(
        f"{long[0][:120]} is too long{more}: its {size:,} tokens{before} and {new_tokens:,} for "
        f"the rationale (max_new_tokens) are more than the {student.context:,} that student "
        f'"{student.name}" can read at once. Shorten the question or leave it out, or use a '
        "student with a longer context.")
