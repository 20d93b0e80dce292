"""l2r-lite: the loop from a terminal.

`l2r-lite run` without flags runs the pocket loop, which takes one to two minutes on a CPU.
"""

import argparse
import dataclasses
import os
import sys
import types
import typing
from datetime import datetime
from pathlib import Path
from typing import Any

from l2r_lite import __version__
from l2r_lite.app.terminal import plain_output
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, UserError
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.tracking import KINDS as TRACKERS
from l2r_lite.runs.tracking import Tracker
from l2r_lite.students.devices import helping
from l2r_lite.students.presets import PRESETS

# The groups of --help, as in LoopConfig's comments: first field of the group → title.
GROUPS = {
    "student": "student and problems",
    "teacher": "teacher and cost",
    "samples": "exam",
    "reflection_weight": "training",
    "four_bit": "student model and seed",
}
METAVARS = {str: "NAME", int: "N", float: "X"}


def build_parser() -> argparse.ArgumentParser:
    """All flags; those of `run` are made from the fields of LoopConfig."""
    about = "Tailored learning: a student LM learns from its mistakes."
    parser = argparse.ArgumentParser(prog="l2r-lite", description=about)
    parser.add_argument("--version", action="version", version=f"l2r-lite {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    knobs = _knobs_parser()
    folder: dict[str, Any] = {"type": _folder, "metavar": "DIR"}

    about = "run the loop: exam, feedback, tailored training, rounds"
    run = commands.add_parser("run", parents=[knobs], help=about)
    run.add_argument("--out", **folder, help="run folder (default: runs/PRESET-DATE)")
    run.add_argument(
        "--resume", **folder, help="resume the run in this folder with its own settings")
    run.add_argument(
        "--report-to", choices=TRACKERS,
        help="also send every step's and round's numbers to this tool")
    run.add_argument(
        "--dry-run", action="store_true", help="show settings and amounts, run nothing")

    about = "estimate memory before loading anything, and what fits"
    plan = commands.add_parser("plan", parents=[knobs], help=about)
    plan.add_argument(
        "--card", type=float, default=0, metavar="GB",
        help="memory of your card (default: 8, 12, 16 and 24 GB)")
    plan.add_argument(
        "--prompt-tokens", type=int, default=100, metavar="N",
        help="tokens of the longest question (100)")
    plan.add_argument(
        "--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16",
        help="compute type (bfloat16)")
    plan.add_argument(
        "--measure", action="store_true",
        help="also load the student and estimate how long a round takes")

    about = "check what works on this machine and how to fix the rest"
    commands.add_parser("doctor", parents=[knobs], help=about)

    about = "write the best student as a transformers model and the lessons as training data"
    export = commands.add_parser("export", help=about)
    export.add_argument("run", **folder, help="run folder")
    export.add_argument("--to", **folder, required=True, help="new folder")
    export.add_argument(
        "--push-to-hub", metavar="OWNER/NAME",
        help="also upload it to a new private repository with your hub login")
    export.add_argument(
        "--adapter", action="store_true",
        help="write only the LoRA adapter, some MB, without the base model's weights")
    export.add_argument(
        "--half", action="store_true", help="16-bit weights: half the size, answers may differ")

    about = "compare runs, with the mean over their seeds"
    summary = commands.add_parser("summary", help=about)
    summary.add_argument("folders", nargs="+", **folder, help="run folders")
    return parser


def _folder(text: str) -> Path:
    """A path that a folder can have. Raises ArgumentTypeError."""
    if "\0" in text or any(len(os.fsencode(part)) > 255 for part in Path(text).parts):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}… is not a name that a folder can have")
    return Path(text)


def _knobs_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default="pocket",
        help="start from these settings (pocket)")
    hints = typing.get_type_hints(LoopConfig)
    group: Any = parser
    for knob in dataclasses.fields(LoopConfig):
        if knob.name in GROUPS:
            group = parser.add_argument_group(GROUPS[knob.name])
        flag, kind = "--" + knob.name.replace("_", "-"), _plain_type(hints[knob.name])
        # Suppressed: without the flag, the setting of the preset or of the resumed run stays.
        options: dict[str, Any] = {
            "help": knob.metadata["help"].replace("%", "%%"), "default": argparse.SUPPRESS}
        if kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            group.add_argument(flag, type=kind, metavar=METAVARS[kind], **options)
    return parser


def _plain_type(hint: Any) -> type:
    if isinstance(hint, types.UnionType):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def _config(arguments: argparse.Namespace) -> LoopConfig:
    names = [field.name for field in dataclasses.fields(LoopConfig)]
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    resumed = getattr(arguments, "resume", None)
    base = read_config(resumed / "config.json") if resumed else PRESETS[arguments.preset]
    return base.with_(**given)


def _show_amounts(config: LoopConfig) -> None:
    from l2r_lite.data.benchmarks import SPLITS
    from l2r_lite.data.problems import load_split
    from l2r_lite.teachers.open import open_teacher

    print("Settings")
    for name, value in config.to_json().items():
        print(f"  {name:24}{value}")
    problems = {split: load_split(config, split) for split in SPLITS}
    counts = {split: len(found) for split, found in problems.items()}
    samples = counts["train"] * config.samples
    mistakes = counts["train"] * config.mistakes_per_question
    print("Questions  " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    print(
        f"Per round: {samples} samples in the exam, at most {mistakes} mistakes to the teacher, at "
        f"most {config.lessons} lessons per mistake")
    plan = open_teacher(config).plan(problems["train"], config.lessons)
    if plan:
        print(f"The teacher in round 1, if the student makes a mistake on every question: {plan}")
    print("Nothing was run (--dry-run).")


def _plan(arguments: argparse.Namespace) -> int:
    import torch

    from l2r_lite.app.planner import CARDS, items_at_once, knobs, plan_memory

    config, dtype = _config(arguments), getattr(torch, arguments.dtype)
    given = {"prompt_tokens": arguments.prompt_tokens, "dtype": dtype}
    plan = plan_memory(config, **given)
    items = items_at_once(config, arguments.prompt_tokens)
    four_bit = ", 4-bit" if config.four_bit else ""
    print(
        f"{plan.student}: {plan.parameters / 1e6:,.1f} million parameters{four_bit}, "
        f"{arguments.dtype}; {items} items at once of {arguments.prompt_tokens} + "
        f"{config.max_new_tokens} tokens")
    for name, size in plan.parts.items():
        print(f"  {name:14}{size / 1e6:12,.1f} MB")
    training, exam = plan.training / 1e9, plan.exam / 1e9
    print(f"a training step needs {training:.2f} GB at most, an exam {exam:.2f} GB")
    for card in [arguments.card] if arguments.card else CARDS:
        what = "fits"
        if not plan.fits(card):
            helping_most = knobs(config, plan, card, **given)[:2]
            turns = [f"{flag} ({after.peak / 1e9:.1f} GB)" for flag, after in helping_most]
            what = "does not fit" + (f"; try {', or '.join(turns)}" if turns else "")
        print(f"  {card:g} GB card: {what}")
    if arguments.measure:
        _show_time(config)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from l2r_lite.app.doctor import examine

    status = 0
    for finding in examine(_config(arguments)):
        print(finding, flush=True)
        if finding.state == "FIX":
            status = 1
    verdict = "can run: l2r-lite run"
    if status:
        verdict = "cannot run until the lines marked FIX are fixed."
    print(f"The default {verdict}")
    return status


def _show_time(config: LoopConfig) -> None:
    from l2r_lite.app.timing import time_round
    from l2r_lite.data.problems import load_split
    from l2r_lite.students.loading import student_from
    from l2r_lite.teachers.open import open_teacher

    print("timing one exam batch and a few training steps …", flush=True)
    student = student_from(config)
    problems = load_split(config, "train")
    took = time_round(config, student, problems)
    print(
        f"round 1, estimated on this machine ({student.device}, {student.dtype}): exam of "
        f"{len(problems)} questions {took.exam:,.0f} s; mistakes on {took.mistakes:.0%}, so "
        f"{took.steps} training steps, {took.training:,.0f} s")
    if config.teacher.startswith("openai:"):
        mistaken = problems[: round(len(problems) * took.mistakes)]
        teacher: Any = open_teacher(config)
        plan = teacher.plan(mistaken * config.mistakes_per_question, config.lessons)
        print(f"the teacher in round 1, at most: {plan}")


def _export(arguments: argparse.Namespace) -> int:
    import torch

    from l2r_lite.runs.export import check_login, export_run, push_to_hub

    if arguments.push_to_hub:
        check_login()
    dtype = torch.bfloat16 if arguments.half else torch.float32
    to = export_run(arguments.run, arguments.to, dtype=dtype, adapter=arguments.adapter)
    model, loads = to / "model", "AutoModelForCausalLM.from_pretrained"
    if arguments.adapter:
        model, loads = to / "adapter", "PeftModel.from_pretrained"
    print(f"{model}   for {loads}, with a model card")
    print(f"{to / 'lessons.jsonl'}   for supervised fine-tuning")
    tuning = "for preference tuning: lessons against the student's own mistakes"
    print(f"{to / 'preferences.jsonl'}   {tuning}")
    if arguments.push_to_hub:
        url = push_to_hub(model, arguments.push_to_hub)
        print(f"{url}   private, until you make it public")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.dry_run:
        if not helping():
            _show_amounts(config)
        return 0
    new = Path("runs") / f"{arguments.preset}-{datetime.now():%Y%m%d-%H%M%S}"
    out = arguments.resume or arguments.out or new
    if helping():
        from l2r_lite.runs.run import run_rounds

        run_rounds(config, out)
        return 0
    where = f" at {config.base_url}" if config.base_url else ""
    # Printed before the imports below, which take seconds.
    print(
        f"{config.rounds} rounds, student {config.student}, problems {config.problems}, teacher "
        f"{config.teacher}{where} → {out}")
    from l2r_lite.app import figures
    from l2r_lite.runs.report import as_table
    from l2r_lite.runs.run import run_rounds

    with Tracker(arguments.report_to, out, config) as tracker:

        def tell(report: dict[str, Any]) -> None:
            last = report["rounds"][-1]
            right = f"{last['accuracy']:.1%} of the test questions answered correctly"
            print(f"after round {last['round']}: {right}", flush=True)
            tracker.round(report)

        report = run_rounds(config, out, on_round=tell, on_step=tracker.step)
    print("\n" + as_table(report) + "\n")
    if report["rounds"]:
        figures.save(figures.run_overview(report), out / "report.png")
    if report["stopped"] == "user":
        print(f"Stopped. Resume with:  l2r-lite run --resume {out}")
        return 130
    print(f"{out / 'report.json'}  all numbers\n{out / 'report.png'}   the same as a figure")
    print(f"{out / 'student'}      the best student (round {report['best_round']})")
    print(f"Next: l2r-lite run --resume {out} --rounds {config.rounds + 2}   two more rounds")
    print("      make lab                                    the notebooks, from 00_the_whole_loop")
    return 0


def _summary(arguments: argparse.Namespace) -> int:
    from l2r_lite.runs.report import read_report, summarise

    print(summarise([read_report(folder) for folder in arguments.folders]))
    return 0


COMMANDS = {
    "run": _run, "plan": _plan, "doctor": _doctor, "export": _export, "summary": _summary}


def main(argv: list[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit status: 0 done, 1 the doctor found a fault that stops the default, 2 bad input (one
        sentence on stderr), 130 stopped.
    """
    with plain_output():
        return _main(argv)


def _main(argv: list[str] | None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except UserError as error:  # any other error is our bug and keeps its traceback
        # All processes of a run have the same ConfigError: only one reports it.
        if not (helping() and isinstance(error, ConfigError)):
            print(f"l2r-lite: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
