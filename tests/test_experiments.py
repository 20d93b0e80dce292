"""`make evidence`: arms differ only in the setting under test, a log is resumed, and runs are distributed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from l2r_course.research import evidence, experiments
from l2r_course.research.evidence import knobs, read_log
from l2r_course.research.experiments import EXPERIMENTS, Experiment, begin_alike, config_of, run_experiment
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.lessons import choose_mistakes
from l2r_lite.loop.records import ExamReport, Lesson, Sample
from l2r_lite.loop.runfolder import read_lines

POCKET = EXPERIMENTS["pocket"]


def exam(wrong: int, right: int) -> ExamReport:
    """An exam of two samples a question; both are wrong on the first questions."""
    problems = load_problems("pocket", "train", wrong + right, 0)
    samples = [Sample(p.id, i, f"try {i}", p.answer if n >= wrong else None, n >= wrong)
               for n, p in enumerate(problems) for i in range(2)]  # fmt: skip
    return ExamReport(tuple(problems), tuple(samples))


# --- what goes to the teacher ---


def test_all_mistakes_go_to_the_teacher_unless_a_limit_draws_some_questions() -> None:
    sat = exam(8, 4)
    assert choose_mistakes(sat, LoopConfig(), seed=1) == sat.mistakes
    some = choose_mistakes(sat, LoopConfig(feedback_limit=3), seed=1)
    asked = Counter(m.problem.id for m in some)
    assert len(asked) == 3 and set(asked.values()) == {2}  # all the mistakes on three questions
    assert [m for m in sat.mistakes if m in some] == some  # in the exam's order
    assert choose_mistakes(sat, LoopConfig(feedback_limit=3), seed=1) == some
    assert any(choose_mistakes(sat, LoopConfig(feedback_limit=3), seed=s) != some for s in range(2, 6))
    assert choose_mistakes(sat, LoopConfig(feedback_limit=99), seed=1) == sat.mistakes


def test_an_annotator_gets_as_many_questions_of_any_kind_and_no_mistake() -> None:
    sat = exam(8, 40)
    asked = choose_mistakes(sat, LoopConfig(annotator=True), seed=1)
    assert len({m.problem.id for m in asked}) == len(asked) == 8
    assert {(m.rationale, m.answer) for m in asked} == {("", None)}
    wrong = {m.problem.id for m in sat.mistakes}
    assert not {m.problem.id for m in asked} <= wrong  # by chance all eight would be wrong once in 10⁸ seeds
    assert len(choose_mistakes(sat, LoopConfig(annotator=True, feedback_limit=500), seed=1)) == 48


def test_nobody_is_asked_in_self_training() -> None:
    assert choose_mistakes(exam(8, 4), LoopConfig(teacher="none"), seed=1) == []


# --- arms ---


def test_arms_have_equal_teacher_calls_and_steps() -> None:
    totals = set()
    for arm in POCKET.arms:
        config = config_of(POCKET, arm, 3)
        assert config.seed == 3 and config.test_limit >= 1000 and config.feedback_limit <= config.limit
        calls = config.feedback_limit * (3 if arm == "one shot" else config.rounds)  # it is given those of three rounds
        totals.add((calls, config.rounds * config.steps, config.lessons, config.batch_size))
    assert len(totals) == 1 and min(next(iter(totals))) > 0


def test_each_arm_differs_from_the_tailored_one_in_one_thing() -> None:
    made = {arm: config_of(POCKET, arm, 0).to_json() for arm in POCKET.arms}
    differ = {arm: {k for k in other if other[k] != made["tailored"][k]} for arm, other in made.items()}
    assert differ == {
        "tailored": set(), "one shot": {"rounds", "steps"}, "random lessons": {"annotator"},
        "little reflection": {"reflection_weight"}, "reflection": {"reflection_weight"}}
    default = EXPERIMENTS["default"]
    memory, none = (config_of(default, arm, 0).to_json() for arm in ("tailored", "no memory"))
    assert {k for k in none if none[k] != memory[k]} == {"replay", "rate_decay"} and memory == LoopConfig().to_json()


def test_an_arm_that_is_none_is_refused() -> None:
    for arm in ("tailord", "samples=4", ""):
        with pytest.raises(evidence.EvidenceError, match="no arm is called"):
            knobs(arm, LoopConfig())


# --- runs ---


@pytest.fixture
def small(tiny_folder: Path) -> Experiment:
    config = LoopConfig(
        student=str(tiny_folder), limit=18, validation_limit=9, test_limit=9, rounds=2, samples=2, batch_size=8,
        max_new_tokens=12, exam_rows=36, feedback_limit=4, steps=3,
    )  # fmt: skip
    return Experiment("small", config, ("tailored", "one shot", "random lessons", "untrained"), 1)


def test_runs_take_what_their_arm_says_and_what_is_logged_is_not_run_again(small: Experiment, tmp_path: Path) -> None:
    runs, logs = tmp_path / "runs", tmp_path / "logs"
    assert run_experiment(small, runs, logs) == 0
    found = {r.arm: r for r in read_log(logs / "small.jsonl")}
    assert found.keys() == set(small.arms)
    untrained = found.pop("untrained")
    assert untrained.rounds == ()
    for arm, run in found.items():
        assert run.test[0] == untrained.test[0] and sum(r["teacher_calls"] for r in run.rounds) == 8, arm
        losses = (runs / "small" / f"{arm.replace(' ', '-')}-seed0").glob("round-*/losses.jsonl")
        assert sum(len(f.read_text(encoding="utf-8").splitlines()) for f in losses) == 6, arm
        assert len(run.test[0]) == 9
    taught = {arm: {(x.problem_id, x.rationale) for f in (runs / "small").glob(f"{arm}-seed0/round-*/lessons.jsonl")
                    for x in read_lines(f, Lesson)} for arm in ("tailored", "one-shot")}  # fmt: skip
    assert len(found["one shot"].rounds) == 1 and taught["one-shot"] == taught["tailored"] and len(taught["tailored"]) > 8
    seeds, before, trained = evidence.paired(list(found.values()), "untrained", "tailored", after=-1)
    assert seeds == [0] and before.shape == trained.shape == (1, 9)

    log = logs / "small.jsonl"
    text = log.read_text(encoding="utf-8")
    log.write_text("".join(x for x in text.splitlines(True) if json.loads(x)["arm"] != "random lessons"), encoding="utf-8")
    (runs / "small" / "tailored-seed0" / "report.json").unlink()  # would come back if it were run again
    run_experiment(small, runs, logs)
    assert json.loads(text.splitlines()[2])["test"] == json.loads(log.read_text(encoding="utf-8").splitlines()[2])["test"]
    assert len(read_log(log)) == 4 and not (runs / "small" / "tailored-seed0" / "report.json").exists()


def test_arms_of_a_seed_share_their_first_exam_and_come_out_as_if_alone(
    small: Experiment, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    two = replace(small, arms=("random lessons", "tailored"))
    for arm, folder in (("tailored", "alone"), ("random lessons", "together")):
        run_experiment(replace(two, arms=(arm,)), tmp_path / folder, tmp_path / folder)
    first = tmp_path / "together" / "small" / "random-lessons-seed0" / "round-1" / "stages.json"
    first.write_text(json.dumps({**json.loads(first.read_text()), "exam": 123.45}))  # seconds that no other exam takes
    run_experiment(two, tmp_path / "together", tmp_path / "together")
    alone, together = (tmp_path / folder / "small" / "tailored-seed0" for folder in ("alone", "together"))
    files = ("round-0/test.jsonl", "round-1/exam.jsonl", "round-1/training.jsonl", "round-2/test.jsonl")
    for name in (*files, "student/adapter_model.safetensors"):
        assert (together / name).read_bytes() == (alone / name).read_bytes(), name
    assert json.loads((together / "round-1" / "stages.json").read_text())["exam"] == 123.45  # sat once
    assert not list(together.parent.glob(".scratch-*")) and not [w for w in recwarn if "checksums" in str(w.message)]


def test_a_run_that_begins_otherwise_sits_an_exam_of_its_own(small: Experiment, tmp_path: Path) -> None:
    once, other = small.config.with_(rounds=1), tmp_path / "small" / "other"
    run_experiment(replace(small, arms=("tailored",), config=once), tmp_path, tmp_path)
    changes = {"samples": 1, "limit": 9, "temperature": 0.5, "four_bit": False, "teacher": "none", "seed": 1}
    for name, value in changes.items():
        begin_alike(small.config.with_(**{name: value}), other)
        assert not other.exists(), name
    begin_alike(small.config.with_(replay=0.0), other)
    assert (other / "round-1" / "exam.jsonl").exists()


def test_a_run_that_another_process_holds_is_left_to_it(small: Experiment, tmp_path: Path) -> None:
    one = replace(small, arms=("tailored",))
    (tmp_path / "runs" / "small").mkdir(parents=True)
    with FileLock(tmp_path / "runs" / "small" / ".tailored-seed0.lock"):
        assert run_experiment(one, tmp_path / "runs", tmp_path / "logs") == 1
    assert not (tmp_path / "logs" / "small.jsonl").exists()


def test_one_shot_waits_for_the_rounds_whose_lessons_it_takes(small: Experiment, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    early = replace(small, arms=("random lessons", "one shot"))
    assert run_experiment(early, runs, tmp_path / "logs") == 1
    assert [r.arm for r in read_log(tmp_path / "logs" / "small.jsonl")] == ["random lessons"]
    assert run_experiment(replace(early, arms=("tailored", "one shot")), runs, tmp_path / "logs") == 0


def test_the_command_says_what_is_wrong_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert experiments.main(["poket", "--logs", str(tmp_path), "--runs", str(tmp_path)]) == 2
    assert 'no experiment is called "poket"; there are: default, pocket' in capsys.readouterr().err
    assert experiments.main(["svamp", "--logs", str(tmp_path), "--runs", str(tmp_path)]) == 2
    assert "recorded" in capsys.readouterr().err
