"""Whether a rationale's steps lead to its answer: refused in the pocket world, marked in free text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from l2r_lite.data import steps
from l2r_lite.data.answers import canonical_number, numbers, parse_number, read, same_answer
from l2r_lite.data.pocket import world
from l2r_lite.data.pocket.rationales import STYLES, write_rationale
from l2r_lite.data.steps import ELSEWHERE, FALSE, NO_STEP, NOWHERE, follows, gap
from l2r_lite.data.verify import verify
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.prompts import answer_line
from l2r_lite.loop.protocols import Context
from l2r_lite.loop.records import Lesson, Mistake, Problem, Reply, Step
from l2r_lite.loop.runfolder import read_lines, write_lines
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.stories import read_stories
from l2r_lite.teachers.scripted import ScriptedTeacher
from same_run import read_report

DATA = Path(__file__).parents[2] / "shared" / "data"
APPLES = Problem(
    "a", "Tom has 7 apples. Tom loses 5 apples. Tom gets 4 more. How many apples does Tom have now?", "6", "number",
    program=(Step(7, "-", 5, 2), Step(2, "+", 4, 6)))  # fmt: skip
MORE = Problem(
    "m", "Ned has 60 balls. Ned gets 8 more. Ben owns 71 balls. Does Ned have more balls than Ben?", "no", "yes-no",
    program=(Step(60, "+", 8, 68), Step(68, "<", 71, 1)))  # fmt: skip
WHO = Problem(
    "w", "Amy has 7 stamps. Roy owns 5 stamps. Who has more stamps?", "B", "choice", ("Roy", "Amy"),
    program=(Step(7, ">", 5, 1),))  # fmt: skip
BUS = Problem("b", "A bus holds 3 dozen people. 5 buses drive, 4 seats stay free. How many people?", "176", "number")


@pytest.mark.parametrize(("problem", "text", "why"), [
    (APPLES, "First 7 - 5 = 2. Then 2 + 4 = 6. The answer is 6.", None),
    (APPLES, "First 7 - 5 = 2. Then 2 - 2 = 0. The answer is 6.", ELSEWHERE),
    (APPLES, "First 7 - 5 = 2. Then 2 + 4 = 6. Then 6 - 5 = 1. The answer is 6.", ELSEWHERE),
    (APPLES, "First 9 - 3 = 6. The answer is 6.", NOWHERE),
    (APPLES, "First 7 - 5 = 3. Then 3 + 4 = 6. The answer is 6.", FALSE),
    (APPLES, "The answer is 6.", NO_STEP),
    (APPLES, "First 7 - 5 = 2. Then 4 > 2. The answer is 6.", ELSEWHERE),
    (MORE, "Add: 60 + 8 = 68. Compare: 68 < 71. The answer is no.", None),
    (MORE, "Add: 60 + 8 = 68. Compare: 71 > 68. The answer is no.", None),
    (MORE, "Add: 60 + 8 = 68. The answer is no.", ELSEWHERE),
    (MORE, "Add: 60 + 8 = 68. Compare: 60 < 68. The answer is no.", ELSEWHERE),  # Ned's own two numbers
    (MORE, "Add: 60 + 8 = 68. Compare: 68 > 71. The answer is no.", FALSE),
    (MORE, "Compare: 60 < 71. The answer is yes.", ELSEWHERE),  # the answer is not what it says
    (WHO, "Compare: 7 > 5. Amy is (B). The answer is (B).", None),
    (WHO, "Compare: 5 < 7. Amy is (B). The answer is (B).", None),
    (WHO, "Compare: 7 > 5. Roy is (A). The answer is (A).", ELSEWHERE),
    (BUS, "A bus holds 3 x 12 = 36, so 5 x 36 = 180 and 180 - 4 = 176. The answer is 176.", None),
    (BUS, "They hold 5 * (3 * 12) = 180 people, and 180 − 4 = 176. So 176 people.", None),
    (BUS, "A bus holds 3 x 12 = 36, so 5 x 36 = 180. The answer is 176.", ELSEWHERE),
    (BUS, "A bus holds 44 people, and 4 x 44 = 176. The answer is 176.", NOWHERE),
    (BUS, "Let x be the people: x + 4 = 3 * 12 * 5. So the answer is 176.", None),  # algebra is not judged
    (BUS, "All seats but four are taken. The answer is 176.", None),  # nor are words
    (BUS, "", None),
])  # fmt: skip
def test_steps_must_lead_to_the_answer(problem: Problem, text: str, why: str | None) -> None:
    assert gap(problem, text) == why and follows(problem, text) is (why is None)


def test_no_right_rationale_of_the_pocket_world_is_refused() -> None:
    for problem in world.make_problems("train", 480, seed=5, skills=tuple(world.SKILLS)):
        for style in range(len(STYLES)):
            assert gap(problem, write_rationale(problem, style)) is None, problem


def test_a_pocket_lesson_with_the_right_answer_behind_other_steps_is_refused() -> None:
    """The teacher is told the answer: a lesson may have it, and true equations that lead elsewhere."""
    problems = world.make_problems("train", 340, seed=6)
    passed = 0
    for one, other in zip(problems, problems[17:], strict=False):  # of the same skill, on other numbers
        steps_of_other = write_rationale(other, 0)
        text = steps_of_other[: steps_of_other.rindex("The answer is")] + answer_line(one.answer, one.kind)
        passed += verify(one, text, Context()) is None
    assert passed <= 2  # by chance both stories may have the same numbers


def test_free_text_is_refused_only_when_asked() -> None:
    text = "A bus holds 3 x 12 = 36, so 5 x 36 = 180. The answer is 176."
    assert verify(BUS, text, Context()) is None
    assert verify(BUS, text, Context(), check_steps=True) == ELSEWHERE


class Elsewhere(ScriptedTeacher):
    """Has the right answer, and steps that lead elsewhere."""

    def teach(self, mistakes: list[Mistake], count: int):  # noqa: ANN201
        for m in mistakes:
            yield Reply(m, "", tuple(f"{n} + {n} = {2 * n}. {answer_line(m.problem.answer, m.problem.kind)}" for n in (31, 32)))


@pytest.mark.parametrize("check", [False, True])
def test_lessons_in_doubt_are_counted_and_marked_or_refused_when_asked(tiny_folder: Path, tmp_path: Path, check: bool) -> None:
    rows = [{"question": f"{split}: Ann has {n} pens and gets 7. How many?", "answer": n + 7, "split": split}
            for n in range(10, 16) for split in ("train", "validation", "test")]  # fmt: skip
    write_lines(tmp_path / "own.jsonl", rows)
    config = LoopConfig(student=str(tiny_folder), problems=str(tmp_path / "own.jsonl"), teacher="none", rounds=1, samples=1,
                        limit=0, validation_limit=0, test_limit=0, max_new_tokens=8, check_steps=check)  # fmt: skip
    run_rounds(config.with_(teacher="recorded:unused"), tmp_path / "run", teacher=Elsewhere(), progress=False)
    entry = read_report(tmp_path / "run")["rounds"][1]
    taught = read_lines(tmp_path / "run" / "round-1" / "lessons.jsonl", Lesson)
    assert entry["lessons"] == len(taught) == (0 if check else 12) == entry["lessons_in_doubt"]
    assert entry["rejected_by_reason"] == ({NOWHERE: 12} if check else {})
    told = read_stories(tmp_path / "run")[0]._repr_html_()
    assert ("in doubt: number from nowhere" in told) is not check


# --- on what models and people really wrote ---


def recorded(name: str) -> list[tuple[Problem, str]]:
    folder = DATA / "recorded" / "faithful-cot" / name
    if not folder.is_dir():
        pytest.skip("needs shared/data")
    asked = {row["id"]: row for row in map(json.loads, (folder / "questions.jsonl").read_text("utf-8").splitlines())}
    found = []
    for row in map(json.loads, (folder / "gpt4.jsonl").read_text("utf-8").splitlines()):
        gold = parse_number(str(asked[row["id"]]["answer"]).replace("#", ""))
        assert gold is not None
        problem = Problem(str(row["id"]), asked[row["id"]]["question"], canonical_number(gold), "number")
        found.append((problem, row["completion"]))
    return found


@pytest.mark.parametrize("name", ["MultiArith", "SVAMP"])
def test_of_gpt_4s_verified_rationales_at_most_2_per_cent_are_in_doubt(name: str) -> None:
    sound = [(p, text) for p, text in recorded(name) if verify(p, text, Context()) is None]
    doubted = [text for p, text in sound if not follows(p, text)]
    assert len(sound) > 500 and len(doubted) <= 0.02 * len(sound), doubted


def doubted(rows: list[tuple[str, str, str]]) -> tuple[int, int]:
    """Of (question, gold, text): how many that pass all other checks are in doubt, and how many pass."""
    verdicts = []
    for question, gold, text in rows:
        value = parse_number(gold)
        problem = Problem("x", question, canonical_number(value) if value is not None else "", "number")
        if verify(problem, text, Context()) is None:
            verdicts.append(follows(problem, text))
    return verdicts.count(False), len(verdicts)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_what_others_wrote_is_in_doubt_more_often_as_the_readme_says() -> None:
    chains = json.loads((DATA / "recorded" / "mentor-kd" / "svamp_3_train.json").read_text("utf-8"))
    assert doubted([(row["input"], row["answer"], row["chain"]) for row in chains]) == (67, 1573)
    people = map(json.loads, (DATA / "gsm8k" / "train.jsonl").read_text("utf-8").splitlines())
    found, sound = doubted([(row["question"], row["answer"].split("####")[1], row["answer"]) for row in people])
    assert round(100 * found / sound) == 19


def test_wrong_rationales_of_gpt_4_that_were_told_the_answer_are_found() -> None:
    """With steps to follow; some only say that the question must be wrong."""
    found = missed = 0
    for problem, text in recorded("MultiArith") + recorded("SVAMP"):
        answer = read(text, problem)
        if answer is None or same_answer(answer, problem.answer, "number"):
            continue
        told = f"{re.sub(r'The answer is [^.]*[.]?$', '', text.strip())} The answer is {problem.answer}."
        if steps.equations(told):
            caught = verify(problem, told, Context(), check_steps=True) is not None
            found, missed = found + caught, missed + (not caught)
    assert found >= 50 and missed <= 0.1 * found


def test_numbers_are_read_in_digits_and_words_without_their_sign() -> None:
    assert numbers("−3 or $1,250, twenty-four and 2 hundred") == {3, 1250, 24, 200}
