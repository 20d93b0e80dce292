"""Real endpoints differ: each product's quirks, played on loopback. And what hostile ones bill, send and ask for."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
import warnings
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import openai
import pytest

from fake_endpoint import PRODUCTS, Call, Handler, Product, Server, refuses, says, thinks_until, well
from l2r_lite.loop import lessons
from l2r_lite.loop.errors import ConfigError, TeacherError
from l2r_lite.loop.lessons import Feedback
from l2r_lite.loop.records import Mistake
from l2r_lite.runs.run import USUAL
from l2r_lite.teachers import endpoint, wire
from l2r_lite.teachers.cost import Price, most_prompt_tokens
from l2r_lite.teachers.dialect import UNREADABLE, known_to_think
from l2r_lite.teachers.endpoint import read_refusal, read_reply
from l2r_lite.teachers.openai_teacher import FAILURES, THINKING, OpenAITeacher
from l2r_lite.teachers.prompt import read_teaching
from test_openai_teacher import mistakes

PRICE = Price(0.15, 0.60)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2r_lite.teachers.endpoint.PAUSE", 0.001)
    monkeypatch.delenv(THINKING, raising=False)


def teach(server: Server, asked: list[Mistake], model: str = "m", **options: Any) -> tuple[Feedback, OpenAITeacher]:
    teacher = OpenAITeacher(model, base_url=server.url, **{"seconds": 10.0, "concurrency": 4, **options})
    return lessons.make_lessons(teacher, asked, 2, read=USUAL.read, verify=USUAL.verify, progress=False), teacher


# --- the matrix ---


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_a_products_quirks_are_found_out_once_and_remembered(product: Product, tmp_path: Path) -> None:
    asked, file = mistakes(8), tmp_path / "replies.jsonl"
    with Server(product.handler, base=product.base) as server:
        feedback, teacher = teach(server, asked[:4], product.model, cache=file, concurrency=1)
        retried = product.name == "OpenRouter"
        assert [len(feedback.lessons), feedback.rejections, server.count] == [8, [], product.first + 3 + retried]
        assert teacher.form == product.form and teacher.meter.calls == server.count
        feedback, teacher = teach(server, asked[4:], product.model, cache=file)
        assert len(feedback.lessons) == 8 and server.count == product.first + 7 + retried, "it was found out again"
        feedback, teacher = teach(server, asked, product.model, cache=file)
        assert len(feedback.lessons) == 16 and teacher.meter.calls == 0 and teacher.meter.cached == 8


def test_openai_itself_is_asked_for_completion_tokens_from_the_first_call_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    with Server() as server:
        monkeypatch.setattr("l2r_lite.teachers.openai_teacher.OPENAI", server.url)
        teacher = OpenAITeacher("gpt-4o-mini")
        assert list(teacher.teach(mistakes(1), 2))[0].rationales
        assert server.calls[0]["max_completion_tokens"] == 200 + 2 * 2 * 96 and "max_tokens" not in server.calls[0]


def test_how_an_endpoint_is_asked_does_not_change_what_the_cache_knows_a_question_by(tmp_path: Path) -> None:
    """A cache that one server filled in the usual words answers for the same address when it wants others."""
    file = tmp_path / "replies.jsonl"
    quirks = PRODUCTS[0].handler
    changing: list[Handler] = [well]

    async def handler(call: Call) -> None:
        await changing[0](call)

    with Server(handler) as server:
        teach(server, mistakes(4), cache=file)
        changing[0] = quirks
        count = server.count
        feedback, teacher = teach(server, mistakes(5), cache=file)
        assert len(feedback.lessons) == 10 and teacher.meter.cached == 4
        assert server.count == count + 4  # limit, system role, thoughts: the four requests of the new question


def test_an_endpoint_whose_ways_have_changed_is_found_out_again(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    with Server(refuses(lambda c: c.structured, "400 Bad Request", "no", well)) as server:
        _, teacher = teach(server, mistakes(1), cache=file)
        assert teacher.form == "tags"
        server.handler = refuses(lambda c: "max_tokens" in c.body, "422 x", "extra_forbidden: max_tokens", well)
        feedback, _ = teach(server, mistakes(6), cache=file)
        assert len(feedback.lessons) == 12


@pytest.mark.parametrize("what", ["response_format", "max_tokens", "system", "all of it"])
def test_a_refusal_that_names_nothing_is_found_out_by_trying(what: str) -> None:
    tests: dict[str, Callable[[Call], bool]] = {
        "response_format": lambda c: c.structured, "max_tokens": lambda c: "max_tokens" in c.body,
        "system": lambda c: "system" in c.roles,
    }  # fmt: skip
    refused = [tests[what]] if what in tests else list(tests.values())
    with Server(refuses(lambda c: any(test(c) for test in refused), "400 Bad Request", "bad request", well)) as server:
        feedback, _ = teach(server, mistakes(3), concurrency=1)
        assert len(feedback.lessons) == 6 and server.count <= 7


def test_a_refusal_of_one_question_is_no_quirk_of_the_endpoint() -> None:
    """Azure's content filter answers 400; a question that is too long, too."""

    async def handler(call: Call) -> None:
        if call.number == 2:
            message = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
            await call.raw(json.dumps({"error": {"message": message, "code": "content_filter"}}).encode(), "400 Bad Request")
        elif call.number == 3:
            await call.error("400 Bad Request", "This model's maximum context length is 64 tokens; reduce max_tokens")
        else:
            await well(call)

    with Server(handler) as server:
        feedback, teacher = teach(server, mistakes(5), concurrency=1)
        assert [r.reason for r in feedback.rejections] == ["refusal", "request refused (400)"]
        assert len(feedback.lessons) == 10 and teacher.form == "json" and server.count == 7  # two second tries


# --- models that think ---


def test_names_of_models_that_think() -> None:
    for name in ("o1", "o3-mini", "openai/o4-mini", "gpt-5-nano", "openrouter/openai/gpt-5.1", "deepseek/deepseek-r1:free",
                 "DeepSeek-R1-Distill-Qwen-7B", "deepseek-reasoner", "qwen/qwq-32b", "gpt-oss:20b", "Magistral-Small-2506",
                 "Qwen3-4B-Thinking-2507", "phi-4-reasoning"):  # fmt: skip
        assert known_to_think(name), name
    for name in ("gpt-4o", "gpt-4o-mini", "llama3.2", "mistral-small", "Qwen2.5-7B-Instruct", "SmolLM2-135M-Instruct", "foo1"):
        assert not known_to_think(name), name


def test_a_model_that_needs_more_than_the_usual_thoughts_costs_two_questions_and_then_tells_what_to_set() -> None:
    """Before, each of 30 questions was paid for: 12,720 tokens and no lesson."""
    with Server(thinks_until(20_000, reasoning="hm")) as server:
        with pytest.raises(TeacherError, match=rf"cut off at the token limit.*tokens were paid.*{THINKING} \(now 6,000\)"):
            teach(server, mistakes(30), max_tokens=56)
        assert server.count == 3


def test_the_knob_for_thoughts_is_taken_from_the_environment_or_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(thinks_until(20_000)) as server:
        monkeypatch.setenv(THINKING, "24000")
        feedback, _ = teach(server, mistakes(3))
        assert len(feedback.lessons) == 6 and server.count == 3
        feedback, teacher = teach(server, mistakes(3), thinking_tokens=30_000)
        assert len(feedback.lessons) == 6 and server.count == 6 and teacher.meter.lost == 0
    for bad in ("-1", "much", "1.5", "10000000"):
        monkeypatch.setenv(THINKING, bad)
        with pytest.raises(TeacherError, match=f"{THINKING} = {bad}: must be a whole number"):
            OpenAITeacher("m", base_url="http://localhost:1/v1")


def test_good_replies_under_a_smaller_limit_are_not_paid_for_again(tmp_path: Path) -> None:
    """Some questions take no thought; the first that does raises the limit for all."""
    file = tmp_path / "replies.jsonl"

    async def sometimes(call: Call) -> None:
        await (thinks_until(900)(call) if "p3" in call.data.get("wrong_rationale", "") else well(call))

    with Server(sometimes) as server:
        feedback, teacher = teach(server, mistakes(4), cache=file, concurrency=1)
        assert len(feedback.lessons) == 8 and server.count == 5 and teacher.thinks
        _, teacher = teach(server, mistakes(4), cache=file)
        assert server.count == 5 and teacher.meter.cached == 4 and teacher.thinks


def test_a_limit_that_the_model_has_no_room_for_is_told() -> None:
    handler = refuses(lambda c: c.limit > 4000, "400 Bad Request",
                      "'max_tokens' is too large: 6584. This model's maximum context length is 4096 tokens", well)  # fmt: skip
    with Server(handler) as server:
        with pytest.raises(TeacherError, match=rf'The endpoint says: "\'max_tokens\' is too.*fewer tokens.*{THINKING}'):
            teach(server, mistakes(9), "org/o3-like")
        assert server.count == 5
        feedback, _ = teach(server, mistakes(5), "org/o3-like", thinking_tokens=1000)
        assert len(feedback.lessons) == 10


def test_what_is_paid_for_and_lost_is_said_before_the_second_hundred_calls() -> None:
    async def rambles(call: Call) -> None:
        await (well(call) if call.number == 1 or call.number % 3 == 0 else call.say("Sure!", usage=(300, 100)))

    said_at: list[int] = []
    with Server(rambles) as server, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        teacher = OpenAITeacher("m", base_url=server.url, concurrency=2)
        for _ in teacher.teach(mistakes(200), 2):
            if told and not said_at:
                said_at.append(teacher.meter.calls)
    assert 10 <= said_at[0] < 100 and len(told) == 1
    assert "10 of" in str(told[0].message) and "4,000 tokens were paid for them" in str(told[0].message)
    lost = teacher.meter.lost
    assert 100 < lost < 150 and f"{lost} replies without a rationale ({400 * lost:,} tokens)" in str(teacher.meter)


# --- the form of a reply ---

GOOD = "3 + 4 = 7. The answer is 7."
JSON = json.dumps({"first_wrong_step": "a", "why": "b", "rationales": [GOOD]})


@pytest.mark.parametrize("text", [
    f"Here it is:\n```json\n{JSON}\n```", f"```JSON\n{JSON}\n```\nI hope this helps.", f"Sure: {JSON} Anything else?",
    f"~~~\n{JSON}\n~~~", f"hm</think>\n{JSON}", f"<think>a <think>b</think> c</think>{JSON}",
    f"<thinking>{{}}</thinking>{JSON}", f"[THINK]hm[/THINK]{JSON}", f"{JSON}\n</think>", f"\ufeff{JSON}",
    f"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{JSON}", f"[{JSON}]",
    f'{{"lesson": {JSON}}}',
    f"The set {{1, 2}}, \\frac{{1}}{{2}}: {JSON}",
    JSON.replace(". The", ".\\u0020The"), f'<think>{{"rationales": ["no"]}}</think>{JSON}',
])  # fmt: skip
def test_the_object_is_found_whatever_is_around_it(text: str) -> None:
    assert read_teaching(text) == ("a", "b", [GOOD])


@pytest.mark.parametrize(("written", "read"), [
    (r"\(3 + 4 = 7\). The answer is 7.", r"\(3 + 4 = 7\). The answer is 7."),
    (r"\[3 \times 4 = 12\]", r"\[3 \times 4 = 12\]"), (r"\frac{1}{2} \neq 3 \rightarrow", r"\frac{1}{2} \neq 3 \rightarrow"),
    (r"\boxed{7}, \text{so} 7\%", r"\boxed{7}, \text{so} 7\%"), (r"\underline{7} \$5", r"\underline{7} \$5"),
    (r"\\(3 + 4 = 7\\)", r"\(3 + 4 = 7\)"), (r"3 + 4\n= 7.\nNext, e.g.\ne.g. 7", "3 + 4\n= 7.\nNext, e.g.\ne.g. 7"),
    (r"a\tb \"c\" \/ \u00bd", "a\tb \"c\" / ½"), ("a\nb", "a\nb"), (r"\u00", r"\u00"), (r"\ud800x", "?x"),
])  # fmt: skip
def test_a_backslash_of_latex_is_text_and_an_escape_of_json_is_not(written: str, read: str) -> None:
    text = f'{{"first_wrong_step": "a", "why": "b", "rationales": ["{written}"]}}'
    assert read_teaching(text) == ("a", "b", [read])


def test_hostile_text_takes_no_quadratic_time() -> None:
    for piece in ('{"', '{"a":', '{"a":[', '"rationales"', '{"rationales"', "\\", "{ ", "</think>", '{"rationales": [', "\\t{"):
        began = time.process_time()
        read_teaching(piece * (200_000 // len(piece)))
        assert time.process_time() - began < 3, piece


def test_parts_thoughts_and_keep_alive_lines_of_a_body() -> None:
    def heard(content: Any, before: str = "", **more: Any) -> Any:
        return read_reply((before + json.dumps({"choices": [{"message": {"content": content, **more}}]})).encode())

    assert heard(["a", "b"]).text == "ab"
    assert heard([{"type": "text", "text": "a"}, {"type": "reasoning", "text": "no"}]).text == "a"
    assert heard([{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]}, "a"]).text == "a"
    assert heard({"type": "text", "text": "a"}).text == "a"
    assert heard({"rationales": ["a"]}).text == '{"rationales": ["a"]}'
    assert heard("a", before="\ufeff\n\n: PROCESSING\n\n").text == "a"
    assert heard("", reasoning_content="b").fault == "empty reply" and heard("", reasoning_content="b").thoughts == "b"
    assert heard("a\ud800\0b").text == "a?b"
    for deep in ([[[[[[["a"]]]]]]], [{"text": {"text": {"text": {"text": {"text": "a"}}}}}]):
        assert heard(deep).fault == "empty reply"
    assert read_reply(b"data: [1]\n").fault and read_reply(b"data: {\n").fault == "not JSON"


def test_a_reply_that_came_as_thoughts_alone_is_read() -> None:
    """vLLM with a reasoning parser and a schema."""

    async def handler(call: Call) -> None:
        await call.say(None, reasoning_content=call.teaching(*call.lessons))

    with Server(handler) as server:
        assert len(teach(server, mistakes(3))[0].lessons) == 6


def test_what_an_earlier_version_paid_for_and_could_not_read_is_not_paid_for_again(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    with Server() as server:
        teach(server, mistakes(2), cache=file)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for entry in lines:
            if "text" in entry:
                entry |= {"text": f"Here:\n```json\n{entry['text']}\n```", "rationales": [], "fault": UNREADABLE}
        file.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
        feedback, teacher = teach(server, mistakes(2), cache=file)
        assert len(feedback.lessons) == 4 and teacher.meter.calls == 0


def test_a_strangers_cache_with_fields_of_another_kind_ends_no_run(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    with Server() as server:
        teach(server, mistakes(3), cache=file)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        fields = [{"rationales": 3, "text": None}, {"rationales": [1, "\ud800 The answer is 5.", None]}, {"fault": ["x"]}]
        strange, asked = iter(fields), {"form": 7, "limit": [], "system": "x"}
        lines = [entry | (next(strange) if "text" in entry else asked) for entry in lines]
        file.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
        feedback, _ = teach(server, mistakes(3), cache=file)
        assert len({x.problem_id for x in feedback.lessons}) >= 1


# --- refusals ---


@pytest.mark.parametrize(("status", "message", "told"), [
    (307, "", "redirects to another address"), (402, "Insufficient Balance", "no credit left"),
    (429, "You exceeded your current quota (insufficient_quota)", "no credit left"), (405, "", "no such model, or no chat"),
    (400, "foo is not a valid model ID", "no such model"), (403, "no", "the key is refused"),
])  # fmt: skip
def test_what_no_call_can_change_stops_the_run_at_once(status: int, message: str, told: str) -> None:
    async def handler(call: Call) -> None:
        await call.error(f"{status} x", message, Location="http://127.0.0.1:1/elsewhere")

    with Server(handler) as server, pytest.raises(TeacherError, match=told):
        teach(server, mistakes(9))
    assert server.count == 1


def test_the_endpoints_own_words_are_shown_without_any_part_of_the_key() -> None:
    key = "sk-planted-8f14e45fceea167a"
    for message, shown in (("tokenizer file is missing", True), (f"bad {key[:9]}…", False), (f"Bearer {key}", False)):
        with Server(refuses(lambda c: True, "400 Bad Request", message, well)) as server:
            with pytest.raises(TeacherError, match="the first 5 questions") as caught:
                teach(server, mistakes(9), key=key)
        assert (message in str(caught.value)) == shown and key[:9] not in str(caught.value)


def test_a_403_of_a_moderator_is_one_refusal() -> None:
    heard = read_refusal(403, b'{"error": {"code": 403, "message": "requires moderation; your input was flagged"}}')
    assert heard.fault == "refusal" and not heard.hopeless


def test_after_some_failures_in_a_row_the_run_stops_with_a_sentence() -> None:
    """Before, 239 questions were asked three times each, for 42 seconds."""

    async def handler(call: Call) -> None:
        await (well(call) if call.number <= 20 else call.error("504 Gateway Timeout"))

    with Server(handler) as server:
        with pytest.raises(TeacherError, match=rf"{FAILURES} calls in a row .* server error \(504\).*Resume when"):
            teach(server, mistakes(1000), concurrency=8)
        assert server.count < 20 + 3 * (FAILURES + 8)


def test_one_failure_in_between_stops_nothing() -> None:
    async def handler(call: Call) -> None:
        await (well(call) if call.number % 4 else call.error("504 Gateway Timeout"))

    with Server(handler) as server:
        assert len(teach(server, mistakes(200), concurrency=8)[0].lessons) == 400


def test_all_calls_wait_when_the_server_asks_one_of_them_to() -> None:
    refused_at: list[float] = []
    next_at: list[float] = []

    async def handler(call: Call) -> None:
        if call.number == 5:
            refused_at.append(time.monotonic())
            await call.error("429 Too Many Requests", Retry_After="1")
        else:
            if refused_at:
                next_at.append(time.monotonic())
            await asyncio.sleep(0.05)
            await well(call)

    with Server(handler) as server:
        assert len(teach(server, mistakes(12), concurrency=4)[0].lessons) == 24
    late = [at - refused_at[0] for at in next_at]
    assert sum(at < 0.8 for at in late) <= 3, "more than those that were in flight"


# --- money ---


class RandomServer(httpx2.AsyncBaseTransport):
    """Bills up to the worst of every request, and then answers whatever chance will have it, or not at all."""

    def __init__(self, rng: random.Random, price: Price) -> None:
        self.rng, self.price, self.billed, self.requests = rng, price, 0.0, 0
        self.kinds = rng.sample(range(18), rng.randint(1, 18))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        rng, body = self.rng, json.loads(request.content)
        self.requests += 1
        for _ in range(rng.randint(0, 3)):
            await asyncio.sleep(0)
        kind = rng.choice(self.kinds)
        if kind == 0:  # no connection, so no bill
            cause = aiohttp.ClientConnectorError(None, OSError())  # type: ignore[arg-type]
            raise httpx2.ConnectError("no") from cause
        form = json.dumps(body.get("response_format", ""))
        prompt = rng.randint(1, most_prompt_tokens(body["messages"]) + len(form))
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        written = rng.choice([limit, rng.randint(1, limit)])
        self.billed += self.price.of(prompt, written)
        usage = {"prompt_tokens": prompt, "completion_tokens": written}
        text = rng.choice(["<rationale>It is so. The answer is 5.</rationale>", "Sure!", "", '{"rationales": ["a"]}'])
        finish = rng.choice(["stop", "length", "content_filter"])
        good = {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}
        if kind == 1:
            raise httpx2.ReadError("dropped")
        if kind == 2:
            raise httpx2.ReadTimeout("late") from TimeoutError()
        if kind == 3:
            raise aiohttp.ClientResponseError(None, ())  # type: ignore[arg-type]
        if kind == 4:
            raise ValueError("a client with a bug")
        if kind == 5:
            unknown = rng.choice([None, {}, {"prompt_tokens": 0, "completion_tokens": 0}, "x", {"total_tokens": 1}])
            return httpx2.Response(200, json={**good, "usage": unknown})
        if kind == 6:
            status = rng.choice([301, 307, 400, 401, 402, 403, 404, 405, 408, 409, 418, 422])
            return httpx2.Response(status, json={"error": "no"})
        if kind == 7:
            return httpx2.Response(429, headers={"retry-after": rng.choice(["0", "-1", "0.001", "x", "7200", "nan"])})
        if kind == 8:
            return httpx2.Response(rng.choice([500, 502, 503, 504, 529]), text="oops")
        if kind == 9:
            message = rng.choice(["max_tokens", "system role", "response_format"])
            return httpx2.Response(400, json={"error": {"message": message}})
        if kind == 10:
            return httpx2.Response(200, content=gzip.compress(b" " * 2_000_000), headers={"content-encoding": "gzip"})
        if kind == 11:
            return httpx2.Response(200, content=rng.choice([b"", b"{", b"\xff", b"[]", b"<html>", b'{"error": {"code": 500}}']))
        if kind == 12:
            return httpx2.Response(200, stream=Broken())
        return httpx2.Response(200, json=good)


class Broken(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"choices": ['
        raise httpx2.ReadError("dropped midway")


def against_random_servers(seeds: range, monkeypatch: pytest.MonkeyPatch) -> tuple[float, int]:
    monkeypatch.setattr(endpoint, "PAUSE", 0.0)
    shares, requests = [], 0
    asked = mistakes(6)
    for seed in seeds:
        rng = random.Random(seed)
        price = Price(rng.choice([0, 0.15, 10 * rng.random()]), rng.choice([0, 0.6, 30 * rng.random()]))
        limit = rng.choice([0.0, 0.001, 0.01, 0.1]) * rng.random() * 10
        server = RandomServer(rng, price)
        monkeypatch.setattr(openai, "DefaultAioHttpClient",
                            lambda server=server, **options: httpx2.AsyncClient(transport=server, **options))  # fmt: skip
        teacher = OpenAITeacher(rng.choice(["m", "org/o3-x"]), base_url="http://localhost:1/v1", budget=limit, price=price,
                                concurrency=rng.randint(1, 6), max_tokens=rng.choice([16, 96]))  # fmt: skip
        try:
            list(teacher.teach(asked, rng.randint(1, 3)))
        except TeacherError:
            pass
        assert server.billed <= teacher.budget.spent + 1e-9, seed
        assert teacher.budget.spent <= limit + 1e-9 and teacher.budget.in_flight == 0, seed
        assert teacher.meter.calls == server.requests, seed
        assert teacher.meter.dollars is None or abs(teacher.meter.dollars - teacher.budget.spent) < 1e-6, seed
        requests += server.requests
        shares.append(server.billed / limit if limit else 0.0)
    return max(shares), requests


def test_no_server_bills_more_than_the_budget_whatever_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    most, requests = against_random_servers(range(150), monkeypatch)
    assert most > 0.5 and requests > 300, "the servers are too harmless for this test to show anything"


@pytest.mark.slow
def test_none_of_ten_thousand_servers_bills_more_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    most, requests = against_random_servers(range(1000, 11_000), monkeypatch)
    print(f"{requests} requests; the most that was billed: {most:.4f} of the budget")
    assert most > 0.9


@pytest.mark.parametrize("fault", ["drops", "504", "429", "drops twice, then answers"])
def test_a_server_that_bills_and_then_fails_stays_within_the_budget(fault: str) -> None:
    """Before: $0.1384 billed of a budget of $0.02 (drops twice), $0.0915 (429), and a meter at $0.00."""
    billed, times = [0.0], dict[str, int]()

    async def handler(call: Call) -> None:
        prompt = sum(len(m["content"]) // 4 for m in call.body["messages"])
        question = call.data["question"]
        times[question] = times.get(question, 0) + 1
        good = call.number == 1 or (fault.startswith("drops twice") and times[question] % 3 == 0)
        billed[0] += PRICE.of(100, 50) if good else PRICE.of(prompt, call.limit)
        if good:
            await well(call)
        elif fault.startswith("drops"):
            call.writer.transport.abort()
        else:
            await call.error(f"{fault} x")

    with Server(handler) as server:
        feedback, teacher = teach(server, mistakes(60), budget=0.02, price=PRICE, concurrency=8)
    assert teacher.out_of_budget and feedback.without["budget"] > 0
    assert 0.005 < billed[0] <= teacher.budget.spent <= 0.02 and teacher.meter.calls == server.count
    assert f"(${teacher.meter.assumed:.4f} of it for calls without a bill)" in str(teacher.meter)


def test_a_server_that_writes_beyond_the_limit_is_expected_to_do_so_again() -> None:
    with Server(says(lambda c: c.teaching(*c.lessons), usage=(100, 20_000))) as server:
        with pytest.warns(UserWarning, match="more than its token limit allows"):
            _, teacher = teach(server, mistakes(40), budget=0.10, price=PRICE, concurrency=1)
        assert server.count * PRICE.of(100, 20_000) <= 0.10 + PRICE.of(100, 20_000) and teacher.out_of_budget


def test_a_refused_connection_costs_nothing() -> None:
    with Server() as server:
        url = server.url
    teacher = OpenAITeacher("m", base_url=url, budget=1.0, price=PRICE)
    with pytest.raises(TeacherError, match="nothing answers"):
        list(teacher.teach(mistakes(5), 1))
    assert teacher.budget.spent == 0 and teacher.meter.assumed == 0


# --- what a server may send ---


def test_a_small_reply_does_not_become_a_large_memory_nor_a_large_cache(tmp_path: Path) -> None:
    """292 KB became 1.4 GB of memory and a cache line of 300 MB."""
    text = b'{"choices": [{"message": {"content": "' + b"A" * 30_000_000 + b'"}}], "usage": {"prompt_tokens": 5}}'
    bomb = gzip.compress(text)

    async def handler(call: Call) -> None:
        await (well(call) if call.number != 2 else call.raw(bomb, Content_Encoding="gzip"))

    with Server(handler) as server:
        feedback, _ = teach(server, mistakes(4), cache=tmp_path / "c.jsonl", concurrency=1)
    assert len(bomb) < 50_000 and [r.reason for r in feedback.rejections] == ["reply too large"]
    assert len(feedback.lessons) == 8 and (tmp_path / "c.jsonl").stat().st_size < 10_000


def test_a_reply_is_unpacked_up_to_the_limit_only() -> None:
    async def read_async(data: bytes, encoding: str) -> int:
        class Sent(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for i in range(0, len(data), 16_384):
                    yield data[i : i + 16_384]

        response = httpx2.Response(200, headers={"content-encoding": encoding}, stream=Sent())
        await wire._cap(response)
        return len(await response.aread())

    def read(data: bytes, encoding: str) -> int:  # a thread of its own: a browser test may have left a loop running here
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, read_async(data, encoding)).result()

    fits, large = b" " * wire.LARGEST_REPLY, b" " * (wire.LARGEST_REPLY + 1)
    assert read(gzip.compress(fits), "gzip") == read(fits, "identity") == wire.LARGEST_REPLY
    for data, encoding in ((gzip.compress(large), "gzip"), (large, "identity"), (gzip.compress(b" " * 300_000_000), "gzip")):
        with pytest.raises(wire.TooLarge):
            read(data, encoding)
    for data, encoding in ((fits, "br"), (fits, "gzip, gzip"), (fits[:5], "gzip")):
        with pytest.raises(httpx2.DecodingError):
            read(data, encoding)


@pytest.mark.parametrize("status", ["200 OK", "500 x", "400 x"])
@pytest.mark.parametrize("kind", ["a huge header", "many headers", "a lone surrogate", "a lone surrogate in JSON in JSON"])
def test_one_bad_reply_ends_no_run(kind: str, status: str, tmp_path: Path) -> None:
    texts = {"a lone surrogate": "<rationale>\ud800 The answer is 5.</rationale>",
             "a lone surrogate in JSON in JSON": '{"rationales": ["\\ud800 The answer is 5."], "why": "\\udfff"}'}  # fmt: skip
    body = json.dumps({"choices": [{"message": {"content": texts.get(kind, "")}}], "usage": {"prompt_tokens": 5}}).encode()
    headers = {"a huge header": {"X": "a" * 100_000}, "many headers": {f"X{i}": "a" * 1000 for i in range(1000)}}.get(kind, {})

    async def handler(call: Call) -> None:
        await (well(call) if call.number not in (2, 3, 4) else call.raw(body, status, **headers))

    with Server(handler) as server:
        feedback, _ = teach(server, mistakes(6), cache=tmp_path / "c.jsonl", concurrency=1)
    assert len({x.problem_id for x in feedback.lessons}) >= 5
    (tmp_path / "c.jsonl").read_text(encoding="utf-8")


def test_a_problem_with_half_a_character_can_be_asked_about() -> None:
    asked = [Mistake(m.problem, "\ud800" + m.rationale, m.answer) for m in mistakes(2)]
    with Server() as server:
        assert len(teach(server, asked)[0].lessons) == 4


# --- addresses ---


@pytest.mark.parametrize("address", [
    "https://host/v1?api-key=SECRET", "https://host/v1#SECRET", "user:SECRET@host/v1", "https://user:SECRET@host/v1",
    "https://host/v1;key=SECRET", "https://host/v1%3Fkey=SECRET", "https://SECRET@host", "host/v1", "ftp://host/v1", "",
    "javascript:alert(1)", "file:///etc/passwd", "http://host:0/v1", "http://host:99999/v1", "http://host:/v1", "http://host:x/v1",
    "http:///v1", "http://", "//host/v1", "http://host/v 1", "http://host/v1\n", "\thttp://host/v1", "http://host\\v1", "http://[::1/v1",
])  # fmt: skip
def test_an_address_is_scheme_host_port_and_path(address: str) -> None:
    with pytest.raises(ConfigError, match=r"give scheme, host, port and path only .*L2R_API_KEY") as caught:
        OpenAITeacher("m", base_url=address)
    assert "SECRET" not in str(caught.value)


def test_usual_addresses_are_taken() -> None:
    for address in ("http://localhost:11434/v1", "http://127.0.0.1:8000/v1/", "http://[::1]:8000/v1", "https://api.deepseek.com",
                    "https://name.openai.azure.com/openai/v1/", "https://generativelanguage.googleapis.com/v1beta/openai/",
                    "https://openrouter.ai/api/v1", "http://my_box.local:1234/v1"):  # fmt: skip
        OpenAITeacher("m", base_url=address)


def test_an_address_that_no_client_can_use_is_one_sentence() -> None:
    with pytest.raises(TeacherError, match="no server can have the address"):
        list(OpenAITeacher("m", base_url="http://[:::::]/v1").teach(mistakes(1), 1))
