"""The parts of a run that a lab may replace, in their plain form.

A run uses USUAL of runs/run.py: these parts read what any LLM writes, check a lesson's arithmetic
and compute the loss in one pass. In a lab: `dataclasses.replace(USUAL, judge=majority)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from l2r_lite.loop.grading import one_answer_each, read_answer
from l2r_lite.loop.lessons import verify_answer
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.protocols import Curriculum, Judge, Objective, Prompt, Reader, Verifier, Writer
from l2r_lite.loop.student import Student


@dataclass(frozen=True)
class Parts:
    """The replaceable parts of a run; protocols.py describes each."""

    read: Reader = read_answer
    judge: Judge = one_answer_each()
    verify: Verifier = verify_answer
    objective: Objective = tailored_loss
    prompt: Prompt = student_prompt
    curriculum: Curriculum | None = None  # None: the config decides
    writer: Callable[[Student], Writer] | None = None  # None: the student's own


PLAIN = Parts()
