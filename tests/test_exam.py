"""The exam: counts, mistakes, and resuming after an interruption."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2r_course.pass_at_k import first_samples, pass_at_k, pass_by_skill
from l2r_lite.data.answers import read
from l2r_lite.loop.exam import grade, take_exam
from l2r_lite.loop.grading import one_answer_each, read_answer
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import ExamReport, Problem, Sample
from l2r_lite.loop.student import Student
from l2r_lite.runs.statistics import wilson_interval
from l2r_lite.students.slots import Slots

APPLES = Problem("apples", "3 + 4?", "7", "number", skill="add")
PENS = Problem("pens", "9 - 4?", "5", "number", skill="subtract")
CUPS = Problem("cups", "Is 3 more than 2?", "yes", "yes-no")


class Answers:
    """A student that gives these texts, in this order, to each prompt."""

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self.texts = {student_prompt(p): texts[p.id] for p in (APPLES, PENS, CUPS) if p.id in texts}

    def generate(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        return [self.texts[p][:samples] for p in prompts]


def sit(samples: int = 1, **texts: list[str]) -> ExamReport:
    problems = [p for p in (APPLES, PENS, CUPS) if p.id in texts]
    return take_exam(Answers(texts), problems, samples=samples, progress=False)  # type: ignore[arg-type]


def test_accuracy_counts_every_sample_once() -> None:
    """The reference code's printed accuracy counts some twice."""
    right, wrong = "The answer is 7.", "The answer is 8."
    report = sit(4, apples=[right, right, wrong, right], pens=[wrong, wrong, wrong, "The answer is 5."])
    assert len(report.samples) == 8
    assert report.accuracy == 4 / 8


def test_accuracy_of_an_empty_exam_is_0() -> None:
    assert take_exam(Answers({}), [], progress=False).accuracy == 0  # type: ignore[arg-type]


def test_mistakes_are_the_wrong_samples_each_wording_once() -> None:
    report = sit(4, apples=["The answer is 8.", "The answer is 8.", "So 8. The answer is 8.", "The answer is 7."])
    assert [(m.problem, m.rationale, m.answer) for m in report.mistakes] == [
        (APPLES, "The answer is 8.", "8"),
        (APPLES, "So 8. The answer is 8.", "8"),
    ]
    assert sum(not s.correct for s in report.samples) == 3


def test_the_same_words_on_two_questions_are_two_mistakes() -> None:
    report = sit(1, apples=["The answer is 1."], pens=["The answer is 1."])
    assert [m.problem for m in report.mistakes] == [APPLES, PENS]


def test_a_mistake_ends_in_the_students_own_wrong_answer() -> None:
    (mistake,) = sit(1, apples=["3 + 4 = 8. The answer is 8."]).mistakes
    assert mistake.rationale == "3 + 4 = 8. The answer is 8."
    assert mistake.answer == "8"


@pytest.mark.parametrize("text", ["", "I do not know.", "The answer is", "The answer is unknown."])
def test_no_answer_is_a_mistake(text: str) -> None:
    report = sit(1, apples=[text])
    assert report.accuracy == 0
    assert [(m.rationale, m.answer) for m in report.mistakes] == [(text, None)]


def test_own_correct_rationales_are_kept_each_once() -> None:
    report = sit(3, apples=["The answer is 7."] * 2 + ["It is 7. The answer is 7."], pens=["The answer is 1."] * 3)
    assert report.correct == {"apples": ["The answer is 7.", "It is 7. The answer is 7."]}


def test_skills_are_counted_apart_and_problems_without_one_left_out() -> None:
    report = sit(2, apples=["The answer is 7.", "no"], pens=["The answer is 5."] * 2, cups=["The answer is no."] * 2)
    assert report.by_skill == {"add": 0.5, "subtract": 1.0}


def test_samples_come_in_the_order_of_the_problems_whatever_the_order_of_the_batches() -> None:
    long = Problem("long", "How many are there if there are many of them and some more? " * 3, "1", "number")
    student = Answers({})
    student.texts = {student_prompt(p): ["The answer is 1.", "2"] for p in (long, APPLES)}
    report = take_exam(student, [long, APPLES], samples=2, rows=2, progress=False)  # type: ignore[arg-type]
    assert [(s.problem_id, s.index) for s in report.samples] == [("long", 0), ("long", 1), ("apples", 0), ("apples", 1)]


# --- the interval ---


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [  # Newcombe (1998), table I, method 3 (score method without continuity correction), and 0 of 10 by hand
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),
        (0, 10, 0.0, 0.2775),
    ],
)
def test_the_wilson_interval_has_its_known_values(right: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=1e-4)


def test_of_no_questions_everything_is_possible() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_in_0_to_1(counts: tuple[int, int]) -> None:
    right, total = counts
    low, high = wilson_interval(right, total)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= right / total <= high + 1e-12


# --- pass@k ---


@pytest.mark.parametrize(
    ("samples", "right", "k", "chance"),
    [(4, 2, 2, 5 / 6), (8, 1, 8, 1), (5, 3, 3, 1), (8, 0, 4, 0), (8, 8, 1, 1), (1, 0, 1, 0), (90, 1, 45, 0.5)],
)
def test_pass_at_k_by_hand(samples: int, right: int, k: int, chance: float) -> None:
    assert pass_at_k(samples, right, k) == pytest.approx(chance)


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_choices_that_hold_a_right_sample(numbers: tuple[int, int, int]) -> None:
    samples, right, k = numbers
    choices = list(combinations([True] * right + [False] * (samples - right), k))
    assert pass_at_k(samples, right, k) == pytest.approx(sum(map(any, choices)) / len(choices))


@pytest.mark.parametrize(("samples", "right", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0), (0, 0, 1)])
def test_pass_at_k_of_impossible_numbers_is_refused(samples: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        pass_at_k(samples, right, k)


def test_pass_at_k_is_averaged_over_a_skills_questions_and_problems_without_one_left_out() -> None:
    right, wrong = "The answer is 7.", "The answer is 8."
    report = sit(2, apples=[right, wrong], pens=[wrong, wrong], cups=["The answer is no."] * 2)
    assert pass_by_skill(report, 1) == {"add": 0.5, "subtract": 0.0} == report.by_skill
    assert pass_by_skill(report, 2) == {"add": 1.0, "subtract": 0.0}
    with pytest.raises(ValueError, match="samples"):
        pass_by_skill(report, 3)


# --- interrupted and resumed, with a real student ---


@pytest.fixture(scope="module")
def student(load_tiny: Callable) -> Student:
    return load_tiny(wake=True)


def real_exam(student: Student, problems: list[Problem], **options: object) -> ExamReport:
    return take_exam(student, problems, samples=2, temperature=0.8, seed=3, max_new_tokens=8, rows=2, progress=False, **options)


def test_a_resumed_exam_equals_an_undisturbed_one(student: Student, pocket_problems: list[Problem]) -> None:
    problems = pocket_problems[:12]
    written: list[Sample] = []
    whole = real_exam(student, problems, on_samples=written.extend)
    assert sorted(written, key=str) == sorted(whole.samples, key=str)
    for count in (0, 3, 7, 8, 13, 23, 24):
        assert real_exam(student, problems, taken=written[:count]) == whole, count


def test_a_resumed_exam_does_not_answer_finished_parts_again(
    student: Student, pocket_problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems, written, asked = pocket_problems[:12], [], []
    real_exam(student, problems, on_samples=written.extend)
    real = student.generate

    def counting(prompts: list[str], **options: object) -> list[list[str]]:
        asked.extend(prompts)
        return real(prompts, **options)

    monkeypatch.setattr(student, "generate", counting)
    real_exam(student, problems, taken=written[:16])  # two parts of four questions, two samples each
    assert len(asked) == 4
    real_exam(student, problems, taken=written)
    assert len(asked) == 4


def test_samples_that_are_no_part_of_the_exam_are_left_out(student: Student, pocket_problems: list[Problem]) -> None:
    stranger = Sample("elsewhere", 0, "The answer is 1.", "1", True)
    assert real_exam(student, pocket_problems[:4], taken=[stranger]) == real_exam(student, pocket_problems[:4])


def test_an_exams_cache_is_gone_when_it_ends(student: Student, pocket_problems: list[Problem]) -> None:
    """Without waiting for Python's collector, which comes so seldom that three rounds kept 0.5 GB."""
    gc.collect()
    gc.disable()
    try:
        take_exam(student, pocket_problems, progress=False)
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Slots)]
    finally:
        gc.enable()


def test_the_first_samples_of_an_exam_are_the_exam_with_fewer_samples(student: Student, pocket_problems: list[Problem]) -> None:
    options = {"temperature": 0.8, "seed": 3, "max_new_tokens": 8, "progress": False}
    four, two = (take_exam(student, pocket_problems[:4], samples=n, **options) for n in (4, 2))  # type: ignore[arg-type]
    assert first_samples(four, 2) == two != four


# --- how answers are read: the plain way and a run's ---


def test_the_plain_reader_and_a_runs_reader_agree_on_every_sample_of_the_pocket_student(
    pocket_student: Student, pocket_problems: list[Problem]
) -> None:
    """So that notebooks and runs give one accuracy; a run's reader understands more than the answer line."""
    problems = pocket_problems[:68]
    exam = take_exam(pocket_student, problems, samples=2, temperature=0.7, max_new_tokens=56, progress=False)
    by_id = {p.id: p for p in problems}
    assert 0.2 < exam.accuracy < 0.95
    for sample in exam.samples:
        problem = by_id[sample.problem_id]
        assert read_answer(sample.rationale, problem) == read(sample.rationale, problem) == sample.answer, sample
        assert grade(problem, [sample.rationale], one_answer_each(read))[0].correct == sample.correct


def test_a_runs_reader_understands_what_other_models_write_and_the_plain_one_does_not() -> None:
    for text in ("3 + 4 = 7\n#### 7", "So it is \\boxed{7}."):
        assert read(text, APPLES) == "7" and read_answer(text, APPLES) is None
