"""Problems: benchmarks from a folder and from the hub, own files, and the messages when something is wrong."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2r_lite.data.benchmarks import BENCHMARKS, SPLITS, carve, masked
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.data.problems import PROBLEM_NAMES, ProblemError, load_problems, question_key
from l2r_lite.loop.records import Problem

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark files lie outside the project")

ROWS = {
    "gsm8k": (6726, 747, 1319),
    "svamp": (630, 70, 300),
    "multiarith": (378, 42, 180),
    "multiarith-template": (372, 41, 187),
    "csqa": (8767, 974, 1221),
    "strategyqa": (1443, 160, 687),
}


@functools.cache
def _load(name: str) -> dict[str, list[Problem]]:
    return {split: load_problems(name, split, data_dir=DATA) for split in SPLITS}


def _write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines))
    return path


def _many(n: int) -> list[dict[str, Any]]:
    return [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(n)]


# --- benchmarks from a folder ---


@needs_data
def test_benchmarks_have_their_known_numbers_of_rows_and_disjoint_splits() -> None:
    assert {name: tuple(len(_load(name)[s]) for s in SPLITS) for name in BENCHMARKS} == ROWS
    for name in BENCHMARKS:
        splits = _load(name)
        ids = [p.id for s in SPLITS for p in splits[s]]
        assert len(ids) == len(set(ids)), name
        # questions that differ in numbers only never stand on both sides of train | validation
        assert not {masked(p.question) for p in splits["train"]} & {masked(p.question) for p in splits["validation"]}, name


@needs_data
def test_every_row_of_a_benchmark_is_a_well_formed_problem() -> None:
    for name, known in BENCHMARKS.items():
        for problem in [*_load(name)["validation"], *_load(name)["test"]]:
            assert problem.question == " ".join(problem.question.split()) != ""
            assert problem.kind == known.kind
            assert problem.answer and "####" not in problem.rationale and "<<" not in problem.rationale
            if problem.kind == "choice":
                assert len(problem.choices) == 5 and problem.answer in "ABCDE"
            elif problem.kind == "yes-no":
                assert problem.answer in ("yes", "no")


@needs_data
def test_multiariths_default_split_leaks_and_its_template_split_does_not() -> None:
    counts = {}
    for name in ("multiarith", "multiarith-template"):
        splits = _load(name)
        seen = splits["train"] + splits["validation"]
        questions, templates = {p.question for p in seen}, {masked(p.question) for p in seen}
        exact = sum(p.question in questions for p in splits["test"])
        counts[name] = (exact, sum(masked(p.question) in templates for p in splits["test"]))
    assert counts == {"multiarith": (5, 77), "multiarith-template": (0, 0)}


@needs_data
def test_rows_read_as_their_data_set_means_them() -> None:
    first = _load("multiarith")["train"][0]
    assert (first.id, first.answer, first.skill) == ("multiarith-0", "39", "+ -")
    gsm = _load("gsm8k")["test"][0]
    assert (gsm.id, gsm.answer) == ("gsm8k-test-0", "18")
    assert gsm.rationale.splitlines()[-1] == "She makes 9 * 2 = $18 every day at the farmer’s market."
    svamp = _load("svamp")["train"][0]
    assert svamp.skill == "Subtraction"
    assert svamp.question.endswith("on each pack, how much do you have to pay to buy each pack?")
    csqa = _load("csqa")["test"][0]
    assert (csqa.id, csqa.answer, csqa.choices[0]) == ("csqa-test-0", "A", "bank")
    pear = next(p for p in _load("strategyqa")["train"] if "pear" in p.question)
    assert pear.answer == "no" and pear.rationale.startswith("The density of a raw pear")


@needs_data
def test_recorded_rationales_join_every_question_by_its_key() -> None:
    for name, folder, expected in (("multiarith", "MultiArith", 596), ("svamp", "SVAMP", 1000)):
        lines = (DATA / "recorded" / "faithful-cot" / folder / "questions.jsonl").read_text("utf-8").splitlines()
        keys = {question_key(json.loads(line)["question"]) for line in lines}
        problems = [p for problems in _load(name).values() for p in problems]
        assert sum(question_key(p.question) in keys for p in problems) == expected


@needs_data
def test_a_folder_without_splits_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "multiarith").mkdir()
    (tmp_path / "multiarith" / "MultiArith.json").write_bytes((DATA / "multiarith" / "MultiArith.json").read_bytes())
    with pytest.raises(ProblemError, match="multiarith__default.json: missing.*reasoning-teacher"):
        load_problems("multiarith", data_dir=tmp_path)


def test_a_folder_without_the_benchmark_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="svamp/SVAMP.json: missing"):
        load_problems("svamp", data_dir=tmp_path)
    with pytest.raises(ProblemError, match="no such folder"):
        load_problems("svamp", data_dir=tmp_path / "nothing")


def test_a_broken_benchmark_file_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "svamp").mkdir()
    (tmp_path / "svamp" / "SVAMP.json").write_text('[{"Body": "A", "Question": "b?"}]')
    with pytest.raises(ProblemError, match="svamp/SVAMP.json, row 0: .*no field 'Answer'"):
        load_problems("svamp", data_dir=tmp_path)
    (tmp_path / "svamp" / "SVAMP.json").write_text("[{")
    with pytest.raises(ProblemError, match="not JSON"):
        load_problems("svamp", data_dir=tmp_path)


# --- benchmarks from the hub ---

WORD = [a + b for a in "abcdefgh" for b in "abcdefgh"]
HUB: dict[str, Any] = {
    "openai/gsm8k": lambda i: {"question": f"Is {WORD[i]} {i}?", "answer": f"1 + {i} = <<1+{i}=1>>\n#### {i + 1:,}"},
    "ChilleD/SVAMP": lambda i: {
        "ID": f"chal-{i}", "Body": f"Ann has {i} cups of {WORD[i]}.", "Question": "How many?",
        "Equation": f"( {i}.0 + 0.0 )", "Answer": f"{i}.0", "Type": "Addition", "question_concat": "",
    },
    "ChilleD/MultiArith": lambda i: {"question": f" Has {WORD[i % 30]} {i} cups? ", "final_ans": str(i)},
    "tau/commonsense_qa": lambda i: {
        "id": str(i), "question": f"Where is {WORD[i]}?", "question_concept": "x",
        "choices": {"label": list("ABCDE"), "text": ["bank", "library", "store", "mall", "york"]}, "answerKey": "B",
    },
    "ChilleD/StrategyQA": lambda i: {
        "qid": str(i), "term": "t", "description": "d", "question": f"Is {WORD[i]} odd?",
        "answer": i % 2 == 1, "facts": f"Fact {i}.",
    },
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, str]]:
    """Small data sets in the hub's format; the list collects what was asked for."""
    datasets = pytest.importorskip("datasets")
    asked: list[tuple[str, str | None, str]] = []

    def load_dataset(path: str, name: str | None = None, *, split: str) -> Any:
        asked.append((path, name, split))
        start, n = (0, 40) if split == "train" else (40, 20)
        return datasets.Dataset.from_list([HUB[path](i) for i in range(start, start + n)])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_benchmarks_load_from_the_hub(hub: list[tuple[str, str | None, str]]) -> None:
    first = {"gsm8k": "41", "svamp": "40", "multiarith": "40", "csqa": "B", "strategyqa": "no"}
    assert {*first, "multiarith-template"} == BENCHMARKS.keys()
    for name, answer in first.items():
        splits = {split: load_problems(name, split) for split in SPLITS}
        assert len(splits["test"]) == 20 and len(splits["train"]) + len(splits["validation"]) == 40
        assert (splits["test"][0].id, splits["test"][0].answer) == (f"{name}-test-0", answer)
    assert ("openai/gsm8k", "main", "test") in hub
    assert ("tau/commonsense_qa", None, "validation") in hub  # its test labels are hidden


def test_multiarith_template_from_the_hub_keeps_templates_apart(hub: list[tuple[str, str | None, str]]) -> None:
    splits = {split: load_problems("multiarith-template", split) for split in SPLITS}
    templates = {split: {masked(p.question) for p in problems} for split, problems in splits.items()}
    assert sum(map(len, splits.values())) == 60 and len(splits["test"]) == 18
    assert not templates["test"] & (templates["train"] | templates["validation"])
    assert [p.id for p in splits["test"]] == [p.id for p in load_problems("multiarith-template", "test", seed=5)]


@needs_data
def test_folder_and_hub_give_the_same_validation_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    file = {"train": "train.jsonl", "test": "test.jsonl"}

    def load_dataset(path: str, name: str | None = None, *, split: str) -> Any:
        return [json.loads(line) for line in (DATA / "gsm8k" / file[split]).read_text("utf-8").splitlines()]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_problems("gsm8k", "validation") == _load("gsm8k")["validation"]


def test_an_unreachable_hub_is_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def load_dataset(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no route to host\n" * 20)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(ProblemError) as error:
        load_problems("svamp")
    assert "ChilleD/SVAMP" in str(error.value) and "--data-dir" in str(error.value) and "\n" not in str(error.value)


def test_carving_depends_on_the_questions_only() -> None:
    problems = [Problem(id=str(i), question=f"{'abcdefg'[i % 7]} {i}?", answer="1", kind="number") for i in range(70)]
    chosen = {problems[i].question for i in carve(problems, 0.3)}
    backwards = problems[::-1]
    assert chosen == {backwards[i].question for i in carve(backwards, 0.3)}
    assert len(chosen) == 20  # two whole templates of ten; a third would be more than 30 %


# --- own files ---


def test_an_own_file_is_read_with_kinds_read_off_the_answers(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "own.jsonl",
        {"question": " What  is 1 + 1? ", "answer": 2.0, "split": "train", "rationale": "1 + 1 = 2", "skill": "sum"},
        b"",
        {"question": "Half of 1?", "answer": "½", "split": "train", "id": "half"},
        {"question": "Is it?", "answer": True, "split": "train"},
        {"question": "Where?", "answer": "Library", "choices": ["bank", "library"], "split": "train"},
        {"question": "Which?", "answer": "(a)", "choices": ["bank", "library"], "split": "train", "kind": "choice"},
    )
    problems = load_problems(path)
    assert [(p.kind, p.answer) for p in problems] == [
        ("number", "2"), ("number", "0.5"), ("yes-no", "yes"), ("choice", "B"), ("choice", "A"),
    ]  # fmt: skip
    assert problems[0] == Problem("own-1", "What is 1 + 1?", "2", "number", (), "1 + 1 = 2", "sum")
    assert problems[1].id == "half"


def test_a_question_asked_twice_stays_on_one_side_when_lines_name_no_split(tmp_path: Path) -> None:
    rows = _many(300)
    again = [{**row, "question": "  " + row["question"].upper()} for row in rows]
    path = _write(tmp_path / "own.jsonl", *rows, *again)
    splits = {split: load_problems(path, split) for split in SPLITS}
    keys = {split: {question_key(p.question) for p in problems} for split, problems in splits.items()}
    assert sum(len(p) for p in splits.values()) == 600 and sum(len(k) for k in keys.values()) == 300
    assert 210 <= len(keys["train"]) <= 270 and len(keys["validation"]) >= 15 and len(keys["test"]) >= 15


def test_a_line_without_a_split_follows_the_same_question_that_names_one(tmp_path: Path) -> None:
    rows = _many(40)
    path = _write(tmp_path / "own.jsonl", *rows, *[{**row, "split": "test"} for row in rows])
    assert len(load_problems(path, "test")) == 80


def test_the_same_question_in_two_named_splits_is_refused(tmp_path: Path) -> None:
    row = {"question": "1 + 1?", "answer": 2}
    path = _write(tmp_path / "own.jsonl", {**row, "split": "train"}, {**row, "split": "test"})
    with pytest.raises(ProblemError, match="line 2: asks for split test, but line 1"):
        load_problems(path)


def test_a_misspelt_field_is_named_with_line_and_suggestion(tmp_path: Path) -> None:
    path = _write(tmp_path / "own.jsonl", *_many(16), {"question": "?!", "anwser": 1})
    with pytest.raises(ProblemError) as error:
        load_problems(path)
    assert str(error.value).splitlines() == [
        f'{path}, line 17: no field "answer" (found: question, anwser). Did you mean "anwser" → "answer"?',
        "Nothing was loaded; fix the line, or leave out bad lines and list them with --skip-bad (in Python skip_bad=True).",
    ]


BAD = [
    (b"{", "not JSON"), (b"\xff{}", "not UTF-8"), (b"[1]", "expected one JSON object"), (b"[" * 100_000, "nested too deeply"),
    (b'{"question": "a\\u0000b", "answer": 1}', "NUL"), (b'{"question": "a\\ud800b", "answer": 1}', "half a character"),
    (b'{"question": "a\x00b", "answer": 1}', "not JSON"), ({"question": " ", "answer": 1}, "empty"),
    ({"question": 5, "answer": 1}, "must be text"), ({"answer": 1}, 'no field "question"'),
    ({"question": "a", "answer": None}, "must be text, a number or true/false"),
    ({"question": "a", "answer": "Paris"}, "neither one number"),
    ({"question": "a", "answer": "about 5 or 6"}, "neither one number"),
    (b'{"question": "a", "answer": NaN}', "neither one number"), (b'{"question": "a", "answer": 1e999}', "neither one number"),
    (b'{"question": "a", "answer": ' + b"9" * 5000 + b"}", ""),
    ({"question": "a", "answer": "maybe", "kind": "yes-no"}, "neither yes nor no"),
    ({"question": "a", "answer": "C", "choices": ["x", "y"]}, r"not among the choices \(A x, B y\)"),
    ({"question": "a", "answer": "x", "choices": ["x", "x"]}, "appears twice"),
    ({"question": "a", "answer": "A", "choices": "xy"}, "list of texts"),
    ({"question": "a", "answer": "A", "choices": ["x"]}, "1 options"),
    ({"question": "a", "answer": "A", "kind": "choice"}, "needs the field"),
    ({"question": "a", "answer": 1, "kind": "poem"}, "must be one of number"),
    ({"question": "a", "answer": 1, "split": "exam"}, "must be one of train"),
    ({"question": "a", "answer": 1, "id": [1]}, "must be text"),
    ({"question": "a", "answer": 1, "id": "own-1"}, "already used in line 1"),
]  # fmt: skip


def test_a_bad_line_is_named_or_left_out_and_listed(tmp_path: Path) -> None:
    for row, message in BAD:
        path = _write(tmp_path / "own.jsonl", {"question": "1 + 1?", "answer": 2, "split": "train"}, row)
        with pytest.raises(ProblemError, match=f"line 2: .*{message}"):
            load_problems(path)
        with pytest.warns(UserWarning, match="left out 1 bad line.*\n  line 2: ") as caught:
            assert [p.id for p in load_problems(path, skip_bad=True)] == ["own-1"]
        assert len(caught) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.dictionaries(
    st.sampled_from(["question", "answer", "choices", "kind", "split", "id", "skill", "rationale"]),
    st.one_of(st.none(), st.text(max_size=5), st.integers(), st.floats(), st.lists(st.text(max_size=3), max_size=3)),
).map(lambda row: json.dumps(row).encode())), max_size=6))  # fmt: skip
def test_whatever_is_in_a_file_it_loads_or_says_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("own") / "own.jsonl"
    path.write_bytes(b"\n".join(lines))
    try:
        assert load_problems(path)
    except ProblemError as error:
        assert str(path) in str(error)


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="nothing.jsonl: cannot be read"):
        load_problems(tmp_path / "nothing.jsonl")
    with pytest.raises(ProblemError, match="no problem in split 'train'"):
        load_problems(_write(tmp_path / "empty.jsonl"))
    path = _write(tmp_path / "one.jsonl", {"question": "1?", "answer": 1, "split": "train"})
    with pytest.raises(ProblemError, match=r"no problem in split 'test' \(found: 1 train, 0 validation, 0 test\)"):
        load_problems(path, "test")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"question": "1?", "answer": 1, "split": "train"}\r\n\r\n')
    assert load_problems(path)[0].answer == "1"


# --- names, splits, limits ---


def test_an_unknown_name_or_split_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ProblemError, match='Did you mean "svamp"') as error:
        load_problems("swamp")
    assert all(name in str(error.value) for name in PROBLEM_NAMES)
    with pytest.raises(ProblemError, match='Did you mean "validation"'):
        load_problems("svamp", "valid")
    with pytest.raises(ProblemError, match="limit is 0"):
        load_problems("svamp", limit=0)


def test_a_limit_draws_a_stable_subset_that_grows_with_it(tmp_path: Path) -> None:
    path = _write(tmp_path / "own.jsonl", *[{**row, "split": "train"} for row in _many(100)])
    ten, twenty = ({p.id for p in load_problems(path, limit=n, seed=3)} for n in (10, 20))
    assert len(ten) == 10 and ten < twenty
    assert ten == {p.id for p in load_problems(path, limit=10, seed=3)}
    assert ten != {p.id for p in load_problems(path, limit=10, seed=4)}
    assert len(load_problems(path, limit=1000)) == 100


def test_the_pocket_world_is_asked_for_split_limit_and_seed() -> None:
    assert load_problems("pocket", "train", limit=7, seed=2) == make_problems("train", 7, 2) != make_problems("train", 7, 0)


def test_the_key_of_a_question_ignores_case_space_and_punctuation_but_not_numbers() -> None:
    assert question_key("Dan had $ 3 left,\nwith him?") == question_key("dan had $3 left with  him")
    assert question_key("2.5 cups") != question_key("25 cups")
