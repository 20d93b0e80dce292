"""A real teacher: any OpenAI-compatible endpoint, many calls at once, never over budget.

    OpenAITeacher("gpt-4o-mini", cache="teacher.jsonl", budget=1.0)     # key: OPENAI_API_KEY
    OpenAITeacher("llama3.2", base_url="http://localhost:11434/v1")     # Ollama, no key
"""

import getpass
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.protocols import Ask, Teacher
from l2r_lite.loop.records import Mistake, Problem, Reply
from l2r_lite.teachers.background import for_each, in_background
from l2r_lite.teachers.cost import Budget, Meter, Price, likely_tokens, price_of
from l2r_lite.teachers.endpoint import OPENAI, Endpoint, PaidEndpoint, public_address
from l2r_lite.teachers.prompt import read_teaching, reply_schema, teacher_messages
from l2r_lite.teachers.replies import ReplyCache, key_of

KEY, OTHER_KEY = "OPENAI_API_KEY", "L2R_API_KEY"  # OpenAI's key never goes to another address
REASONS_FIRST = ("o1", "o3", "o4", "gpt-5")  # their hidden thoughts count as completion tokens
UNREADABLE = "reply without rationales"


class OpenAITeacher(Teacher):
    """Asks an endpoint for rationales made for each mistake.

    Args:
        model: the endpoint's name for it, e.g. "gpt-4o-mini".
        base_url: address of a compatible server; None for OpenAI.
        key: None takes the environment's: OPENAI_API_KEY for OpenAI, L2R_API_KEY for others.
        cache: JSON Lines file of replies; None keeps none.
        budget: hard limit in US dollars; needs a known price.
        price: None looks the model up in prices.json.
        annotator: do not show the teacher the mistake: the paper's contrast to tailored feedback.
        max_tokens: the longest rationale that the student can write, in its tokens.
        concurrency: calls at once.
        seconds: the longest that a call may take.
        stop: asked several times a second; True ends `teach` early.

    Attributes:
        form: how this endpoint can be asked, "json" or "tags"; None until that is known.
    """

    can_revise = True

    def __init__(
        self, model: str, *, base_url: str | None = None, key: str | None = None,
        cache: str | Path | None = None, budget: float | None = None, price: Price | None = None,
        annotator: bool = False, max_tokens: int = 96, concurrency: int = 8,
        seconds: float = 120.0, stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model, self._key = model, key
        self.annotator, self.max_tokens = annotator, max_tokens
        self.concurrency, self.seconds, self.stop = concurrency, seconds, stop
        self.price = price or (price_of(model) if base_url is None else None)
        if budget is not None and self.price is None:
            raise TeacherError(
                f'teacher "openai:{model}": its price is not known, so a budget of ${budget:g} '
                "cannot be kept. Give the price in US dollars per million tokens with --price "
                "INPUT,OUTPUT (0,0 for a server of your own).")
        self.cache = ReplyCache(cache)
        self.budget, self.meter = Budget(budget), Meter()
        self.url = (base_url or OPENAI).rstrip("/")
        self._form_key = key_of(self.url, model, [], {"form": "?"})
        found = self.cache.get(self._form_key)
        self.form: str | None = found["form"] if found else None
        self._tries = 0

    @property
    def out_of_budget(self) -> bool:  # type: ignore[override]
        return self.budget.refused > 0

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        """One reply per mistake, in the order of arrival.

        Raises:
            TeacherError: no call can succeed (no key, or it is refused; no such model). Replies
                received so far are in the cache.
        """
        asks = [(mistake, ()) for mistake in mistakes]
        return in_background(lambda put: self._work(asks, count, put), self.stop)

    def teach_again(self, asks: Sequence[Ask], count: int) -> Generator[Reply]:
        """The same, and the teacher reads what was refused of its first reply, and why."""
        return in_background(lambda put: self._work(asks, count, put), self.stop)

    def plan(self, problems: Sequence[Problem], count: int) -> str:
        """What one call per problem would come to, in tokens and US dollars, before any is made.

        An estimate: mistakes as long as they can be, no second tries.
        """
        wrong = "word" * self.max_tokens
        prompt = 0
        for problem in problems:
            tried = None if self.annotator else Mistake(problem, wrong, None)
            asked = teacher_messages(problem, tried, count, self.max_tokens, form="json")
            prompt += sum(likely_tokens(message["content"]) for message in asked)
        completion = len(problems) * (40 + count * self.max_tokens)
        told = (f"{len(problems)} calls, about {prompt:,} tokens to the teacher and "
                f"{completion:,} from it")
        if self.price is None:
            return f"{told}; what {self.model} costs is not known (--price INPUT,OUTPUT)"
        return f"{told}: about ${self.price.of(prompt, completion):.2f}"

    def parameters(self, count: int, form: str) -> dict[str, Any]:
        """What is sent beside the messages. No temperature: some models refuse it."""
        limit = 200 + 2 * count * self.max_tokens
        if self.model.startswith(REASONS_FIRST):
            limit += 6000
        # max_tokens is the older name, which all other servers know.
        name = "max_completion_tokens" if self.url == OPENAI else "max_tokens"
        schema = {"response_format": reply_schema()} if form == "json" else {}
        return {name: limit, **schema}

    def _open(self) -> Endpoint:
        own = self.url == OPENAI
        variable = KEY if own else OTHER_KEY
        key = self._key or os.environ.get(variable)
        if own and not key:
            raise TeacherError(
                f'teacher "openai:{self.model}": needs a key. Put it into the environment variable '
                f"{KEY}, give --base-url for a server of your own, or a --teacher-cache that holds "
                "the replies.")
        return Endpoint(self.model, self.url, key, key_variable=variable, seconds=self.seconds)

    async def _work(self, asks: Sequence[Ask], count: int, put: Callable[[Reply], object]) -> None:
        line = PaidEndpoint(self._open, self.price, self.budget, self.meter)
        failed: list[TeacherError] = []

        async def ask_once(ask: Ask) -> None:
            # Once no call can succeed, none is begun; those in flight may still bring a reply.
            if not failed:
                try:
                    put(await self._reply(line, ask, count))
                except TeacherError as error:
                    failed.append(error)

        try:
            first = 0
            while self.form is None and first < len(asks):  # one at a time until it is known
                await ask_once(asks[first])
                first += 1
            await for_each(asks[first:], ask_once, at_once=self.concurrency)
            if failed:
                raise failed[0]
        finally:
            await line.close()

    async def _reply(self, line: PaidEndpoint, ask: Ask, count: int) -> Reply:
        if self.form is not None:
            entry = await self._asked(line, ask, count, self.form)
        else:
            entry = await self._find_form(line, ask, count)
        rationales = tuple(entry["rationales"][:count])
        return Reply(ask[0], entry["feedback"], rationales, entry["fault"])

    async def _find_form(self, line: PaidEndpoint, ask: Ask, count: int) -> dict[str, Any]:
        """Ask with a JSON schema; if that is refused or ignored, ask again in the plain form."""
        self._tries += 1
        form = "json"
        entry = await self._asked(line, ask, count, form)
        if entry["fault"].startswith("request refused") or entry["fault"] == UNREADABLE:
            form = "tags"
            entry = await self._asked(line, ask, count, form)
        elif "<rationale>" in entry["text"]:  # it ignored the schema, and wrote tags all the same
            form = "tags"
        if entry["fault"] == "" or self._tries >= 3:
            self.form = form
            found = {"endpoint": public_address(self.url), "model": self.model, "form": form}
            self.cache.put(self._form_key, found)
        return entry

    async def _asked(
        self, line: PaidEndpoint, ask: Ask, count: int, form: str
    ) -> dict[str, Any]:
        """The cache's entry for this question, or the endpoint's reply as one."""
        mistake, refused = ask
        problem = mistake.problem
        shown = None if self.annotator or not mistake.rationale else mistake
        messages = teacher_messages(
            problem, shown, count, self.max_tokens, form=form, refused=refused)
        parameters = self.parameters(count, form)
        key = key_of(self.url, self.model, messages, parameters)
        if known := self.cache.get(key):
            self.meter.cached += 1
            return known
        heard = await line.call(messages, parameters)
        step, why, rationales = read_teaching(heard.text) or ("", "", [])
        fault = heard.fault
        if not fault and not rationales:
            fault = UNREADABLE
        entry = {
            "endpoint": public_address(self.url), "model": self.model, "problem_id": problem.id,
            "question": problem.question, "mistake": shown.rationale if shown else None,
            "feedback": " ".join(f"{step} {why}".split()), "rationales": rationales,
            "fault": fault, "text": heard.text,
            "prompt_tokens": heard.prompt_tokens, "completion_tokens": heard.completion_tokens,
        }
        # Keep what was paid for; a call that failed on the way may be tried again.
        if heard.text or heard.prompt_tokens is not None:
            self.cache.put(key, entry)
        return entry


def ask_for_key(name: str = KEY) -> None:
    """Ask for a key in a password box, unless the environment has it.

    It is kept in this process's environment only: not in a cell's output, not in a file.
    """
    if not os.environ.get(name):
        os.environ[name] = getpass.getpass(f"{name}: ").strip()
