"""How long a round of a large preset may take on a card: arithmetic, not a measurement.

    expect(PRESETS["t4"], T4).hours      # (0.4, 1.3): hours at best, and at worst

Operations are counted by the usual rule: per token, each weight takes one multiplication and one
addition on the forward pass, again on the backward pass for the gradient that flows through it, and
again where activations are recomputed. Frozen weights have no gradient of their own.
"""

from dataclasses import dataclass

import torch

from l2r_lite.app.planner import MemoryPlan, plan_memory
from l2r_lite.loop.config import LoopConfig

# Assumptions. A run reaches a small share of a card's published speed, because 4-bit layers are
# unpacked each time. The share of questions with a mistake falls from round to round.
USE = (0.1, 0.3)
SHARE = 0.5
PROMPT, WRITTEN = 100, 150  # tokens of a word problem's question and rationale


@dataclass(frozen=True)
class Card:
    """A card as its maker specifies it.

    Attributes:
        memory: GB.
        speed: 16-bit matrix operations, in 10¹² per second.
        traffic: between memory and processor, in GB per second.
    """

    name: str
    memory: float
    speed: float
    traffic: float
    dtype: torch.dtype = torch.bfloat16


T4 = Card("Tesla T4 (Colab)", 16, 65, 320, torch.float16)
CARDS = (T4, Card("RTX 3060", 12, 25, 360), Card("RTX 4090", 24, 165, 1008))


@dataclass(frozen=True)
class Expected:
    """Planned memory, and the first round's hours at best and at worst."""

    plan: MemoryPlan
    fits: bool
    hours: tuple[float, float]


def expect(config: LoopConfig, card: Card) -> Expected:
    """What a round's exam and training need on a card, without teacher and evaluation."""
    plan = plan_memory(config, dtype=card.dtype)
    training = training_operations(config, plan) / (card.speed * 1e12)
    exam = exam_bytes(config, plan) / (card.traffic * 1e9)
    worst, best = ((training + exam) / use / 3600 for use in USE)
    return Expected(plan, plan.fits(card.memory), (best, worst))


def training_operations(config: LoopConfig, plan: MemoryPlan) -> float:
    """Multiplications and additions of the first round's training."""
    asked = min(config.limit * SHARE, config.feedback_limit or config.limit)
    read = asked * config.lessons * (config.epochs + config.replay)  # own answers once
    if config.steps:
        read = config.steps * config.batch_size
    parts = 3 if config.reflection_weight > 0 else 1  # anchor, positive, negative
    tokens = read * (PROMPT + parts * WRITTEN)
    passes = 3 if config.gradient_checkpointing else 2
    return tokens * 2 * plan.parameters * passes


def exam_bytes(config: LoopConfig, plan: MemoryPlan) -> float:
    """Bytes that an exam moves through memory: each token of a batch reads all weights.

    4-bit weights are read, written as 16-bit numbers, and read again.
    """
    steps = config.limit * config.samples / config.exam_rows * WRITTEN
    bytes_per_weight = 0.5 + 2 + 2 if config.four_bit else 2
    return steps * plan.parameters * bytes_per_weight
