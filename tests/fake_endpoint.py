"""A real HTTP server on loopback that speaks the chat protocol, well or badly; one function per fault."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
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
        """The user message's JSON object: the problem, and the student's attempt. Behind the rules, without a system role."""
        return json.loads(self.body["messages"][-1]["content"].rpartition("\n")[2])

    @property
    def structured(self) -> bool:
        return "response_format" in self.body

    @property
    def roles(self) -> list[str]:
        return [m["role"] for m in self.body["messages"]]

    @property
    def limit(self) -> int:
        return self.body.get("max_tokens") or self.body["max_completion_tokens"]

    @property
    def lessons(self) -> tuple[str, str]:
        answer = self.data["correct_answer"]
        said = f"({answer})" if "choices" in self.data else answer
        return f"Look at the story again. The answer is {said}.", f"Go step by step. The answer is {said}."

    def teaching(self, *rationales: str) -> str:
        """A good reply, in the form that was asked for."""
        if self.structured:
            return json.dumps({"first_wrong_step": "3 + 4 = 8", "why": "It is 7.", "rationales": rationales})
        return "<first_wrong_step>3 + 4 = 8</first_wrong_step>\n<why>It is 7.</why>\n" + "".join(
            f"<rationale>{r}</rationale>\n" for r in rationales
        )

    async def raw(self, body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def error(self, status: str, message: str = "no", **headers: str) -> None:
        await self.raw(json.dumps({"error": {"message": message}}).encode(), status, **headers)

    async def say(
        self, content: Any, *, finish: str = "stop", usage: Usage = (100, 50), details: dict[str, Any] | None = None,
        before: str = "", **message: Any,
    ) -> None:  # fmt: skip
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        reply: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        if usage:
            reply["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
            reply["usage"] |= details or {}
        await self.raw(before.encode() + json.dumps(reply).encode())

    async def teach(self, *rationales: str, usage: Usage = (100, 50)) -> None:
        await self.say(self.teaching(*rationales), usage=usage)

    async def teach_well(self) -> None:
        await self.teach(*self.lessons)


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
    base: str = "/v1"

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
        return f"http://127.0.0.1:{self.port}{self.base}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                assert line.startswith(f"POST {self.base}/chat/completions ".encode()), line
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


def _sends(body: bytes, kind: str = "application/json", **headers: str) -> Handler:
    async def handler(call: Call) -> None:
        await call.raw(body, kind=kind, **headers)

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
    "gzip that is no gzip": (_sends(b"{}", Content_Encoding="gzip"), "malformed reply"),
    "compressed in a way not asked for": (_sends(b"{}", Content_Encoding="zstd"), "malformed reply"),
    "a small reply, a large memory": (_sends(gzip.compress(b" " * 20_000_000), Content_Encoding="gzip"), "reply too large"),
    "a huge header": (_sends(b"{}", X_Long="a" * 100_000), "malformed reply"),
    "an error with status 200": (_sends(b'{"error": {"code": 503, "message": "Model unloaded"}}'), "server error (503)"),
    "500,000 characters": (_says("word " * 100_000), "reply too large"),
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


# --- products: what each is known for ---


@dataclass(frozen=True)
class Product:
    """An endpoint with the quirks of a product, and what the teacher makes of them."""

    name: str
    base: str
    model: str
    quirk: str
    answer: str  # what the teacher does about it
    handler: Handler
    first: int  # requests for the first question; one for each of the others
    form: str = "json"


def thinks_until(tokens: int, **message: Any) -> Handler:
    """A model that thinks for so many tokens before it writes; a smaller limit is spent on thoughts alone."""

    async def handler(call: Call) -> None:
        details = {"completion_tokens_details": {"reasoning_tokens": min(tokens, call.limit)}}
        if call.limit <= tokens:
            await call.say("", finish="length", usage=(100, call.limit), details=details, **message)
        else:
            await call.say(call.teaching(*call.lessons), usage=(100, tokens + 50), details=details, **message)

    return handler


def refuses(when: Callable[[Call], bool], status: str, message: str, then: Handler, **more: Any) -> Handler:
    async def handler(call: Call) -> None:
        if when(call):
            await call.raw(json.dumps({"error": {"message": message, **more}}).encode(), status)
        else:
            await then(call)

    return handler


def says(write: Callable[[Call], Any], **options: Any) -> Handler:
    async def handler(call: Call) -> None:
        await call.say(write(call), **options)

    return handler


def _fenced(call: Call) -> str:
    text = json.dumps({"first_wrong_step": "a", "why": "b", "rationales": call.lessons}, indent=1)
    return f"Of course! Here is the lesson, with {{braces}}:\n\n```json\n{text}\n```\n\nLet me know if you need more."


def _latex(call: Call) -> str:
    lessons = [rf"Half of it is \(\frac{{1}}{{2}} \times 8 = 4\). {lesson}" for lesson in call.lessons]
    return '{"first_wrong_step": "a", "why": "b", "rationales": [' + ", ".join(f'"{x}"' for x in lessons) + "]}"


def _parts(call: Call) -> list[Any]:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": '{"rationales": ["a draft"]}'}]}
    return [thought, {"type": "reasoning", "text": "hm"}, "", {"type": "text", "text": call.teaching(*call.lessons)}]


async def _gemini_without_content(call: Call) -> None:
    """Thoughts are in the total alone, and a reply that was all thoughts has no content at all."""
    if call.structured:
        message = 'Invalid JSON payload received. Unknown name "additionalProperties" at \'generation_config.response_schema\''
        await call.raw(json.dumps([{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]).encode(),
                       "400 Bad Request")  # fmt: skip
    elif call.limit < 2000:
        choice = {"finish_reason": "length", "index": 0, "message": {"role": "assistant"}}
        usage = {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100 + call.limit}
        await call.raw(json.dumps({"choices": [choice], "usage": usage}).encode())
    else:
        await call.say(call.teaching(*call.lessons), details={"total_tokens": 1650})


async def _openrouter(call: Call) -> None:
    if "gets 4 more" in call.data["question"] and call.number == 2:
        await call.raw(b'\n: OPENROUTER PROCESSING\n\n{"error": {"code": 502, "message": "Provider returned error"}}')
    else:
        waiting = ": OPENROUTER PROCESSING\n\n" * 3
        await call.say(call.teaching(*call.lessons), before=f"\n{waiting}", reasoning="Let me see.", usage=(100, 900))


def _draft(call: Call) -> str:
    return f'The draft {{"rationales": ["wrong"]}} is wrong.\n</think>\n\n{call.teaching(*call.lessons)}'


UNSUPPORTED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
PRODUCTS = [
    Product("OpenAI", "/v1", "o3-mini", "`max_tokens` is refused; no system role in some models; hidden thoughts are billed",
            "`max_completion_tokens`, rules in the user message, 6,000 tokens for thoughts from the first call on",
            refuses(lambda c: "max_tokens" in c.body, "400 Bad Request",
                    UNSUPPORTED,
                    refuses(lambda c: "system" in c.roles, "400 Bad Request",
                            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                            thinks_until(1500), param="messages[0].role", code="unsupported_value"),
                    param="max_tokens", code="unsupported_parameter"), 3),
    Product("Azure", "/openai/v1", "my-deployment", "as OpenAI, but the deployment's name does not say which model it is",
            "a reply that is all thoughts raises the limit once; `max_completion_tokens` after one refusal",
            refuses(lambda c: "max_tokens" in c.body, "400 Bad Request",
                    UNSUPPORTED,
                    thinks_until(1500), param="max_tokens", code="unsupported_parameter"), 3),
    Product("Ollama", "/v1", "qwen3:4b", "a thinking model spends the whole limit on `reasoning`",
            "the limit is raised once, by 6,000 tokens", thinks_until(900, reasoning="Okay, the user wants"), 2),
    Product("vLLM", "/v1", "google/gemma-2-9b-it", "the chat template has no system role (400)",
            "the rules go into the user message",
            refuses(lambda c: "system" in c.roles, "400 Bad Request", "System role not supported", well), 2),
    Product("vLLM, R1", "/v1", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "the template opens `<think>`, the reply closes it",
            "all up to `</think>` is thought", says(_draft), 1),
    Product("llama.cpp", "/v1", "gemma", "500 on a JSON schema (\"failed to parse grammar\")", "asked in tags",
            refuses(lambda c: c.structured, "500 Internal Server Error", "failed to parse grammar", well, type="server_error"),
            2, "tags"),
    Product("LM Studio", "/v1", "qwen2.5-7b-mlx", "the schema is ignored: prose around fenced JSON, behind a byte order mark",
            "the JSON object is found in the text", says(_fenced, before="\ufeff"), 1),
    Product("OpenRouter", "/api/v1", "deepseek/deepseek-r1", "keep-alive lines before the JSON; errors with status 200",
            "the lines are skipped; the error counts as its own code, and is tried again", _openrouter, 1),
    Product("DeepSeek", "", "deepseek-reasoner", "blank lines keep the connection; `json_schema` is refused; thoughts in "
            "`reasoning_content`", "asked in tags; thoughts are left out",
            refuses(lambda c: c.structured, "400 Bad Request", "This response_format type is unavailable now",
                    says(lambda c: c.teaching(*c.lessons), before="\n" * 40, reasoning_content="<rationale>no</rationale>")),
            2, "tags"),
    Product("Gemini-compatible", "/v1beta/openai", "gemini-flash", "errors come as a list; a reply that is all thoughts has no "
            "`content`; thoughts are counted in `total_tokens` alone",
            "asked in tags; the limit is raised once; the total is what is billed", _gemini_without_content, 3, "tags"),
    Product("Mistral", "/v1", "magistral-small", "content in parts, thoughts among them", "the text parts are read",
            says(_parts), 1),
    Product("a proxy with a stream", "/v1", "m", "a stream (`data:` lines), though none was asked for", "the chunks are joined",
            lambda call: _streams(call), 1),
    Product("any small model", "/v1", "m", "LaTeX with single backslashes inside JSON", "the LaTeX is kept as text",
            says(_latex), 1),
]  # fmt: skip


async def _streams(call: Call) -> None:
    text = call.teaching(*call.lessons)
    chunks = [{"choices": [{"delta": {"content": text[i : i + 20]}}]} for i in range(0, len(text), 20)]
    last = [{"choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50}}]  # fmt: skip
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, *last]]
    body = "".join([": keep-alive\n\n", "data: : keepalive\n\n", *lines, "data: [DONE]\n\n"])
    await call.raw(body.encode(), kind="text/event-stream")


def matrix() -> str:
    """PRODUCTS as a table, for tests/README.md."""
    head = ["| endpoint | quirk | what the teacher does | requests for the first question |", "|---|---|---|---|"]
    return "\n".join([*head, *(f"| {p.name} | {p.quirk} | {p.answer} | {p.first} |" for p in PRODUCTS)])
