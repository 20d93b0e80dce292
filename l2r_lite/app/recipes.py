"""How long a round of a large preset may take on a card that nobody of us has: arithmetic, not measurement.

    expect(PRESETS["t4"], T4).hours            # (0.4, 1.3): from a card that is used well to one that is not

Operations are counted by the usual rule: each weight is multiplied and added once a token, forwards; once more for the
gradient that flows back through it; once more where activations are recomputed. Frozen weights have no gradient of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from l2r_lite.loop.config import LoopConfig
from l2r_lite.app.planner import MemoryPlan, plan_memory

USE = (0.1, 0.3)  # share of a card's published speed that is reached: an assumption; 4-bit layers are unpacked each time
SHARE = 0.5  # of the questions bring a mistake: an assumption; it falls from round to round
PROMPT, WRITTEN = 100, 150  # tokens of a question and of a rationale: an assumption for word problems


@dataclass(frozen=True)
class Card:
    """A card as its maker describes it: GB of memory, 10¹² 16-bit matrix operations a second, GB of traffic a second."""

    name: str
    memory: float
    speed: float
    traffic: float
    dtype: torch.dtype = torch.bfloat16


T4 = Card("Tesla T4 (Colab)", 16, 65, 320, torch.float16)
CARDS = (T4, Card("RTX 3060", 12, 25, 360), Card("RTX 4090", 24, 165, 1008))


@dataclass(frozen=True)
class Expected:
    """Planned memory, and hours that the first round may take: at best and at worst of the assumed use of the card."""

    plan: MemoryPlan
    fits: bool
    hours: tuple[float, float]


def expect(config: LoopConfig, card: Card) -> Expected:
    """What a round needs on a card, by arithmetic: exam and training; the teacher's time and the test are not in."""
    plan = plan_memory(config, dtype=card.dtype)
    best, worst = (
        (training_operations(config, plan) / (card.speed * 1e12) + exam_bytes(config, plan) / (card.traffic * 1e9)) / use / 3600
        for use in reversed(USE)
    )
    return Expected(plan, plan.fits(card.memory), (best, worst))


def training_operations(config: LoopConfig, plan: MemoryPlan) -> float:
    """Of a round's training."""
    asked = min(config.limit * SHARE, config.feedback_limit or config.limit)
    items = config.steps * config.batch_size / config.epochs or asked * config.lessons * (1 + config.replay)
    parts = 3 if config.reflection_weight > 0 else 1  # anchor, positive, negative
    tokens = items * config.epochs * (PROMPT + parts * WRITTEN)
    return tokens * 2 * plan.parameters * (3 if config.gradient_checkpointing else 2)


def exam_bytes(config: LoopConfig, plan: MemoryPlan) -> float:
    """That go through memory in an exam: for each token of a batch all weights are read, unpacked, and read again."""
    steps = config.limit * config.samples / config.exam_rows * WRITTEN
    return steps * plan.parameters * ((0.5 if config.four_bit else 2) + (4 if config.four_bit else 0))
