"""What a teacher costs: prices, the worst that a call can cost, and a budget that is never exceeded.

A call's worst cost is reserved before it is sent and replaced by what it did cost when the reply is there. So the sum of what
was spent and what is in flight never passes the limit, whatever the order of replies. A call whose cost stays unknown (it
timed out, the connection broke) counts with its worst.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from l2r_lite.loop.errors import UserError


class CostError(UserError):
    """A price or budget that cannot be used: which, and what it may be."""


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens that go in (prompt) and come out (completion)."""

    input: float
    output: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6

    @classmethod
    def parse(cls, text: str) -> Price:
        """A price as the flag gives it: "0.15,0.60".

        Raises:
            CostError: not two numbers of at least 0.
        """
        try:
            price = cls(*(float(part) for part in text.split(",")))
        except (TypeError, ValueError):
            price = cls(math.nan, math.nan)
        if not (0 <= price.input < math.inf and 0 <= price.output < math.inf):
            raise CostError(f'price "{text}": give US dollars for a million tokens as INPUT,OUTPUT, e.g. 0.15,0.60.')
        return price


def price_of(model: str) -> Price | None:
    """The price of a model in prices.json, dated versions included ("gpt-4o-mini-2024-07-18"); None if it is not there."""
    table = json.loads(resources.files("l2r_lite.teachers").joinpath("prices.json").read_text(encoding="utf-8"))["models"]
    names = [name for name in table if model == name or model.startswith(f"{name}-20")]
    return Price(*table[names[0]]) if names else None


def most_prompt_tokens(messages: Sequence[dict[str, Any]]) -> int:
    """An upper bound: a token is at least one byte of text, and a message adds a few of its own."""
    return 16 + sum(16 + len(str(m["content"]).encode()) for m in messages)


def likely_tokens(text: str) -> int:
    """An estimate for plans: English text has about four characters a token."""
    return math.ceil(len(text) / 4)


@dataclass
class Meter:
    """What was asked and spent so far. `dollars` counts calls of unknown cost at their worst; None without a price."""

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = None

    def __str__(self) -> str:
        tokens = f"{self.prompt_tokens + self.completion_tokens:,} tokens"
        return f"{self.calls} calls, {self.cached} from the cache, {tokens if self.dollars is None else f'${self.dollars:.4f}'}"


class Budget:
    """A hard cap on the sum of what calls cost. Not thread-safe: one event loop uses it.

    Args:
        limit: US dollars; None for no cap.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit, self.spent, self.in_flight = limit, 0.0, 0.0
        self.open = self.refused = 0  # calls in flight; calls that were not made

    def reserve(self, worst: float) -> bool:
        """Set aside what a call may cost at worst; False if that could pass the limit (then nothing is set aside)."""
        if self.limit is not None and self.spent + self.in_flight + worst > self.limit:
            return False
        self.in_flight += worst
        self.open += 1
        return True

    def settle(self, worst: float, cost: float | None) -> None:
        """Replace a reservation by the real cost, or by the worst where that is unknown."""
        self.open -= 1
        self.in_flight = self.in_flight - worst if self.open else 0.0  # no rest of rounding stays behind
        self.spent += worst if cost is None else cost
