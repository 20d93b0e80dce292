"""One chat call to an OpenAI-compatible endpoint. Whatever the endpoint does, there is a text or a named reason why not.

The openai package does the calling: its retries (Retry-After honoured), its timeouts. What it does not limit is limited here:
the size of a reply, and the whole time of a call, however slowly its bytes drip.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from l2r_lite.teachers.cost import Budget, Meter, Price, most_prompt_tokens
from l2r_lite.loop.lessons import OUT_OF_BUDGET
from l2r_lite.loop.errors import TeacherError

OPENAI = "https://api.openai.com/v1"
LARGEST_REPLY = 1_000_000  # bytes
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
RETRIES = 2  # the openai package's own, for each call
CONNECT = 4.0  # seconds for a connection, each time


@dataclass(frozen=True)
class Heard:
    """What came back from one call: a text, or the reason why there is none; tokens as the endpoint counts them."""

    text: str = ""
    fault: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    status: int = 200

    def cost(self, price: Price | None) -> float | None:
        """US dollars: 0 where the endpoint refused the call or nothing has a price, None where nobody knows."""
        if price is None or self.status >= 400:
            return 0.0
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return price.of(self.prompt_tokens, self.completion_tokens)


def public_address(url: str) -> str:
    """The address without anything that could be secret (user, password, query)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def open_client(url: str, key: str | None, *, seconds: float) -> openai.AsyncOpenAI:
    """The openai package's client for an address, with a limit on what a reply may weigh (TooLarge)."""
    return openai.AsyncOpenAI(
        api_key=key or "none", base_url=url, max_retries=RETRIES, timeout=httpx2.Timeout(seconds, connect=CONNECT),
        http_client=openai.DefaultAioHttpClient(limits=LIMITS, event_hooks={"response": [_cap]}),
    )  # fmt: skip


class Endpoint:
    """A client for one model behind one address. Use it within one event loop and close it there.

    Args:
        model: as the endpoint calls it.
        url: e.g. OPENAI, or http://localhost:11434/v1 (Ollama).
        key_variable: where a reader puts the key, for the message that it is refused.
        key: None where the endpoint wants none. It is sent to this address only and never shown.
        seconds: the longest that a call may take, with its retries.
    """

    def __init__(self, model: str, url: str, key: str | None, *, key_variable: str, seconds: float) -> None:
        self.model, self.url, self.key_variable, self.seconds = model, url, key_variable, seconds
        self._reached = False
        self._client = open_client(url, key, seconds=seconds)

    async def close(self) -> None:
        await self._client.close()

    async def chat(self, messages: Sequence[dict[str, str]], **parameters: Any) -> Heard:
        """Send one conversation.

        Raises:
            TeacherError: no call to this endpoint can succeed: the key is refused, or there is no such model or address.
        """
        try:
            async with asyncio.timeout(self.seconds):
                # `post` instead of `chat.completions.create`, which re-checks the types of its input, and aiohttp beneath:
                # 1,000 calls in 2.0 s instead of 4.
                raw = await self._client.post(
                    "/chat/completions", cast_to=httpx2.Response,
                    body={"model": self.model, "messages": list(messages), **parameters},
                )  # fmt: skip
        except openai.APIStatusError as error:
            return self._refused(error)
        except TooLarge:
            return Heard(fault="reply too large", status=0)
        except (TimeoutError, openai.APIConnectionError, httpx2.HTTPError) as error:
            return self._failed(error)
        self._reached = True
        return read_reply(raw.content)

    def _failed(self, error: BaseException) -> Heard:
        causes = [error]  # openai calls every broken connection a timeout; what lies beneath tells them apart
        while cause := causes[-1].__cause__:
            causes.append(cause)
        nobody = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        if any(isinstance(e, nobody) for e in causes) and not self._reached:
            raise TeacherError(
                f'teacher "openai:{self.model}": nobody answers at {public_address(self.url)}. Is the server running, and '
                "is --base-url right (it mostly ends in /v1)?"
            ) from None
        return Heard(fault="timeout" if any(isinstance(e, TimeoutError) for e in causes) else "connection failed", status=0)

    def _refused(self, error: openai.APIStatusError) -> Heard:
        self._reached, status = True, error.status_code
        where = f'teacher "openai:{self.model}" at {public_address(self.url)}'
        if status in (401, 403):
            raise TeacherError(
                f"{where}: the key is refused ({status}). Put a valid one into the environment variable "
                f"{self.key_variable}, or give another --base-url. Replies received so far are kept."
            ) from None  # the endpoint's own words may repeat the key
        if status == 404:
            raise TeacherError(
                f'{where}: there is no such model, or no chat at this address (404). Check the model\'s name and --base-url '
                "(it mostly ends in /v1). Replies received so far are kept."
            ) from None
        name = "rate limit" if status == 429 else "server error" if status >= 500 else "request refused"
        return Heard(fault=f"{name} ({status})", status=status)


class PaidEndpoint:
    """An endpoint whose every call is paid from a budget; it is opened at the first call that the cache cannot answer."""

    def __init__(self, open_: Callable[[], Endpoint], price: Price | None, budget: Budget, meter: Meter) -> None:
        self._open = open_
        self._endpoint: Endpoint | None = None
        self.price, self.budget, self.meter = price, budget, meter
        self._settled = asyncio.Condition()

    async def close(self) -> None:
        if self._endpoint:
            await self._endpoint.close()

    async def call(self, messages: list[dict[str, str]], parameters: dict[str, Any]) -> Heard:
        """Send one conversation if its worst cost fits into the budget; waits for calls in flight to free some of it."""
        endpoint = self._endpoint = self._endpoint or self._open()
        limit = next(v for k, v in parameters.items() if k.startswith("max_"))
        most = most_prompt_tokens(messages) + len(str(parameters))
        # Each of the openai package's own retries may be billed too.
        worst = self.price.of(most, limit) * (1 + RETRIES) if self.price else 0.0
        async with self._settled:
            while not self.budget.reserve(worst):
                if not self.budget.open:
                    self.budget.refused += 1
                    return Heard(fault=OUT_OF_BUDGET, status=0)
                await self._settled.wait()
        cost: float | None = None
        try:
            self.meter.calls += 1
            heard = await endpoint.chat(messages, **parameters)
            cost = heard.cost(self.price)
            self.meter.prompt_tokens += heard.prompt_tokens or 0
            self.meter.completion_tokens += heard.completion_tokens or 0
            return heard
        finally:
            self.budget.settle(worst, cost)
            if self.price:
                self.meter.dollars = round(self.budget.spent, 6)
            async with self._settled:
                self._settled.notify_all()


def read_reply(body: bytes) -> Heard:
    """The text in the body of a chat completion, or the reason why there is none."""
    try:
        data = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        return Heard(fault="not UTF-8")
    except (ValueError, RecursionError):
        page = body.lstrip()[:1] == b"<"
        return Heard(fault="a web page instead of an answer" if page else "not JSON")
    try:
        choice = data["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        content, refusal, tools = message.get("content"), message.get("refusal"), message.get("tool_calls")
    except (KeyError, IndexError, TypeError, AttributeError):
        return Heard(fault="JSON of another shape")
    usage = data.get("usage")
    tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if isinstance(content, list):  # some servers send parts
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if refusal or finish == "content_filter":
        return Heard("", "refusal", *tokens)
    if finish == "length":
        return Heard("", "cut off at the token limit", *tokens)
    if not isinstance(content, str) or not content.replace("\0", "").strip():
        return Heard("", "tool call instead of text" if tools else "empty reply", *tokens)
    return Heard(content.replace("\0", ""), "", *tokens)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


class TooLarge(Exception):  # noqa: N818 - an event of the network, told to nobody
    """A reply of more than LARGEST_REPLY bytes."""


async def _cap(response: httpx2.Response) -> None:
    """Stop reading a reply at LARGEST_REPLY bytes, so that an endless one cannot fill the memory."""
    response.stream = _CappedStream(response.stream)


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self.inner:
            size += len(chunk)
            if size > LARGEST_REPLY:
                raise TooLarge
            yield chunk

    async def aclose(self) -> None:
        await self.inner.aclose()
