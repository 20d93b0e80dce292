"""The loop in its run folder: same config, same report, despite interruptions; and which student is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from killing import start
from l2r_course.stopping import stopping_round
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop import rounds
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, RunError, TeacherError
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.protocols import Teacher
from l2r_lite.loop.records import ExamReport, Lesson, Mistake, Problem, Reply, Sample
from l2r_lite.loop.runfolder import Growing, read_lines, write_lines
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.report import as_table, build_report
from l2r_lite.runs.stories import read_exams
from l2r_lite.students.presets import PRESETS
from same_run import assert_same_run, flags, lasting, read_report, run, same_weights


def test_each_round_trains_at_the_decayed_rate_of_the_one_before(
    tiny_config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, train_round = [], rounds.train_round

    def noted(student: Any, items: Any, config: LoopConfig, **options: Any) -> Any:
        rates.append(config.learning_rate)
        return train_round(student, items, config, **options)

    monkeypatch.setattr(rounds, "train_round", noted)
    config = tiny_config.with_(rounds=3, learning_rate=0.008, rate_decay=0.5)
    run(config, tmp_path / "run")
    assert rates == pytest.approx([0.008, 0.004, 0.002]) and read_report(tmp_path / "run")["config"]["learning_rate"] == 0.008


def test_another_seed_samples_other_answers_to_the_same_questions(tiny_config: LoopConfig, tmp_path: Path) -> None:
    splits = ["train"] * 12 + ["validation"] * 3 + ["test"] * 3
    rows = [{"question": f"What is {n} + {n}?", "answer": 2 * n, "split": split} for n, split in enumerate(splits, 1)]
    write_lines(tmp_path / "mine.jsonl", rows)
    config = tiny_config.with_(problems=str(tmp_path / "mine.jsonl"), teacher="none", rounds=1, limit=0)
    exams = []
    for seed in (0, 1):
        run(config.with_(seed=seed), tmp_path / str(seed))
        exams.append(read_lines(tmp_path / str(seed) / "round-1" / "exam.jsonl", Sample))
    first, second = ({(s.problem_id, s.index): s.rationale for s in exam} for exam in exams)
    assert first.keys() == second.keys() and any(first[key] != second[key] for key in first)


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a power cut leaves a finished file that is empty."""
    seen: list[tuple[str, int]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        seen.append(("synced", os.fstat(handle).st_size))
        fsync(handle)

    def named(file: Path, target: Path) -> Path:
        seen.append(("named", file.stat().st_size))
        return replace(file, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    write_lines(tmp_path / "a.jsonl", [{"a": 1}])  # 9 bytes
    assert seen == [("synced", 9), ("named", 9)]
    growing = Growing(tmp_path / "b.jsonl", dict)
    seen.clear()
    growing.append([{"a": 1}])
    growing.append([{"a": 2}])
    assert seen == [("synced", 9), ("synced", 18)]


# --- the report ---


@pytest.fixture(scope="module")
def pocket_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = LoopConfig(
        limit=36, validation_limit=18, test_limit=36, rounds=1, samples=2, epochs=1, batch_size=16, exam_rows=72,
        max_new_tokens=48, reflection_weight=0.5,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("runs") / "pocket"
    assert run(config, out) == read_report(out)
    return out


def test_the_report_has_the_fields_of_the_design(pocket_run: Path) -> None:
    report = read_report(pocket_run)
    assert {"config", "environment", "rounds", "peak_rss_mb", "stopped"} <= report.keys()
    before, after = report["rounds"]
    evaluated = {"round", "accuracy", "ci95", "by_skill"}
    worked = {"train_questions", "samples", "mistakes", "teacher_calls", "lessons", "rejected", "triplet_share",
              "exam_seconds", "train_seconds"}  # fmt: skip
    assert evaluated <= before.keys() and evaluated | worked <= after.keys()
    assert (before["round"], after["round"]) == (0, 1)
    assert (after["train_questions"], after["samples"]) == (36, 72)
    assert len(before["by_skill"]) == 17
    for entry in report["rounds"]:
        low, high = entry["ci95"]
        assert 0 <= low <= entry["accuracy"] <= high <= 1
    assert report["stopped"] == "rounds" and report["peak_rss_mb"] > 50
    assert report["config"]["seed"] == 0 and report["environment"]["torch"]


def test_the_reports_numbers_are_those_of_the_files(pocket_run: Path) -> None:
    out, entry = pocket_run, read_report(pocket_run)["rounds"][1]
    exam = read_lines(out / "round-1" / "exam.jsonl", Sample)
    lessons = read_lines(out / "round-1" / "lessons.jsonl", Lesson)
    test = read_lines(out / "round-1" / "test.jsonl", Sample)
    assert entry["mistakes"] == sum(not s.correct for s in exam) > 0
    assert entry["teacher_calls"] == len({s.problem_id for s in exam if not s.correct})
    assert entry["lessons"] == len(lessons) == 2 * entry["teacher_calls"]
    assert entry["accuracy"] == pytest.approx(sum(s.correct for s in test) / 36, abs=1e-4)
    assert entry["triplet_share"] == pytest.approx(len(lessons) / entry["items"], abs=1e-4)  # replayed items have none


def test_the_pocket_student_knows_something_and_lacks_something(pocket_run: Path) -> None:
    from l2r_lite.data.pocket.world import KNOWN, WITHHELD

    by_skill = read_report(pocket_run)["rounds"][0]["by_skill"]
    known, withheld = (sum(by_skill[s] for s in names) / len(names) for names in (KNOWN, WITHHELD))
    assert known > 0.8 > 0.6 > withheld


def test_the_triplet_share_says_when_nothing_can_be_reflected_on(tiny_config: LoopConfig, tmp_path: Path) -> None:
    """One lesson a question, no own correct sample: the reflection loss is 0, and the report says why."""
    report = run(tiny_config.with_(lessons=1, samples=1, rounds=1), tmp_path)
    assert report["rounds"][1]["items"] == report["rounds"][1]["mistakes"] > 15
    assert report["rounds"][1]["triplet_share"] == 0.0


def test_every_step_of_a_round_is_a_file_to_read(finished_run: Path) -> None:
    for split, count in (("train", 18), ("validation", 9), ("test", 17)):
        assert len(read_lines(finished_run / "problems" / f"{split}.jsonl", Problem)) == count
    for number in (1, 2):
        place = finished_run / f"round-{number}"
        for name in ("exam", "lessons", "rejected", "training", "losses", "validation", "test"):
            for line in (place / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
                assert isinstance(json.loads(line), dict)
        assert (place / "adapter" / "adapter_model.safetensors").is_file()


def test_the_exams_of_a_run_are_read_as_far_as_they_are_finished(copied_run: Path) -> None:
    exams = read_exams(copied_run)
    mistakes = [r["mistakes"] for r in read_report(copied_run)["rounds"][1:]]
    assert [sum(not s.correct for s in e.samples) for e in exams] == mistakes
    (copied_run / "round-2" / "exam.jsonl").rename(copied_run / "round-2" / "exam.jsonl.partial")
    assert len(read_exams(copied_run)) == 1


def test_the_table_has_a_line_a_round_and_marks_the_kept_one(finished_run: Path) -> None:
    report = read_report(finished_run)
    lines = as_table(report).splitlines()
    assert len(lines) == 1 + 3
    assert [i for i, line in enumerate(lines[1:]) if "kept" in line] == [report["best_round"]]


# --- determinism ---


def test_the_same_config_gives_the_same_run(tiny_config: LoopConfig, finished_run: Path, tmp_path: Path) -> None:
    run(tiny_config, tmp_path / "again")
    assert_same_run(tmp_path / "again", finished_run)


def test_another_seed_gives_another_run_on_the_same_test(tiny_config: LoopConfig, finished_run: Path, tmp_path: Path) -> None:
    run(tiny_config.with_(seed=1), tmp_path)
    for file, same in (("problems/train.jsonl", False), ("problems/test.jsonl", True), ("round-1/exam.jsonl", False)):
        assert ((tmp_path / file).read_text() == (finished_run / file).read_text()) == same, file
    assert not same_weights(tmp_path / "round-1" / "adapter", finished_run / "round-1" / "adapter")


def test_each_round_draws_other_samples_and_changes_the_student(finished_run: Path) -> None:
    folders = [finished_run / f"round-{n}" for n in range(3)]
    assert (folders[1] / "exam.jsonl").read_text() != (folders[2] / "exam.jsonl").read_text()
    for one, other in zip(folders, folders[1:], strict=False):
        assert not same_weights(one / "adapter", other / "adapter")


def test_a_finished_run_is_not_done_again(tiny_config: LoopConfig, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished stage was done again")

    for name in ("take_exam", "make_lessons", "train_round"):
        monkeypatch.setattr(rounds, name, never)
    monkeypatch.setattr("l2r_lite.runs.run.load_split", never)
    monkeypatch.setattr("l2r_lite.students.loading.student_from", never)
    before = read_report(finished_run)
    assert lasting(run(tiny_config, finished_run)) == lasting(before)


# --- killed and resumed ---

# What must be there, and what must not, after a kill at that moment.
LEFT = {
    "exam": ("round-2/exam.jsonl.partial", "round-2/exam.jsonl"),
    "feedback": ("round-2/exam.jsonl", "round-2/lessons.jsonl"),
    "training": ("round-2/lessons.jsonl", "round-2/adapter"),
    "saving": ("round-2/training.jsonl", "round-2/adapter"),
    "evaluation": ("round-2/test.jsonl.partial", "round-2/test.jsonl"),
    "report": ("round-2/test.jsonl", "student"),
}


@pytest.mark.parametrize("stage", LEFT)
def test_a_run_that_is_killed_and_resumed_ends_as_an_undisturbed_one(
    stage: str, tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    """A process of its own kills itself, without a chance to clean up, at one moment of round 2."""
    out = tmp_path / "killed"
    process = start(tiny_config, out, die_at=f"2/{stage}")
    process.join()
    assert process.exitcode == -signal.SIGKILL
    there, missing = LEFT[stage]
    assert (out / there).exists() and not (out / missing).exists()
    adapter = (out / "round-1" / "adapter" / "adapter_model.safetensors").stat()
    run(tiny_config, out)
    assert_same_run(out, finished_run)
    after = (out / "round-1" / "adapter" / "adapter_model.safetensors").stat()
    assert (adapter.st_mtime_ns, adapter.st_ino) == (after.st_mtime_ns, after.st_ino), "round 1 was trained again"


def test_the_command_line_killed_in_its_first_exam_can_be_resumed(
    tiny_config: LoopConfig, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "l2r_lite", *flags(tiny_config, out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        growing, until = out / "round-1" / "exam.jsonl.partial", time.monotonic() + 60
        while process.poll() is None and not (growing.exists() and growing.stat().st_size) and time.monotonic() < until:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL, process.stderr.read().decode()[-2000:]
    assert not (out / "student").exists()
    run(tiny_config, out)
    assert_same_run(out, finished_run)


# --- stopped by the user ---


def test_a_stop_ends_the_run_soon_and_it_can_be_resumed(tiny_config: LoopConfig, finished_run: Path, tmp_path: Path) -> None:
    for after in (0, 5, 14, 25, 60, 90):  # times it was asked whether to go on, over both rounds
        out, asked = tmp_path / str(after), []

        def stop(asked: list[int] = asked, after: int = after) -> bool:
            asked.append(1)
            return len(asked) > after

        assert run(tiny_config, out, stop=stop)["stopped"] == "user" == read_report(out)["stopped"]
        assert len(asked) == after + 1, "it went on after it was told to stop"
        assert run(tiny_config, out)["stopped"] == "rounds"
        assert_same_run(out, finished_run)


def test_an_interrupt_from_the_keyboard_is_a_stop(tiny_config: LoopConfig, finished_run: Path, tmp_path: Path) -> None:
    def interrupt(step: dict[str, float]) -> None:
        raise KeyboardInterrupt

    report = run(tiny_config, tmp_path, on_step=interrupt)
    assert report["stopped"] == "user" and [r["round"] for r in report["rounds"]] == [0]
    run(tiny_config, tmp_path)
    assert_same_run(tmp_path, finished_run)


def test_a_run_is_told_after_every_evaluation_and_every_step(tiny_config: LoopConfig, tmp_path: Path) -> None:
    told: list[int] = []
    steps: list[dict[str, float]] = []
    run(tiny_config, tmp_path, on_round=lambda r: told.append(len(r["rounds"])), on_step=steps.append)
    assert told == [1, 2, 3]
    logged = [json.loads(x) for n in (1, 2) for x in (tmp_path / f"round-{n}" / "losses.jsonl").read_text().splitlines()]
    assert steps == logged


# --- more rounds ---


def test_more_rounds_go_on_from_where_the_run_ended(tiny_config: LoopConfig, finished_run: Path, tmp_path: Path) -> None:
    first = run(tiny_config.with_(rounds=1), tmp_path)
    assert [r["round"] for r in first["rounds"]] == [0, 1]
    adapter = tmp_path / "round-1" / "adapter" / "adapter_model.safetensors"
    before, exam = adapter.stat().st_mtime_ns, (tmp_path / "round-1" / "exam.jsonl").stat().st_mtime_ns
    run(tiny_config, tmp_path)
    assert adapter.stat().st_mtime_ns == before and (tmp_path / "round-1" / "exam.jsonl").stat().st_mtime_ns == exam
    assert_same_run(tmp_path, finished_run)
    assert read_config(tmp_path / "config.json").rounds == 2


def test_no_rounds_at_all_is_an_evaluation_of_the_student(tiny_config: LoopConfig, tmp_path: Path) -> None:
    report = run(tiny_config.with_(rounds=0), tmp_path)
    assert [r["round"] for r in report["rounds"]] == [0] and report["stopped"] == "rounds"
    assert (tmp_path / "student" / "adapter_model.safetensors").is_file()


def test_another_config_in_the_same_folder_is_refused_and_nothing_is_touched(
    tiny_config: LoopConfig, finished_run: Path
) -> None:
    before = {f: f.stat().st_mtime_ns for f in finished_run.rglob("*") if f.is_file()}
    other = {"seed": 7, "samples": 3, "reflection_weight": 0.1, "limit": 5, "four_bit": False, "temperature": 1.0}
    for knob, value in other.items():
        there = getattr(tiny_config, knob)
        with pytest.raises(RunError, match=f"other settings: {knob} = {there!r} there, {value!r} asked for"):
            run(tiny_config.with_(**{knob: value}), finished_run)
    assert before == {f: f.stat().st_mtime_ns for f in finished_run.rglob("*") if f.is_file()}


def test_replayed_items_come_from_the_lessons_of_earlier_rounds(tiny_config: LoopConfig, tmp_path: Path) -> None:
    """Questions answered right in exam 2 have no new lesson: all that round 1 taught of them is trained on again."""
    real = rounds.take_exam

    def half_right(student: Any, problems: Sequence[Problem], **options: Any) -> ExamReport:
        if options["describe"] != "round 2: exam":
            return real(student, problems, **options)
        samples = [s for n, p in enumerate(problems) for s in fake_samples(p, 2, right=n % 2 == 0)]
        return ExamReport(tuple(problems), tuple(samples))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "take_exam", half_right)
        run(tiny_config.with_(replay=1.0), tmp_path)
    earlier = [x.rationale for x in read_lines(tmp_path / "round-1" / "lessons.jsonl", Lesson)]
    items = read_lines(tmp_path / "round-2" / "training.jsonl", dict)
    replayed = [i for i in items if i["source"] == "replay"]
    own = [i for i in items if i["source"] == "own"]
    assert len([i for i in items if i["source"] == "lesson"]) == 18
    assert len(replayed) == 18 and {i["anchor"] for i in replayed} <= set(earlier)
    assert len(own) == 9


# --- which student is kept, and when to stop ---


def fake_samples(problem: Problem, count: int, *, right: bool) -> list[Sample]:
    said = [write_rationale(problem, i % 3) if right else f"sample {i}" for i in range(count)]
    return [Sample(problem.id, i, text, problem.answer if right else None, right) for i, text in enumerate(said)]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let validation and test come out as told, round by round; exams find mistakes everywhere, training is real."""

    def tell(validation: Sequence[float], test: Sequence[float] = ()) -> None:
        def take_exam(student: Any, problems: Sequence[Problem], *, samples: int, describe: str, **_: Any) -> ExamReport:
            number, name = int(describe.split()[1].rstrip(":")), describe.split()[2]
            share = 0.0 if name == "exam" else (validation if name == "validation" or not test else test)[number]
            made = [s for i, p in enumerate(problems) for s in fake_samples(p, samples, right=i < share * len(problems))]
            return ExamReport(tuple(problems), tuple(made))

        monkeypatch.setattr(rounds, "take_exam", take_exam)

    return tell


def test_the_student_that_is_kept_is_the_best_on_validation(scores: Callable, tiny_config: LoopConfig, tmp_path: Path) -> None:
    for validation, best in [
        ([0.5, 0.2, 0.8, 0.6], 2),
        ([0.9, 0.2, 0.8, 0.6], 0),  # never a worse one than it was given
        ([0.5, 0.5, 0.5, 0.5], 0),  # of equals, the one with the least training
        ([0.1, 0.2, 0.3, 0.4], 3),
    ]:
        scores(validation)
        out = tmp_path / str(validation)
        report = run(tiny_config.with_(rounds=3, validation_limit=10, test_limit=10), out)
        assert report["best_round"] == best
        assert [r["validation_accuracy"] for r in report["rounds"]] == validation
        assert report["accuracy"] == validation[best]
        assert same_weights(out / "student", out / f"round-{best}" / "adapter")
        assert report["stopped"] == "rounds"


def test_the_test_split_decides_nothing(scores: Callable, tiny_config: LoopConfig, tmp_path: Path) -> None:
    scores([0.5, 0.9, 0.1], test=[0.5, 0.1, 0.9])
    report = run(tiny_config.with_(validation_limit=10, test_limit=10), tmp_path)
    assert report["best_round"] == 1 and report["accuracy"] == 0.1


def test_patience_ends_a_run_that_no_longer_gets_better(scores: Callable, tiny_config: LoopConfig, tmp_path: Path) -> None:
    for number, (patience, validation, rounds_done, stopped) in enumerate([
        (1, [0.5, 0.5, 0.9, 0.9], 1, "no-improvement"),
        (2, [0.5, 0.4, 0.4, 0.9], 2, "no-improvement"),
        (2, [0.5, 0.4, 0.6, 0.6], 3, "rounds"),
        (1, [0.5, 0.6, 0.6, 0.9], 2, "no-improvement"),
        (0, [0.5, 0.4, 0.3, 0.2], 3, "rounds"),
    ]):  # fmt: skip
        scores(validation)
        out = tmp_path / str(number)
        report = run(tiny_config.with_(rounds=3, patience=patience, validation_limit=10), out)
        assert report["stopped"] == stopped
        assert len(report["rounds"]) == rounds_done + 1
        assert not (out / f"round-{rounds_done + 1}").exists()
        assert stopping_round(validation, patience) == (rounds_done, report["best_round"])  # the rule alone


def test_a_gain_that_is_too_small_is_none() -> None:
    assert stopping_round([0.5, 0.5625, 0.625, 0.75], 2, 0.125) == (2, 0)
    assert stopping_round([0.5, 0.75, 0.8125, 0.75], 0, 0.125) == (3, 1)
    assert stopping_round([0.5], 1) == (0, 0)


def test_a_run_that_lost_patience_goes_on_with_more_of_it(scores: Callable, tiny_config: LoopConfig, tmp_path: Path) -> None:
    scores([0.5, 0.4, 0.9])
    impatient = tiny_config.with_(patience=1, validation_limit=10)
    assert run(impatient, tmp_path)["stopped"] == "no-improvement"
    report = run(impatient.with_(patience=0), tmp_path)
    assert report["stopped"] == "rounds" and report["best_round"] == 2


# --- damage ---


def test_a_damaged_line_is_named_with_its_file_and_number(tiny_config: LoopConfig, copied_run: Path) -> None:
    for file in ("problems/train.jsonl", "round-1/exam.jsonl", "round-1/lessons.jsonl", "round-2/test.jsonl"):
        sound = (copied_run / file).read_bytes()
        for damage in (b'{"torn": ', b"\xff\xfe", b'{"unknown": 1}', b"5", b"[]", b"null"):
            lines = sound.split(b"\n")
            lines[2] = damage
            (copied_run / file).write_bytes(b"\n".join(lines))
            with pytest.raises(RunError, match=rf"{file}, line 3: .*Remove the file"):
                run(tiny_config, copied_run)
        (copied_run / file).write_bytes(sound)


def test_a_removed_stage_is_done_again_and_ends_the_same(tiny_config: LoopConfig, finished_run: Path, copied_run: Path) -> None:
    """What the message about a damaged line advises."""
    out = copied_run
    for file in ("round-1/exam.jsonl", "round-2/lessons.jsonl", "round-2/test.jsonl", "problems/validation.jsonl"):
        (out / file).unlink()
    run(tiny_config, out)
    assert_same_run(out, finished_run)


def test_a_finished_file_with_a_torn_end_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "exam.jsonl"
    file.write_text('{"problem_id": "a", "index": 0, "rationale": "", "answer": null, "correct": false}\n{"probl')
    with pytest.raises(RunError, match="exam.jsonl, line 2"):
        read_lines(file, Sample)


SAMPLES = [Sample("a", 0, "one\nline – ½", "1", True), Sample("b", 1, "", None, False)]


def test_records_come_back_from_lines_as_they_were(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", SAMPLES)
    assert read_lines(tmp_path / "x.jsonl", Sample) == SAMPLES


def test_a_growing_file_forgets_a_torn_end_only(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "x.jsonl", Sample)
    growing.append(SAMPLES)
    with growing.partial.open("a") as handle:
        handle.write('{"problem_id": "c", "ind')
    again = Growing(tmp_path / "x.jsonl", Sample)
    assert again.taken == SAMPLES
    again.append([dataclasses.replace(SAMPLES[0], index=9)])
    assert len(Growing(tmp_path / "x.jsonl", Sample).taken) == 3, "the torn end must not swallow the next line"


def test_a_growing_file_damaged_in_its_middle_is_named(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "x.jsonl", Sample)
    growing.partial.write_text('{"problem_id": "c", "ind\n' + json.dumps(dataclasses.asdict(SAMPLES[0])) + "\n")
    with pytest.raises(RunError, match=r"x\.jsonl\.partial, line 1"):
        Growing(tmp_path / "x.jsonl", Sample)


def test_a_damaged_config_is_one_sentence(tmp_path: Path) -> None:
    for text in ("", "{", "[]", "5", '{"nonsense": 1}', '{"rounds": "many"}', '{"rounds": 2.5}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError):
            read_config(tmp_path / "config.json")


def test_a_config_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    for name, preset in PRESETS.items():
        (tmp_path / "config.json").write_text(json.dumps(preset.to_json()))
        assert read_config(tmp_path / "config.json") == preset, name


def test_the_report_of_a_run_in_progress_has_its_finished_rounds(tiny_config: LoopConfig, copied_run: Path) -> None:
    (copied_run / "round-2" / "test.jsonl").unlink()
    report = build_report(copied_run, tiny_config, "user")
    assert [r["round"] for r in report["rounds"]] == [0, 1]


# --- demonstrations ---


def test_demonstrations_stand_before_every_question_and_are_no_training_questions(
    tiny_config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes = []
    real = rounds.take_exam

    def exam(student: Any, problems: Sequence[Problem], **options: Any) -> ExamReport:
        prefixes.append(student.tokenizer.decode(student.prefix))
        return real(student, problems, **options)

    monkeypatch.setattr(rounds, "take_exam", exam)
    chosen = tiny_config.with_(demonstrations=2, rounds=1)
    run(chosen, tmp_path / "run")
    shown = read_lines(tmp_path / "run" / "demonstrations.jsonl", Lesson)
    train = {p.id: p for p in read_lines(tmp_path / "run" / "problems" / "train.jsonl", Problem)}
    assert len(shown) == 2 and len(train) == 18
    by_id = {lesson.problem_id: lesson.rationale for lesson in shown}
    text = "".join(f"{student_prompt(p)} {by_id[key]}\n\n" for key, p in train.items() if key in by_id)
    assert prefixes and set(prefixes) == {text}
    asked = {s.problem_id for s in read_lines(tmp_path / "run" / "round-1" / "exam.jsonl", Sample)}
    assert asked == train.keys() - {x.problem_id for x in shown}


def test_a_run_with_demonstrations_resumes_to_the_same_report(tiny_config: LoopConfig, tmp_path: Path) -> None:
    chosen = tiny_config.with_(demonstrations=2)
    run(chosen, tmp_path / "whole")
    run(chosen.with_(rounds=1), tmp_path / "parts")
    run(chosen, tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_teacher_without_enough_right_rationales_is_named(tiny_config: LoopConfig, tmp_path: Path) -> None:
    class Silent(Teacher):
        def teach(self, mistakes: Sequence[Mistake], count: int) -> Generator[Reply]:
            yield from (Reply(m, "", ()) for m in mistakes)

    with pytest.raises(TeacherError, match="demonstrations = 2: .* 0 of 18 problems"):
        run(tiny_config.with_(demonstrations=2), tmp_path / "run", teacher=Silent())
