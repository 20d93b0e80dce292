"""`make results`: the tables of notebooks/evidence/README.md and its figure of rounds, from notebooks/course/research/logs.

A test finds stale tables. `make results ARGS=runs/NAME` also draws the README's picture from a run of the default.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from l2r_course import figures
from l2r_course.research import findings
from l2r_course.research.evidence import Run, read_runs
from l2r_course.research.findings import arm_table, compare, comparison_table, round_table
from l2r_lite.loop.records import Problem, Sample
from l2r_lite.loop.runfolder import read_lines
from l2r_lite.runs.show import Table

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "notebooks" / "evidence" / "README.md"
BLOCK = re.compile(r"(<!-- results of (\S+), by make results -->\n).*?(<!-- end -->)", re.S)


def markdown(table: Table) -> str:
    rows = [table.head, ["---"] * len(table.head), *table.rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def where(runs: list[Run]) -> str:
    """When and on what the runs were made, from what each of them says of itself."""
    days = sorted({r.date for r in runs})
    machines = sorted({f"{r.environment['cpu']}, {r.environment['threads']} thread" for r in runs})
    commits = len({r.commit for r in runs})
    hours = sum(r.seconds for r in runs) / 3600
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (f"{len(runs)} runs, {hours:.1f} hours in all, {span}, {'; '.join(machines)}; the log names the commit of each "
            f"({commits} in all).")  # fmt: skip


def block(name: str) -> str:
    """The tables of one log; of "real", those of all logs on real questions together."""
    logs = read_runs()
    if name == "real":
        mine = {said: logs[log] for log, said in findings.REAL.items() if log in logs}
        runs = [r for each in mine.values() for r in each]
        tables = [findings.stacked({said: arm_table(each) for said, each in mine.items()}, "questions"),
                  comparison_table(findings.compare_logs(mine, findings.ON_REAL_QUESTIONS))]  # fmt: skip
    elif name == "default":
        runs = logs[name]
        tables = [round_table(runs), comparison_table(compare(runs, findings.IN_THE_DEFAULT))]
    else:
        runs = logs[name]
        tables = [arm_table(runs), comparison_table(compare(runs))]
    text = "\n".join(map(markdown, tables))
    return f"{text}\n{where(runs)}\n"


def fresh(text: str) -> str:
    return BLOCK.sub(lambda found: found[1] + "\n" + block(found[2]) + found[3], text)


def draw_first_run(run: Path) -> None:
    """The README's picture: a run, and the first short test question that it got wrong before training and right after it."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    problems = {p.id: p for p in read_lines(run / "problems" / "test.jsonl", Problem)}
    before, after = ({s.problem_id: s for s in read_lines(run / f"round-{n}" / "test.jsonl", Sample)}
                     for n in (0, len(report["rounds"]) - 1))  # fmt: skip
    learned = (p for p in problems.values() if after[p.id].correct and not before[p.id].correct)
    chosen = next(p for p in learned if p.skill == "multiply-subtract" and len(p.question) < 90)
    picture = figures.first_run(report, chosen.question, before[chosen.id].rationale, after[chosen.id].rationale)
    figures.save(picture, ROOT / "notebooks" / "figures" / "first-run.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        draw_first_run(Path(sys.argv[1]))
    EVIDENCE.write_text(fresh(EVIDENCE.read_text(encoding="utf-8")), encoding="utf-8")
    rounds = figures.rounds_by_seed(read_runs()["default"], ["tailored", "no memory"])
    figures.save(rounds, ROOT / "notebooks" / "figures" / "rounds.png")
