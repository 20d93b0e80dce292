"""When memory runs out: do the same work in smaller parts, and keep to their size from then on.

Samples do not depend on how many are written at once, nor a step's gradients on how many items are
in memory, except by rounding. So results stay the same.
"""

from __future__ import annotations

import dataclasses
import gc
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from l2r_lite.loop import training
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.protocols import Objective
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student

Result = TypeVar("Result")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a card or this machine has too little memory."""
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, Exception) and should_reduce_batch_size(error)


class Allowance:
    """How much of one kind of work is done at once: half as much after memory ran out.

    Args:
        what: the work, for messages: "rationales at once in an exam".
        flag: the command line's flag for it.

    Attributes:
        most: the largest amount that still fits; None until memory has run out.
    """

    def __init__(self, what: str, flag: str) -> None:
        self.what, self.flag = what, flag
        self.most: int | None = None

    def use(
        self, wanted: int, least: int, work: Callable[[int], Result],
        undo: Callable[[], object] = lambda: None,
    ) -> Result:
        """`work(amount)` with the amount that is wanted, or the largest half of it that fits.

        Args:
            wanted, least: amounts to begin with and to end with.
            undo: removes what a failed attempt has left behind.

        Raises:
            StudentError: even `least` is too much.
        """
        amount = first = min(wanted, self.most or wanted)
        while True:
            try:
                result = work(amount)
                break
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if amount <= least:
                    raise StudentError(
                        f"out of memory with only {amount} {self.what}. Finished work is kept. "
                        "Shorten max_new_tokens, use --gradient-checkpointing or a smaller "
                        "student; l2r-lite plan estimates what fits.") from error
            # Only here is the error forgotten, and with it the tensors of the failed attempt.
            undo()
            _free()
            amount = self.most = max(least, amount // 2)
        if amount < first:
            warnings.warn(
                f"Out of memory with {first} {self.what}: from now on {amount}. Results are the "
                f"same up to rounding; {self.flag} {amount} starts with that.", stacklevel=3)
        return result


def step_that_fits(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig, objective: Objective,
    scaler: torch.amp.GradScaler, allowance: Allowance,
) -> dict[str, float]:
    """`train_step`; if memory runs out, the whole step again with half the items at once."""
    wanted = config.micro_batch or config.batch_size

    def work(fitting: int) -> dict[str, float]:
        smaller = config if fitting == wanted else dataclasses.replace(config, micro_batch=fitting)
        return training.train_step(student, items, smaller, objective, scaler)

    def forget_gradients() -> None:
        for weight in student.trainable.values():
            weight.grad = None

    return allowance.use(wanted, 1, work, forget_gradients)


def _free() -> None:
    from accelerate.utils.memory import clear_device_cache

    gc.collect()
    clear_device_cache()
