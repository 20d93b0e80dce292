"""A student on a server: vLLM, or another server with /completions, writes its exams.

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve MODEL --quantization bitsandbytes --enable-lora
    transformers serve                                      # or this one, for small students
    l2r-lite run --student MODEL --student-url http://localhost:8000/v1 …

Before each exam the server gets the current student. vLLM loads its adapter (/load_lora_adapter)
onto its own 4-bit base. A server without that call gets a folder as the model's name: the student
merged into one model. Either way the server reads this machine's files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.runfolder import SCRATCH
from l2r_lite.teachers.background import Put, for_each, in_background
from l2r_lite.teachers.endpoint import TooLarge, open_client, public_address

if TYPE_CHECKING:
    from l2r_lite.loop.student import Student

KEY = "L2R_STUDENT_KEY"  # a teacher's key never goes to a student's server
SECONDS = 600.0  # the longest wait for one rationale: it may queue behind all others of an exam
# vLLM takes what a request omits from the model's generation_config.json; Qwen's would truncate
# the distribution.
NOTHING_CUT = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
HINT = (
    "It must find this machine's files under the same path; vLLM needs --enable-lora, "
    "--max-lora-rank for a rank above 16, and the environment variable "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True; transformers serve must not be tied to one model.")


class ServedStudent:
    """The Writer of a student on a server. Samples depend on the server's own random numbers.

    Args:
        url: e.g. http://localhost:8000/v1; its key, if any, is in the variable L2R_STUDENT_KEY.
        folder: for a merged student, if the server needs one; removed by `close`.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url.rstrip("/"), folder.absolute()
        self._key = os.environ.get(KEY)
        self._name = ""  # of the adapter that the server has
        self._model = ""  # what the server calls it
        self._student: Student | None = None
        self._takes_adapters = False

    def serve(self, student: Student, adapter: Path) -> None:
        """Have the server serve the student with this adapter, the one it has now.

        Raises:
            StudentError: the server does not answer, or cannot serve it.
        """
        # One name per content: a server keeps what it loaded under a name even if the files change.
        content = (adapter / "adapter_model.safetensors").read_bytes()
        name = "l2r-" + hashlib.sha256(content).hexdigest()[:16]
        if name == self._name:
            return
        (self._takes_adapters,) = in_background(
            lambda put: self._load(name, adapter.absolute(), put))
        if student.prefix and not self._takes_adapters:
            raise self._error(
                "demonstrations go before a question as tokens, but this server may take text "
                "only. Use vLLM, or leave out --student-url.")
        self._model = name if self._takes_adapters else str(self._merged(student, name))
        self._name, self._student = name, student

    def generate(
        self, prompts: Sequence[str], *, samples: int = 1, temperature: float = 0.0,
        max_new_tokens: int = 96, seed: int = 0, rows: int = 256,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[str]]:
        """See Student.generate; `rows` is the number of requests at once.

        Raises:
            StudentError: the server fails; the message says what to do.
        """
        assert self._student is not None, "the server serves no student yet"  # noqa: S101
        requests = [
            self._request(prompt, f"{seed}/{k}/{prompt}", temperature, max_new_tokens)
            for prompt in prompts
            for k in range(samples)
        ]
        texts = [""] * len(requests)
        missing = [samples] * len(prompts)

        def unwanted() -> bool:
            if progress:
                progress(0)  # raises if the user has stopped the exam
            return False

        work = in_background(lambda put: self._ask(requests, rows, put), unwanted)
        with closing(work) as written:
            for number, text in written:
                texts[number] = self._student.tidy(text)
                missing[number // samples] -= 1
                if progress:
                    progress(int(missing[number // samples] == 0))
        return [texts[i : i + samples] for i in range(0, len(texts), samples)]

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _request(
        self, prompt: str, key: str, temperature: float, max_tokens: int
    ) -> dict[str, Any]:
        assert self._student is not None, "the server serves no student yet"  # noqa: S101
        digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
        asked = {
            "model": self._model, "max_tokens": max_tokens, "temperature": temperature,
            "top_p": 1.0, "seed": int.from_bytes(digest, "big") // 2}
        if not self._takes_adapters:
            # Such a server puts the token that begins every text before it; a chat has it already.
            begins = self._student.tokenizer.decode(self._student.tokenizer("").input_ids)
            return asked | {"prompt": prompt.removeprefix(begins)}
        ids = [*self._student.prefix, *self._student.encode(prompt)[0]]
        ends = {"stop_token_ids": sorted(self._student.end_ids)}
        return asked | {"prompt": ids} | ends | NOTHING_CUT

    async def _ask(self, requests: list[dict[str, Any]], at_once: int, put: Put) -> None:
        async with open_client(self.url, self._key, seconds=SECONDS) as client:

            async def work(numbered: tuple[int, dict[str, Any]]) -> None:
                number, request = numbered
                put((number, await self._complete(client, request)))

            await for_each(list(enumerate(requests)), work, at_once=at_once)

    async def _complete(self, client: openai.AsyncOpenAI, request: dict[str, Any]) -> str:
        status, said = await self._post(client, "/completions", request)
        if status != 200:
            what = f"it cannot write as {self._model} ({status}: {self._quote(said)}). {HINT}"
            raise self._error(what)
        try:
            text = json.loads(said)["choices"][0]["text"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise self._error(
                "its reply has no text. Is it a server with OpenAI's /completions?")
        text = text.encode("utf-8", "replace").decode()  # half a character becomes "?"
        return text.replace("\0", "")

    async def _load(self, name: str, adapter: Path, put: Put) -> None:
        """Put True if the server loaded the adapter, False if it has no call for adapters."""
        async with open_client(self.url, self._key, seconds=SECONDS) as client:
            body = {"lora_name": name, "lora_path": str(adapter)}
            status, said = await self._post(client, "/load_lora_adapter", body)
        loaded = status == 200 or b"already been loaded" in said
        # If vLLM does not find the adapter, that is a 404 too, but the reply names the adapter.
        unknown = status in (404, 405) and b"adapter" not in said.lower()
        if not loaded and not unknown:
            raise self._error(
                f"it does not take the adapter {adapter} ({status}: {self._quote(said)}). {HINT}")
        put(loaded)

    async def _post(
        self, client: openai.AsyncOpenAI, path: str, body: dict[str, Any]
    ) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(SECONDS):
                raw = await client.post(path, cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise self._error(
                    f"the key is refused ({error.status_code}). Put the right one into the "
                    f"environment variable {KEY}.") from None
            return error.status_code, error.response.content
        except TooLarge:
            raise self._error("its reply is too large to be a rationale.") from None
        except (TimeoutError, openai.APIConnectionError, httpx2.HTTPError) as error:
            while error.__cause__:
                error = error.__cause__  # type: ignore[assignment]
            raise self._error(
                f"the server does not answer ({type(error).__name__}). Is it running, and is the "
                "address right (it usually ends in /v1)?") from None
        return 200, raw.content

    def _quote(self, said: bytes) -> str:
        text = " ".join(said.decode("utf-8", "replace").split())
        return (text.replace(self._key, "…") if self._key else text)[:200]

    def _error(self, what: str) -> StudentError:
        return StudentError(
            f"student_url = {public_address(self.url)}: {what} Finished parts of an exam are kept; "
            f"then resume with: l2r-lite run --resume {self.folder.parent}")

    def _merged(self, student: Student, name: str) -> Path:
        """A folder with the student as one plain model; those of other rounds are removed."""
        from transformers import GenerationConfig

        from l2r_lite.students.merging import merge

        target = self.folder / name
        for old in self.folder.glob("*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            return target
        self.folder.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self.folder))
        model = merge(student)
        # transformers serve samples only if this file says so, and only from the top 50 tokens
        # unless it says otherwise.
        model.generation_config = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            eos_token_id=sorted(student.end_ids), pad_token_id=student.tokenizer.pad_token_id)
        model.save_pretrained(scratch, safe_serialization=True)
        student.tokenizer.save_pretrained(scratch)
        os.chmod(scratch, 0o755)  # noqa: S103 - the server may be another user's
        scratch.rename(target)
        return target
