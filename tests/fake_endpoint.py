"""A real HTTP server on loopback that speaks the chat protocol, well or badly; one function per fault."""

from __future__ import annotations

import asyncio
import email.utils
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Usage = tuple[int, int] | None
Handler = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One request, and the way to answer it."""

    body: dict[str, Any]
    headers: dict[str, str]
    writer: asyncio.StreamWriter
    number: int

    @property
    def data(self) -> dict[str, Any]:
        """The user message's JSON object: the problem, and the student's attempt."""
        return json.loads(self.body["messages"][-1]["content"])

    @property
    def structured(self) -> bool:
        return "response_format" in self.body

    async def raw(self, body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def error(self, status: str, message: str = "no", **headers: str) -> None:
        await self.raw(json.dumps({"error": {"message": message}}).encode(), status, **headers)

    async def say(self, content: Any, *, finish: str = "stop", usage: Usage = (100, 50), **message: Any) -> None:
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        reply: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        if usage:
            reply["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        await self.raw(json.dumps(reply).encode())

    async def teach(self, *rationales: str, usage: Usage = (100, 50)) -> None:
        """A good reply, in the form that was asked for."""
        if self.structured:
            text = json.dumps({"first_wrong_step": "3 + 4 = 8", "why": "It is 7.", "rationales": rationales})
        else:
            text = "<first_wrong_step>3 + 4 = 8</first_wrong_step>\n<why>It is 7.</why>\n" + "".join(
                f"<rationale>{r}</rationale>\n" for r in rationales
            )
        await self.say(text, usage=usage)

    async def teach_well(self) -> None:
        answer = self.data["correct_answer"]
        said = f"({answer})" if "choices" in self.data else answer
        await self.teach(f"Look at the story again. The answer is {said}.", f"Go step by step. The answer is {said}.")


async def well(call: Call) -> None:
    await call.teach_well()


@dataclass
class Server:
    """Runs in a thread while it is open.  `with Server(handler) as server: … server.url`"""

    handler: Handler = well
    latency: float = 0.0
    calls: list[dict[str, Any]] = field(default_factory=list)
    keys: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    keep_bodies: bool = True
    count: int = 0

    def __enter__(self) -> Server:
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        def run() -> None:
            async def open_() -> None:
                self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
                self.port = self.server.sockets[0].getsockname()[1]
                ready.set()

            self.loop.run_until_complete(open_())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        def stop() -> None:
            self.server.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.call_later(0.05, self.loop.stop)

        self.loop.call_soon_threadsafe(stop)
        self.thread.join()
        self.loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                assert line.startswith(b"POST /v1/chat/completions "), line
                headers = {}
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    headers[name.strip().lower()] = value.strip()
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.count = number = self.count + 1
                self.keys[headers.get("authorization", "")] += 1
                if self.keep_bodies:
                    self.calls.append(body)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    await asyncio.sleep(self.latency)
                    await self.handler(Call(body, headers, writer, number))
                finally:
                    self.at_once -= 1
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


# --- faults: name → handler, and what is to come of it ---


async def _endless(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        call.writer.write(chunk)
        await call.writer.drain()
        await asyncio.sleep(0)


async def _dripping(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        call.writer.write(b" ")
        await call.writer.drain()
        await asyncio.sleep(0.05)


async def _silent(call: Call) -> None:
    await asyncio.sleep(3600)


async def _reset(call: Call) -> None:
    call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"choices\": [")
    await call.writer.drain()
    call.writer.transport.abort()


async def _mistake_again(call: Call) -> None:
    await call.teach(call.data.get("wrong_rationale") or "?")


def _says(content: Any, **options: Any) -> Handler:
    async def handler(call: Call) -> None:
        await call.say(content, **options)

    return handler


def _sends(body: bytes, kind: str = "application/json") -> Handler:
    async def handler(call: Call) -> None:
        await call.raw(body, kind=kind)

    return handler


def _fails(status: str, **headers: str) -> Handler:
    async def handler(call: Call) -> None:
        await call.error(status, **headers)

    return handler


def _teaches(*rationales: str) -> Handler:
    async def handler(call: Call) -> None:
        answer = call.data["correct_answer"]
        await call.teach(*(r.format(answer=answer) for r in rationales))

    return handler


FAULTS: dict[str, tuple[Handler, str]] = {
    "400": (_fails("400 Bad Request"), "request refused (400)"),
    "429": (_fails("429 Too Many Requests"), "rate limit (429)"),
    "429 for hours": (_fails("429 Too Many Requests", Retry_After="7200"), "rate limit (429)"),
    "500": (_fails("500 Internal Server Error"), "server error (500)"),
    "503": (_fails("503 Service Unavailable"), "server error (503)"),
    "reset midway": (_reset, "connection failed"),
    "never ends": (_endless, "reply too large"),
    "slow single bytes": (_dripping, "timeout"),
    "says nothing": (_silent, "timeout"),
    "empty content": (_says(""), "empty reply"),
    "blank content": (_says(" \n\0 "), "empty reply"),
    "content null": (_says(None), "empty reply"),
    "tool call": (_says(None, tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
                  "tool call instead of text"),
    "refusal": (_says(None, refusal="I cannot help with that."), "refusal"),
    "content filter": (_says("", finish="content_filter"), "refusal"),
    "cut off": (_says('{"first_wrong_step": "3 +', finish="length"), "cut off at the token limit"),
    "invalid JSON": (_sends(b'{"choices": [{"mess'), "not JSON"),
    "JSON of another shape": (_sends(b'{"answer": 42}'), "JSON of another shape"),
    "a JSON list": (_sends(b"[1, 2]"), "JSON of another shape"),
    "deep JSON": (_sends(b"[" * 100_000), "not JSON"),
    "HTML page": (_sends(b"<!doctype html><html><body>Log in</body></html>", "text/html"), "a web page instead of an answer"),
    "invalid UTF-8": (_sends(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "not UTF-8"),
    "5 MB of text": (_says("word " * 1_000_000), "reply too large"),
    "prose": (_says("Sure! I would be happy to help your student."), "reply without rationales"),
    "rationales of numbers": (_says('{"rationales": [1, 2]}'), "reply without rationales"),
    "wrong arithmetic": (_teaches("Add: 3 + 4 = 8. The answer is {answer}."), "wrong arithmetic"),
    "wrong answer": (_teaches("Look again. The answer is 123456."), "wrong answer"),
    "the student's mistake": (_mistake_again, "wrong answer"),
    "another language": (_teaches("Schau noch einmal hin, es sind mehr."), "no answer"),
    "NUL bytes": (_says('{"rationales": ["\\u0000\\u0000"]}'), "reply without rationales"),
}  # fmt: skip


async def after_a_while(call: Call) -> None:
    """429 with Retry-After in seconds, as a date, then a good reply."""
    if call.number == 1:
        await call.error("429 Too Many Requests", Retry_After="1")
    elif call.number == 2:
        await call.error("429 Too Many Requests", Retry_After=email.utils.formatdate(time.time() + 2, usegmt=True))
    else:
        await call.teach_well()
