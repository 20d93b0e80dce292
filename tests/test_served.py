"""Exams on a server: it always serves the current student, and every fault gives one sentence."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, StudentError
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.loop.student import Student
from l2r_lite.loop.writing import uniform_numbers
from l2r_lite.students.adapters import load_adapter, save_adapter
from l2r_lite.students.folding import folded
from l2r_lite.students.loading import load_student
from l2r_lite.students.served import KEY, NOTHING_CUT, ServedStudent
from same_run import run

Answer = tuple[int, bytes]


# --- a server on loopback that a test tells what to answer ---


@dataclass
class Server:
    """`answer` is called with the path and the body of each request."""

    answer: Callable[[str, dict[str, Any]], Answer]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def __enter__(self) -> Server:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body))
                outer.keys.add(self.headers["Authorization"])
                status, said = outer.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


NO_SUCH_CALL = 404, b'{"detail":"Not Found"}'


def text(said: str) -> Answer:
    return 200, json.dumps({"choices": [{"index": 0, "text": said, "finish_reason": "stop"}]}).encode()


def fails(status: int, message: str) -> Answer:
    return status, json.dumps({"error": {"message": message}}).encode()


class LikeVllm:
    """What vLLM's documentation says of its calls, with a real student that wears the adapters it is told to load."""

    def __init__(self, student: Student) -> None:
        self.student, self.adapters, self.worn, self._one_at_a_time = student, {}, "", threading.Lock()

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        with self._one_at_a_time:
            if path == "/v1/load_lora_adapter":
                name = body["lora_name"]
                if name in self.adapters:
                    return fails(400, f"The lora adapter '{name}' has already been loaded.")
                self.adapters[name] = Path(body["lora_path"])
                return 200, f"Success: LoRA adapter '{name}' added successfully.".encode()
            if body["model"] not in self.adapters:
                return fails(404, f"The model `{body['model']}` does not exist.")
            if body["model"] != self.worn:
                self.worn = body["model"]
                load_adapter(self.student, self.adapters[self.worn])
            self.student.model.eval()
            with folded(self.student.model, self.student.dtype):
                ((ids,),) = self.student.writer.write(
                    [body["prompt"]], temperature=body["temperature"], steps=body["max_tokens"],
                    noise=lambda *_: uniform_numbers(str(body["seed"]), body["max_tokens"]))
            return text(self.student.tokenizer.decode(ids))


# --- whole runs ---


@pytest.fixture(scope="module")
def config() -> LoopConfig:
    """The pocket student, which computes in fp32 on every CPU, as the servers here do."""
    return LoopConfig(limit=12, validation_limit=2, test_limit=12, rounds=1, epochs=2, batch_size=8, exam_rows=16,
                      reflection_weight=0.5)  # fmt: skip


@pytest.fixture(scope="module")
def student() -> Student:
    """It wears each round's adapter in turn."""
    return load_student("pocket", device="cpu")


def assert_answers_are_those_of_each_rounds_student(out: Path, student: Student, config: LoopConfig) -> None:
    """Greedy answers: a test question is answered as the student of that round answers it here."""
    problems = read_lines(out / "problems" / "test.jsonl", Problem)
    written = []
    for number in (0, 1):
        load_adapter(student, out / f"round-{number}" / "adapter")
        here = student.generate([student_prompt(p) for p in problems], max_new_tokens=config.max_new_tokens)
        written.append([s.rationale for s in read_lines(out / f"round-{number}" / "test.jsonl", Sample)])
        assert written[-1] == [t for (t,) in here], f"round {number}"
    assert written[0] != written[1], "the training changed no answer: this test shows nothing"


def assert_it_sampled(out: Path) -> None:
    exam = read_lines(out / "round-1" / "exam.jsonl", Sample)
    assert len({(s.problem_id, s.rationale) for s in exam}) > len(exam) // 2, "every question was answered twice alike"


@contextmanager
def transformers_serve(log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", "--host", "127.0.0.1",
               "--port", str(port), "--device", "cpu"]  # fmt: skip
    with log.open("w") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as server:
        try:
            until = time.monotonic() + 120
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()  # noqa: S310
                    break
                except OSError:
                    assert server.poll() is None and time.monotonic() < until, log.read_text()[-3000:]
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("fastapi") and find_spec("uvicorn")), reason='needs: pip install "transformers[serving]"')
def test_transformers_serve_sits_the_exams(config: LoopConfig, student: Student, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with transformers_serve(tmp_path / "log") as url:
        report = run(config.with_(student_url=url), out)
        served = ServedStudent(url, tmp_path / "elsewhere")
        served.serve(student, out / "round-0" / "adapter")
        served.close()  # and the merged student is gone
        with pytest.raises(StudentError, match="cannot write as .*elsewhere.*serve must not be tied to one model"):
            served.generate(["Question: 1 + 1?\nAnswer:"])
    assert report["stopped"] == "rounds" and report["rounds"][0]["accuracy"] > 0
    assert_answers_are_those_of_each_rounds_student(out, student, config)
    assert_it_sampled(out)
    assert not (out / "served").exists(), "the merged student was left behind"


def test_a_server_that_loads_adapters_sits_the_exams(config: LoopConfig, student: Student, tmp_path: Path) -> None:
    out, config = tmp_path / "run", config.with_(demonstrations=2, limit=10, validation_limit=1, test_limit=6)
    with Server(LikeVllm(load_student("pocket", device="cpu"))) as server:
        run(config.with_(student_url=server.url), out)
        loaded = [body["lora_path"] for path, body in server.asked if path == "/v1/load_lora_adapter"]
        assert loaded == [str(out / f"round-{n}" / "adapter") for n in (0, 1)], "an adapter was loaded twice, or not at all"
        before = (out / "round-1" / "test.jsonl").read_text()
        (out / "round-1" / "test.jsonl").unlink()
        run(config.with_(student_url=server.url), out)  # another start, for which the server has the adapter already
        assert (out / "round-1" / "test.jsonl").read_text() == before
    assert_it_sampled(out)
    asked = [body for path, body in server.asked if path == "/v1/completions"]
    assert all(NOTHING_CUT.items() <= body.items() and body["top_p"] == 1 for body in asked)
    assert {body["temperature"] for body in asked} == {0, config.temperature}
    shown = student.tokenizer.decode(asked[0]["prompt"])
    assert shown.count("Question:") == 3 and shown.endswith("Answer:")
    demonstrations = shown.rpartition("Question:")[0]
    student.demonstrate(demonstrations)
    try:
        assert asked[0]["prompt"][: len(student.prefix)] == list(student.prefix)
        assert_answers_are_those_of_each_rounds_student(out, student, config)
    finally:
        student.demonstrate("")


def test_a_server_that_dies_in_an_exam_loses_nothing_and_the_run_goes_on_without_it(
    config: LoopConfig, tmp_path: Path
) -> None:
    count = itertools.count(1)

    def answer(path: str, body: dict[str, Any]) -> Answer:
        if path != "/v1/completions":
            return 200, b""
        # The evaluation of round 0, and the first of two parts of round 1's exam.
        return text("The answer is 1.") if next(count) <= 14 + 32 else (500, b"out of memory")

    out, config = tmp_path / "run", config.with_(exam_rows=8, limit=18)
    with Server(answer) as server, pytest.raises(StudentError, match=r"\(500: out of memory\).*--resume .*run$"):
        run(config.with_(student_url=server.url), out)
    kept = (out / "round-1" / "exam.jsonl.partial").read_text()
    assert len(kept.splitlines()) == 32
    run(config, out)
    assert set(kept.splitlines()) < set((out / "round-1" / "exam.jsonl").read_text().splitlines())


# --- what a server may say ---


@pytest.fixture(scope="module")
def tiny_adapter(load_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> tuple[Student, Path]:
    student, adapter = load_tiny(), tmp_path_factory.mktemp("adapter") / "adapter"
    save_adapter(student, adapter)
    return student, adapter


def ask(server: Server, tiny_adapter: tuple[Student, Path], place: Path, **options: Any) -> list[list[str]]:
    served = ServedStudent(server.url, place / "run" / "served")
    served.serve(*tiny_adapter)
    return served.generate(["Question: 1 + 1?\nAnswer:", "Question: 2 + 2?\nAnswer:"], **options)


def says(body: bytes, status: int = 200) -> Callable[[str, dict[str, Any]], Answer]:
    return lambda path, _: (status, body) if path == "/v1/completions" else (200, b"")


def test_a_text_is_cut_after_its_answer_and_made_harmless(tiny_adapter: tuple[Student, Path], tmp_path: Path) -> None:
    body = b'{"choices": [{"text": " 1 + 1 = 2.\\u0000 \\ud800 The answer is 2. And then"}]}'
    with Server(says(body)) as server:
        assert ask(server, tiny_adapter, tmp_path, samples=2) == [["1 + 1 = 2. ? The answer is 2."] * 2] * 2


def test_each_sample_has_a_seed_of_its_own_and_the_same_again(tiny_adapter: tuple[Student, Path], tmp_path: Path) -> None:
    with Server(says(text("x")[1])) as server:
        for seed in (0, 0, 1):
            ask(server, tiny_adapter, tmp_path, samples=3, temperature=0.7, seed=seed)
    seeds = [body["seed"] for path, body in server.asked if path == "/v1/completions"]
    first, again, other = ({*seeds[i : i + 6]} for i in (0, 6, 12))
    assert len(first) == 6 and first == again and not first & other and all(0 <= s < 2**31 for s in seeds)


def test_rationales_are_asked_for_at_once_and_told_as_they_come(tiny_adapter: tuple[Student, Path], tmp_path: Path) -> None:
    at_once = most = 0
    told: list[int] = []

    def answer(path: str, _: dict[str, Any]) -> Answer:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.1)
        at_once -= 1
        return text("x") if path == "/v1/completions" else (200, b"")

    with Server(answer) as server:
        ask(server, tiny_adapter, tmp_path, samples=6, rows=4, progress=told.append)
    assert most == 4 and sum(told) == 2


def test_who_does_not_want_to_wait_is_not_kept_waiting(tiny_adapter: tuple[Student, Path], tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def unwanted(_: int) -> None:
        if server.asked[1:]:
            raise Enough

    def answer(path: str, _: dict[str, Any]) -> Answer:
        time.sleep(5 * (path == "/v1/completions"))
        return text("x")

    with Server(answer) as server:
        began = time.monotonic()
        with pytest.raises(Enough):
            ask(server, tiny_adapter, tmp_path, progress=unwanted)
        assert time.monotonic() - began < 3


FAULTS = {
    "no JSON": (says(b"<html>Log in</html>"), "its reply has no text"),
    "JSON of another shape": (says(b'{"choices": []}'), "its reply has no text"),
    "no text": (says(b'{"choices": [{"text": null}]}'), "its reply has no text"),
    "deep JSON": (says(b"[" * 100_000), "its reply has no text"),
    "an endless reply": (says(b'{"choices": [{"text": "' + b"word " * 300_000 + b'"}]}'), "too large to be a rationale"),
    "unknown model": (says(b'{"error": {"message": "The model `x` does not exist."}}', 404),
                      r"cannot write as l2r-\w{16} \(404: .*does not exist.*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
    "no adapter there": (lambda path, _: (404, b'{"error": {"message": "No adapter found for /x"}}'),
                         r"does not take the adapter .*\(404: .*No adapter found.*same path"),
    "rank too large": (lambda path, _: (400, b'{"error": {"message": "LoRA rank 32 is greater than max_lora_rank 16."}}'),
                       r"does not take the adapter .*greater than max_lora_rank 16.*--max-lora-rank"),
    "key refused": (lambda path, _: (401, b'{"error": "who is sk-hidden?"}'), f"the key is refused.*{KEY}"),
}  # fmt: skip


def test_what_a_server_does_wrong_ends_in_one_sentence(
    tiny_adapter: tuple[Student, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "sk-hidden")
    for case, (answer, message) in FAULTS.items():
        with Server(answer) as server, pytest.raises(StudentError, match=message) as error:
            ask(server, tiny_adapter, tmp_path)
        assert str(error.value).endswith(f"l2r-lite run --resume {tmp_path / 'run'}"), case
        assert "\n" not in str(error.value) and "sk-hidden" not in str(error.value), case
        assert server.keys == {"Bearer sk-hidden"}, case


def test_a_server_that_is_not_there_is_told_at_once(tiny_adapter: tuple[Student, Path], tmp_path: Path) -> None:
    with Server(says(b"")) as server:
        gone = server.url
    server.server.server_port = int(gone.rpartition(":")[2].removesuffix("/v1"))
    with pytest.raises(StudentError, match=r"does not answer \(.*Is it running, and is the address right"):
        ask(server, tiny_adapter, tmp_path)


def test_demonstrations_are_not_sent_where_only_text_is_taken(load_tiny: Callable, tmp_path: Path) -> None:
    student, adapter = load_tiny(), tmp_path / "adapter"
    save_adapter(student, adapter)
    student.demonstrate("Question: 1 + 1?\nAnswer: The answer is 2.\n\n")
    with Server(lambda path, _: NO_SUCH_CALL) as server, pytest.raises(StudentError, match="demonstrations .* as tokens"):
        ask(server, (student, adapter), tmp_path)


def test_a_key_in_the_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"student_url holds a user name or password.*{KEY}"):
        LoopConfig(student_url="http://me:secret@localhost:8000/v1").check()
