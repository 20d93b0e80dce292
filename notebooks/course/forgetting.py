"""What rounds did to what a student knew: tables and sentences with the numbers of the run at hand.

Another seed or another CPU gives other numbers, and these texts change with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from l2r_course.show import Markdown
from l2r_lite.data.arithmetic import equations
from l2r_lite.data.pocket.world import KNOWN
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.runs.reading import read, read_problems, read_test
from l2r_lite.runs.report import read_report
from l2r_lite.runs.show import Table

Report = dict[str, Any]


def groups(entry: Report) -> tuple[float, float]:
    """Mean accuracy over the known skills and over the withheld ones, each in [0, 1].

    Args:
        entry: one of report["rounds"].

    Returns:
        nan for a group that the test asks nothing about.
    """
    by_skill = entry["by_skill"]
    known = [share for skill, share in by_skill.items() if skill in KNOWN]
    withheld = [share for skill, share in by_skill.items() if skill not in KNOWN]
    return _mean(known), _mean(withheld)


def _mean(shares: Sequence[float]) -> float:
    return fmean(shares) if shares else float("nan")


def runs_table(runs: Mapping[str, Report]) -> Table:
    """Several runs, round by round: accuracy (known, withheld skills), and the rounds that fell.

        runs_table({"replay": report, …})
    """
    rounds = max(len(run["rounds"]) for run in runs.values())
    rows = []
    for name, run in runs.items():
        cells = [_shares(entry) for entry in run["rounds"]]
        rows.append([name, *cells, *[""] * (rounds - len(cells)), _falls(run)])
    numbers = [f"round {number}" for number in range(1, rounds)]
    return Table(
        ["accuracy (known, withheld) in %", "before", *numbers, "rounds that lowered it"], rows)


def _shares(entry: Report) -> str:
    known, withheld = (f"{100 * share:.0f}" for share in groups(entry))
    return f"{100 * entry['accuracy']:.1f} ({known}, {withheld})"


def _falls(run: Report) -> str:
    fell = [str(b["round"]) for a, b in pairwise(run["rounds"]) if b["accuracy"] < a["accuracy"]]
    return ", ".join(fell) or "none"


def answers_by_round(folder: str | Path, skills: Sequence[str], most: int = 4) -> Table:
    """Some test questions of these skills, and what the student wrote to them after each round."""
    problems, tests = _tests(folder)
    asked = [p for p in problems.values() if p.skill in skills][:most]
    said = [{sample.problem_id: sample.rationale for sample in test} for test in tests]
    rows = [[p.question, *(texts[p.id] for texts in said)] for p in asked]
    after = [f"after round {number}" for number in range(1, len(tests))]
    return Table(["question", "before", *after], rows)


def too_many_steps(folder: str | Path) -> Table:
    """One-step test questions by round: how many are wrong, how many of these answers have more
    than one step, and how many of those had the right number on the way.
    """
    problems, tests = _tests(folder)
    one_step = {p.id for p in problems.values() if len(p.program) == 1 and p.kind == "number"}
    rows = []
    for number, test in enumerate(tests):
        said = [sample for sample in test if sample.problem_id in one_step]
        wrong = [sample for sample in said if not sample.correct]
        longer = [sample for sample in wrong if len(equations(sample.rationale)) > 1]
        reached = [s for s in longer if f"= {problems[s.problem_id].answer}." in s.rationale]
        rows.append([number, len(said), len(wrong), len(longer), len(reached)])
    return Table(
        ["after round", "one-step questions (+ − × ÷)", "wrong", "with more than one step",
         "right number on the way"], rows)


def _tests(folder: str | Path) -> tuple[dict[str, Problem], list[list[Sample]]]:
    """A run's test questions by id, and its answers to them before and after each round."""
    place = Path(folder)
    problems = {p.id: p for p in read_problems(place, "test")}
    tests = [
        list(read_test(place, entry["round"], problems.values()).values())
        for entry in read_report(place)["rounds"]]
    return problems, tests


def items_by_source(folders: Mapping[str, str | Path]) -> Table:
    """What each round of some runs trained on, and for how long: {"replay": folder, …}."""
    rows = []
    for name, folder in folders.items():
        for entry in read_report(Path(folder))["rounds"][1:]:
            items = read(Path(folder) / f"round-{entry['round']}" / "training.jsonl")
            count = Counter(item["source"] for item in items)
            rows.append([
                name, entry["round"], count["lesson"], count["replay"], count["own"],
                f"{entry['train_seconds']:.0f}"])
    return Table(
        ["run", "round", "lessons", "earlier lessons", "own answers", "seconds of training"], rows)


def two_choices(report: Report) -> Markdown:
    """Which round validation chose, which the test would have chosen, and the number of each."""
    rounds = report["rounds"]
    chosen = rounds[report["best_round"]]
    # Of equals the earliest, as the loop does it.
    flattering = max(rounds, key=lambda entry: entry["accuracy"])
    told = (
        f"Validation chose round {chosen['round']}, and {chosen['accuracy']:.1%} on the test is "
        "what we report. ")
    if flattering["accuracy"] == chosen["accuracy"]:
        told += "In this run the test would not have found a better one."
    else:
        told += (
            f"The test would have chosen round {flattering['round']}, and we would report "
            f"{flattering['accuracy']:.1%}.")
    return Markdown(f"**In this run.** {told}")
