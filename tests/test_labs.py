"""What labs share: fresh adapters, log probabilities, begun rationales, stories, stages that resume, bars on held seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from l2r_course.labs.__main__ import LABS, main
from l2r_course.labs.arms import continue_rationales, count_tokens, fresh_adapter, log_probabilities
from l2r_course.labs.held import Bar, Measured, bars_table, keep, numbers_table, read_log
from l2r_course.labs.kept import Kept
from l2r_course.labs.story import program_of, read_story, retold
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import KNOWN, TRANSFER, WITHHELD, make_problems
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.loop.student import Student
from tiny_student import wake_up

PROBLEMS = make_problems("train", 24 * 20, seed=3, skills=(*KNOWN, *WITHHELD, *TRANSFER))


# --- a student's arms ---


@pytest.mark.parametrize("four_bit", [True, False])
def test_a_fresh_adapter_is_the_one_that_loading_with_its_seed_makes(load_tiny: Callable, four_bit: bool) -> None:
    wanted = load_tiny(seed=5, four_bit=four_bit).trainable
    student = load_tiny(seed=0, four_bit=four_bit)
    prompts = [student_prompt(p) for p in PROBLEMS[:4]]
    untrained = student.generate(prompts, max_new_tokens=8)
    wake_up(student, torch.Generator().manual_seed(1))
    assert student.generate(prompts, max_new_tokens=8) != untrained
    base = student.head.weight.data_ptr()
    fresh_adapter(student, 5)
    got = student.trainable
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)
    assert student.head.weight.data_ptr() == base, "the base was loaded again"
    assert student.generate(prompts, max_new_tokens=8) == untrained


def test_log_probabilities_are_those_of_each_text_alone_whatever_is_in_the_batch(load_tiny: Callable) -> None:
    student = load_tiny(wake=True)
    problems = PROBLEMS[:5]
    texts = [write_rationale(p, i % 3) for i, p in enumerate(problems)]
    found = log_probabilities(student, problems, texts, rows=3)
    for problem, text, sum_ in zip(problems, texts, found, strict=True):
        prompt, rationale = student.encode(student_prompt(problem), completion(text))
        ids = torch.tensor([prompt + rationale])
        with torch.no_grad():
            logits = student.model(input_ids=ids).logits[0, :-1].float()
        each = -cross_entropy(logits, ids[0, 1:], reduction="none")
        assert sum_.item() == pytest.approx(each[-len(rationale) :].sum().item(), abs=1e-3)
    with pytest.raises(ValueError):
        log_probabilities(student, problems, texts[:-1])


def test_tokens_are_counted_with_the_end_token(load_tiny: Callable) -> None:
    student = load_tiny()
    (count,) = count_tokens(student, ["The answer is 7."])
    assert count == len(student.tokenizer(" The answer is 7.").input_ids) + 1


def test_a_begun_rationale_is_finished_and_an_empty_one_is_the_students_own(pocket_student, pocket_problems: list) -> None:  # noqa: ANN001
    problems = [p for p in pocket_problems if p.skill == "add"][:4]
    begun = [write_rationale(p, 0).split(". ")[0] + "." for p in problems]
    whole = continue_rationales(pocket_student, problems, begun)
    own = continue_rationales(pocket_student, problems, [""] * len(problems))
    assert [text.startswith(start) for text, start in zip(whole, begun, strict=True)] == [True] * 4
    assert all(text.endswith(f"The answer is {p.answer}.") for text, p in zip(whole, problems, strict=True))
    assert own == [texts[0] for texts in pocket_student.generate(list(map(student_prompt, problems)), max_new_tokens=56)]


# --- stories ---


def test_the_story_of_every_problem_is_read_and_told_again_word_for_word() -> None:
    for problem in PROBLEMS:
        story = read_story(problem)
        assert story.tell() == problem.question
        assert program_of(story.clauses, story.numbers) == problem.program
        assert list(story.numbers) == [int(n) for n in re.findall(r"\d+", problem.question)]
        assert story.names["P"] != story.names.get("Q") and story.names["O"] in problem.question


def test_a_problem_told_again_differs_in_one_number_and_is_a_problem_of_the_same_skill() -> None:
    seen = 0
    for problem in PROBLEMS[::5]:
        changes = []
        for twin in list(retold(problem))[:10]:
            old, new = read_story(problem), read_story(twin)
            (changed,) = [(a, b) for a, b in zip(old.numbers, new.numbers, strict=True) if a != b]
            changes.append(abs(changed[0] - changed[1]))
            assert (new.phrases, new.names) == (old.phrases, old.names)
            assert [s.op for s in twin.program] == [s.op for s in problem.program]
            if problem.kind == "number":
                assert twin.answer == str(twin.program[-1].result)
            else:
                assert twin.answer == problem.answer
        assert changes == sorted(changes)
        seen += len(changes)
    assert seen > 500


@pytest.mark.parametrize("numbers", [(70, 30), (3, 4), (50, 41), (82, 2)])
def test_numbers_that_the_pocket_world_does_not_have_make_no_program(numbers: tuple[int, int]) -> None:
    assert program_of(("start", "gain", "how-many"), numbers) is None


def test_a_problem_from_elsewhere_has_no_story() -> None:
    with pytest.raises(ValueError, match="only problems of the pocket world"):
        read_story(Problem("p", "What is 2 + 3?", "5", "number"))


# --- stages that are kept ---


def test_a_stage_is_done_once_and_read_afterwards(tmp_path: Path, load_tiny: Callable) -> None:
    done: list[str] = []

    def make(name: str, value: object) -> Callable[[], object]:
        return lambda: (done.append(name), value)[1]

    def train(student: Student) -> None:
        done.append("arm")
        wake_up(student, torch.Generator().manual_seed(2))

    sample = Sample("p", 0, "The answer is 7.", "7", True)
    for _ in range(2):
        kept = Kept(tmp_path / "lab", {"seed": 1})
        assert kept.json("numbers", make("numbers", {"a": [1, 2.5]})) == {"a": [1, 2.5]}
        assert kept.lines("samples", Sample, make("samples", [sample])) == [sample]
        student = load_tiny()
        kept.adapter("arm", student, partial(train, student))
        weights = {name: w.detach().clone() for name, w in student.trainable.items()}
    assert done == ["numbers", "samples", "arm"]
    assert any(w.abs().sum() > 0 for name, w in weights.items() if "lora_B" in name), "the trained adapter was not loaded"
    assert sorted(p.suffix for p in (tmp_path / "lab").rglob("*") if p.is_file() and "arm" not in str(p)) == [
        ".json", ".json", ".jsonl"]  # fmt: skip
    with pytest.raises(RunError, match="other settings"):
        Kept(tmp_path / "lab", {"seed": 2})


def test_an_interrupted_stage_leaves_no_file_and_is_done_again(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    kept = Kept(tmp_path / "lab", {})
    with pytest.raises(KeyboardInterrupt):
        kept.json("numbers", stop)
    assert kept.json("numbers", lambda: 3) == 3


# --- bars ---


def line(seed: int, value: float) -> Measured:
    return Measured(seed, {"a": value, "b": 0.1}, {}, {})


BAR = Bar("a − b", lambda m: m["a"] - m["b"], low=0.25)


def test_a_bar_says_in_how_many_seeds_it_holds() -> None:
    table = bars_table([BAR, Bar("a", lambda m: m["a"], high=0.4, points=True)], [line(11, 0.5), line(12, 0.3)])
    assert table.head == ["measured", "bar", "seed 11", "seed 12", "mean ± 95 % (t)", "holds in"]
    assert table.rows[0] == ["a − b", "≥ 0.25", "+0.40", "+0.20", "+0.30 ± 1.27", "1 of 2"]
    assert table.rows[1] == ["a", "≤ 40 points", "+50", "+30", "+40 ± 127", "1 of 2"]
    assert Bar("", lambda m: 0.0, -0.1, 0.1, points=True).bound == "−10 to +10 points"
    assert numbers_table({"b": "what b is"}, [line(1, 2.0)]).rows == [["what b is", "0.10", "0.10"]]


def test_a_value_that_is_no_number_keeps_no_bar() -> None:
    assert not BAR.holds({"a": math.nan, "b": 0.0})


def test_a_log_has_one_line_per_seed_in_order(tmp_path: Path) -> None:
    log = tmp_path / "held.jsonl"
    assert read_log(log) == []
    for seed, value in ((12, 1.0), (10, 2.0), (12, 3.0)):
        keep(line(seed, value), log)
    assert [(m.seed, m.numbers["a"]) for m in read_log(log)] == [(10, 2.0), (12, 3.0)]


@pytest.mark.parametrize("name", LABS)
def test_the_table_in_the_package_covers_all_held_seeds_and_names_its_machine(name: str) -> None:
    lab = LABS[name]
    log = read_log(lab.LOG)
    assert [m.seed for m in log] == list(lab.HELD)
    assert all(set(m.numbers) == set(lab.MEASURES) and m.environment["cpu"] and m.date for m in log)


def test_the_command_measures_what_the_log_lacks_and_prints_the_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lab:
        HELD, LOG, BARS, MEASURES = (10, 11), tmp_path / "held.jsonl", (BAR,), {"a": "what a is"}
        asked: list[int] = []

        @classmethod
        def measure(cls, seed: int, folder: Path, *, progress: bool) -> dict[str, float]:
            cls.asked.append(seed)
            return {"a": seed / 20, "b": 0.1}

    monkeypatch.setitem(LABS, "small", Lab)
    keep(line(10, 0.9), Lab.LOG)
    assert main(["small", "--runs", str(tmp_path)]) == 0
    assert Lab.asked == [11]
    assert "2 of 2" in capsys.readouterr().out
