"""l2r-lite: the loop from a terminal.  `l2r-lite run` with no flags runs the pocket loop, one to two minutes on a CPU."""

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
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, UserError, printable
from l2r_lite.runs.config_file import read_config
from l2r_lite.students.devices import helping
from l2r_lite.students.presets import PRESETS

_TYPES = typing.get_type_hints(LoopConfig)


def build_parser() -> argparse.ArgumentParser:
    """All flags; those of `run` are made from the fields of LoopConfig, so that there is one list of knobs."""
    parser = argparse.ArgumentParser(prog="l2r-lite", description="Tailored learning: a student LM learns from its mistakes.")
    parser.add_argument("--version", action="version", version=f"l2r-lite {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    knobs = _knobs_parser()
    run = commands.add_parser("run", parents=[knobs], help="run the loop: exam, feedback, tailored training, rounds")
    run.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: runs/PRESET-DATE)")
    run.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder; its settings are kept")
    run.add_argument("--dry-run", action="store_true", help="show settings and amounts, run nothing")
    plan = commands.add_parser("plan", parents=[knobs], help="memory of a run before any weights are there, and what fits")
    plan.add_argument("--card", type=float, default=0, metavar="GB", help="memory of your card (default: 8, 12, 16 and 24 GB)")
    plan.add_argument("--prompt-tokens", type=int, default=100, metavar="N", help="tokens of the longest question (100)")
    plan.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16", help="compute type (bfloat16)")
    plan.add_argument("--measure", action="store_true", help="load the student, try a little, say how long a round takes")
    commands.add_parser("doctor", parents=[knobs], help="what works on this machine, what to do about the rest")
    export = commands.add_parser("export", help="the best student as a plain transformers model, the lessons as training data")
    export.add_argument("run", type=Path, metavar="DIR", help="run folder")
    export.add_argument("--to", type=Path, required=True, metavar="DIR", help="new folder")
    export.add_argument("--push-to-hub", metavar="OWNER/NAME", help="and into a new private repository, by your own hub login")
    export.add_argument("--half", action="store_true", help="16-bit weights: half the size, answers may differ")
    summary = commands.add_parser("summary", help="several runs side by side, with the mean over their seeds")
    summary.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="run folders")
    return parser


def _knobs_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="pocket", help="start from these settings (pocket)")
    for knob in dataclasses.fields(LoopConfig):
        flag, kind = "--" + knob.name.replace("_", "-"), _plain_type(_TYPES[knob.name])
        options: dict[str, Any] = {"help": knob.metadata["help"].replace("%", "%%"), "default": argparse.SUPPRESS}
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            parser.add_argument(flag, type=kind, metavar={str: "NAME", int: "N", float: "X"}[kind], **options)
    return parser


def _plain_type(hint: Any) -> type:
    if isinstance(hint, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def _config(arguments: argparse.Namespace) -> LoopConfig:
    given = {f.name: getattr(arguments, f.name) for f in dataclasses.fields(LoopConfig) if hasattr(arguments, f.name)}
    resumed = getattr(arguments, "resume", None)
    base = read_config(resumed / "config.json") if resumed else PRESETS[arguments.preset]
    return base.with_(**given)


def _show_plan(config: LoopConfig) -> None:
    from l2r_lite.data.problems import load_problems
    from l2r_lite.teachers.open import open_teacher

    print("Settings")
    for name, value in config.to_json().items():
        print(printable(f"  {name:24}{value}"))
    limits = {"train": config.limit, "validation": config.validation_limit, "test": config.test_limit}
    problems = {s: load_problems(config.problems, s, n or None, config.seed, config.data_dir) for s, n in limits.items()}
    counts = {split: len(found) for split, found in problems.items()}
    teacher = open_teacher(config)
    samples = counts["train"] * config.samples
    print("Questions  " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    print(f"Each round {samples} samples in the exam, at most {counts['train'] * config.mistakes_per_question} mistakes to the "
          f"teacher, at most {config.lessons} lessons each")  # fmt: skip
    if plan := teacher.plan(problems["train"], config.lessons):
        print(f"The teacher in round 1, if every question brings a mistake: {plan}")
    print("Nothing was run (--dry-run).")


def _plan(arguments: argparse.Namespace) -> int:
    import torch

    from l2r_lite.app.planner import CARDS, items_at_once, knobs, plan_memory

    config, dtype = _config(arguments), getattr(torch, arguments.dtype)
    given = {"prompt_tokens": arguments.prompt_tokens, "dtype": dtype}
    plan = plan_memory(config, **given)
    size = items_at_once(config, arguments.prompt_tokens)
    print(f"{plan.student}: {plan.parameters / 1e6:,.1f} million parameters{', 4-bit' * config.four_bit}, {arguments.dtype}; "
          f"{size} items at once of {arguments.prompt_tokens} + {config.max_new_tokens} tokens")  # fmt: skip
    for name, size in plan.parts.items():
        print(f"  {name:14}{size / 1e6:12,.1f} MB")
    print(f"a training step needs {plan.training / 1e9:.2f} GB at most, an exam {plan.exam / 1e9:.2f} GB")
    for card in [arguments.card] if arguments.card else CARDS:
        turns = [f"{name} ({p.peak / 1e9:.1f} GB)" for name, p in knobs(config, plan, card, **given)[:2]]
        what = "fits" if plan.fits(card) else f"does not fit; first turn {', or '.join(turns)}" if turns else "does not fit"
        print(f"  {card:g} GB card: {what}")
    if arguments.measure:
        _show_time(config)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from l2r_lite.app.doctor import examine

    able = True
    for finding in examine(_config(arguments)):
        print(finding, flush=True)
        able &= finding.state != "MEND"
    print("The default can run: l2r-lite run" if able else "The default cannot run before what says MEND is mended.")
    return 0 if able else 1


def _show_time(config: LoopConfig) -> None:
    from l2r_lite.app.planner import time_round
    from l2r_lite.data.problems import load_problems
    from l2r_lite.students.loading import student_from
    from l2r_lite.teachers.open import open_teacher

    print("trying a batch of the exam and a few training steps …", flush=True)
    student = student_from(config)
    problems = load_problems(config.problems, "train", config.limit or None, config.seed, config.data_dir)
    took = time_round(config, student, problems)
    print(f"round 1 here, by a short try ({student.device}, {student.dtype}): exam of {len(problems)} questions "
          f"{took.exam:,.0f} s; mistakes on {took.mistakes:.0%}, so {took.steps} training steps, {took.training:,.0f} s")
    if config.teacher.startswith("openai:"):
        asked = problems[: round(len(problems) * took.mistakes)] * config.mistakes_per_question
        teacher: Any = open_teacher(config)
        print(f"the teacher in round 1, at most: {teacher.plan(asked, config.lessons)}")


def _export(arguments: argparse.Namespace) -> int:
    import torch

    from l2r_lite.runs.export import check_login, export_run, push_to_hub

    if arguments.push_to_hub:
        check_login()
    to = export_run(arguments.run, arguments.to, dtype=torch.bfloat16 if arguments.half else torch.float32)
    print(f"{to / 'model'}   for AutoModelForCausalLM.from_pretrained, with a model card")
    print(f"{to / 'lessons.jsonl'}   for supervised fine-tuning")
    print(f"{to / 'preferences.jsonl'}   for preference tuning: lessons against the student's own mistakes")
    if arguments.push_to_hub:
        print(f"{push_to_hub(to / 'model', arguments.push_to_hub)}   private, until you make it public")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.dry_run:
        if not helping():
            _show_plan(config)
        return 0
    out = arguments.resume or arguments.out or Path("runs") / f"{arguments.preset}-{datetime.now():%Y%m%d-%H%M%S}"
    if helping():
        from l2r_lite.runs.run import run_rounds

        run_rounds(config, out)
        return 0
    told = f"{config.rounds} rounds, student {config.student}, problems {config.problems}, teacher {config.teacher}"
    print(printable(f"{told}{f' at {config.base_url}' * bool(config.base_url)} → {out}"))
    from l2r_lite.app import figures
    from l2r_lite.runs.report import as_table
    from l2r_lite.runs.run import run_rounds

    def tell(report: dict[str, Any]) -> None:
        last = report["rounds"][-1]
        print(f"after round {last['round']}: {last['accuracy']:.1%} of the test questions are answered right", flush=True)

    report = run_rounds(config, out, on_round=tell)
    print("\n" + as_table(report) + "\n")
    if report["rounds"]:
        figures.save(figures.run_overview(report), out / "report.png")
    if report["stopped"] == "user":
        print(f"Stopped. Go on with:  l2r-lite run --resume {out}")
        return 130
    print(f"{out / 'report.json'}  all numbers\n{out / 'report.png'}   the same as a figure")
    print(f"{out / 'student'}      the best student (round {report['best_round']})")
    print(f"Next: l2r-lite run --resume {out} --rounds {config.rounds + 2}   two more rounds"
          "\n      make lab                                    the notebooks, from 00_the_whole_loop")  # fmt: skip
    return 0


def _summary(arguments: argparse.Namespace) -> int:
    from l2r_lite.runs.report import read_report, summarise

    print(printable(summarise([read_report(folder) for folder in arguments.folders])))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 the doctor's no, 2 bad input (one sentence on stderr), 130 stopped."""
    arguments = build_parser().parse_args(argv)
    try:
        run = {"run": _run, "plan": _plan, "doctor": _doctor, "export": _export, "summary": _summary}[arguments.command]
        return run(arguments)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except UserError as error:  # one sentence for the user; any other error is a fault of ours and keeps its traceback
        if not (helping() and isinstance(error, ConfigError)):  # which all processes of a run have
            print(f"l2r-lite: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
