"""One chat call to an OpenAI-compatible endpoint: a text, or a named reason why there is none.

The openai package makes the calls, with its retries (it honours Retry-After) and timeouts. Two
limits are added here: the size of a reply, and the time of a whole call, however slowly its bytes
arrive.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.lessons import OUT_OF_BUDGET
from l2r_lite.teachers.cost import Budget, Meter, Price, most_prompt_tokens

OPENAI = "https://api.openai.com/v1"
LARGEST_REPLY = 1_000_000  # bytes
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
RETRIES = 2  # per call, made by the openai package
CONNECT = 4.0  # seconds, per attempt to connect


@dataclass(frozen=True)
class Heard:
    """What came back from one call: a text, or a fault."""

    text: str = ""
    fault: str = ""
    prompt_tokens: int | None = None  # as the endpoint counts them; None if it does not say
    completion_tokens: int | None = None
    status: int = 200  # of HTTP; 0 if there was no answer

    def cost(self, price: Price | None) -> float | None:
        """US dollars: 0 for a refused call or without a price, None if it is unknown."""
        if price is None or self.status >= 400:
            return 0.0
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return price.of(self.prompt_tokens, self.completion_tokens)


def public_address(url: str) -> str:
    """The address without anything that could be secret (user, password, query)."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def open_client(url: str, key: str | None, *, seconds: float) -> openai.AsyncOpenAI:
    """The openai package's client for an address; a reply of LARGEST_REPLY raises TooLarge."""
    client = openai.DefaultAioHttpClient(limits=LIMITS, event_hooks={"response": [_cap]})
    timeout = httpx2.Timeout(seconds, connect=CONNECT)
    return openai.AsyncOpenAI(
        api_key=key or "none", base_url=url, max_retries=RETRIES, timeout=timeout,
        http_client=client)


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
        self._reached = False
        self._client = open_client(url, key, seconds=seconds)

    async def close(self) -> None:
        await self._client.close()

    async def chat(self, messages: Sequence[dict[str, str]], **parameters: Any) -> Heard:
        """Send one conversation.

        Raises:
            TeacherError: no call can succeed: the key is refused, or there is no such model or
                address.
        """
        body = {"model": self.model, "messages": list(messages), **parameters}
        try:
            async with asyncio.timeout(self.seconds):
                # `chat.completions.create` would re-check the types of its input: with `post`, and
                # aiohttp beneath, 1,000 calls take 2.0 s instead of 4.
                raw = await self._client.post(
                    "/chat/completions", cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            return self._refused(error)
        except TooLarge:
            return Heard(fault="reply too large", status=0)
        except (TimeoutError, openai.APIConnectionError, httpx2.HTTPError) as error:
            return self._failed(error)
        self._reached = True
        return read_reply(raw.content)

    def _failed(self, error: BaseException) -> Heard:
        # The openai package calls every broken connection a timeout; its causes tell them apart.
        causes = [error]
        while cause := causes[-1].__cause__:
            causes.append(cause)
        nobody = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        if any(isinstance(e, nobody) for e in causes) and not self._reached:
            raise TeacherError(
                f'teacher "openai:{self.model}": nothing answers at {public_address(self.url)}. Is '
                "the server running, and is --base-url right (it mostly ends in /v1)?") from None
        timeout = any(isinstance(e, TimeoutError) for e in causes)
        return Heard(fault="timeout" if timeout else "connection failed", status=0)

    def _refused(self, error: openai.APIStatusError) -> Heard:
        self._reached, status = True, error.status_code
        if status in (401, 403):
            what = (f"the key is refused ({status}). Put a valid one into the environment variable "
                    f"{self.key_variable}, or give another --base-url.")
        elif status == 404:
            what = ("there is no such model, or no chat at this address (404). Check the model's "
                    "name and --base-url (it mostly ends in /v1).")
        elif status == 429:
            return Heard(fault="rate limit (429)", status=status)
        else:
            name = "server error" if status >= 500 else "request refused"
            return Heard(fault=f"{name} ({status})", status=status)
        raise TeacherError(
            f'teacher "openai:{self.model}" at {public_address(self.url)}: {what} Replies received '
            "so far are kept.") from None  # the endpoint's own words may repeat the key


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
        content, refusal = message.get("content"), message.get("refusal")
        tools = message.get("tool_calls")
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
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < 10**9 else None


class TooLarge(Exception):  # noqa: N818 - an event of the network, shown to nobody
    """A reply of more than LARGEST_REPLY bytes."""


async def _cap(response: httpx2.Response) -> None:
    """Stop reading a reply at LARGEST_REPLY bytes: an endless one must not fill the memory."""
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
