"""A stranger's run folder: whatever stands in a field of a file, it is shown as text or refused in one sentence."""

from __future__ import annotations

import ast
import itertools
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import strangers
from l2r_course import capstone
from l2r_lite.app.cli import main
from l2r_lite.loop.errors import RunError, UserError, printable
from l2r_lite.runs import fields, schema
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.reading import check_folder, read
from l2r_lite.runs.run import run_rounds
from strangers import ALL, BAD, CORPUS, MISSING, files, load, places, poison, put, save, unclean, viewers

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def whole_run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose files have every field that the schema knows."""
    out = Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("runs") / "whole"))
    strangers.make_whole(out)
    return out


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """A copy of it, without seals: whoever changes files can remove them, or make new ones."""
    out = Path(shutil.copytree(whole_run, tmp_path / "run"))
    (out / "seals.json").unlink()
    return out


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but not turned into pixels."""
    monkeypatch.setattr("l2r_lite.app.figures.base.as_png", lambda figure: b"")
    monkeypatch.setattr("l2r_lite.app.figures.as_png", lambda figure: b"")


def refused_well(error: UserError, file: Path) -> bool:
    """One sentence that names the file; nothing in it commands a terminal."""
    said = str(error)
    return "\n" not in said and len(said) < 600 and printable(said) == said and file.name in said


def one_of_each(out: Path) -> list[Path]:
    """A run's files without round-2, which is like round-1."""
    return [file for file in files(out) if file.parent.name != "round-2"]


def test_the_whole_run_is_shown_without_fault_before_anything_is_changed(
    run: Path, finished_run: Path, no_drawing: None
) -> None:
    """The other tests prove something: every viewer reads this folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, view in viewers(finished_run).items():
            shown = list(view(run))
            assert shown and not any(map(unclean, *zip(*shown, strict=True))), name


def test_every_field_of_every_file_refuses_what_it_may_not_be(run: Path) -> None:
    """Before: KeyError, TypeError, AttributeError or ValueError in 188 of 5,471 views of such files."""
    refused, count = 0, 0
    for file in one_of_each(run):
        whole, data = file.read_bytes(), load(file)
        data = data[:2] if isinstance(data, list) else data
        for path in places(data):
            for kind, value in BAD.items():
                save(file, put(data, path, value))
                count += 1
                try:
                    read_config(file) if file.name == "config.json" else read(file)
                except UserError as error:
                    refused += 1
                    assert refused_well(error, file), (file.name, path, kind, str(error))
        file.write_bytes(whole)
    assert refused > count / 2 > 1000


def test_a_message_says_file_field_finding_need_and_remedy(run: Path) -> None:
    """Before: "KeyError: 'by_skill'", "unsupported format string passed to list.__format__", …"""
    again = f"Write it again with: l2r-lite run --resume {run}"
    for file, path, value, said in (
        ("report.json", ("rounds", 1, "accuracy"), None,
         f"rounds[1].accuracy is null, and must be a number from 0 to 1. {again}"),
        ("report.json", ("rounds", 1, "ci95"), [0.1], f"rounds[1].ci95 is a list of 1, and must be a list of 2. {again}"),
        ("report.json", ("rounds", 0, "accuracy"), float("nan"),
         f"rounds[0].accuracy is NaN, and must be a number from 0 to 1. {again}"),
        ("report.json", ("rounds", 0, "by_skill"), MISSING, f"rounds[0] has no field by_skill. {again}"),
        ("report.json", ("rounds", 1, "round"), 5, f"rounds[1].round is 5, and must be 1. {again}"),
        ("report.json", ("best_round",), 9, f"best_round is 9, and must be one of its 3 rounds. {again}"),
        ("report.json", ("best_round",), "<img src=x onerror=alert(1)>",
         f'best_round is "<img src=x onerror=alert(1)>", and must be a whole number of at least 0. {again}'),
        ("report.json", ("best_round",), True, f"best_round is true, and must be a whole number of at least 0. {again}"),
        ("report.json", (), [], f"is a list of 0, and must be an object. {again}"),
        ("round-1/stages.json", ("exam",), "x", '["exam"] is "x", and must be a number of at least 0. Remove the file.'),
        ("round-1/exam.jsonl", (2, "correct"), 1,
         "line 3: correct is 1, and must be true or false. Remove the file to repeat its stage."),
        ("round-1/training.jsonl", (0, "anchor"), MISSING,
         "line 1: has no field anchor. Remove the file and the folder adapter beside it to repeat its stage."),
        ("problems/test.jsonl", (1, "kind"), "essay",
         'line 2: kind is "essay", and must be one of number, yes-no, choice. Remove the file to repeat its stage.'),
        ("problems/test.jsonl", (1, "answer"), "many",
         "line 2: answer is not one of kind number. Remove the file to repeat its stage."),
    ):  # fmt: skip
        whole = (run / file).read_bytes()
        save(run / file, put(load(run / file), path, value))
        with pytest.raises(RunError) as error:
            read(run / file)
        assert str(error.value) == f"{run / file}{', ' if said.startswith('line') else ': '}{said}"
        (run / file).write_bytes(whole)


def test_a_line_about_another_problem_is_refused(run: Path) -> None:
    """Before: KeyError in stories, mistake browser, export and --resume."""
    for name in ("exam", "lessons", "rejected", "validation", "test"):
        file = run / "round-1" / f"{name}.jsonl"
        whole = file.read_bytes()
        save(file, put(load(file), (0, "problem_id"), "of another run"))
        with pytest.raises(RunError, match=rf'{name}.jsonl, line 1: problem_id "of another run" is not in the folder problems'):
            check_folder(run)
        file.write_bytes(whole)


def test_a_run_is_not_resumed_over_files_that_are_not_what_they_must_be(run: Path) -> None:
    """Before: AttributeError, KeyError or TypeError in the middle of a resumed run."""
    (run / "round-2" / "test.jsonl").unlink()  # so that there is something to do
    for name, path, value in (
        ("round-2/stages.json", (), [1]), ("round-2/stages.json", ("test",), "soon"),
        ("round-1/feedback.json", ("teacher_calls",), "<b>"), ("round-1/rejected.jsonl", (0, "reason"), None),
        ("problems/train.jsonl", (0, "program", 0, "left"), [1]), ("round-1/losses.jsonl", (0, "lm"), "low"),
    ):  # fmt: skip
        whole = (run / name).read_bytes()
        save(run / name, put(load(run / name), path, value))
        with warnings.catch_warnings(), pytest.raises(RunError, match=f"{name}.* and must be "):
            warnings.simplefilter("ignore")  # it has no seals
            run_rounds(read_config(run / "config.json"), run, progress=False)
        assert not (run / "round-2" / "test.jsonl").exists() and not (run / "seals.json").exists()
        (run / name).write_bytes(whole)


def test_a_test_without_an_answer_is_refused(run: Path, finished_run: Path) -> None:
    """Before: KeyError in the compare panel and the capstone."""
    file = run / "round-0" / "test.jsonl"
    save(file, load(file)[1:])
    for view in (viewers(finished_run)["compare panel"], lambda out: capstone.answers([out])):
        with pytest.raises(RunError, match=r"round-0/test.jsonl: has no answer to problem .* Remove the file to repeat"):
            list(view(run))


def test_a_folder_that_is_no_round_is_ignored(run: Path, finished_run: Path, no_drawing: None) -> None:
    """Before: ValueError in the loop panel, the export and the answers by round ("round-abc")."""
    for name in ("round-abc", "round-", "round-1-copy", "round-01", "round--1", "round-٣", "round-99999999"):
        shutil.copytree(run / "round-1", run / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for view in viewers(finished_run).values():
            assert list(view(run))


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(run: Path, finished_run: Path) -> None:
    """Before: the panels waited for ever."""
    for name in ("report.json", "problems/test.jsonl", "round-1/exam.jsonl"):
        (run / name).unlink()
        os.mkfifo(run / name)
        with pytest.raises(RunError, match=f"{name}: is not a plain file"):
            read(run / name)


# --- texts ---


@pytest.mark.parametrize("kind", ["all", *(pytest.param(kind, marks=pytest.mark.slow) for kind in CORPUS)])
def test_texts_in_every_field_at_once_are_shown_as_text(
    kind: str, run: Path, finished_run: Path, no_drawing: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before: control characters in the model card and as_table; names of skills as Markdown in run_in_words."""
    text = ALL if kind == "all" else CORPUS[kind]
    assert poison(run, text) > 300
    check_folder(run)
    other = Path(shutil.copytree(run, run.with_name("other")))  # it differs, and fixed every question
    report, test = load(other / "report.json"), other / "round-1" / "test.jsonl"
    save(other / "report.json", {**report, "best_round": 1, "config": {**report["config"], "student": f"{text} 2"}})
    save(test, [{**line, "correct": True} for line in load(test)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, view in viewers(other, text).items():
            found = list(view(run))
            faults = list(filter(None, (unclean(*one) for one in found)))
            assert not faults, (name, faults[0])
            if name == "stories" and kind in ("script", "image", "markdown"):
                assert any("&lt;" in shown or "](" in shown for _, shown in found), "not shown at all"
    assert main(["summary", str(run)]) == 0
    assert main(["run", "--resume", str(run), "--dry-run"]) == 2  # it shows the settings; then there are no such problems
    said = "".join(capfd.readouterr())
    assert "one run" in said.lower() and printable(said) == said


def test_numbers_are_numbers_before_they_are_shown(run: Path, finished_run: Path) -> None:
    """Before: `best_round` and the teacher's cost were put into the loop panel's status as HTML."""
    data = load(run / "report.json")
    for path in places(data):
        value = strangers.at(data, path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            save(run / "report.json", put(data, path, "<img src=x onerror=alert(1)>"))
            if "environment" in path:
                continue
            with pytest.raises(RunError, match="and must be"):
                read(run / "report.json")


def test_a_loop_panel_says_what_is_wrong_with_a_report(run: Path, finished_run: Path, no_drawing: None) -> None:
    """Before: KeyError when the panel was made, or the <img> itself."""
    data = load(run / "report.json")
    for path, value in ((("best_round",), "<img src=x>"), (("stopped",), MISSING), (("rounds", 1, "by_skill"), [1])):
        save(run / "report.json", put(data, path, value))
        shown = [text for kind, text in viewers(finished_run)["loop panel"](run) if kind == "html"]
        assert any('role="alert"' in text and "report.json: " in text for text in shown)
        assert not any(unclean("html", text) for text in shown)


# --- one at a time ---


def reads(view: Any, run: Path) -> set[str]:
    """The files of a run folder that something opens."""
    found, real = set(), Path.open

    def noting(self: Path, *args: Any, **kwargs: Any) -> Any:
        if run in self.parents:
            found.add(str(self.relative_to(run)))
        return real(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", noting)
        patch.setattr(Path, "read_bytes", lambda self: noting(self, "rb").read())
        patch.setattr(Path, "read_text", lambda self, *args, **kwargs: noting(self, "r", encoding="utf-8").read())
        list(view(run))
    return found


@pytest.mark.slow
def test_every_view_of_every_field_with_every_bad_value_is_clean_or_refused(
    run: Path, finished_run: Path, no_drawing: None, record_property: Any
) -> None:
    """Before: 188 tracebacks in 5,471 views; HTML from a report in one, control characters in eleven.

    Three of the twelve values at each place in turn, or with SOAK all of them.
    """
    spare = Path(shutil.copytree(run, run.with_name("spare")))
    views = {name: (view, reads(view, run)) for name, view in viewers(finished_run).items()}
    count, turns = 0, itertools.cycle(range(4))
    for file in one_of_each(spare):
        name, data = str(file.relative_to(spare)), load(file)
        for path in places(data):
            if "config" in path[:-1] and path[-1] not in ("seed", "student", "patience"):
                continue  # settings are all read in the same way; test_every_field… has them all
            turn = 0 if "SOAK" in os.environ else next(turns)
            for kind in list(BAD)[turn :: 1 if "SOAK" in os.environ else 4]:
                changed = put(data, path, BAD[kind])
                for viewer, (view, opened) in views.items():
                    if name not in opened:
                        continue
                    count += 1
                    shutil.rmtree(run)
                    shutil.copytree(spare, run)
                    save(run / name, changed)
                    try:
                        with warnings.catch_warnings():
                            warnings.simplefilter("ignore")
                            faults = [unclean(*one) for one in view(run)]
                        assert not any(faults), (viewer, name, path, kind, faults)
                    except UserError as error:
                        assert "\n" not in str(error) and len(str(error)) < 900, (viewer, name, path, kind)
                    except Exception as error:
                        raise AssertionError((viewer, name, path, kind)) from error
    record_property("views of changed files", count)


# --- nothing is forgotten ---


def classes_that_show_themselves() -> Iterator[str]:
    for folder in (ROOT / "l2r_lite", ROOT / "notebooks" / "course"):
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and any(
                    isinstance(x, ast.FunctionDef) and x.name.startswith("_repr_") for x in node.body
                ):
                    yield node.name


def test_every_class_that_shows_itself_is_in_these_tests() -> None:
    """A new one is added to `viewers`, or here with the reason why no run folder can reach it."""
    tested = {"Story", "Table", "Picture", "Panel", "Markdown"}
    without_outside_text = {"predict", "explore"}  # the course's own questions; figures and tables as above
    assert set(classes_that_show_themselves()) == tested | without_outside_text


def test_the_schema_is_documented_by_what_is_checked() -> None:
    """Make it with: python -m l2r_lite.runs.schema > l2r_lite/FORMAT.md"""
    assert (ROOT / "l2r_lite" / "FORMAT.md").read_text(encoding="utf-8") == schema.as_markdown()


def test_what_a_run_writes_is_what_the_schema_says(finished_run: Path) -> None:
    """No file of a run is unknown to it, and no field of a report, feedback or item."""
    for file in files(finished_run):
        kind, data = schema.entry_of(file).kind, load(file)
        rows = data if isinstance(data, list) else [data]
        if fields._is_record(kind):
            assert {key for row in rows for key in row} <= set(fields.fields(kind)), file
    for number, entry in enumerate(load(finished_run / "report.json")["rounds"]):
        assert entry.keys() <= fields.fields(schema.Trained if number else schema.Untrained).keys()


def test_a_newer_versions_fields_are_ignored_and_an_older_versions_may_be_missing(
    run: Path, finished_run: Path, no_drawing: None
) -> None:
    """Before: TypeError in the loop panel, for a new field of the teacher's cost."""
    data = load(run / "report.json")
    for entry in data["rounds"]:
        entry |= {"new": "<b>"}
        entry.pop("lessons_in_doubt", None)
        entry.get("teacher_cost_so_far", {})["new"] = 1
    save(run / "report.json", data | {"new": [1]})
    assert read(run / "report.json")["new"] == [1]
    assert any("calls" in shown for _, shown in viewers(finished_run)["loop panel"](run))


def test_a_loss_may_be_nan(run: Path, finished_run: Path, no_drawing: None) -> None:
    """A training that went wrong; before: ValueError in the loop panel's figure."""
    file = run / "round-1" / "losses.jsonl"
    save(file, [{"lm": float("nan"), "cl": float("inf"), "triplets": 1.0}, {"other": 1.0}])
    assert list(viewers(finished_run)["loop panel"](run))
    check_folder(run)
    save(file, [{"lm": 10**400}])  # no float, and no loss
    with pytest.raises(RunError, match="and must be a number"):
        check_folder(run)
