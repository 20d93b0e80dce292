"""The loop in its run folder: same config, same report, whatever interrupts it; and which student is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import l2r_lite.rounds as rounds
import pytest
from safetensors.torch import load_file

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, RunError, TeacherError
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.records import ExamReport, Lesson, Problem, Reply, Sample
from l2r_lite.loop.runfolder import Growing, read_lines, write_lines
from l2r_lite.runs.report import TIMES, as_table, build_report, stopping_round
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.stories import read_exams
from l2r_lite.students.presets import PRESETS

# What may differ between two runs of one config; `stopped` is looked at by itself.
VOLATILE = (*TIMES, "environment", "peak_rss_mb", "config", "teacher_cost_so_far")


@pytest.fixture(scope="module")
def config(tiny_folder: Path) -> LoopConfig:
    """Two rounds in about a second, by a student that answers nonsense: what it says still depends on every weight."""
    return LoopConfig(
        student=str(tiny_folder), limit=18, validation_limit=9, test_limit=9, rounds=2, samples=2, epochs=1, batch_size=8,
        max_new_tokens=12, exam_rows=4, reflection_weight=0.5,
    )  # fmt: skip


def run(config: LoopConfig, out: Path, **options: Any) -> dict[str, Any]:
    return run_rounds(config, out, progress=False, **options)


@pytest.fixture(scope="module")
def undisturbed(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(config, out)
    return out


def lasting(data: Any) -> Any:
    """A report without what may differ."""
    if isinstance(data, dict):
        return {key: lasting(value) for key, value in data.items() if key not in VOLATILE}
    return [lasting(x) for x in data] if isinstance(data, list) else data


def assert_same_run(out: Path, other: Path) -> None:
    """Same report, same samples, lessons, items and losses, same weights bit for bit, and nothing half-written left."""
    read = [json.loads((o / "report.json").read_text(encoding="utf-8")) for o in (out, other)]
    assert lasting(read[0]) == lasting(read[1])
    files = sorted(f.relative_to(other) for f in other.rglob("*.jsonl"))
    assert sorted(f.relative_to(out) for f in out.rglob("*.jsonl")) == files
    for file in files:
        assert (out / file).read_text(encoding="utf-8") == (other / file).read_text(encoding="utf-8"), file
    for adapter in ("round-0/adapter", "round-1/adapter", "round-2/adapter", "student"):
        assert same_weights(out / adapter, other / adapter), adapter
    assert not [f for f in out.rglob("*") if f.name.startswith(".") or f.suffix == ".partial"]


def same_weights(one: Path, other: Path) -> bool:
    a, b = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


# --- the report ---


@pytest.fixture(scope="module")
def pocket_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    config = LoopConfig(
        limit=36, validation_limit=18, test_limit=36, rounds=1, samples=2, epochs=1, batch_size=16, exam_rows=72,
        max_new_tokens=48, reflection_weight=0.5,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("runs") / "pocket"
    return run(config, out), out


def test_the_report_has_the_fields_of_the_design(pocket_report: tuple[dict[str, Any], Path]) -> None:
    report, out = pocket_report
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == report
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


def test_the_reports_numbers_are_those_of_the_files(pocket_report: tuple[dict[str, Any], Path]) -> None:
    report, out = pocket_report
    entry = report["rounds"][1]
    exam = read_lines(out / "round-1" / "exam.jsonl", Sample)
    lessons = read_lines(out / "round-1" / "lessons.jsonl", Lesson)
    test = read_lines(out / "round-1" / "test.jsonl", Sample)
    assert entry["mistakes"] == sum(not s.correct for s in exam) > 0
    assert entry["teacher_calls"] == len({s.problem_id for s in exam if not s.correct})
    assert entry["lessons"] == len(lessons) == 2 * entry["teacher_calls"]
    assert entry["accuracy"] == pytest.approx(sum(s.correct for s in test) / 36, abs=1e-4)
    assert entry["triplet_share"] == pytest.approx(len(lessons) / entry["items"], abs=1e-4)  # replayed items have none


def test_the_pocket_student_knows_something_and_lacks_something(pocket_report: tuple[dict[str, Any], Path]) -> None:
    from l2r_lite.data.pocket.world import KNOWN, WITHHELD

    by_skill = pocket_report[0]["rounds"][0]["by_skill"]
    known, withheld = (sum(by_skill[s] for s in names) / len(names) for names in (KNOWN, WITHHELD))
    assert known > 0.8 > 0.6 > withheld


def test_the_triplet_share_says_when_nothing_can_be_reflected_on(config: LoopConfig, tmp_path: Path) -> None:
    """One lesson a question, no own correct sample: the reflection loss is 0, and the report says why."""
    report = run(config.with_(lessons=1, samples=1, rounds=1), tmp_path)
    assert report["rounds"][1]["items"] == report["rounds"][1]["mistakes"] > 15
    assert report["rounds"][1]["triplet_share"] == 0.0


def test_every_step_of_a_round_is_a_file_to_read(undisturbed: Path) -> None:
    for split, count in (("train", 18), ("validation", 9), ("test", 9)):
        assert len(read_lines(undisturbed / "problems" / f"{split}.jsonl", Problem)) == count
    for number in (1, 2):
        place = undisturbed / f"round-{number}"
        for name in ("exam", "lessons", "rejected", "training", "losses", "validation", "test"):
            for line in (place / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
                assert isinstance(json.loads(line), dict)
        assert (place / "adapter" / "adapter_model.safetensors").is_file()


def test_the_exams_of_a_run_are_read_as_far_as_they_are_finished(undisturbed: Path, tmp_path: Path) -> None:
    exams = read_exams(undisturbed)
    report = json.loads((undisturbed / "report.json").read_text(encoding="utf-8"))
    assert [sum(not s.correct for s in e.samples) for e in exams] == [r["mistakes"] for r in report["rounds"][1:]]
    again = copy_of(undisturbed, tmp_path)
    (again / "round-2" / "exam.jsonl").rename(again / "round-2" / "exam.jsonl.partial")
    assert len(read_exams(again)) == 1


def test_the_table_has_a_line_a_round_and_marks_the_kept_one(undisturbed: Path) -> None:
    report = json.loads((undisturbed / "report.json").read_text(encoding="utf-8"))
    lines = as_table(report).splitlines()
    assert len(lines) == 1 + 3
    assert [i for i, line in enumerate(lines[1:]) if "kept" in line] == [report["best_round"]]


# --- determinism ---


def test_the_same_config_gives_the_same_run(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    run(config, tmp_path / "again")
    assert_same_run(tmp_path / "again", undisturbed)


def test_another_seed_gives_another_run_on_the_same_test(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    run(config.with_(seed=1), tmp_path)
    for file, same in (("problems/train.jsonl", False), ("problems/test.jsonl", True), ("round-1/exam.jsonl", False)):
        assert ((tmp_path / file).read_text() == (undisturbed / file).read_text()) == same, file
    assert not same_weights(tmp_path / "round-1" / "adapter", undisturbed / "round-1" / "adapter")


def test_training_changes_the_student_in_every_round(undisturbed: Path) -> None:
    adapters = [undisturbed / f"round-{n}" / "adapter" for n in range(3)]
    assert not same_weights(adapters[0], adapters[1]) and not same_weights(adapters[1], adapters[2])


def test_each_round_draws_other_samples(undisturbed: Path) -> None:
    one, two = ((undisturbed / f"round-{n}" / "exam.jsonl").read_text() for n in (1, 2))
    assert one != two


def test_a_finished_run_is_not_done_again(config: LoopConfig, undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished stage was done again")

    for name in ("take_exam", "make_lessons", "train_round", "load_problems"):
        monkeypatch.setattr(rounds, name, never)
    before = (undisturbed / "report.json").read_text()
    report = run(config, undisturbed)
    assert lasting(report) == lasting(json.loads(before))


# --- killed and resumed ---

# Runs the command line, and kills itself without a chance to clean up at one moment of round 2.
DRIVER = """
import os, signal, sys
from pathlib import Path

stage, out = sys.argv[1], Path(sys.argv[sys.argv.index("--out") + 1])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

import l2r_lite.rounds as rounds, l2r_lite.runfolder as folder, l2r_lite.teacher as teacher, l2r_lite.training as training

append, teach, step, rename, write = (
    folder.Growing.append, teacher.ScriptedTeacher.teach, training.train_step, Path.rename, folder.write_json)
calls = {"exam": 0, "step": 0}

def torn_append(self, records):
    in_round = self.file.parent.name == "round-2"
    if in_round and stage == "exam" and self.file.name == "exam.jsonl":
        calls["exam"] += 1
        if calls["exam"] == 2:
            with self.partial.open("a") as handle:
                handle.write(folder._line(list(records)[0])[:40])
            die()
    append(self, records)
    if in_round and stage == "evaluation" and self.file.name == "test.jsonl":
        die()

def teach_a_little(self, mistakes, count):
    for number, reply in enumerate(teach(self, mistakes, count)):
        if stage == "feedback" and number == 3 and (out / "round-2").exists():
            die()
        yield reply

def step_once(*args, **kwargs):
    calls["step"] += (out / "round-2" / "lessons.jsonl").exists()
    if stage == "training" and calls["step"] == 2:
        die()
    return step(*args, **kwargs)

def rename_never(self, target):
    if stage == "saving" and Path(target) == out / "round-2" / "adapter":
        die()
    return rename(self, target)

def write_never(file, data):
    if stage == "report" and file.name == "report.json" and (out / "round-2" / "test.jsonl").exists():
        die()
    write(file, data)

folder.Growing.append, teacher.ScriptedTeacher.teach, training.train_step = torn_append, teach_a_little, step_once
Path.rename, folder.write_json = rename_never, write_never
from l2r_lite.app.cli import main
from l2r_lite.runs.config_file import read_config
sys.exit(main(sys.argv[2:]))
"""
# What must be there, and what must not, after a kill at that moment.
LEFT = {
    "exam": ("round-2/exam.jsonl.partial", "round-2/exam.jsonl"),
    "feedback": ("round-2/exam.jsonl", "round-2/lessons.jsonl"),
    "training": ("round-2/lessons.jsonl", "round-2/adapter"),
    "saving": ("round-2/training.jsonl", "round-2/adapter"),
    "evaluation": ("round-2/test.jsonl.partial", "round-2/test.jsonl"),
    "report": ("round-2/test.jsonl", "student"),
}


def flags(config: LoopConfig, out: Path) -> list[str]:
    given = [f"--{k.replace('_', '-')}={v}" for k, v in config.to_json().items() if v != getattr(LoopConfig(), k)]
    return ["run", "--out", str(out), *given]


@pytest.mark.parametrize("stage", LEFT)
def test_a_run_that_is_killed_and_resumed_ends_as_an_undisturbed_one(
    stage: str, config: LoopConfig, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), stage, *flags(config, out)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    there, missing = LEFT[stage]
    assert (out / there).exists() and not (out / missing).exists()
    adapter = (out / "round-1" / "adapter" / "adapter_model.safetensors").stat()
    run(config, out)
    assert_same_run(out, undisturbed)
    after = (out / "round-1" / "adapter" / "adapter_model.safetensors").stat()
    assert (adapter.st_mtime_ns, adapter.st_ino) == (after.st_mtime_ns, after.st_ino), "round 1 was trained again"


def test_the_command_line_killed_in_its_first_exam_can_be_resumed(
    config: LoopConfig, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "l2r_lite.cli", *flags(config, out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        growing, until = out / "round-1" / "exam.jsonl.partial", time.monotonic() + 60
        while process.poll() is None and not (growing.exists() and growing.stat().st_size) and time.monotonic() < until:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL, process.stderr.read().decode()[-2000:]
    assert not (out / "student").exists()
    run(config, out)
    assert_same_run(out, undisturbed)


# --- stopped by the user ---


@pytest.mark.parametrize("after", [0, 5, 14, 25])
def test_a_stop_ends_the_run_soon_and_it_can_be_resumed(
    after: int, config: LoopConfig, undisturbed: Path, tmp_path: Path
) -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > after

    report = run(config, tmp_path, stop=stop)
    assert report["stopped"] == "user"
    assert len(asked) == after + 1, "it went on after it was told to stop"
    assert json.loads((tmp_path / "report.json").read_text())["stopped"] == "user"
    assert run(config, tmp_path)["stopped"] == "rounds"
    assert_same_run(tmp_path, undisturbed)


def test_an_interrupt_from_the_keyboard_is_a_stop(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    def interrupt(step: dict[str, float]) -> None:
        raise KeyboardInterrupt

    report = run(config, tmp_path, on_step=interrupt)
    assert report["stopped"] == "user" and [r["round"] for r in report["rounds"]] == [0]
    run(config, tmp_path)
    assert_same_run(tmp_path, undisturbed)


def test_a_run_is_told_after_every_evaluation_and_every_step(config: LoopConfig, tmp_path: Path) -> None:
    told: list[int] = []
    steps: list[dict[str, float]] = []
    run(config, tmp_path, on_round=lambda r: told.append(len(r["rounds"])), on_step=steps.append)
    assert told == [1, 2, 3]
    logged = [json.loads(x) for n in (1, 2) for x in (tmp_path / f"round-{n}" / "losses.jsonl").read_text().splitlines()]
    assert steps == logged


# --- more rounds ---


def test_more_rounds_go_on_from_where_the_run_ended(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    first = run(config.with_(rounds=1), tmp_path)
    assert [r["round"] for r in first["rounds"]] == [0, 1]
    adapter = tmp_path / "round-1" / "adapter" / "adapter_model.safetensors"
    before, exam = adapter.stat().st_mtime_ns, (tmp_path / "round-1" / "exam.jsonl").stat().st_mtime_ns
    run(config, tmp_path)
    assert adapter.stat().st_mtime_ns == before and (tmp_path / "round-1" / "exam.jsonl").stat().st_mtime_ns == exam
    assert_same_run(tmp_path, undisturbed)
    assert read_config(tmp_path / "config.json").rounds == 2


def test_no_rounds_at_all_is_an_evaluation_of_the_student(config: LoopConfig, tmp_path: Path) -> None:
    report = run(config.with_(rounds=0), tmp_path)
    assert [r["round"] for r in report["rounds"]] == [0] and report["stopped"] == "rounds"
    assert (tmp_path / "student" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("knob", ["seed", "samples", "reflection_weight", "limit", "four_bit", "temperature"])
def test_another_config_in_the_same_folder_is_refused_and_nothing_is_touched(
    knob: str, config: LoopConfig, undisturbed: Path
) -> None:
    value = {"seed": 7, "samples": 3, "reflection_weight": 0.1, "limit": 5, "four_bit": False, "temperature": 1.0}[knob]
    before = {f: f.stat().st_mtime_ns for f in undisturbed.rglob("*") if f.is_file()}
    there = getattr(config, knob)
    with pytest.raises(RunError, match=f"other settings: {knob} = {there!r} there, {value!r} asked for"):
        run(config.with_(**{knob: value}), undisturbed)
    assert before == {f: f.stat().st_mtime_ns for f in undisturbed.rglob("*") if f.is_file()}


def test_replayed_items_come_from_the_lessons_of_earlier_rounds(config: LoopConfig, tmp_path: Path) -> None:
    """Without a mistake on a question there is no lesson on it; only then its earlier lessons are replayed."""
    real = rounds.take_exam

    def half_right(student: Any, problems: Sequence[Problem], **options: Any) -> ExamReport:
        if options["describe"] != "round 2: exam":
            return real(student, problems, **options)
        samples = [s for n, p in enumerate(problems) for s in fake_samples(p, 2, right=n % 2 == 0)]
        return ExamReport(tuple(problems), tuple(samples))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "take_exam", half_right)
        run(config.with_(replay=1.0), tmp_path)
    earlier = [x.rationale for x in read_lines(tmp_path / "round-1" / "lessons.jsonl", Lesson)]
    items = read_lines(tmp_path / "round-2" / "training.jsonl", dict)
    replayed = [i for i in items if i["source"] == "replay"]
    own = [i for i in items if i["source"] == "own"]
    assert len([i for i in items if i["source"] == "lesson"]) == 18
    assert len(replayed) == 9 and {i["anchor"] for i in replayed} <= set(earlier)
    assert len(own) == 9


# --- which student is kept, and when to stop ---


def fake_samples(problem: Problem, count: int, *, right: bool) -> list[Sample]:
    return [Sample(problem.id, i, f"sample {i} {right}", problem.answer if right else None, right) for i in range(count)]


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


@pytest.mark.parametrize(
    ("validation", "best"),
    [
        ([0.5, 0.2, 0.8, 0.6], 2),
        ([0.9, 0.2, 0.8, 0.6], 0),  # never a worse one than it was given
        ([0.5, 0.5, 0.5, 0.5], 0),  # of equals, the one with the least training
        ([0.1, 0.2, 0.3, 0.4], 3),
    ],
)
def test_the_student_that_is_kept_is_the_best_on_validation(
    scores: Callable, config: LoopConfig, tmp_path: Path, validation: list[float], best: int
) -> None:
    scores([round(v * 10) / 10 for v in validation])
    report = run(config.with_(rounds=3, validation_limit=10, test_limit=10), tmp_path)
    assert report["best_round"] == best
    assert [r["validation_accuracy"] for r in report["rounds"]] == validation
    assert report["accuracy"] == validation[best]
    assert same_weights(tmp_path / "student", tmp_path / f"round-{best}" / "adapter")
    assert report["stopped"] == "rounds"


def test_the_test_split_decides_nothing(scores: Callable, config: LoopConfig, tmp_path: Path) -> None:
    scores([0.5, 0.9, 0.1], test=[0.5, 0.1, 0.9])
    report = run(config.with_(validation_limit=10, test_limit=10), tmp_path)
    assert report["best_round"] == 1 and report["accuracy"] == 0.1


@pytest.mark.parametrize(
    ("patience", "validation", "rounds_done", "stopped"),
    [
        (1, [0.5, 0.5, 0.9, 0.9], 1, "no-improvement"),
        (2, [0.5, 0.4, 0.4, 0.9], 2, "no-improvement"),
        (2, [0.5, 0.4, 0.6, 0.6], 3, "rounds"),
        (1, [0.5, 0.6, 0.6, 0.9], 2, "no-improvement"),
        (0, [0.5, 0.4, 0.3, 0.2], 3, "rounds"),
    ],
)
def test_patience_ends_a_run_that_no_longer_gets_better(
    scores: Callable, config: LoopConfig, tmp_path: Path, patience: int, validation: list[float], rounds_done: int, stopped: str
) -> None:
    scores(validation)
    report = run(config.with_(rounds=3, patience=patience, validation_limit=10), tmp_path)
    assert report["stopped"] == stopped
    assert len(report["rounds"]) == rounds_done + 1
    assert not (tmp_path / f"round-{rounds_done + 1}").exists()
    assert stopping_round(validation, patience) == (rounds_done, report["best_round"])  # the rule without a run is the loop's


def test_a_gain_that_is_too_small_is_none() -> None:
    assert stopping_round([0.5, 0.5625, 0.625, 0.75], 2, 0.125) == (2, 0)
    assert stopping_round([0.5, 0.75, 0.8125, 0.75], 0, 0.125) == (3, 1)
    assert stopping_round([0.5], 1) == (0, 0)


def test_a_run_that_lost_patience_goes_on_with_more_of_it(scores: Callable, config: LoopConfig, tmp_path: Path) -> None:
    scores([0.5, 0.4, 0.9])
    impatient = config.with_(patience=1, validation_limit=10)
    assert run(impatient, tmp_path)["stopped"] == "no-improvement"
    report = run(impatient.with_(patience=0), tmp_path)
    assert report["stopped"] == "rounds" and report["best_round"] == 2


# --- damage ---


def copy_of(run_folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run_folder, to / "copy"))


@pytest.mark.parametrize("file", ["problems/train.jsonl", "round-1/exam.jsonl", "round-1/lessons.jsonl", "round-2/test.jsonl"])
@pytest.mark.parametrize("damage", [b'{"torn": ', b"\xff\xfe", b'{"unknown": 1}', b"5", b"[]", b"null"], ids=repr)
def test_a_damaged_line_is_named_with_its_file_and_number(
    file: str, damage: bytes, config: LoopConfig, undisturbed: Path, tmp_path: Path
) -> None:
    out = copy_of(undisturbed, tmp_path)
    lines = (out / file).read_bytes().split(b"\n")
    lines[2] = damage
    (out / file).write_bytes(b"\n".join(lines))
    with pytest.raises(RunError, match=rf"{file}, line 3: is damaged .*Remove the file"):
        run(config, out)


def test_a_removed_stage_is_done_again_and_ends_the_same(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    """What the message about a damaged line advises."""
    out = copy_of(undisturbed, tmp_path)
    for file in ("round-1/exam.jsonl", "round-2/lessons.jsonl", "round-2/test.jsonl", "problems/validation.jsonl"):
        (out / file).unlink()
    run(config, out)
    assert_same_run(out, undisturbed)


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


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"nonsense": 1}', '{"rounds": "many"}', '{"rounds": 2.5}'])
def test_a_damaged_config_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError):
        read_config(tmp_path / "config.json")


def test_a_config_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    for name, preset in PRESETS.items():
        (tmp_path / "config.json").write_text(json.dumps(preset.to_json()))
        assert read_config(tmp_path / "config.json") == preset, name


def test_the_report_of_a_run_in_progress_has_its_finished_rounds(config: LoopConfig, undisturbed: Path, tmp_path: Path) -> None:
    out = copy_of(undisturbed, tmp_path)
    (out / "round-2" / "test.jsonl").unlink()
    report = build_report(out, config, "user")
    assert [r["round"] for r in report["rounds"]] == [0, 1]


# --- demonstrations ---


def test_demonstrations_stand_before_every_question_and_are_no_training_questions(
    config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes = []
    real = rounds.take_exam

    def exam(student: Any, problems: Sequence[Problem], **options: Any) -> ExamReport:
        prefixes.append(student.tokenizer.decode(student.prefix))
        return real(student, problems, **options)

    monkeypatch.setattr(rounds, "take_exam", exam)
    chosen = config.with_(demonstrations=2, rounds=1)
    run(chosen, tmp_path / "run")
    shown = read_lines(tmp_path / "run" / "demonstrations.jsonl", Lesson)
    train = {p.id: p for p in read_lines(tmp_path / "run" / "problems" / "train.jsonl", Problem)}
    assert len(shown) == 2 and len(train) == 18
    by_id = {lesson.problem_id: lesson.rationale for lesson in shown}
    text = "".join(f"{student_prompt(p)} {by_id[key]}\n\n" for key, p in train.items() if key in by_id)
    assert prefixes and set(prefixes) == {text}
    asked = {s.problem_id for s in read_lines(tmp_path / "run" / "round-1" / "exam.jsonl", Sample)}
    assert asked == train.keys() - {x.problem_id for x in shown}


def test_a_run_with_demonstrations_resumes_to_the_same_report(config: LoopConfig, tmp_path: Path) -> None:
    chosen = config.with_(demonstrations=2)
    run(chosen, tmp_path / "whole")
    run(chosen.with_(rounds=1), tmp_path / "parts")
    run(chosen, tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_teacher_without_enough_right_rationales_is_named(config: LoopConfig, tmp_path: Path) -> None:
    class Silent:
        def teach(self, mistakes: Sequence[Any], count: int) -> Any:
            return (Reply(m, "", ()) for m in mistakes)

    with pytest.raises(TeacherError, match="demonstrations = 2: .* 0 of 18 problems"):
        run(config.with_(demonstrations=2), tmp_path / "run", teacher=Silent())
