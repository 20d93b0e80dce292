"""l2r-lite: the loop from a terminal.  `l2r-lite run` with no flags runs the pocket loop, about two minutes on a CPU."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import types
import typing
from datetime import datetime
from pathlib import Path
from typing import Any

from l2r_lite import __version__
from l2r_lite.config import PRESETS, LoopConfig

_TYPES = typing.get_type_hints(LoopConfig)


def build_parser() -> argparse.ArgumentParser:
    """All flags; those of `run` are made from the fields of LoopConfig, so that there is one list of knobs."""
    parser = argparse.ArgumentParser(prog="l2r-lite", description="Tailored learning: a student LM learns from its mistakes.")
    parser.add_argument("--version", action="version", version=f"l2r-lite {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the loop: exam, feedback, tailored training, rounds")
    run.add_argument("--preset", choices=sorted(PRESETS), default="pocket", help="start from these settings (default: pocket)")
    run.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: runs/PRESET-DATE)")
    run.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder; its settings are kept")
    run.add_argument("--dry-run", action="store_true", help="show settings and amounts, run nothing")
    for knob in dataclasses.fields(LoopConfig):
        flag, kind = "--" + knob.name.replace("_", "-"), _plain_type(_TYPES[knob.name])
        options: dict[str, Any] = {"help": knob.metadata["help"].replace("%", "%%"), "default": argparse.SUPPRESS}
        if kind is bool:
            run.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            run.add_argument(flag, type=kind, metavar={str: "NAME", int: "N", float: "X"}[kind], **options)
    summary = commands.add_parser("summary", help="several runs side by side, with the mean over their seeds")
    summary.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="run folders")
    return parser


def _plain_type(hint: Any) -> type:
    if isinstance(hint, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def _config(arguments: argparse.Namespace) -> LoopConfig:
    given = {f.name: getattr(arguments, f.name) for f in dataclasses.fields(LoopConfig) if hasattr(arguments, f.name)}
    base = LoopConfig.read(arguments.resume / "config.json") if arguments.resume else PRESETS[arguments.preset]
    return base.with_(**given)


def _show_plan(config: LoopConfig) -> None:
    from l2r_lite.problems import load_problems
    from l2r_lite.teacher import open_teacher

    print("Settings")
    for name, value in config.to_json().items():
        print(f"  {name:24}{value}")
    limits = {"train": config.limit, "validation": config.validation_limit, "test": config.test_limit}
    problems = {s: load_problems(config.problems, s, n or None, config.seed, config.data_dir) for s, n in limits.items()}
    counts = {split: len(found) for split, found in problems.items()}
    teacher = open_teacher(config)
    samples = counts["train"] * config.samples
    print("Questions  " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    print(f"Each round {samples} samples in the exam, at most {counts['train'] * config.mistakes_per_question} mistakes to the "
          f"teacher, at most {config.lessons} lessons each")  # fmt: skip
    if plan := getattr(teacher, "plan", None):
        print(f"The teacher in round 1, if every question brings a mistake: {plan(problems['train'], config.lessons)}")
    print("Nothing was run (--dry-run).")


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.dry_run:
        _show_plan(config)
        return 0
    out = arguments.resume or arguments.out or Path("runs") / f"{arguments.preset}-{datetime.now():%Y%m%d-%H%M%S}"
    print(f"{config.rounds} rounds, student {config.student}, problems {config.problems} → {out}")
    from l2r_lite import plots
    from l2r_lite.report import as_table
    from l2r_lite.rounds import run_rounds

    def tell(report: dict[str, Any]) -> None:
        last = report["rounds"][-1]
        print(f"after round {last['round']}: {last['accuracy']:.1%} of the test questions are answered right", flush=True)

    report = run_rounds(config, out, on_round=tell)
    print("\n" + as_table(report) + "\n")
    if report["rounds"]:
        plots.save(plots.run_overview(report), out / "report.png")
    if report["stopped"] == "user":
        print(f"Stopped. Go on with:  l2r-lite run --resume {out}")
        return 130
    print(f"{out / 'report.json'}  all numbers\n{out / 'report.png'}   the same as a figure")
    print(f"{out / 'student'}      the best student (round {report['best_round']})")
    print(f"Next: l2r-lite run --resume {out} --rounds {config.rounds + 2}   two more rounds"
          "\n      make lab                                    the notebooks, from 00_the_whole_loop")  # fmt: skip
    return 0


def _summary(arguments: argparse.Namespace) -> int:
    from l2r_lite.report import summarise
    from l2r_lite.runfolder import read_json

    print(summarise([read_json(folder / "report.json") for folder in arguments.folders]))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 2 bad input (one sentence on stderr), 130 stopped by the user."""
    arguments = build_parser().parse_args(argv)
    try:
        return _summary(arguments) if arguments.command == "summary" else _run(arguments)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except ValueError as error:
        # Our own errors are one sentence for the user; any other ValueError is a fault of ours and keeps its traceback.
        if type(error).__module__.startswith("l2r_lite"):
            print(f"l2r-lite: {error}", file=sys.stderr)
            return 2
        raise


if __name__ == "__main__":
    sys.exit(main())
