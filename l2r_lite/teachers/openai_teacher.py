"""A real teacher: any OpenAI-compatible endpoint, many calls at once, never over budget.

    OpenAITeacher("gpt-4o-mini", cache="teacher.jsonl", budget=1.0)     # key: OPENAI_API_KEY
    OpenAITeacher("llama3.2", base_url="http://localhost:11434/v1")     # Ollama, no key
"""

import getpass
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from l2r_lite.loop.config import check_address
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.lessons import OUT_OF_BUDGET
from l2r_lite.loop.protocols import Ask, Teacher
from l2r_lite.loop.records import Mistake, Problem, Rejection, Reply
from l2r_lite.teachers.background import for_each, in_background
from l2r_lite.teachers.cost import Budget, Meter, Price, likely_tokens, price_of
from l2r_lite.teachers.dialect import UNREADABLE, Dialect, known_to_think
from l2r_lite.teachers.endpoint import OPENAI, Endpoint, PaidEndpoint, public_address
from l2r_lite.teachers.heard import CUT_OFF, Heard, clean
from l2r_lite.teachers.prompt import read_teaching, reply_schema, teacher_messages
from l2r_lite.teachers.replies import ReplyCache, key_of

KEY, OTHER_KEY = "OPENAI_API_KEY", "L2R_API_KEY"  # OpenAI's key never goes to another address
THINKING = "L2R_THINKING_TOKENS"  # the environment variable of `thinking_tokens`
THOUGHTS = 6000  # tokens, for a model that thinks before it writes
FAILURES = 30  # so many calls in a row that are refused or not answered stop the run
SILENT = 5  # so many first questions do, too
TRIES = 3  # questions to find the form with, if the replies have no rationale in any


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
        thinking_tokens: what a model may think before it writes, beyond the tokens of its reply.
            None takes the environment's L2R_THINKING_TOKENS, or else THOUGHTS if the model's name
            or its first reply shows that it thinks.
        stop: asked several times a second; True ends `teach` early.

    Attributes:
        form: how this endpoint can be asked, "json" or "tags"; None until that is known.
        thinks: whether the model thinks before it writes.
    """

    can_revise = True

    def __init__(
        self, model: str, *, base_url: str | None = None, key: str | None = None,
        cache: str | Path | None = None, budget: float | None = None, price: Price | None = None,
        annotator: bool = False, max_tokens: int = 96, concurrency: int = 8,
        seconds: float = 120.0, thinking_tokens: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        check_address("base_url", base_url, OTHER_KEY)
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
        self.thinks, self.thinking_tokens = known_to_think(model), _thinking(thinking_tokens)
        # max_tokens is the older name, which all other servers know.
        usual = Dialect(limit="max_completion_tokens" if self.url == OPENAI else "max_tokens")
        self._usual, self._dialect, self._known = usual, usual, False
        self._form_key = key_of(self.url, model, [], {"form": "?"})
        found = self.cache.get(self._form_key) or {}
        if kept := Dialect.from_json(found, usual) if "form" in found else None:
            self._dialect, self._known = kept, True
            self.thinks = self.thinks or found.get("thinks") is True
        self._tries = self._failed = 0  # questions while no form is known; calls in a row
        self._warned = False

    @property
    def form(self) -> str | None:
        return self._dialect.form if self._known else None

    @form.setter
    def form(self, form: str) -> None:
        self._dialect, self._known = replace(self._dialect, form=form), True

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
        if self._thoughts:
            told += f", and up to {self._thoughts:,} of its thoughts per call"
        if self.price is None:
            return f"{told}; what {self.model} costs is not known (--price INPUT,OUTPUT)"
        return f"{told}: about ${self.price.of(prompt, completion):.2f}"

    def messages(
        self, mistake: Mistake, count: int, form: str, refused: Sequence[Rejection] = ()
    ) -> list[dict[str, str]]:
        """What the model reads about a mistake. A lab may ask something else."""
        shown = None if self.annotator or not mistake.rationale else mistake
        return teacher_messages(
            mistake.problem, shown, count, self.max_tokens, form=form, refused=refused)

    def parameters(self, count: int, form: str) -> dict[str, Any]:
        """What is sent beside the messages. No temperature: some models refuse it."""
        return self._parameters(count, form, self._thoughts)

    @property
    def _thoughts(self) -> int:
        if self.thinking_tokens is not None:
            return self.thinking_tokens
        return THOUGHTS if self.thinks else 0

    def _parameters(self, count: int, form: str, thoughts: int) -> dict[str, Any]:
        limit = 200 + 2 * count * self.max_tokens + thoughts
        schema = {"response_format": reply_schema()} if form == "json" else {}
        return {self._usual.limit: limit, **schema}

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
        """Ask; while the endpoint refuses or ignores how it is asked, ask in another way."""
        dialect = self._dialect
        tried = [dialect]
        entry, heard = await self._asked(line, ask, count, dialect)
        while not self._known or heard.refuses:
            other = dialect.instead(heard, tried)
            if other is None:
                break
            dialect = other
            tried.append(dialect)
            entry, heard = await self._asked(line, ask, count, dialect)
        if not self._known and "<rationale>" in entry["text"]:
            dialect = replace(dialect, form="tags")  # it ignores the schema
        if entry["fault"] == "":
            self._remember(dialect)
        elif not self._known:
            self._tries += 1
            self._give_up(heard)
            if self._tries >= TRIES and heard.status == 200:  # it answers, but badly
                self._dialect, self._known = dialect, True
        return Reply(ask[0], entry["feedback"], tuple(entry["rationales"][:count]), entry["fault"])

    def _remember(self, dialect: Dialect | None) -> None:
        """Keep in the cache how the endpoint can be asked, if that is known."""
        if dialect:
            self._dialect, self._known = dialect, True
        found: dict[str, Any] = {"endpoint": public_address(self.url), "model": self.model}
        if self._known:
            found |= self._dialect.to_json()
        if self.thinks and not known_to_think(self.model):
            found["thinks"] = True
        if self.cache.get(self._form_key) != {"key": self._form_key, **found}:
            self.cache.put(self._form_key, found)

    async def _asked(
        self, line: PaidEndpoint, ask: Ask, count: int, dialect: Dialect
    ) -> tuple[dict[str, Any], Heard]:
        """The cache's entry for this question, or the endpoint's reply as one."""
        mistake, refused = ask
        problem = mistake.problem
        shown = None if self.annotator or not mistake.rationale else mistake
        messages = self.messages(mistake, count, dialect.form, refused)
        thoughts = self._thoughts
        if known := self._kept(messages, count, dialect.form):
            self.meter.cached += 1
            return known, Heard(known["text"], known["fault"])
        parameters = self._parameters(count, dialect.form, thoughts)
        heard = await line.call(*dialect.words(messages, parameters))
        taught = read_teaching(heard.text)
        if heard.fault == "empty reply":  # some servers take the whole reply for thoughts
            taught = read_teaching(heard.thoughts)
        step, why, rationales = taught or ("", "", [])
        fault = "" if rationales else heard.fault or UNREADABLE
        heard = replace(heard, fault=fault)
        entry = {
            "endpoint": public_address(self.url), "model": self.model, "problem_id": problem.id,
            "question": problem.question, "mistake": shown.rationale if shown else None,
            "feedback": " ".join(f"{step} {why}".split()), "rationales": rationales,
            "fault": fault, "text": heard.text,
            "prompt_tokens": heard.prompt_tokens, "completion_tokens": heard.completion_tokens,
        }
        # Keep what was paid for; a call that failed on the way may be tried again.
        if heard.text or heard.prompt_tokens is not None:
            # The key has the usual words: how this endpoint wants to be asked changes no reply.
            self.cache.put(key_of(self.url, self.model, messages, parameters), entry)
        self._count(heard)
        if fault == CUT_OFF and heard.thinks and not thoughts and self.thinking_tokens is None:
            self.thinks = True  # from now on it has more tokens, for this question too
            self._remember(None)
            return await self._asked(line, ask, count, dialect)
        return entry, heard

    def _kept(
        self, messages: list[dict[str, str]], count: int, form: str
    ) -> dict[str, Any] | None:
        """The cache's entry under this token limit, or one with rationales under another."""
        for thoughts in (self._thoughts, 0, THOUGHTS):
            parameters = self._parameters(count, form, thoughts)
            known = self.cache.get(key_of(self.url, self.model, messages, parameters))
            if known and (thoughts == self._thoughts or known.get("rationales")):
                return _sound(known)
        return None

    def _count(self, heard: Heard) -> None:
        """Count the calls that brought nothing, and say early what was paid for them.

        Raises:
            TeacherError: FAILURES calls in a row were refused or not answered.
        """
        meter = self.meter
        if heard.fault == OUT_OF_BUDGET:
            return
        self._failed = self._failed + 1 if heard.status != 200 else 0
        if self._failed >= max(FAILURES, 2 * self.concurrency):
            raise self._useless(f"{self._failed} calls in a row", heard)
        if heard.fault == "" or heard.status != 200:
            return
        meter.lost += 1
        meter.lost_tokens += (heard.prompt_tokens or 0) + (heard.completion_tokens or 0)
        if not self._warned and meter.lost >= 10 and 5 * meter.lost >= meter.calls:
            self._warned = True
            what = f"{meter.lost} of {meter.calls} calls so far"
            warnings.warn(str(self._useless(what, heard)), stacklevel=2)

    def _give_up(self, heard: Heard) -> None:
        """Stop if the first questions show that no other would be answered.

        Raises:
            TeacherError: SILENT questions were refused or not answered, or a model that thinks
                spent two large token limits on thoughts.
        """
        spent = heard.fault == CUT_OFF and heard.thinks
        failed = heard.status != 200 and heard.fault != OUT_OF_BUDGET
        if (spent and self._tries >= 2) or (failed and self._tries >= SILENT):
            raise self._useless(f"the first {self._tries} questions", heard)

    def _useless(self, calls: str, heard: Heard) -> TeacherError:
        """What failed, what it cost, and what would help."""
        said = f' The endpoint says: "{heard.said}".' if heard.said else ""
        paid = f" {self.meter.lost_tokens:,} tokens were paid for them." if self.meter.lost else ""
        if heard.refuses == "length" and not self._thoughts:
            remedy = "The request is too long for the model: ask for fewer rationales (--lessons)."
        elif heard.refuses == "length" or heard.fault == CUT_OFF:
            remedy = (f"Give the model {'fewer' if heard.refuses else 'more'} tokens to think: set "
                      f"the environment variable {THINKING} (now {self._thoughts:,}).")
        elif heard.fault == UNREADABLE:
            remedy = "It does not write in the form that is asked for: take another model."
        elif heard.fault.startswith("rate limit"):
            remedy = "Resume later, with fewer calls at once (--concurrency)."
        elif heard.fault.startswith("request refused"):
            remedy = "No form of request is taken: check the model's name and --base-url."
        else:
            remedy = "Resume when the endpoint works again."
        return TeacherError(
            f'teacher "openai:{self.model}" at {public_address(self.url)}: {calls} brought no '
            f"rationale, the last one for this reason: {heard.fault}.{said}{paid} {remedy} Replies "
            "received so far are kept.")


def _sound(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of a cache, which may be another's, with fields of the right kind."""
    rationales = entry.get("rationales")
    known = rationales if isinstance(rationales, list) else []
    texts = [clean(r) for r in known if isinstance(r, str)]
    named = {name: clean(str(entry.get(name, ""))) for name in ("feedback", "fault", "text")}
    if named["fault"] == UNREADABLE and (taught := read_teaching(named["text"])):
        step, why, texts = taught  # an earlier version could not read what it had paid for
        named |= {"feedback": " ".join(f"{step} {why}".split()), "fault": ""}
    return {**entry, **named, "rationales": texts}


def _thinking(tokens: int | None) -> int | None:
    """The knob, or the environment's; None if both are unset.

    Raises:
        TeacherError: no whole number from 0 to a million.
    """
    given = os.environ.get(THINKING) if tokens is None else str(tokens)
    if not given:
        return None
    if not (given.isdecimal() and int(given) <= 1_000_000):
        raise TeacherError(
            f"{THINKING} = {given}: must be a whole number of tokens, from 0 to 1,000,000.")
    return int(given)


def ask_for_key(name: str = KEY) -> None:
    """Ask for a key in a password box, unless the environment has it.

    It is kept in this process's environment only: not in a cell's output, not in a file.
    """
    if not os.environ.get(name):
        os.environ[name] = getpass.getpass(f"{name}: ").strip()
