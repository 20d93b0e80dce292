"""Measure a lab on its held seeds, log the results, and print them against the lab's bars.

    make labs                                   every lab, its held seeds: some minutes each
    make labs ARGS="explanations --seeds 0 1 2 --log runs/mine.jsonl"
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from pathlib import Path
from typing import Any

from l2r_course.labs.explanations import lab as explanations
from l2r_course.labs.held import Measured, bars_table, keep, numbers_table, read_log
from l2r_course.labs.helping import lab as helping
from l2r_course.labs.search import lab as search
from l2r_course.research.experiments import code_commit
from l2r_lite.loop.errors import UserError
from l2r_lite.runs.report import environment

# A lab's module has measure(seed, folder, progress=…), MEASURES, BARS, HELD and LOG.
LABS: dict[str, Any] = {"explanations": explanations, "search": search, "helping": helping}


def run_lab(name: str, seeds: list[int], runs: Path, log: Path, *, progress: bool) -> None:
    """Measure the seeds that the log does not have yet. An interrupted seed resumes."""
    lab = LABS[name]
    for seed in seeds:
        if any(line.seed == seed for line in read_log(log)):
            continue
        started = time.monotonic()
        numbers = lab.measure(seed, runs / name / f"seed-{seed}", progress=progress)
        keep(Measured(
            seed, {key: round(value, 4) for key, value in numbers.items()},
            {"lab": name, "seed": seed}, environment(), code_commit(),
            datetime.date.today().isoformat(), round(time.monotonic() - started, 1)), log)


def main(argv: list[str] | None = None) -> int:
    """`python -m l2r_course.labs`.

    Returns:
        The exit status: 0 done, 2 bad input, 130 stopped. A bar that does not hold is a result,
        not a failure.
    """
    parser = argparse.ArgumentParser(
        prog="make labs", description="Measures labs on their held seeds and logs the results.")
    option = parser.add_argument
    option("names", nargs="*", choices=[*LABS, []], metavar="NAME",
           help=f"of {', '.join(LABS)} (default: all)")
    option("--seeds", nargs="*", type=int, metavar="N", help="instead of the held seeds")
    option("--runs", type=Path, default=Path("runs/labs"), metavar="DIR",
           help="folder of the stages (default: runs/labs)")
    option("--log", type=Path, metavar="FILE", help="instead of the lab's own log")
    given = parser.parse_args(argv)
    try:
        for name in given.names or LABS:
            lab = LABS[name]
            log = given.log or lab.LOG
            seeds = given.seeds or list(lab.HELD)
            run_lab(name, seeds, given.runs, log, progress=sys.stderr.isatty())
            lines = [line for line in read_log(log) if line.seed in seeds]
            print(f"{log}\n\n{numbers_table(lab.MEASURES, lines)}\n\n{bars_table(lab.BARS, lines)}")
    except KeyboardInterrupt:
        print("Stopped. Run the same command to resume.", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"make labs: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
