"""Calls to an OpenAI-compatible endpoint: attempts with retries, each one paid from a budget.

The openai package sends an attempt, with the limits of wire.py. The retries are made here, so that
each of them is counted; they wait as long as the server asks for (Retry-After).
"""

import asyncio
import email.utils
import math
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.lessons import OUT_OF_BUDGET
from l2r_lite.teachers.cost import Budget, Meter, Price, most_prompt_tokens
from l2r_lite.teachers.heard import Heard, read_refusal, read_reply
from l2r_lite.teachers.wire import RETRIES, TooLarge, open_client

OPENAI = "https://api.openai.com/v1"
PAUSE = 0.5  # seconds before a second attempt; twice that before a third
LONGEST_PAUSE = 60.0  # a server that asks for more gets no other attempt


def public_address(url: str) -> str:
    """The address without anything that could be secret (user, password, query)."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


class Endpoint:
    """A client for one model at one address. Use and close it within one event loop.

    Args:
        model: as the endpoint calls it.
        url: e.g. OPENAI, or http://localhost:11434/v1 (Ollama).
        key: None if the endpoint needs none. It is sent to this address only and never shown.
        key_variable: the environment variable of the key, named when the key is refused.
        seconds: the longest that a call may take, retries included.
    """

    def __init__(
        self, model: str, url: str, key: str | None, *, key_variable: str, seconds: float
    ) -> None:
        self.model, self.url, self.key_variable, self.seconds = model, url, key_variable, seconds
        self._key, self.reached = key, False
        self._not_before = 0.0  # the server asked for a pause until then
        try:
            self._client = open_client(url, key, seconds=seconds, retries=0)
        except httpx2.InvalidURL as error:
            raise TeacherError(
                f"base_url: no server can have the address {url} ({error}).") from None

    async def close(self) -> None:
        await self._client.close()

    async def pause(self) -> None:
        """Wait as long as the server asked for when it last refused a call."""
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))

    async def chat(self, messages: Sequence[dict[str, str]], **parameters: Any) -> Heard:
        """Send one conversation: a single attempt.

        Raises:
            TeacherError: no call can succeed: the key is refused, or there is no such model or
                address.
        """
        body = {"model": self.model, "messages": list(messages), **parameters}
        try:
            # `chat.completions.create` would re-check the types of its input: with `post`, and
            # aiohttp beneath, 1,000 calls take 2.0 s instead of 4.
            raw = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            heard = read_reply(raw.content)
        except openai.APIStatusError as error:
            heard = self._refused(error.response)
        except Exception as error:  # whatever a server makes the client raise is one bad reply
            return _failed(error)
        self.reached = True
        if heard.hopeless:
            raise self._hopeless(heard)
        return replace(heard, said=self._without_key(heard.said))

    def unreachable(self) -> TeacherError:
        return TeacherError(
            f'teacher "openai:{self.model}": nothing answers at {public_address(self.url)}. Is '
            "the server running, and is --base-url right (it mostly ends in /v1)?")

    def _refused(self, response: httpx2.Response) -> Heard:
        heard = read_refusal(response.status_code, response.content)
        again, pause = heard.again, _retry_after(response.headers)
        if pause is not None and again is not None:
            again = pause if pause <= LONGEST_PAUSE else None
        if response.headers.get("x-should-retry") == "false":
            again = None
        if again:  # the other calls wait too
            self._not_before = max(self._not_before, time.monotonic() + again)
        return replace(heard, again=again)

    def _hopeless(self, heard: Heard) -> TeacherError:
        what = {
            "key": f"the key is refused ({heard.status}). Put a valid one into the environment "
                   f"variable {self.key_variable}, or give another --base-url.",
            "credit": f"the account has no credit left ({heard.status}). Top it up, then resume.",
            "model": f"there is no such model, or no chat at this address ({heard.status}). Check "
                     "the model's name and --base-url (it mostly ends in /v1).",
            "redirect": f"it redirects to another address ({heard.status}), which is not followed, "
                        "since the key is not meant for it. Give the final one with --base-url.",
        }[heard.hopeless]
        return TeacherError(
            f'teacher "openai:{self.model}" at {public_address(self.url)}: {what} Replies received '
            "so far are kept.")

    def _without_key(self, said: str) -> str:
        """The endpoint's own words, unless a part of the key is among them."""
        key = self._key or ""
        parts = [key[i : i + 6] for i in range(max(len(key) - 5, min(len(key), 1)))]
        return "" if any(part in said for part in parts) else said[:200]


def _failed(error: BaseException) -> Heard:
    # The openai package calls every broken connection a timeout; its causes tell them apart.
    causes = [error]
    while cause := causes[-1].__cause__:
        causes.append(cause)

    def is_a(*kinds: type[BaseException]) -> bool:
        return any(isinstance(e, kinds) for e in causes)

    if is_a(TooLarge):
        return Heard(fault="reply too large", status=0)
    if is_a(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        return Heard(fault="connection failed", status=0, sent=False, again=0.0)
    if is_a(TimeoutError):
        return Heard(fault="timeout", status=0)
    if is_a(openai.APIConnectionError, OSError) and not is_a(httpx2.DecodingError):
        return Heard(fault="connection failed", status=0, again=0.0)
    return Heard(fault="malformed reply", status=0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, given as such or as a date; None if it asks nothing."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        else:
            asked = headers.get("retry-after", "")
            date = email.utils.parsedate_tz(asked) if re.search("[a-z]", asked, re.I) else None
            seconds = email.utils.mktime_tz(date) - time.time() if date else float(asked)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


@dataclass
class Bill:
    """What the attempts of one call cost: an attempt costs its worst until its cost is known."""

    each: float  # the worst of one attempt, in US dollars
    known: float = 0.0
    unknown: int = 0  # attempts

    @property
    def assumed(self) -> float:
        return self.unknown * self.each

    @property
    def total(self) -> float:
        return self.known + self.assumed


class PaidEndpoint:
    """An endpoint whose calls are paid from a budget.

    It is opened at the first call that the cache cannot answer: a full cache needs no key.
    """

    def __init__(
        self, open_: Callable[[], Endpoint], price: Price | None, budget: Budget, meter: Meter
    ) -> None:
        self._open = open_
        self._endpoint: Endpoint | None = None
        self.price, self.budget, self.meter = price, budget, meter
        self._settled = asyncio.Condition()

    async def close(self) -> None:
        if self._endpoint:
            await self._endpoint.close()

    async def call(self, messages: list[dict[str, str]], parameters: dict[str, Any]) -> Heard:
        """Send one conversation once the most it can cost fits into the budget.

        Calls in flight may free some of it: they mostly cost less than was reserved for them.
        """
        endpoint = self._endpoint = self._endpoint or self._open()
        limit = next(v for k, v in parameters.items() if k.startswith("max_"))
        most = most_prompt_tokens(messages) + len(str(parameters))
        # Each attempt may be billed, the retries too.
        worst = self.price.of(most, limit) * (1 + RETRIES) if self.price else 0.0
        worst *= self.budget.overrun
        async with self._settled:
            while not self.budget.reserve(worst):
                if not self.budget.open:
                    self.budget.refused += 1
                    return Heard(fault=OUT_OF_BUDGET, status=0)
                await self._settled.wait()
        bill = Bill(worst / (1 + RETRIES))
        try:
            heard = await self._attempts(endpoint, bill, messages, parameters)
        finally:
            self.budget.settle(worst, bill.total)
            if self.price:
                self.meter.assumed += bill.assumed
                self.meter.dollars = round(self.budget.spent, 6)
            async with self._settled:
                self._settled.notify_all()
        if not heard.sent and not endpoint.reached:
            raise endpoint.unreachable()
        return heard

    async def _attempts(
        self, endpoint: Endpoint, bill: Bill, messages: list[dict[str, str]],
        parameters: dict[str, Any],
    ) -> Heard:
        """Try until there is a reply, or a fault that another attempt would not change."""
        heard = Heard(fault="timeout", status=0)
        with suppress(TimeoutError):
            async with asyncio.timeout(endpoint.seconds):
                for attempt in range(1 + RETRIES):
                    await endpoint.pause()
                    heard = Heard(fault="timeout", status=0)
                    self.meter.calls += 1
                    bill.unknown += 1
                    heard = await endpoint.chat(messages, **parameters)
                    self._book(bill, heard)
                    if heard.again is None or attempt == RETRIES:
                        break
                    await asyncio.sleep(heard.again or PAUSE * 2**attempt)
        return heard

    def _book(self, bill: Bill, heard: Heard) -> None:
        """Replace the worst of an attempt by its cost, once that is known."""
        self.meter.prompt_tokens += heard.prompt_tokens or 0
        self.meter.completion_tokens += heard.completion_tokens or 0
        cost = heard.cost(self.price)
        if cost is None:
            return
        bill.unknown -= 1
        bill.known += cost
        if cost > 1.000001 * bill.each > 0:  # more than a rounding error
            # It ignores the token limit. Whatever it did once, it may do again.
            self.budget.overrun *= cost / bill.each
            warnings.warn(
                f"The teacher billed ${cost:.4f} for a call, more than its token limit allows "
                f"(${bill.each:.4f}). The budget counts with that from now on.", stacklevel=2)
