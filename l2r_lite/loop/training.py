"""One round of tailored training: batches, gradients, AdamW."""

import math
import random
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from tqdm.auto import tqdm

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import Stopped
from l2r_lite.loop.items import round_batches
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.protocols import Objective
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student

# Adds a batch's scaled gradients to the adapter; returns the values to log.
Step = Callable[[Sequence[TrainingItem], LoopConfig, torch.amp.GradScaler], dict[str, float]]


def train_step(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig,
    objective: Objective = tailored_loss, scaler: torch.amp.GradScaler | None = None,
) -> dict[str, float]:
    """Add the objective's gradients to the adapter, scaled for fp16. Returns what it logs."""
    logged: dict[str, float] = {}
    for part in objective(student, items, config):
        loss = scaler.scale(part["loss"]) if scaler else part["loss"]
        loss.backward()
        for name, value in part.items():
            if name != "loss":
                logged[name] = logged.get(name, 0.0) + value.item()
    return logged


def train_round(
    student: Student, items: Sequence[TrainingItem], config: LoopConfig, *, seed: int,
    objective: Objective = tailored_loss, step: Step | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[dict[str, float]], object] = lambda logged: None, progress: bool = True,
) -> list[dict[str, float]]:
    """Train the adapter on `round_batches` of the items with a fresh AdamW.

    Args:
        step: computes a step's gradients elsewhere (students/devices.py); None: here.
        stop: called between steps; True raises Stopped.
        on_step: called with each step's logged values.

    Returns each step's values to log, with "gradient", its norm before clipping, or "skipped".
    """
    batches = round_batches(items, config, random.Random(f"{seed}/training"))  # noqa: S311
    weights = list(student.trainable.values())
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(rate, len(batches)))
    scaler = torch.amp.GradScaler(student.device.type, enabled=student.dtype == torch.float16)
    log = []
    student.model.train()
    with tqdm(batches, desc="training", unit="step", disable=not progress, leave=False) as bar:
        for batch in bar:
            if stop():
                raise Stopped
            logged = (step(batch, config, scaler) if step
                      else train_step(student, batch, config, objective, scaler))
            scaler.unscale_(optimizer)
            norm = torch.nn.utils.clip_grad_norm_(weights, 1.0).item()
            skipped = scaler.is_enabled() and not math.isfinite(norm)  # by scaler.step
            logged |= {"skipped": 1.0} if skipped else {"gradient": norm}
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            log.append(logged)
            bar.set_postfix({name: f"{value:.3g}" for name, value in logged.items()})
            on_step(logged)
    student.model.eval()
    if count := sum("skipped" in logged for logged in log):
        warnings.warn(
            f"{count} of {len(log)} training steps were skipped: their gradients were too large "
            "for fp16. If these are more than a few, lower learning_rate.", stacklevel=2)
    return log


def rate(steps: int, step: int) -> float:
    """Share of the peak learning rate: warm-up over a twentieth of the steps, then linear decay."""
    warmup = max(1, steps // 20)
    return min((step + 1) / warmup, 1.0) * max(0.1, 1 - step / max(steps, 1))
