"""The teachers, and the verification between them and the student."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2r_lite.data.answers import extract_answer, is_correct, read, same_answer
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import SKILLS, make_problems
from l2r_lite.data.problems import load_problems
from l2r_lite.data.verify import verify
from l2r_lite.loop import lessons as feedback
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.lessons import close_with_answer
from l2r_lite.loop.prompts import answer_line
from l2r_lite.loop.protocols import Context, Teacher
from l2r_lite.loop.records import Lesson, Mistake, Problem, Rejection, Reply, Step
from l2r_lite.teachers.open import open_teacher
from l2r_lite.teachers.recorded import RecordedTeacher
from l2r_lite.teachers.scripted import ScriptedTeacher, what_went_wrong

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded rationales lie outside the project")

CARDS = Problem("cards", "Tom has 3 bags of 4 cards and loses 2. How many are left?", "10", "number",
                program=(Step(3, "*", 4, 12), Step(12, "-", 2, 10)))  # fmt: skip
YES = Problem("yes", "Does Tom have more cards than Mia?", "yes", "yes-no")
PICK = Problem("pick", "Where do books live?", "B", "choice", ("river", "library", "oven"))


def make_lessons(*args: Any, **options: Any) -> tuple[list[Lesson], list[Rejection], int]:
    """As a run makes them, and every mistake is accounted for."""
    made = feedback.make_lessons(*args, read=read, verify=verify, progress=False, **options)
    assert sum(made.without.values()) == made.sent - len({x.problem_id for x in made.lessons}) or options.get("per_question")
    return made.lessons, made.rejections, made.sent


def mistake_on(problem: Problem, rationale: str) -> Mistake:
    return Mistake(problem, rationale, extract_answer(rationale, problem.kind, problem.choices))


class Says(Teacher):
    """A teacher that says these rationales to every mistake."""

    def __init__(self, *rationales: str) -> None:
        self.rationales = rationales
        self.asked: list[Mistake] = []

    def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
        for mistake in mistakes:
            self.asked.append(mistake)
            yield Reply(mistake, "Look again.", self.rationales)


# --- the scripted teacher ---


FIRST_WRONG_STEPS = [
    ("First 3 * 4 = 11. Then 11 - 2 = 9. The answer is 9.", "Step 1: 3 * 4 is 12, not 11."),
    ("First 3 * 4 = 12. Then 12 - 2 = 9. The answer is 9.", "Step 2: 12 - 2 is 10, not 9."),
    ("First 3 + 4 = 7. Then 7 - 2 = 5. The answer is 5.", "Step 1: you wrote 3 + 4 = 7, but the story asks for 3 * 4 = 12."),
    ("First 3 * 4 = 12. Then 12 + 2 = 14. The answer is 14.",
     "Step 2: you wrote 12 + 2 = 14, but the story asks for 12 - 2 = 10."),
    ("First 3 * 4 = 12. The answer is 12.", "Step 2: you stopped too early; 12 - 2 = 10 is missing."),
    ("First 3 * 4 = 12. Then 12 - 2 = 10. Then 10 - 2 = 8. The answer is 8.",
     "Step 3: you had all you needed and continued with 10 - 2 = 8."),
    ("First 5 + 4 = 12. Then 12 - 2 = 10. The answer is 12.", "Step 1: 5 + 4 = 12 is not even true; this step is 3 * 4 = 12."),
    ("First 3 * 4 = 12. Then 12 - 2 = 10. The answer is 12.", "Every step is right, but you gave the answer 12; it is 10."),
    ("First 3 * 4 = 12. Then 12 - 2 = 10. Well", "Every step is right, but you gave "),
    ("I like cards.", "Step 1: you stopped too early; 3 * 4 = 12 is missing."),
]  # fmt: skip


def test_the_scripted_teacher_names_the_first_wrong_step() -> None:
    for rationale, said in FIRST_WRONG_STEPS:
        (reply,) = ScriptedTeacher().teach([mistake_on(CARDS, rationale)], 2)
        assert reply.feedback.startswith(said) and reply.feedback.endswith(".")


def test_a_mistake_without_an_answer_is_told_so() -> None:
    text = "First 3 * 4 = 12. Then 12 - 2 = 10. The answer is"
    assert "no answer; it is 10" in what_went_wrong(Mistake(CARDS, text, None))


def test_as_many_lessons_as_asked_for_come_of_the_scripted_teacher_and_pass_verification() -> None:
    mistakes = [mistake_on(p, "I do not know.") for p in make_problems("train", 6 * len(SKILLS), 1, tuple(SKILLS))]
    for count in (1, 2, 3):
        lessons, rejections, sent = make_lessons(ScriptedTeacher(), mistakes, count)
        assert not rejections and sent == len(mistakes)
        assert Counter(x.problem_id for x in lessons) == Counter({m.problem.id: count for m in mistakes})


def test_over_many_questions_every_style_comes_first(pocket_problems: list[Problem]) -> None:
    first = Counter()
    for problem in pocket_problems:
        (reply,) = ScriptedTeacher().teach([mistake_on(problem, "?")], 1)
        first[[write_rationale(problem, s) for s in range(3)].index(reply.rationales[0])] += 1
    assert len(first) == 3 and min(first.values()) > len(pocket_problems) / 8


def test_the_scripted_teacher_refuses_problems_that_it_cannot_solve() -> None:
    with pytest.raises(TeacherError, match="yes has no solution program.*recorded:FILE"):
        list(ScriptedTeacher().teach([mistake_on(YES, "no")], 2))


# --- verification ---

GOOD = "3 * 4 = 12 and 12 - 2 = 10. The answer is 10."


REASONS = [
    ("", "empty"), (" \n\t ", "empty"), ("I would count the cards.", "no answer"), ("The answer is unknown.", "no answer"),
    ("3 * 4 = 12. The answer is 12.", "wrong answer"), ("3 * 4 = 11 and 11 - 2 = 10. The answer is 10.", "wrong arithmetic"),
    ("First 5 + 4 = 10. The answer is 10.", "wrong arithmetic"),
    ("3 * 4 = 12 and   12 - 2 = 10, so ten. The answer is 10.", "copy of the mistake"),
    ("First 3 * 4 = 12. Then\n12 - 2 = 10. The answer is 10.", "duplicate"),
    ("Twelve less two is ten. The answer is 10.", "no step"), (GOOD, None),
]  # fmt: skip


def test_a_rationale_is_rejected_for_the_right_reason() -> None:
    wrong = "3 * 4 = 12 and 12 - 2 = 10, so ten. The answer is 10."
    known = "First 3 * 4 = 12. Then 12 - 2 = 10. The answer is 10."
    for rationale, reason in REASONS:
        assert verify(CARDS, rationale, Context([wrong], [known])) == reason, rationale
    assert verify(CARDS, GOOD, Context(fits=lambda text: len(text) < 10)) == "too long"


def test_wrong_answers_of_every_kind_are_rejected() -> None:
    for problem, rationale in [(YES, "Tom has 2, Mia has 3. The answer is no."), (PICK, "Books swim. The answer is (A)."),
                               (PICK, "The answer is oven.")]:  # fmt: skip
        assert verify(problem, rationale, Context()) == "wrong answer"


def test_rejections_are_counted_with_their_reasons_and_the_teachers_own_words() -> None:
    teacher = Says("", "Who knows", "The answer is 11.", "2 + 2 = 5. The answer is 10.", GOOD, f"  {GOOD} ")
    lessons, rejections, sent = make_lessons(teacher, [mistake_on(CARDS, "The answer is 1.")], 6)
    assert sent == 1
    assert [lesson.rationale for lesson in lessons] == [GOOD]
    assert [(r.problem_id, r.rationale, r.reason) for r in rejections] == [
        ("cards", "", "empty"),
        ("cards", "Who knows", "no answer"),
        ("cards", "The answer is 11.", "wrong answer"),
        ("cards", "2 + 2 = 5. The answer is 10.", "wrong arithmetic"),
        ("cards", f"  {GOOD} ", "duplicate"),
    ]


def test_a_teacher_with_nothing_to_say_is_one_rejection() -> None:
    lessons, (rejection,), sent = make_lessons(Says(), [mistake_on(CARDS, "?")], 2)
    assert not lessons and sent == 1
    assert rejection.reason == "nothing from the teacher"


def test_the_same_rationale_for_two_mistakes_on_a_question_is_one_lesson() -> None:
    mistakes = [mistake_on(CARDS, "The answer is 1."), mistake_on(CARDS, "The answer is 2.")]
    lessons, rejections, sent = make_lessons(Says(GOOD), mistakes, 1, per_question=2)
    assert (len(lessons), [r.reason for r in rejections], sent) == (1, ["duplicate"], 2)


def test_a_copy_of_any_mistake_on_the_question_is_rejected_even_of_one_that_was_not_sent() -> None:
    copied = dataclasses.replace(mistake_on(CARDS, GOOD), answer="9")
    lessons, rejections, sent = make_lessons(Says(GOOD), [mistake_on(CARDS, "?"), copied], 1)
    assert sent == 1 and not lessons
    assert [r.reason for r in rejections] == ["copy of the mistake"]


def test_no_more_mistakes_on_a_question_are_sent_than_asked_for() -> None:
    mistakes = [mistake_on(CARDS, f"The answer is {n}.") for n in (1, 2, 3)]
    mistakes += [mistake_on(YES, text) for text in ("The answer is no.", "No. The answer is no.")]
    for per_question, sent in [(1, 2), (2, 4), (3, 5), (64, 5)]:
        teacher = Says("Certainly. The answer is yes.")
        assert make_lessons(teacher, mistakes, 1, per_question=per_question)[2] == sent == len(teacher.asked)
        assert teacher.asked[0] == mistakes[0]  # the first ones


def test_each_reply_is_handed_on_the_moment_it_is_verified() -> None:
    seen: list[tuple[int, int]] = []
    teacher = Says(GOOD, "The answer is 3.")
    make_lessons(teacher, [mistake_on(CARDS, "?"), mistake_on(YES, "?")], 2,
                 on_reply=lambda new, refused: seen.append((len(new), len(refused))))  # fmt: skip
    assert seen == [(1, 1), (0, 2)]


def test_a_lesson_carries_the_feedback_and_ends_in_the_students_answer_line() -> None:
    (lesson,), _, _ = make_lessons(Says("3 * 4 = 12, and 12 - 2 = 10"), [mistake_on(CARDS, "?")], 1)
    assert lesson == Lesson("cards", "3 * 4 = 12, and 12 - 2 = 10 The answer is 10.", "Look again.")


# --- closing with the answer line ---


CLOSED = [
    (CARDS, "So 10 are left.", "So 10 are left. The answer is 10."), (CARDS, "The answer is 10", "The answer is 10."),
    (CARDS, "It is ten. The answer is $10.00.", "It is ten. The answer is 10."),
    (CARDS, "#### 10", "#### 10 The answer is 10."), (YES, "Surely. The answer is Yes", "Surely. The answer is yes."),
    (PICK, "They live in the (B).", "They live in the (B). The answer is (B)."),
    (PICK, "The answer is library.", "The answer is (B)."), (CARDS, "I do not know.", "I do not know."),
]  # fmt: skip


def test_a_rationale_is_closed_with_its_own_answer() -> None:
    for problem, rationale, closed in CLOSED:
        assert close_with_answer(rationale, problem, read) == closed


pieces = st.sampled_from(
    ["The answer is", "answer:", "10", "9", "1", "yes", "no", "(A)", "(B)", "library", "river", "3 * 4 = 12", "####", "\n",
     ".", "so", "I do not know", "unknown", "not", "$10.50", "the answer is 10", "The answer is 9.", "or", "-10", "wait",
     "10 apples"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([CARDS, YES, PICK]), st.lists(pieces, max_size=10), st.text(max_size=15))
def test_closing_never_turns_a_wrong_rationale_into_a_right_one(problem: Problem, parts: list[str], tail: str) -> None:
    rationale = " ".join([*parts, tail])
    if not is_correct(rationale, problem):
        assert not is_correct(close_with_answer(rationale, problem, read), problem)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([CARDS, YES, PICK]), st.lists(pieces, max_size=8))
def test_closing_keeps_the_answer_and_closing_again_changes_nothing(problem: Problem, parts: list[str]) -> None:
    folded = " ".join(" ".join(parts).split())  # white space is no part of a lesson
    answer = extract_answer(folded, problem.kind, problem.choices)
    closed = close_with_answer(folded, problem, read)
    assert extract_answer(closed, problem.kind, problem.choices) == answer
    if answer is not None:
        assert closed.endswith(answer_line(answer, problem.kind))
        assert close_with_answer(closed, problem, read) == closed


def test_a_wrong_rationale_over_several_lines_stays_as_it_was_judged() -> None:
    for rationale in ["The answer is 9\nThe answer is 10", "The answer is 9, no, wait, it is 8.", "10\n9"]:
        assert is_correct(close_with_answer(rationale, CARDS, read), CARDS) == is_correct(rationale, CARDS)


# --- the recorded teacher ---


def write(file: Path, rows: list[Any], *, as_list: bool = False) -> Path:
    text = json.dumps(rows) if as_list else "\n".join(json.dumps(row) for row in rows) + "\n"
    file.write_text(text, encoding="utf-8")
    return file


def taught(teacher: RecordedTeacher, problem: Problem, count: int = 9) -> tuple[str, ...]:
    (reply,) = teacher.teach([mistake_on(problem, "?")], count)
    return reply.rationales


def test_own_recorded_rationales_are_joined_by_question(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", [
        {"question": CARDS.question, "rationale": GOOD},
        {"question": f"  {CARDS.question.upper()} ", "rationale": "12 - 2 = 10. The answer is 10."},
        {"question": "Another?", "rationales": ["one", "two"]},
        {"question": CARDS.question, "rationale": GOOD},
    ])  # fmt: skip
    teacher = RecordedTeacher(file)
    assert taught(teacher, CARDS) == (GOOD, "12 - 2 = 10. The answer is 10.")
    assert taught(teacher, CARDS, 1) == (GOOD,)
    assert taught(teacher, dataclasses.replace(CARDS, question="Another?")) == ("one", "two")
    assert taught(teacher, YES) == ()


def test_the_faithful_cot_layout_is_joined_by_id(tmp_path: Path) -> None:
    write(tmp_path / "questions.jsonl", [{"id": 0, "question": YES.question}, {"id": 1, "question": CARDS.question}])
    file = write(tmp_path / "gpt4.jsonl", [
        {"id": 1, "answer": "10", "completion": GOOD, "completions": [GOOD]},
        {"id": 0, "answer": "yes", "completion": "The answer is yes.", "completions": []},
        {"id": 7, "completion": "to no question"},
    ])  # fmt: skip
    teacher = RecordedTeacher(file)
    assert taught(teacher, CARDS) == (GOOD,)
    assert taught(teacher, YES) == ("The answer is yes.",)


def test_the_mentor_kd_layout_ends_in_the_llms_own_answer(tmp_path: Path) -> None:
    file = write(tmp_path / "svamp.json", [
        {"input": CARDS.question + "\n", "chain": "3 * 4 = 12.\n12 - 2 = 10.", "answer": "10", "initial_correct": True},
        {"input": CARDS.question, "chain": "3 + 4 = 7.", "answer": "7", "initial_correct": False},
        {"input": CARDS.question, "chain": "no answer kept", "answer": None},
    ], as_list=True)  # fmt: skip
    one, two, three = taught(RecordedTeacher(file), CARDS)
    assert extract_answer(one, "number") == "10"
    assert extract_answer(two, "number") == "7"
    assert three == "no answer kept"
    lessons, rejections, _ = make_lessons(RecordedTeacher(file), [mistake_on(CARDS, "?")], 3)
    assert len(lessons) == 1 and len(rejections) == 2


@needs_data
def test_real_gpt4_rationales_become_lessons_on_multiarith() -> None:
    teacher = RecordedTeacher(DATA / "recorded" / "faithful-cot" / "MultiArith" / "gpt4.jsonl")
    problems = load_problems("multiarith", "train", data_dir=DATA)
    lessons, rejections, sent = make_lessons(teacher, [mistake_on(p, "?") for p in problems], 1)
    assert sent == len(problems)
    assert len(lessons) > 0.93 * sent
    by_id = {p.id: p for p in problems}
    for lesson in lessons:
        assert is_correct(lesson.rationale, by_id[lesson.problem_id])
        assert lesson.rationale.endswith(answer_line(by_id[lesson.problem_id].answer, "number"))
    assert {r.reason for r in rejections} <= {"wrong answer", "wrong arithmetic", "no answer", "nothing from the teacher"}


@needs_data
def test_real_gpt35_rationales_become_lessons_on_svamp() -> None:
    teacher = RecordedTeacher(DATA / "recorded" / "mentor-kd" / "svamp_3_train.json")
    problems = load_problems("svamp", "train", data_dir=DATA)
    mistakes = [mistake_on(p, "?") for p in problems]
    lessons, _, _ = make_lessons(teacher, mistakes, 3)
    counts = Counter(x.problem_id for x in lessons)
    assert len(counts) > 0.4 * len(problems)
    assert max(counts.values()) == 3
    by_id = {p.id: p for p in problems}
    assert all(same_answer(extract_answer(x.rationale, "number"), by_id[x.problem_id].answer, "number") for x in lessons)


def test_a_broken_line_is_named_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "torn.jsonl"
    file.write_text(json.dumps({"question": "a", "rationale": "b"}) + '\n\n{"question": "c", "ration', encoding="utf-8")
    with pytest.raises(TeacherError, match=r"torn\.jsonl.*line 3: is not JSON"):
        RecordedTeacher(file)


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    for content in (b"[1, 2", b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(TeacherError, match="bad.json"):
            RecordedTeacher(tmp_path / "bad.json")


def test_a_file_without_questions_and_rationales_says_what_it_needs(tmp_path: Path) -> None:
    thin: list[list[Any]] = [[], [{"question": "a"}], [{"rationale": "b"}], [{"question": "a", "rationales": []}], ["a"],
                             [{"id": 1, "chain": "c"}]]  # fmt: skip
    for rows in thin:
        with pytest.raises(TeacherError, match='no entry has both a question .*"rationale"'):
            RecordedTeacher(write(tmp_path / "thin.jsonl", rows))


def test_odd_fields_do_not_crash_the_recorded_teacher(tmp_path: Path) -> None:
    for odd in (None, "text", [1, None], {"a": 1}):
        rows = [{"question": "a", "rationales": odd}, {"question": CARDS.question, "rationale": GOOD}, 5, None]
        assert taught(RecordedTeacher(write(tmp_path / "odd.jsonl", rows)), CARDS) == (GOOD,)


# --- opening by name ---


def test_a_teacher_that_cannot_be_opened_is_named_with_what_to_give() -> None:
    for name in ("nobody", "", "Scripted", "scripted:x"):
        with pytest.raises(TeacherError, match=f'teacher "{name}".*scripted.*recorded:FILE'):
            open_teacher(LoopConfig(teacher=name))
    for name in ("recorded", "recorded:", "recorded:FILE"):
        with pytest.raises(TeacherError, match="name the file"):
            open_teacher(LoopConfig(teacher=name))


def test_a_recorded_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"gone\.jsonl.*cannot be read"):
        open_teacher(LoopConfig(teacher=f"recorded:{tmp_path / 'gone.jsonl'}"))


def test_teachers_are_opened_by_name(tmp_path: Path) -> None:
    assert isinstance(open_teacher(LoopConfig()), ScriptedTeacher)
    file = write(tmp_path / "a:b.jsonl", [{"question": CARDS.question, "rationale": GOOD}])
    assert isinstance(open_teacher(LoopConfig(teacher=f"recorded:{file}")), RecordedTeacher)
