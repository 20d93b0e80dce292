"""The pocket world: right answers, splits without overlap, and rationales that can be checked step by step."""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2r_lite.data.answers import is_correct
from l2r_lite.data.arithmetic import wrong_equations
from l2r_lite.data.pocket import rationales, world
from l2r_lite.data.pocket.rationales import STYLES, first_wrong_step, write_rationale
from l2r_lite.data.pocket.world import NAMES, OBJECTS, SKILLS, make_problem, make_problems
from l2r_lite.loop.records import LETTERS, Problem, Step

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Problem]]:
    return {split: make_problems(split, 1080, seed=3) for split in SPLITS}


def value_of(left: int, op: str, right: int) -> int:
    """The arithmetic again, written without the library's."""
    if op == "/":
        assert left % right == 0
        return left // right
    return {"+": left + right, "-": left - right, "*": left * right, "<": int(left < right), ">": int(left > right)}[op]


def masked(question: str, *, names: bool = False) -> str:
    question = re.sub(r"\d+", "#", question)
    if names:
        question = re.sub(rf"\b({'|'.join(NAMES)})\b", "NAME", question)
        question = re.sub(rf"\b({'|'.join(OBJECTS)})\b", "THINGS", question)
    return question


def problems_of(skill: str, count: int = 12, seed: int = 0) -> list[Problem]:
    return make_problems("train", count, seed, (skill,))


# --- skills ---


def test_there_are_at_least_sixteen_skills_of_one_two_and_three_steps_and_all_three_answer_kinds() -> None:
    assert len(SKILLS) >= 16
    problems = make_problems("train", len(SKILLS))
    assert {len(p.program) for p in problems} == {1, 2, 3}
    assert {p.kind for p in problems} == {"number", "yes-no", "choice"}


def test_no_skill_is_both_known_and_withheld_and_both_kinds_exist() -> None:
    assert set(SKILLS) - set(world.KNOWN) - set(world.WITHHELD) - set(world.TRANSFER) == {"pick-sum"}  # unmastered: in no split
    assert not set(world.KNOWN) & set(world.WITHHELD)
    assert world.KNOWN and world.WITHHELD


def test_no_student_is_pretrained_or_trained_on_what_transfer_is_measured_with() -> None:
    assert len(world.TRANSFER) >= 5
    assert not set(world.TRANSFER) & {*world.KNOWN, *world.WITHHELD, *world.PRETRAINED}
    taught = {SKILLS[name].clauses for name in (*world.KNOWN, *world.WITHHELD, *world.PRETRAINED)}
    assert not taught & {SKILLS[name].clauses for name in world.TRANSFER}  # not even the same story with another question


def test_a_problem_is_one_of_its_skill_in_words_and_in_kind() -> None:
    for skill, problem in [(name, p) for name in SKILLS for p in problems_of(name)]:
        assert (problem.skill, problem.kind) == (skill, SKILLS[skill].kind)
        assert "{" not in problem.question
        used = {int(n) for n in re.findall(r"\d+", problem.question)}
        operands = {n for step in problem.program for n in (step.left, step.right)}
        results = {step.result for step in problem.program}
        assert used <= operands, "a number of the story that no step uses"
        assert operands <= used | results, "a step that uses a number from nowhere"


# --- gold answers ---


def test_the_program_evaluates_to_the_gold_answer_and_its_numbers_stay_between_1_and_99() -> None:
    for problem in [p for skill in SKILLS for p in problems_of(skill, 60)]:
        for step in problem.program:
            assert value_of(step.left, step.op, step.right) == step.result
            assert all(1 <= n <= 99 for n in (step.left, step.right, step.result)), str(step)
        last = problem.program[-1]
        if problem.kind == "number":
            assert problem.answer == str(last.result)
        elif problem.kind == "yes-no":
            assert last.op in "<>"
            assert problem.answer == ("yes" if last.left > last.right else "no")
        else:
            option = problem.choices[LETTERS.index(problem.answer)]
            if last.op in "<>":
                names = re.findall(rf"\b(?:{'|'.join(NAMES)})\b", problem.question)
                first, second = dict.fromkeys(names)  # in the order of their appearance
                assert option == (first if last.left > last.right else second)
            else:
                assert option == str(last.result)


def test_the_relation_asked_for_is_about_the_right_side() -> None:
    """ "Does Q have fewer than P?" and "Does P have more than Q?" must have the same answer."""
    for problem in [p for s in SKILLS.values() if s.kind == "yes-no" for p in problems_of(s.name, 60)]:
        names = list(dict.fromkeys(re.findall(rf"\b(?:{'|'.join(NAMES)})\b", problem.question)))
        if fewer := re.search(r"Does ([A-Z]\w+) have fewer \w+ than ([A-Z]\w+)\?", problem.question):
            assert [fewer[2], fewer[1]] == names
        elif more := re.search(r"(?:Does|true that|with) ([A-Z]\w+).*? than (?:with )?([A-Z]\w+)\?", problem.question):
            assert [more[1], more[2]] == names


def test_the_gold_option_is_among_the_choices_exactly_once(splits: dict[str, list[Problem]]) -> None:
    choice = [p for ps in splits.values() for p in ps if p.kind == "choice"]
    assert choice
    for problem in choice:
        assert len(set(problem.choices)) == len(problem.choices) >= 2
        assert problem.answer in LETTERS[: len(problem.choices)]


def test_no_verdict_and_no_letter_is_right_far_more_often_than_another() -> None:
    for skill in [s for s in SKILLS.values() if s.kind != "number"]:
        answers = Counter(p.answer for p in problems_of(skill.name, 400))
        options = len(problems_of(skill.name, 1)[0].choices) or 2
        assert len(answers) == options, skill.name
        assert min(answers.values()) > (0.8 if skill.kind == "yes-no" else 0.7) * 400 / options, skill.name


# --- splits ---


def test_no_question_of_one_split_is_in_another_even_with_numbers_names_and_objects_masked(
    splits: dict[str, list[Problem]],
) -> None:
    for seen in (lambda p: p.question, lambda p: masked(p.question), lambda p: masked(p.question, names=True),
                 lambda p: p.template):  # fmt: skip
        train, validation, test = ({seen(p) for p in splits[name]} for name in SPLITS)
        assert not train & validation and not train & test and not validation & test


def test_every_split_has_every_skill_and_no_question_or_id_twice(splits: dict[str, list[Problem]]) -> None:
    for problems in splits.values():
        counts = Counter(p.skill for p in problems)
        assert set(counts) == set(world.KNOWN + world.WITHHELD)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert len({(p.question, p.choices) for p in problems}) == len({p.id for p in problems}) == len(problems)


def test_no_question_comes_twice_even_where_there_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "NAMES", ("Tom", "Mia"))
    monkeypatch.setattr(world, "OBJECTS", ("pens",))
    problems = make_problems("test", 150, skills=("multiply",))
    assert len({p.question for p in problems}) == 150


def test_the_seed_decides_the_problems() -> None:
    assert make_problems("train", 90, seed=4) == make_problems("train", 90, seed=4)
    assert make_problems("train", 90, seed=4) != make_problems("train", 90, seed=5)


def test_a_smaller_limit_is_the_beginning_of_a_larger_one() -> None:
    assert make_problems("test", 50) == make_problems("test", 100)[:50]


# --- rationales ---


def test_every_style_of_rationale_has_other_words_and_is_correct_in_answer_arithmetic_and_steps() -> None:
    for problem in [p for skill in SKILLS for p in problems_of(skill)]:
        texts = {write_rationale(problem, style) for style in range(len(STYLES))}
        assert len(texts) == len(STYLES)
        for text in texts:
            assert is_correct(text, problem) and not wrong_equations(text)
            assert first_wrong_step(problem, text) is None


def test_a_problem_without_a_program_cannot_be_written_out() -> None:
    with pytest.raises(ValueError, match="mine-1.*no solution program"):
        write_rationale(Problem("mine-1", "How many?", "3", "number"), 0)


def with_step(problem: Problem, position: int, *steps: Step) -> str:
    """The rationale of the same problem with the step at `position` replaced by `steps` (none: left out)."""
    program = (*problem.program[:position], *steps, *problem.program[position + 1 :])
    if not program:
        return "I do not know."
    return write_rationale(dataclasses.replace(problem, program=program), 0)


@st.composite
def a_step_of_a_problem(draw: st.DrawFn) -> tuple[Problem, int]:
    skill = SKILLS[draw(st.sampled_from(list(SKILLS)))]
    wording = draw(st.sampled_from(skill.wordings))
    problem = make_problem(skill, wording, random.Random(draw(st.integers(0, 2**32))), "p")
    return problem, draw(st.integers(0, len(problem.program) - 1))


@settings(max_examples=100, deadline=None)
@given(a_step_of_a_problem(), st.integers(1, 50))
def test_a_wrong_result_is_found_where_it_is(chosen: tuple[Problem, int], by: int) -> None:
    problem, position = chosen
    step = problem.program[position]
    if step.op in "<>":  # its only wrong result is the relation turned round
        wrong = dataclasses.replace(step, op="<" if step.op == ">" else ">")
    else:
        wrong = dataclasses.replace(step, result=step.result + by)
    assert first_wrong_step(problem, with_step(problem, position, wrong)) == (position, wrong, step)


@settings(max_examples=100, deadline=None)
@given(a_step_of_a_problem(), st.sampled_from("+-*"))
def test_a_wrong_operation_is_found_where_it_is(chosen: tuple[Problem, int], op: str) -> None:
    problem, position = chosen
    step = problem.program[position]
    left, right = max(step.left, step.right), min(step.left, step.right)
    result = value_of(left, op, right)
    if op == step.op or (step.op in "+-*/" and op in "+*" and result == step.result):
        return
    wrong = Step(left, op, right, result)
    assert first_wrong_step(problem, with_step(problem, position, wrong)) == (position, wrong, step)


@settings(max_examples=100, deadline=None)
@given(a_step_of_a_problem())
def test_a_missing_step_is_found_where_it_should_be(chosen: tuple[Problem, int]) -> None:
    problem, position = chosen
    if position + 1 < len(problem.program) and problem.program[position] == problem.program[position + 1]:
        return  # leaving out one of two equal steps is leaving out the second
    following = problem.program[position + 1] if position + 1 < len(problem.program) else None
    got = first_wrong_step(problem, with_step(problem, position))
    assert got == (position, following, problem.program[position])


@settings(max_examples=100, deadline=None)
@given(a_step_of_a_problem())
def test_an_extra_step_is_found_where_it_stands(chosen: tuple[Problem, int]) -> None:
    problem, position = chosen
    step, extra = problem.program[position], Step(99, "+", 100, 199)
    assert first_wrong_step(problem, with_step(problem, position, extra, step)) == (position, extra, step)
    end = len(problem.program)
    after = with_step(problem, end, extra)
    assert first_wrong_step(problem, after) == (end, extra, None)


@settings(max_examples=60, deadline=None)
@given(a_step_of_a_problem())
def test_swapped_operands_of_a_sum_a_product_or_a_relation_are_right(chosen: tuple[Problem, int]) -> None:
    problem, position = chosen
    step = problem.program[position]
    if step.op in "-/":
        return
    op = {"<": ">", ">": "<"}.get(step.op, step.op)
    swapped = Step(step.right, op, step.left, step.result)
    assert first_wrong_step(problem, with_step(problem, position, swapped)) is None


def test_a_step_without_a_result_is_wrong() -> None:
    problem = problems_of("add", 1)[0]
    step = problem.program[0]
    text = f"First {step.left} + {step.right}. The answer is {step.result}."
    found = first_wrong_step(problem, text)
    assert found is not None and found[0] == 0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read_as_steps(text: str) -> None:
    rationales.read_steps(text)
    first_wrong_step(problems_of("add", 1)[0], text)
