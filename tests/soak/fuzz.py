"""Coverage-guided fuzzing of the grader and of every parser of text from outside (atheris, which `make soak` installs).

    python tests/soak/fuzz.py [-runs=10000000] [-max_len=128] [CORPUS]        # libFuzzer's own flags

The first byte of an input chooses the reader, which reads the rest. A reader may refuse with one of the project's own errors;
any other exception, or an answer that does not read back as itself, ends the run and prints the input. Useful inputs stay in
the corpus (build/fuzz/corpus), where the next call starts.
"""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
from atheris.import_hook import HookManager

# `instrument_imports` would trace every comparison too: that takes half the speed, and finds what WORDS below has already.
with HookManager({"l2r_lite"}, set(), True, trace_dataflow=False):
    from l2r_course.research import evidence
    from l2r_lite.data import answers, arithmetic, benchmarks, problems
    from l2r_lite.loop import grading, prompts, runfolder
    from l2r_lite.loop.config import LoopConfig
    from l2r_lite.loop.errors import RunError, UserError, printable
    from l2r_lite.loop.records import KINDS, Kind, Lesson, Problem, Sample
    from l2r_lite.runs.config_file import read_config as read_config_file
    from l2r_lite.teachers import endpoint, prompt, recorded, replies

CHOICES = ("bank", "library", "a (B)", "mall", "New York")
FILE = Path("fuzzed.jsonl")
CORPUS = Path(__file__).parents[2] / "build" / "fuzz" / "corpus"


class Disk:
    """What every file holds: readers are fuzzed, not the disk, which takes longer than most of them."""

    data = b""

    @staticmethod
    def read_bytes(path: Path) -> bytes:
        """A benchmark's original file, where it is one of JSON, is a list; another says which rows are of which split."""
        if path.parent.name == "splits":
            return b'{"train": [0], "test": []}'
        return b"[%s]" % Disk.data if path.suffix == ".json" else Disk.data

    @staticmethod
    def read_text(_: Path, encoding: str | None = None, errors: str | None = None) -> str:
        return io.TextIOWrapper(io.BytesIO(Disk.data), encoding, errors).read()

    @staticmethod
    def mount() -> None:
        Path.read_bytes = Disk.read_bytes  # type: ignore[method-assign]
        Path.read_text = Disk.read_text  # type: ignore[method-assign]
        Path.exists = Path.is_file = Path.is_dir = lambda *_, **__: True  # type: ignore[method-assign]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # halves of characters, which atheris does not take, are hypothesis' part


def _file(data: bytes) -> Path:
    Disk.data = data
    return FILE


def read_number(data: bytes) -> None:
    _same(answers.extract_answer(_text(data), "number"), "number")


def read_verdict(data: bytes) -> None:
    _same(answers.extract_answer(_text(data), "yes-no"), "yes-no")


def read_choice(data: bytes) -> None:
    _same(answers.extract_answer(_text(data), "choice", CHOICES), "choice")


def read_option(data: bytes) -> None:
    *options, text = _text(data).split("|")
    _same(answers.extract_answer(text, "choice", options), "choice")


def read_plainly(data: bytes) -> None:
    for kind in KINDS:
        _same(grading.read_answer(_text(data), Problem("a", "q", "1", kind, CHOICES)), kind)


def _same(answer: str | None, kind: Kind) -> None:
    assert answer is None or answers.same_answer(answer, answer, kind), answer
    assert answer is None or grading.same_answer(answer, answer, kind), answer


def read_equations(data: bytes) -> None:
    for equation in arithmetic.equations(_text(data)):
        assert equation.holds or equation.left != equation.right or equation.left is None, equation


def read_gold(data: bytes) -> None:
    value = answers.parse_number(_text(data))
    assert value is None or answers.parse_number(answers.canonical_number(value)) == value


def read_written(data: bytes) -> None:
    cut = prompts.cut_after_answer(_text(data))
    assert prompts.cut_after_answer(cut) == cut


def read_teaching(data: bytes) -> None:
    found = prompt.read_teaching(_text(data))
    assert found is None or all(isinstance(r, str) and r for r in found[2])


def read_reply(data: bytes) -> None:
    heard = endpoint.read_reply(data)
    assert bool(heard.text) != bool(heard.fault)


def read_own_problems(data: bytes) -> None:
    for problem in problems.load_problems(_file(data)):
        json.dumps(prompts.student_prompt(problem), ensure_ascii=False).encode()
        assert problem.kind != "number" or answers.parse_number(problem.answer) is not None


def read_benchmark_row(data: bytes) -> None:
    _file(data)
    for name in benchmarks.BENCHMARKS:
        try:
            benchmarks.load_benchmark(name, "train", "folder")
        except benchmarks.ProblemError:
            continue


def read_recorded(data: bytes) -> None:
    recorded.RecordedTeacher(_file(data))


def read_cache(data: bytes) -> None:
    problem = Problem("a", "q", "1", "number")
    replies.ReplyCache(_file(data)).mistakes([problem])


def read_records(data: bytes) -> None:
    for cls in (Problem, Sample, Lesson):
        try:
            runfolder.read_lines(_file(data), cls)
        except RunError:
            continue


def read_config(data: bytes) -> None:
    read_config_file(_file(data))


def read_log(data: bytes) -> None:
    evidence.read_log(_file(data))


READERS: tuple[Callable[[bytes], None], ...] = (
    read_number, read_verdict, read_choice, read_option, read_plainly, read_equations, read_gold, read_written, read_teaching,
    read_reply, read_own_problems, read_benchmark_row, read_recorded, read_cache, read_records, read_config, read_log,
)  # fmt: skip

SEEDS: dict[Callable[[bytes], None], tuple[bytes, ...]] = {
    read_number: (b"3 + 4 = 7. The answer is 7.", b"\\boxed{\\frac{3}{4}}", b"#### 1,234.50 million", b"The answer is 5 or 6."),
    read_verdict: (b"Thus, yes. Wait, that is wrong. So no.",),
    read_choice: (b"The answer is (B) library.", b"Answer: option C) or (A)"),
    read_plainly: (b"3 + 4 = 7. The answer is (B) yes 7.",),
    read_option: (b"bank|library|The answer is a bank.",),
    read_equations: (b"2 x (3 + 4) = $14 / 20% = <<70>>70 apples", b"10 / 3 = 3.33 cents"),
    read_gold: (b"$1,234.50", b"2 1/2", b"-1e9"),
    read_written: (b"Add. The answer is 3.5. More.",),
    read_teaching: (b'```json\n{"first_wrong_step": "a", "why": "b", "rationales": ["c"]}\n```',
                    b"<think>a</think><rationale>b</rationale>"),
    read_reply: (b'{"choices": [{"message": {"content": [{"text": "a"}], "refusal": null}, "finish_reason": "stop"}], '
                 b'"usage": {"prompt_tokens": 1}}',),
    read_own_problems: (b'{"question": "1?", "answer": "A", "choices": ["x", "y"], "id": 1, "split": "train"}',),
    read_benchmark_row: (
        b'{"question": "q", "answer": "1 #### 2"}', b'{"Body": "b", "Question": "q", "Answer": 1.0, "Type": "t"}',
        b'{"sQuestion": "q", "lEquations": ["1+1"], "lSolutions": [2]}',
        b'{"input": "q", "target_scores": {"Yes": 1, "No": 0}, "target": "Yes"}',
        b'{"question": {"stem": "q", "choices": [{"label": "A", "text": "t"}]}, "answerKey": "A"}',
    ),
    read_recorded: (b'{"question": "q", "rationales": ["r"], "mistake": "m", "feedback": "f"}',
                    b'[{"input": "q", "chain": "c", "answer": "a"}]'),
    read_cache: (b'{"key": "k", "problem_id": "a", "question": "q", "mistake": "m"}',),
    read_records: (b'{"problem_id": "a", "index": 0, "rationale": "r", "answer": "1", "correct": true}',
                   b'{"id": "a", "question": "q", "answer": "1", "kind": "number", "program": [[1, "+", 1, 2]]}'),
    read_config: (b'{"student": "pocket", "rounds": 3, "budget": 0.5, "four_bit": false, "base_url": "http://a@b"}',),
    read_log: (b'{"arm": "tailored", "seed": 0, "config": {}, "questions": "q", "test": ["01"], "validation": [0.5], '
               b'"kept": 0, "environment": {}}',),
}  # fmt: skip


def one_input(data: bytes) -> None:
    if data:
        reader = READERS[data[0] % len(READERS)]
        try:
            reader(data[1:])
        except UserError as error:
            assert str(error) == printable(str(error))


# What no byte-wise change would find soon.
KNOBS = tuple(field.name for field in dataclasses.fields(LoopConfig))
FIELDS = (
    "question answer choices kind split id skill rationale rationales chain completion input mistake key problem_id feedback "
    "Body Question Answer sQuestion lSolutions lEquations final_ans answerKey target_scores label text stem correct program "
    "index content message finish_reason usage arm test validation kept"
)
WORDS = (
    "The answer is ", "Answer: ", "####", "\\boxed{", "\\frac{", "\\text{", " million", "Wait, ", "that is wrong", "unknown",
    "(A)", "yes", "no", "<<", ">>", "½", "٣", "1e9", "1/3", "NaN", "null", "true", "[]", "{}", "\\ud800", "\\u0000",
    "<rationale>", "</rationale>", "<think>", "</think>", "```json", *(f'"{name}": ' for name in (*KNOBS, *FIELDS.split())),
)  # fmt: skip

if __name__ == "__main__":
    flags = [word for word in sys.argv[1:] if word.startswith("-")]
    corpus = Path(next((word for word in sys.argv[1:] if word not in flags), CORPUS))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, reader in enumerate(READERS):
        for count, seed in enumerate(SEEDS[reader]):
            (corpus / f"seed-{reader.__name__}-{count}").write_bytes(bytes([number]) + seed)
    with tempfile.NamedTemporaryFile("w", suffix=".dict", delete=False) as words:
        words.writelines('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' for word in WORDS)
    Disk.mount()
    ours = ["-runs=10000000", "-max_len=128", "-timeout=10", "-print_final_stats=1", f"-dict={words.name}",
            f"-artifact_prefix={corpus.parent}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *ours, *flags, str(corpus)], one_input)
    atheris.Fuzz()
