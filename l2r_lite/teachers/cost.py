"""What a teacher costs: prices, the most that a call can cost, a budget that is never exceeded.

Before a call is sent, the most that it can cost is reserved, its retries included; the reply
replaces that by its real cost. So the sum of what is spent and reserved never passes the limit, in
whatever order replies arrive. An attempt whose cost stays unknown (refusal, timeout, broken
connection) counts with the most.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Self

from l2r_lite.loop.errors import UserError


class CostError(UserError):
    """A price or budget that cannot be used: which, and what it may be."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of input (prompt) and of output (completion)."""

    input: float
    output: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6

    @classmethod
    def parse(cls, text: str) -> Self:
        """A price as the flag gives it: "0.15,0.60".

        Raises:
            CostError: not two numbers of at least 0.
        """
        try:
            price = cls(*(float(part) for part in text.split(",")))
        except (TypeError, ValueError):
            price = cls(math.nan, math.nan)
        if not (0 <= price.input < math.inf and 0 <= price.output < math.inf):
            raise CostError(
                f'price "{text}": give US dollars per million tokens as INPUT,OUTPUT, e.g. '
                "0.15,0.60.")
        return price


def price_of(model: str) -> Price | None:
    """The price of a model in prices.json, or of its dated version ("gpt-4o-2024-08-06")."""
    file = resources.files("l2r_lite.teachers").joinpath("prices.json")
    table = json.loads(file.read_text(encoding="utf-8"))["models"]
    names = [name for name in table if model == name or model.startswith(f"{name}-20")]
    return Price(*table[names[0]]) if names else None


def most_prompt_tokens(messages: Sequence[dict[str, Any]]) -> int:
    """An upper bound: a token has at least one byte, and a message adds a few tokens of its own."""
    return 16 + sum(16 + len(str(m["content"]).encode()) for m in messages)


def likely_tokens(text: str) -> int:
    """An estimate for plans: English text has about four characters per token."""
    return math.ceil(len(text) / 4)


@dataclass
class Meter:
    """What was asked and spent so far."""

    calls: int = 0  # HTTP requests, retries among them
    cached: int = 0  # questions that the cache answered, without a call
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = None  # calls of unknown cost at their most; None without a price
    assumed: float = 0.0  # the part of `dollars` that is for calls of unknown cost
    lost: int = 0  # replies that were paid for and brought no rationale
    lost_tokens: int = 0  # what was paid for them

    def __str__(self) -> str:
        if self.dollars is None:
            cost = f"{self.prompt_tokens + self.completion_tokens:,} tokens"
        else:
            cost = f"${self.dollars:.4f}"
        if self.assumed:
            cost += f" at most (${self.assumed:.4f} of it for calls without a bill)"
        if self.lost:
            cost += f", {self.lost} replies without a rationale ({self.lost_tokens:,} tokens)"
        return f"{self.calls} calls, {self.cached} from the cache, {cost}"


class Budget:
    """A hard limit in US dollars (None: no limit) on all calls together, in one event loop."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit, self.spent, self.in_flight = limit, 0.0, 0.0  # US dollars
        self.open = self.refused = 0  # calls in flight; calls that were not made
        self.overrun = 1.0  # how many times its worst a call has cost, against its token limit

    def reserve(self, worst: float) -> bool:
        """Reserve the most that a call can cost; False if that could pass the limit."""
        if self.limit is not None and self.spent + self.in_flight + worst > self.limit:
            return False
        self.in_flight += worst
        self.open += 1
        return True

    def settle(self, worst: float, cost: float | None) -> None:
        """Replace a reservation by the real cost; None, where it is unknown, counts as `worst`."""
        self.open -= 1
        # With no call in flight exactly 0, so that no rounding error adds up.
        self.in_flight = self.in_flight - worst if self.open else 0.0
        self.spent += worst if cost is None else cost
