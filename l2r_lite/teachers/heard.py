"""What an endpoint answered: a text, or a named reason why there is none.

Servers differ. A body may begin with keep-alive lines or a byte order mark, or come as a stream
that nobody asked for; a text may come in parts, some of them the model's thoughts; an error may
come with status 200. What a refusal names tells how the endpoint wants to be asked (dialect.py).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from l2r_lite.teachers.cost import Price

CUT_OFF = "cut off at the token limit"
LONGEST_TEXT = 200_000  # characters; longer ones are refused, not kept
_THOUGHTS = ("reasoning", "thinking", "thought")
# What a refusal may be about, in the order of precision: a long message may repeat the request.
_ABOUT = {
    "length": r"max\w*_tokens\b.{0,60}(too large|at most|valid range|less than|exceed)|"
              r"context (length|window)|too many tokens",
    "limit": r"max(_completion)?_tokens",
    "system": r"\bsystem\W{1,3}(role|message|prompt|instruction)|role.{0,60}\bsystem\b|"
              r"\bsystem\b.{0,60}\brole|developer instruction|roles must alternate|"
              r"only user and assistant",
    "schema": r"response_?format|schema|grammar|structured output|json mode|requested parameters",
}


@dataclass(frozen=True)
class Heard:
    """What came back from one attempt: a text, or a fault."""

    text: str = ""
    fault: str = ""
    prompt_tokens: int | None = None  # as the endpoint counts them; None if it does not say
    completion_tokens: int | None = None
    status: int = 200  # of HTTP; 0 if there was no answer
    thoughts: str = ""  # what the model wrote before its text, if the endpoint shows it
    thinks: bool = False  # the model thinks before it writes, shown or not
    refuses: str = ""  # the part of the request that a refusal names: a key of _ABOUT
    hopeless: str = ""  # no call can succeed: "key", "credit", "model" or "redirect"
    said: str = ""  # a refusal in the endpoint's own words, which may repeat the key
    sent: bool = True  # False: there was no connection, so that nothing can be billed
    again: float | None = None  # another attempt may help, after so many seconds; None: it won't

    def cost(self, price: Price | None) -> float | None:
        """US dollars: 0 without a price or a connection, None if it is unknown.

        Only a reply says what it cost. A refusal or a broken connection may be billed too.
        """
        if price is None or not self.sent:
            return 0.0
        if not self.prompt_tokens or not self.completion_tokens:
            return None
        return price.of(self.prompt_tokens, self.completion_tokens)


def read_reply(body: bytes) -> Heard:
    """The text in the body of a chat completion, or the reason why there is none."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Heard(fault="not UTF-8")
    try:
        data = _data(text)
    except (ValueError, RecursionError):
        page = text.lstrip()[:1] == "<"
        return Heard(fault="a web page instead of an answer" if page else "not JSON")
    except (AttributeError, KeyError, IndexError, TypeError):
        return Heard(fault="JSON of another shape")
    try:
        if isinstance(data, dict) and data.get("error") and not data.get("choices"):
            return _late_refusal(data["error"])
        choice = data["choices"][0]
        message, finish = choice["message"], str(choice.get("finish_reason")).lower()
        refusal, tools = message.get("refusal"), message.get("tool_calls")
        if choice.get("error"):
            return _late_refusal(choice["error"])
        said, thoughts = _parts(message.get("content"))
        thoughts += "".join(_words(message.get(f"{name}{more}"))
                            for name in _THOUGHTS for more in ("", "_content"))
    except (KeyError, IndexError, TypeError, AttributeError):
        return Heard(fault="JSON of another shape")
    usage = data.get("usage")
    heard = Heard("", "", *_tokens(usage), thoughts=clean(thoughts)[:LONGEST_TEXT])
    thinks = bool(thoughts) or _hidden_thoughts(usage) or "think>" in said
    if refusal or finish == "content_filter":
        return replace(heard, fault="refusal")
    if finish in ("length", "max_tokens"):
        return replace(heard, fault=CUT_OFF, thinks=thinks or not said.strip())
    if len(said) > LONGEST_TEXT:
        return replace(heard, fault="reply too large")
    said = clean(said)
    if not said.strip():
        fault = "tool call instead of text" if tools else "empty reply"
        return replace(heard, fault=fault, thinks=thinks)
    return replace(heard, text=said, thinks=thinks)


def read_refusal(status: int, body: bytes) -> Heard:
    """Why a request was refused, and what would help, from the status and body of the answer."""
    said = _message(body)
    if status == 429 and re.search("insufficient.quota|exceeded your current quota", said, re.I):
        return Heard(fault="no credit left (429)", status=status, hopeless="credit", said=said)
    if status == 403 and re.search("moderation|flagged", said, re.I):
        return Heard(fault="refusal", status=status)
    if status in (401, 403):
        return Heard(fault=f"key refused ({status})", status=status, hopeless="key")
    if status == 402:
        return Heard(fault="no credit left (402)", status=status, hopeless="credit", said=said)
    if 300 <= status < 400:
        return Heard(fault=f"redirected ({status})", status=status, hopeless="redirect")
    if status == 429:
        return Heard(fault="rate limit (429)", status=status, again=0.0)
    about = [name for name, words in _ABOUT.items() if re.search(words, said, re.I | re.S)]
    name = "server error" if status >= 500 else "request refused"
    heard = Heard(fault=f"{name} ({status})", status=status, said=said, refuses=(*about, "")[0])
    if status >= 500 or status in (408, 409):
        return heard if heard.refuses else replace(heard, again=0.0)
    if re.search(r"content.?filter|content management policy", said, re.I):
        return replace(heard, fault="refusal", refuses="")
    unknown = re.search(r"model.?not.?found|not a valid model|model\b.{0,80}\bdoes not exist", said,
                        re.I | re.S)
    if (status in (404, 405) and heard.refuses != "schema") or (unknown and status == 400):
        return replace(heard, hopeless="model", refuses="")
    return heard


def clean(text: str) -> str:
    """Text that can be written and sent: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _data(text: str) -> Any:
    """The JSON of a body, behind keep-alive lines (blank, or starting with a colon)."""
    while (text := text.lstrip("\ufeff \t\r\n")).startswith(":"):
        text = text.partition("\n")[2]
    return _joined(text) if text.startswith("data:") else json.loads(text)


def _joined(stream: str) -> dict[str, Any]:
    """The chunks of a stream (server-sent events) as one completion."""
    lines = (line[5:].strip() for line in stream.split("\n") if line.startswith("data:"))
    content, thoughts, finish, usage = [], [], None, None
    for chunk in (json.loads(line) for line in lines if line != "[DONE]" and line[:1] != ":"):
        choice = (chunk.get("choices") or [{}])[0]
        part = choice.get("delta") or choice.get("message") or {}
        said, thought = _parts(part.get("content"))
        content.append(said)
        thoughts.append(thought + _words(part.get("reasoning_content") or part.get("reasoning")))
        finish, usage = choice.get("finish_reason") or finish, chunk.get("usage") or usage
    message = {"content": "".join(content), "reasoning": "".join(thoughts)}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _parts(content: Any) -> tuple[str, str]:
    """Text and thoughts of a message's content: text, or parts that are texts or objects."""
    if isinstance(content, dict) and "rationales" in content:  # the object itself, not its text
        return json.dumps(content, ensure_ascii=False), ""
    text: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        thought = isinstance(part, dict) and (
            str(part.get("type")).startswith(_THOUGHTS) or not {*_THOUGHTS}.isdisjoint(part))
        (thoughts if thought else text).append(_words(part))
    return "".join(text), "".join(thoughts)


def _words(part: Any, depth: int = 4) -> str:
    if isinstance(part, str) or not depth:
        return part if isinstance(part, str) else ""
    if isinstance(part, dict):
        part = [part.get(name) for name in ("text", "content", *_THOUGHTS)]
        part = next((words for words in part if words), "")
        return _words(part, depth - 1)
    return "".join(_words(p, depth - 1) for p in part) if isinstance(part, list) else ""


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    """Prompt and completion as billed. Some endpoints count hidden thoughts in the total only."""
    prompt = _count(usage, "prompt_tokens")
    completion, total = _count(usage, "completion_tokens"), _count(usage, "total_tokens")
    if prompt is not None and total is not None:
        completion = max(completion or 0, total - prompt)
    return prompt, completion


def _hidden_thoughts(usage: Any) -> bool:
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    written, billed = _count(usage, "completion_tokens"), _tokens(usage)[1]
    return bool(_count(details, "reasoning_tokens")) or (billed or 0) > (written or 0)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < 10**9 else None


def _late_refusal(error: Any) -> Heard:
    """A refusal that came with status 200, as its own status, if it has one."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    return read_refusal(status, json.dumps({"error": error}).encode())


def _message(body: bytes) -> str:
    """The words of an error, on one line: message, code and parameter, or else all of it."""
    text = body[:20_000].decode("utf-8", "replace")
    try:
        text = " ".join(_texts(json.loads(text)))
    except (ValueError, RecursionError):
        pass
    return " ".join(clean(text).split())[:2000]


def _texts(data: Any, depth: int = 4) -> Iterator[str]:
    names = ("error", "message", "detail", "msg", "loc", "code", "param", "type", "metadata", "raw")
    if isinstance(data, str):
        yield data
    elif isinstance(data, list) and depth:
        for part in data[:20]:
            yield from _texts(part, depth - 1)
    elif isinstance(data, dict) and depth:
        for name in names:
            yield from _texts(data.get(name), depth - 1)
