"""The HTTP client for a server that may be hostile: limits on the size of what it sends.

A reply is read up to LARGEST_REPLY bytes, counted as sent and once decompressed: 49 KB of gzip can
stand for half a gigabyte. Redirects are not followed, as each would be a request more.
"""

import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai

LARGEST_REPLY = 1_000_000  # bytes
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
RETRIES = 2  # after a first attempt
CONNECT = 4.0  # seconds, per attempt to connect


class TooLarge(Exception):  # noqa: N818 - an event of the network, shown to nobody
    """A reply of more than LARGEST_REPLY bytes."""


def open_client(
    url: str, key: str | None, *, seconds: float, retries: int = RETRIES
) -> openai.AsyncOpenAI:
    """The openai package's client for an address; a reply of LARGEST_REPLY raises TooLarge.

    Args:
        retries: made by the client itself; 0 leaves them to the caller, who may count each.
    """
    client = openai.DefaultAioHttpClient(
        limits=LIMITS, event_hooks={"response": [_cap]}, follow_redirects=False,
        headers={"Accept-Encoding": "gzip"})
    timeout = httpx2.Timeout(seconds, connect=CONNECT)
    return openai.AsyncOpenAI(
        api_key=key or "none", base_url=url, max_retries=retries, timeout=timeout,
        http_client=client)


async def _cap(response: httpx2.Response) -> None:
    """Limit the reply's size as it is read, before it can fill the memory."""
    encoding = response.headers.pop("content-encoding", "identity").strip().lower()
    response.stream = _CappedStream(response.stream, encoding)


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any, encoding: str) -> None:
        self.inner, self.encoding = inner, encoding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise httpx2.DecodingError(f"a reply in {self.encoding[:20]}, which was not asked for")
        # 47: the format (gzip or zlib) is found from the data.
        unpack = zlib.decompressobj(47) if self.encoding != "identity" else None
        sent = size = 0
        async for chunk in self.inner:
            sent += len(chunk)
            if unpack is not None:
                try:
                    chunk = unpack.decompress(chunk, LARGEST_REPLY + 1 - size)
                except zlib.error as error:
                    raise httpx2.DecodingError(str(error)) from error
            size += len(chunk)
            if max(sent, size) > LARGEST_REPLY:
                raise TooLarge
            yield chunk

    async def aclose(self) -> None:
        await self.inner.aclose()
