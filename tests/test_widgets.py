"""The panels without a browser: real runs in threads, real run folders, and hostile text."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ipywidgets as w
import matplotlib.image
import pytest

from fake_endpoint import Server
from l2r_lite.app.panels import compare_panel, loop_panel, mistake_browser
from l2r_lite.app.panels.base import Panel
from l2r_lite.app.panels.live import DrawBudget, Forecast
from l2r_lite.app.panels.settings import LABELS, folder_for
from l2r_lite.app.panels.words import duration
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.records import Lesson, Problem, Sample
from l2r_lite.loop.runfolder import read_lines, write_lines
from l2r_lite.loop.stages import Progress
from l2r_lite.runs.compare import compare_runs
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.report import TIMES
from l2r_lite.runs.run import run_rounds
from l2r_lite.runs.stories import NOT_ASKED, STILL_WRONG, first_wrong, read_stories

KEY = "sk-planted-0c5b1a7d3e9f4a6b8c2d"


@pytest.fixture(scope="module")
def config(tiny_folder: Path) -> LoopConfig:
    """A run of about a second, by a student that answers nonsense: what it says still depends on every weight."""
    return LoopConfig(
        student=str(tiny_folder), limit=18, validation_limit=9, test_limit=17, rounds=1, samples=2, epochs=1, batch_size=8,
        max_new_tokens=12, exam_rows=12, reflection_weight=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two rounds without a panel."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_rounds(config.with_(rounds=2), out, progress=False)
    return out


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[..., loop_panel]]:
    """Make panels, and end their runs with the test."""
    made: list[loop_panel] = []

    def make(config: LoopConfig, name: str = "panel") -> loop_panel:
        made.append(loop_panel(config, tmp_path, name))
        return made[-1]

    yield make
    for panel in made:
        panel.stop()
        assert panel.wait(60)


def can(panel: loop_panel) -> set[str]:
    return {name for name, button in panel.buttons.items() if not button.disabled}


def until(true: Callable[[], object], seconds: float = 60) -> float:
    """Wait until a condition is true; returns the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.005)
    return time.monotonic() - began


def finish(panel: loop_panel) -> None:
    assert panel.wait(120)
    assert panel.state == "finished", (panel.state, panel.live.error)


def found(out: Path) -> list[dict[str, Any]]:
    """What a run found, without the time it took."""
    rounds = json.loads((out / "report.json").read_text())["rounds"]
    return [{key: value for key, value in r.items() if key not in TIMES} for r in rounds]


def samples(out: Path) -> dict[str, str]:
    return {str(f.relative_to(out)): f.read_text() for f in sorted(out.rglob("*.jsonl"))}


def stamps(folder: Path) -> dict[str, int]:
    return {str(f): f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}


def widgets(widget: w.Widget) -> Iterator[w.Widget]:
    """All widgets in a panel."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from widgets(child)


def htmls(panel: Panel) -> list[str]:
    return [widget.value for widget in widgets(panel.panel) if isinstance(widget, w.HTML)]


def told(panel: Panel) -> str:
    return " ".join(html for html in htmls(panel) if "base64" not in html)


def pictures(panel: Panel) -> list[str]:
    return [html for html in htmls(panel) if "base64" in html]


def cell(panel: loop_panel, knob: str) -> w.Box:
    """A knob's field, with its help or what is wrong with it below."""
    name = LABELS.get(knob, knob)
    boxes = [box for box in widgets(panel.panel) if isinstance(box, w.Box)]
    return next(box for box in boxes if any(getattr(x, "description", "") == name for x in box.children))


def below(panel: loop_panel, knob: str) -> str:
    return cell(panel, knob).children[1].value


# --- the loop panel: a run beside the main thread ---


def test_a_run_goes_from_idle_to_finished_and_finds_what_a_run_without_a_panel_finds(
    show: Callable[..., loop_panel], config: LoopConfig, undisturbed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    panel = show(config.with_(rounds=2))
    assert panel.state == "idle" and can(panel) == {"Run", "Reset"}
    capfd.readouterr()
    panel.buttons["Run"].click()
    assert panel.state == "running" and can(panel) == {"Pause", "Stop"}
    assert all(field.disabled for field in panel.settings.fields.values())
    assert "<progress" in told(panel) and 'role="status"' in told(panel)
    assert until(lambda: pictures(panel)) < 3, "something is to be seen at once"
    finish(panel)
    assert found(panel.out) == found(undisturbed)
    assert samples(panel.out) == samples(undisturbed)
    assert can(panel) == {"Reset"} and not any(field.disabled for field in panel.settings.fields.values())
    assert "Finished: 2 rounds, test accuracy" in told(panel)
    assert len(pictures(panel)) == 3
    assert capfd.readouterr() == ("", ""), "what the run's thread prints lands in some cell"


def test_a_paused_run_stands_still_and_goes_on_to_the_same_end(
    show: Callable[..., loop_panel], config: LoopConfig, undisturbed: Path
) -> None:
    panel = show(config.with_(rounds=2))
    panel.run()
    until(lambda: (panel.out / "round-1").exists())
    panel.pause()
    assert panel.wait(30) and panel.state == "paused" and can(panel) == {"Stop", "Continue"}
    assert "Paused" in told(panel)
    before, clock = stamps(panel.out), panel.live.clock()
    time.sleep(0.5)
    assert stamps(panel.out) == before
    panel.go_on()
    assert panel.state == "running"
    finish(panel)
    assert panel.live.clock() - clock < time.monotonic() - clock - 0.4, "a pause is no time of the run"
    assert found(panel.out) == found(undisturbed)


def test_stop_in_mid_training_takes_two_seconds_at_most_and_continue_leads_to_the_same_end(
    show: Callable[..., loop_panel], config: LoopConfig, tmp_path: Path
) -> None:
    long = config.with_(epochs=15)
    run_rounds(long, tmp_path / "undisturbed", progress=False)
    panel = show(long)
    panel.run()
    until(lambda: re.search("training: [1-9]", told(panel)))
    panel.stop()
    assert panel.state == "stopping"
    assert until(lambda: panel.state == "stopped") < 2
    assert panel.report is not None and panel.report["stopped"] == "user" and can(panel) == {"Continue", "Reset"}
    assert not (panel.out / "round-1" / "adapter").exists()
    panel.buttons["Continue"].click()
    finish(panel)
    assert found(panel.out) == found(tmp_path / "undisturbed")


def test_a_paused_run_can_be_stopped(show: Callable[..., loop_panel], config: LoopConfig) -> None:
    panel = show(config.with_(epochs=60))
    panel.run()
    until(lambda: "training" in told(panel))
    panel.pause()
    assert panel.wait(30)
    panel.stop()
    assert panel.wait(10) and panel.state == "stopped"


def test_more_rounds_continue_a_finished_run_and_run_none_of_its_rounds_again(
    show: Callable[..., loop_panel], config: LoopConfig, undisturbed: Path
) -> None:
    panel = show(config)
    panel.run()
    finish(panel)
    before = stamps(panel.out / "round-0") | stamps(panel.out / "round-1")
    panel.settings.fields["rounds"].value = 2
    assert can(panel) == {"Continue", "Reset"} and panel.out.name == "panel"
    panel.buttons["Continue"].click()
    finish(panel)
    assert stamps(panel.out / "round-0") | stamps(panel.out / "round-1") == before
    assert found(panel.out) == found(undisturbed)


def test_a_new_panel_on_a_half_finished_folder_shows_it_and_goes_on(
    show: Callable[..., loop_panel], config: LoopConfig, undisturbed: Path
) -> None:
    first = show(config.with_(rounds=2))
    first.run()
    until(lambda: (first.out / "round-2").exists())
    first.stop()
    assert first.wait(30) and first.state == "stopped"
    again = show(config.with_(rounds=2))  # as after a restart of the kernel: it knows nothing but the folder
    assert again.state == "stopped" and can(again) == {"Continue", "Reset"}
    assert pictures(again) and "Stopped" in told(again)
    again.go_on()
    finish(again)
    assert found(again.out) == found(undisturbed)


def test_two_panels_at_work_at_once_do_not_disturb_each_other(
    show: Callable[..., loop_panel], config: LoopConfig, undisturbed: Path
) -> None:
    panels = [show(config, name) for name in ("one", "other")]
    for panel in panels:
        panel.run()
    for panel in panels:
        finish(panel)
        assert found(panel.out) == found(undisturbed)[:2]


def test_a_second_panel_on_a_folder_at_work_says_who_has_it(show: Callable[..., loop_panel], config: LoopConfig) -> None:
    first, second = show(config.with_(epochs=60)), show(config.with_(epochs=60))
    first.run()
    second.buttons["Run"].click()
    assert "in use by panel “panel”" in told(second) and second.state != "running"
    first.stop()
    assert first.wait(30)
    second.run()
    until(lambda: "training" in told(second))


def test_a_failed_run_says_so_in_one_sentence_and_goes_on_when_the_cause_is_gone(
    show: Callable[..., loop_panel], config: LoopConfig, tmp_path: Path
) -> None:
    file = tmp_path / "replies <b>.jsonl"
    file.write_text('{"question": "<img src=x onerror=alert(1)>"')
    panel = show(config.with_(teacher=f"recorded:{file}"))
    panel.run()
    assert panel.wait(30) and panel.state == "failed"
    assert "Failed: teacher" in told(panel) and "is not JSON" in told(panel)
    assert "<b>" not in told(panel) and can(panel) == {"Run", "Reset"}
    problems = make_problems("train", 18)
    write_lines(file, [{"question": p.question, "rationale": write_rationale(p, 0)} for p in problems])
    panel.run()
    finish(panel)


# --- its settings ---


CANNOT_BE_RUN: list[tuple[dict[str, Any], str, str]] = [
    ({"rounds": -1}, "rounds", "between 0 and 100"),
    ({"rounds": 0}, "rounds", "nothing would be trained. Enter 1 or more"),
    ({"rounds": 2.7}, "rounds", "rounds = 2.7: must be a whole number"),
    ({"rounds": float("inf")}, "rounds", "must be a whole number"),
    ({"seed": 0.5}, "seed", "must be a whole number"),
    ({"samples": 0}, "samples", "between 1 and 64"),
    ({"reflection_weight": float("nan")}, "reflection_weight", "must be a number"),
    ({"margin": 2.5}, "margin", "between 0 and 2"),
    ({"problems": "svamp"}, "teacher", "can teach the pocket world only"),
    ({"problems": "pokcet"}, "problems", "not found. Enter pocket, gsm8k"),
    ({"student": "./nobody"}, "student", "not found. Enter pocket, smol, an existing folder"),
    ({"student": "pokcet"}, "student", "not found. Enter pocket, smol, an existing folder"),
    ({"student": ""}, "student", "not found"),
    ({"student": str(Path(__file__).parent)}, "student", "no config.json"),
    ({"teacher": "recorded:FILE"}, "teacher", "there is no such file"),
    ({"teacher": "nobody"}, "teacher", "not known. Enter scripted"),
    ({"teacher": "openai:gpt-4o-mini"}, "key", "needs an API key"),
    ({"teacher": "openai:m", "base_url": "http://localhost:1/v1", "budget": "1"}, "price", "is not known"),
    ({"teacher": "openai:m", "base_url": "http://localhost:1/v1", "budget": "much"}, "budget", "must be a number"),
    ({"teacher": "openai:m", "base_url": "http://localhost:1/v1", "price": "1"}, "price", "INPUT,OUTPUT"),
    ({"teacher": "openai:m", "base_url": "http://me:secret@localhost/v1"}, "base_url", "user name or password"),
]


def test_what_cannot_be_run_is_said_beside_its_field_and_run_is_off(
    show: Callable[..., loop_panel], config: LoopConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    panel = show(config)
    for changes, beside, says in CANNOT_BE_RUN:
        help_text = below(panel, beside)
        for knob, value in changes.items():
            panel.settings.fields[knob].value = value
        assert says in below(panel, beside) and "⚠" in below(panel, beside), changes
        assert cell(panel, beside).layout.display != "none"
        assert can(panel) == {"Reset"}
        with pytest.raises(ValueError, match="."):
            panel.run()
        panel.buttons["Reset"].click()
        assert below(panel, beside) == help_text and can(panel) == {"Run", "Reset"}


def test_an_invalid_setting_greys_out_the_old_result_until_it_is_valid_again(
    undisturbed: Path, config: LoopConfig
) -> None:
    panel = loop_panel(config.with_(rounds=2), undisturbed.parent, "undisturbed")

    def grey() -> list[w.Widget]:
        return [box for box in widgets(panel.panel) if "l2r-old" in getattr(box, "_dom_classes", ())]

    assert pictures(panel) and not grey() and "belongs to the last valid settings" not in told(panel)
    for knob, wrong, right in (("rounds", 0, 2), ("student", "pokcet", config.student), ("seed", 0.5, 0)):
        panel.settings.fields[knob].value = wrong
        (box,) = grey()
        inside = [x.value for x in widgets(box) if isinstance(x, w.HTML)]
        assert [x for x in inside if "base64" in x] == pictures(panel) and any("Finished: 2 rounds" in x for x in inside)
        assert "The result below belongs to the last valid settings." in told(panel)
        panel.settings.fields[knob].value = right
        assert not grey() and "belongs to the last valid settings" not in told(panel)


def test_every_field_has_a_name_and_the_knobs_own_help(show: Callable[..., loop_panel], config: LoopConfig) -> None:
    panel = show(config)
    helps = {f.name: f.metadata["help"] for f in dataclasses.fields(LoopConfig)}
    assert set(panel.settings.fields) >= {"student", "problems", "teacher", "rounds", "samples", "reflection_weight", "margin",
                                          "replay", "seed", "budget"}  # fmt: skip
    for knob, field in panel.settings.fields.items():
        assert field.description and field.tooltip == helps[knob]
        assert HTMLText.of(below(panel, knob)) == helps[knob]
    names = [field.description for field in panel.settings.fields.values()]
    assert len(set(names)) == len(names)
    assert all(button.tooltip for button in panel.buttons.values())


def test_settings_of_another_run_take_a_folder_named_by_them_and_that_is_said_before_run(
    show: Callable[..., loop_panel], config: LoopConfig, tmp_path: Path
) -> None:
    panel = show(config)
    panel.run()
    finish(panel)
    panel.settings.fields["reflection_weight"].value = 0.0
    panel.settings.fields["seed"].value = 3
    assert panel.out == tmp_path / "panel-lambda0-seed3" and str(panel.out) in told(panel)
    assert panel.state == "idle" and can(panel) == {"Run", "Reset"} and not pictures(panel)
    panel.settings.fields["reflection_weight"].value = 0.5
    panel.settings.fields["seed"].value = 0
    assert panel.out == tmp_path / "panel" and panel.state == "finished" and pictures(panel)


def test_a_folder_with_another_run_in_it_is_left_alone(
    show: Callable[..., loop_panel], config: LoopConfig, tmp_path: Path
) -> None:
    show(config).run()
    other = show(config.with_(limit=17, epochs=2))
    until(lambda: (tmp_path / "panel" / "config.json").exists())
    other.settings.fields["seed"].value, other.settings.fields["seed"].value = 1, 0  # it looks again
    assert other.out.name == "panel-limit17-epochs2" and "holds a run with other settings" in told(other)


def test_folder_names_are_short_readable_and_the_same_each_time(tmp_path: Path) -> None:
    start = LoopConfig(reflection_weight=0.5)
    changed = start.with_(reflection_weight=0.0, margin=0.5, four_bit=False, rounds=9, budget=1.0)
    assert folder_for(tmp_path, "p", start, changed)[0].name == "p-lambda0-rho0.5-four-bit-off"
    names = {folder_for(tmp_path, "p", start, start.with_(teacher=f"recorded:/data/{x}/" + "y" * 90 + ".jsonl"))[0].name
             for x in "ab"}  # fmt: skip
    assert len(names) == 2 and all(len(name) < 60 and "/" not in name for name in names)


def test_a_typed_key_is_used_and_kept_in_no_widget_and_no_file(
    show: Callable[..., loop_panel], config: LoopConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("L2R_API_KEY", raising=False)
    with Server() as server:
        panel = show(config.with_(teacher="openai:m", base_url=server.url, price="1,2", budget=5.0,
                                  teacher_cache=str(tmp_path / "replies.jsonl")))  # fmt: skip
        box = cell(panel, "key").children[0]
        box.value = KEY
        assert box.value == ""
        panel.run()
        finish(panel)
        assert set(server.keys) == {f"Bearer {KEY}"} and server.count > 5
    assert f"Teacher: {server.count} calls, 0 from the cache" in told(panel) and "of at most $5.00" in told(panel)
    assert KEY not in json.dumps(w.Widget.get_manager_state()) and KEY not in os.environ.values()
    assert [f for f in tmp_path.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()] == []


# --- how far, how long ---


def test_progress_names_every_stage_in_order_and_never_passes_its_total(config: LoopConfig, tmp_path: Path) -> None:
    heard: list[Progress] = []
    run_rounds(config, tmp_path / "run", on_progress=heard.append, progress=False)
    stages = list(dict.fromkeys((p.round, p.stage) for p in heard))
    assert stages == [(0, "loading"), (0, "validation"), (0, "test"), (1, "exam"), (1, "feedback"), (1, "training"),
                      (1, "validation"), (1, "test")]  # fmt: skip
    for stage in stages[1:]:
        parts = [p for p in heard if (p.round, p.stage) == stage]
        assert [p.done for p in parts] == sorted(p.done for p in parts) and parts[0].done == 0
        assert len({p.total for p in parts}) == 1 and parts[-1].done == parts[-1].total > 0
    assert [p.total for p in heard if p.stage == "exam"][0] == 18


def test_time_that_a_run_is_held_is_no_stages_time(config: LoopConfig, tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    held = 0.0

    def stop() -> bool:
        nonlocal held
        if heard and heard[-1][0] == "training":
            time.sleep(0.2)
            held += 0.2
        return False

    report = run_rounds(config, tmp_path / "run", stop=stop, progress=False,
                        on_progress=lambda p: heard.append((p.stage, time.monotonic())))  # fmt: skip
    first = next(i for i, (stage, _) in enumerate(heard) if stage == "training")
    following = next(when for stage, when in heard[first:] if stage != "training")
    assert held > 0.5
    assert report["rounds"][1]["train_seconds"] <= following - heard[first][1] - held + 0.02


def test_the_time_left_is_what_the_stages_took_so_far() -> None:
    forecast = Forecast()
    for stage, each in (("validation", 1.0), ("test", 1.0)):
        forecast.tell(Progress(0, stage, 0, 10), 100.0)
        forecast.tell(Progress(0, stage, 10, 10), 100.0 + 10 * each)
    assert forecast.left(1) == (20.0, ["exam", "feedback", "training"])  # one more evaluation, and what is not known yet
    for stage, each in (("exam", 2.0), ("feedback", 0.5), ("training", 3.0)):
        forecast.tell(Progress(1, stage, 0, 10), 200.0)
        forecast.tell(Progress(1, stage, 10, 10), 200.0 + 10 * each)
    assert forecast.left(1) == (20.0, [])
    assert forecast.left(3) == (20.0 + 2 * (20 + 5 + 30 + 20), [])
    assert [duration(s) for s in (0.2, 61, 200, 7500)] == ["1 s", "61 s", "3 min", "2 h 5 min"]


def test_drawing_takes_a_small_share_of_the_time() -> None:
    budget, drawn = DrawBudget(share=0.1), 0
    began = time.monotonic()
    while time.monotonic() - began < 1.0:
        if budget.due():
            budget.draw(lambda: time.sleep(0.02))
            drawn += 1
        time.sleep(0.001)
    assert 2 <= drawn <= 6  # 0.02 s each, a tenth of the time


# --- the mistake browser ---


@pytest.fixture(scope="module")
def pocket_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds of the pocket student: it answers sense, fixes some mistakes and makes new ones."""
    out = tmp_path_factory.mktemp("runs") / "pocket"
    run_rounds(LoopConfig(limit=51, validation_limit=17, test_limit=34, rounds=2, epochs=2), out, progress=False)
    return out


def wrong_in(out: Path, number: int, split: str = "exam") -> dict[str, float]:
    """Question → share of right samples, from the file."""
    verdicts: dict[str, list[bool]] = {}
    for sample in read_lines(out / f"round-{number}" / f"{split}.jsonl", Sample):
        verdicts.setdefault(sample.problem_id, []).append(sample.correct)
    return {key: sum(v) / len(v) for key, v in verdicts.items()}


def test_the_browsers_filters_count_what_the_exams_files_say(pocket_run: Path) -> None:
    browser = mistake_browser(pocket_run)
    first, second = wrong_in(pocket_run, 1), wrong_in(pocket_run, 2)
    wrong = [{k for k, share in exam.items() if share < 1} for exam in (first, second)]
    assert len(browser.shown) == len(wrong[0]) + len(wrong[1])

    def left(**chosen: Any) -> set[tuple[int, str]]:
        for name, field in browser.filters.items():
            field.value = chosen.get(name, {"asked": "exam", "text": ""}.get(name, "all"))
        assert f"{len(browser.shown)} of " in told(browser) and len(browser.list.options) == len(browser.shown)
        return {(s.round, s.problem.id) for s in browser.shown}

    fixed, still = {k for k in wrong[0] if second[k] == 1}, {k for k in wrong[0] if second[k] < 1}
    assert left(fate="fixed") == {(1, k) for k in fixed} and left(fate="still wrong") == {(1, k) for k in still} and still
    assert left(fate="newly wrong") == {(2, k) for k in wrong[1] - wrong[0]} != set()
    assert left(fate="not asked again") == {(2, k) for k in wrong[1]} == left(round=2)
    skill = browser.shown[0].problem.skill
    assert left(skill=skill, round=2) == {(2, s.problem.id) for s in read_stories(pocket_run)
                                          if s.problem.skill == skill and s.round == 2}  # fmt: skip
    word = browser.shown[0].problem.question.split()[0]
    assert 0 < len(left(text=word.upper())) < len(wrong[0]) + len(wrong[1])
    texts = [[s.problem.question, s.mistake, *s.others, s.feedback, *s.lessons, *s.afterwards] for s in browser.shown]
    assert all(word.casefold() in " ".join(parts).casefold() for parts in texts)
    validation = [wrong_in(pocket_run, n, "validation") for n in range(3)]
    assert left(asked="validation") == {(n, k) for n, v in enumerate(validation) for k, share in v.items() if share < 1}
    assert left(text="nowhere to be found") == set() and "No mistake matches" in told(browser)


def test_a_mistake_is_told_with_its_teacher_lessons_and_next_exam(pocket_run: Path) -> None:
    browser = mistake_browser(pocket_run)
    lessons = read_lines(pocket_run / "round-1" / "lessons.jsonl", Lesson)
    story = next(s for s in browser.shown if s.round == 1 and "First wrong step" in first_wrong(s.problem, s.mistake)[1])
    browser.list.value = browser.shown.index(story)
    shown = told(browser)
    text = HTMLText.of(shown)
    mine = [x for x in lessons if x.problem_id == story.problem.id]
    later = [s.rationale for s in read_lines(pocket_run / "round-2" / "exam.jsonl", Sample) if s.problem_id == story.problem.id]
    assert mine and later
    for part in (story.problem.question, story.mistake, mine[0].feedback, *(x.rationale for x in mine), *later):
        assert part in text
    start, end = first_wrong(story.problem, story.mistake)[0] or (0, 0)
    assert f">{escape(story.mistake[start:end])}</mark>" in shown


def test_the_first_wrong_equation_of_a_rationale_is_marked() -> None:
    for rationale, marked, says in [
        ("First 3 + 4 = 7. Then 7 * 2 = 15. The answer is 15.", "7 * 2 = 15", "does not hold"),
        ("Add 3 and 4:\n3 +  4\n= 8. The answer is 8.", "3 +  4\n= 8", "does not hold"),
        ("First 3 * 4 = 12. The answer is 12.", None, "compute, but answer another question"),
        ("It must be 12.", None, "no step that can be recomputed"),
    ]:
        place, why = first_wrong(Problem("1", "How many?", "14", "number"), rationale)
        assert (rationale[slice(*place)] if place else None) == marked
        assert says in why


def test_a_pocket_rationale_is_held_against_its_program() -> None:
    problem = next(p for p in make_problems("train", 200) if p.skill == "multiply-add")
    right = write_rationale(problem, 2)
    first, second = map(str, problem.program)
    assert first_wrong(problem, right) == (None, "Every step is right; the answer is not.")
    place, why = first_wrong(problem, right.replace(first, "3 + 4 = 7"))
    assert place and right.replace(first, "3 + 4 = 7")[slice(*place)] == "3 + 4 = 7" and "does not ask for it" in why
    assert "does not hold" in first_wrong(problem, right.replace(first, "3 + 4 = 8"))[1]
    assert first_wrong(problem, f"First {first}.")[1].endswith("one is missing.")
    assert "answered before it" in first_wrong(problem, f"{first}. {second}. Then 1 + 1 = 2.")[1]


def test_a_folder_without_an_exam_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nobody"):
        mistake_browser(tmp_path / "nobody")


# --- the compare panel ---


@pytest.fixture(scope="module")
def other_run(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "other"
    run_rounds(config.with_(rounds=2, reflection_weight=0.0, learning_rate=0.02), out, progress=False)
    return out


def set_test_answers(out: Path, number: int, right: str) -> None:
    """Write a round's test file anew: one letter a question, r for right."""
    file = out / f"round-{number}" / "test.jsonl"
    old = read_lines(file, Sample)
    write_lines(file, [Sample(s.problem_id, 0, f"said {number}", "1", c == "r") for s, c in zip(old, right, strict=True)])


def test_what_each_run_fixed_is_what_its_test_files_say(undisturbed: Path, other_run: Path, tmp_path: Path) -> None:
    places = []
    for name, source, before, after in (
        ("a", undisturbed, "rrwwwwwwwwwwwwwww", "rwrrrwwwwwwwwwwww"),
        ("b", other_run, "rrwwwwwwwwwwwwwww", "rrwwrrwwwwwwwwwww"),
    ):
        places.append(Path(shutil.copytree(source, tmp_path / name)))
        set_test_answers(places[-1], 0, before)
        set_test_answers(places[-1], 2, after)
    ids = [s.problem_id for s in read_lines(places[0] / "round-0" / "test.jsonl", Sample)]
    one, other = compare_runs(places, after=2).changed
    assert one.fixed == {ids[2], ids[3], ids[4]} and one.broken == {ids[1]} and one.only == {ids[2], ids[3]}
    assert other.fixed == {ids[4], ids[5]} and other.broken == set() and other.only == {ids[5]}
    panel = compare_panel(places, labels=["λ 0.5", "λ <0>"], after=2)
    assert panel.questions().rows and len(panel.questions().rows) == 2
    panel.by.value, panel.not_by.value = 1, 0
    assert [row[1] for row in panel.questions().rows] == [compare_runs(places).problems[ids[5]].question]
    assert "λ &lt;0&gt; fixed 2 questions; λ 0.5 did not fix 1 of them." in told(panel)
    assert panel.table().head[:3] == ["run", "reflection_weight", "learning_rate"]
    assert [row[:3] for row in panel.table().rows] == [["λ 0.5", "0.5", "0.003"], ["λ <0>", "0", "0.02"]]
    assert [row[-3:] for row in panel.table().rows] == [["3", "2", "1"], ["2", "1", "0"]]


def test_the_compare_panel_says_in_a_sentence_how_many_questions_it_lists(
    undisturbed: Path, other_run: Path, tmp_path: Path
) -> None:
    places = []
    for name, source, after in (("a", undisturbed, "rwwwwwwwwwwwwwwww"), ("b", other_run, "rrwwwwwwwwwwwwwww")):
        places.append(Path(shutil.copytree(source, tmp_path / name)))
        set_test_answers(places[-1], 0, "rwwwwwwwwwwwwwwww")
        set_test_answers(places[-1], 2, after)
    panel = compare_panel(places, after=2)

    def line(by: int, not_by: int) -> str:
        panel.by.value, panel.not_by.value = by, not_by
        return next(HTMLText.of(html) for html in htmls(panel) if 'role="status"' in html)

    assert line(0, 1) == "a fixed no question." and not panel.questions().rows
    assert line(1, 0).startswith("b fixed 1 question; a did not fix it.")
    assert line(1, 1) == "b fixed 1 question. Choose two different runs."
    set_test_answers(places[0], 2, "rrwwwwwwwwwwwwwww")
    panel.after.value = 1
    panel.after.value = 2
    assert line(1, 0) == "b fixed 1 question; a fixed it too."


def test_runs_that_cannot_be_compared_are_refused_with_the_reason(
    config: LoopConfig, undisturbed: Path, other_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="at least two"):
        compare_panel([undisturbed])
    with pytest.raises(RunError, match="not all of these runs"):
        compare_panel([undisturbed, other_run], after=3)
    file = tmp_path / "mine.jsonl"
    write_lines(file, [{"question": f"In {split}: what is {n} plus {n}?", "answer": 2 * n, "split": split}
                       for split in ("train", "validation", "test") for n in range(3)])  # fmt: skip
    replies = tmp_path / "replies.jsonl"
    write_lines(replies, [{"question": "In train: what is 1 plus 1?", "rationale": "1 + 1 = 2. The answer is 2."}])
    run_rounds(config.with_(problems=str(file), teacher=f"recorded:{replies}", rounds=0), tmp_path / "run", progress=False)
    with pytest.raises(RunError, match="share no test question"):
        compare_panel([undisturbed, tmp_path / "run"])


# --- pages without a kernel ---


def test_every_panel_has_a_figure_and_a_table_for_pages_without_a_kernel(
    config: LoopConfig, undisturbed: Path, other_run: Path
) -> None:
    panels = [
        loop_panel(config, undisturbed.parent, "nothing-yet"),
        loop_panel(config.with_(rounds=2), undisturbed.parent, "undisturbed"),
        mistake_browser(undisturbed),
        compare_panel([undisturbed, other_run]),
    ]
    for panel in panels:
        bundle, about = panel._repr_mimebundle_()
        assert len(about["image/png"]["alt"]) >= 20
        assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/html", "text/plain"} <= set(bundle)
        drawn = matplotlib.image.imread(io.BytesIO(base64.b64decode(bundle["image/png"])))
        assert drawn.shape[1] >= 700 and drawn[..., :3].std() > 0.02  # not a white sheet
        page = HTMLText()
        page.feed(bundle["text/html"])
        assert page.tags >= {"img", "table", "td"} and page.alts and all(page.alts)
        for row in panel.table().rows:
            assert " ".join(row[0].split()) in bundle["text/html"]
    assert not (undisturbed.parent / "nothing-yet").exists()


# --- what models, teachers and data say is text ---


class HTMLText(HTMLParser):
    """What a page would make of HTML: its text, its tags, its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.alts, self.attributes = "", set(), [], set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        for name, value in attrs:
            if name == "alt":
                self.alts.append(value)
            if name in ("src", "href"):
                assert (value or "").startswith("data:image/png;base64,"), value

    def handle_data(self, data: str) -> None:
        self.text += data

    @classmethod
    def of(cls, html: str) -> str:
        page = cls()
        page.feed(html)
        return page.text


HARMLESS = {"style", "div", "span", "table", "thead", "tbody", "tr", "th", "td", "br", "em", "mark", "img", "progress"}
HARMLESS_ATTRIBUTES = {"class", "style", "scope", "role", "alt", "src", "aria-label", "max", "value"}
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    "</td></table><iframe src=javascript:alert(3)></iframe>",
    '"><svg/onload=alert(4)>',
    "[click me](javascript:alert(5)) **bold** `code`",
    "$$\\href{javascript:alert(6)}{x}$$ \\(y\\) $3 and $4",
    "x" * 120,
    "‮txet desrever‬ ⁧isolated⁩",
    "bell\x07 escape\x1b[31m c1\x9b",
    "<!-- <style>body{display:none}</style>",
    "{{7*7}} &lt;b&gt; &amp;",
]


@pytest.fixture(scope="module")
def hostile_run(config: LoopConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose questions, choices, skills and lessons would like to be more than text, and so the exams' answers, too."""
    folder = tmp_path_factory.mktemp("hostile")
    rows, replies = [], []
    for split in ("train", "validation", "test"):
        for number, text in enumerate(HOSTILE):
            clean = text.replace("\0", "")
            question = f"{split} {number}: {clean} How many?"
            rows.append({"id": f"{split} {clean}", "question": question, "answer": "A", "choices": [f"one {clean}", "two"],
                         "skill": clean, "split": split})  # fmt: skip
            replies.append({"question": question, "rationale": f"{clean} so the first one. The answer is (A)."})
            replies.append({"question": question, "rationale": f"{clean} so the second one. The answer is (B)."})
    write_lines(folder / "mine.jsonl", rows)
    write_lines(folder / "replies.jsonl", replies)
    out = folder / "run"
    hostile = config.with_(
        problems=str(folder / "mine.jsonl"), teacher=f"recorded:{folder / 'replies.jsonl'}", rounds=2, limit=0, samples=1,
        max_new_tokens=200,
    )  # fmt: skip
    run_rounds(hostile, out, progress=False)
    for number in (1, 2):  # a student that has learned to write such things
        file = out / f"round-{number}" / "exam.jsonl"
        said = read_lines(file, Sample)
        write_lines(file, [Sample(s.problem_id, s.index, f"{HOSTILE[i % len(HOSTILE)]} The answer is (B).", "B", False)
                           for i, s in enumerate(said)])  # fmt: skip
    return out


def assert_harmless(html: str) -> None:
    page = HTMLText()
    page.feed(html)
    page.close()
    assert page.tags <= HARMLESS, page.tags - HARMLESS
    assert page.attributes <= HARMLESS_ATTRIBUTES, page.attributes - HARMLESS_ATTRIBUTES
    assert not [c for c in page.text if c in "\x07\x1b\x9b\u202e\u202c\u2067\u2069"]


def test_what_outsiders_say_adds_no_element_to_a_panel(hostile_run: Path, config: LoopConfig) -> None:
    browser = mistake_browser(hostile_run)
    assert len(browser.shown) == 2 * len(HOSTILE)
    seen = ""
    for number in range(len(browser.shown)):
        browser.list.value = number
        assert_harmless(told(browser))
        seen += HTMLText.of(told(browser))
    for text in HOSTILE[:6]:
        assert seen.count(text) >= 4, text  # as text it is all there: question, choice, mistake, lesson
    assert "wrong answer: " in seen, "rejected rationales are shown with the reason"
    assert {(s.round, s.fate) for s in read_stories(hostile_run)} == {(1, STILL_WRONG), (2, NOT_ASKED)}
    assert "mathjax_ignore" in told(browser)
    for menu in (browser.list, browser.filters["skill"]):
        assert not [c for label, _ in menu.options for c in label if c in "\x07\x1b\x9b\u202e\n"]
    panels: list[Any] = [browser, compare_panel([hostile_run, hostile_run], labels=HOSTILE[:2]),
                         loop_panel(read_config(hostile_run / "config.json"), hostile_run.parent, "run")]  # fmt: skip
    for panel in panels:
        for html in [*htmls(panel), panel._repr_mimebundle_()[0]["text/html"]]:
            assert_harmless(html)


def test_hostile_settings_are_shown_as_text(show: Callable[..., loop_panel], config: LoopConfig) -> None:
    panel = show(config, name="<b>bold")
    for text in [*HOSTILE, "x" * 3000, "~nobody/at/home"]:
        for knob in ("student", "problems", "teacher"):
            panel.settings.fields[knob].value = text if knob != "student" else f"./{text}"
        for html in htmls(panel):
            assert_harmless(html)
