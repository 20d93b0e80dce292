"""report.json: a run's work and results, computed only from the files in its folder."""

import os
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from l2r_lite.data.steps import follows
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import RunError
from l2r_lite.loop.records import Problem
from l2r_lite.runs.reading import SPLITS, read, read_exam, read_problems
from l2r_lite.runs.statistics import accuracy_interval, mean_interval

# These may differ between two runs of one config on one machine; tests compare everything else.
TIMES = ("exam_seconds", "feedback_seconds", "train_seconds", "evaluation_seconds")
# The files of a finished round; round 0 has only EVALUATED.
EVALUATED = ("validation.jsonl", "test.jsonl")
TRAINED = ("exam.jsonl", "feedback.json", "rejected.jsonl", "lessons.jsonl", "training.jsonl")


def build_report(out: Path, config: LoopConfig, stopped: str) -> dict[str, Any]:
    """The report of a run folder, finished or not.

    Returns:
        What schema.Report says: `rounds` has one entry per finished round, entry 0 before any
        training; `validation_accuracy` decides `best_round`.
    """
    problems = {split: read_problems(out, split) for split in SPLITS}
    rounds: list[dict[str, Any]] = []
    for number in range(config.rounds + 1):
        place = out / f"round-{number}"
        files = (*EVALUATED, *TRAINED) if number else EVALUATED
        if not all((place / name).exists() for name in files):
            break
        rounds.append(_entry(number, place, problems))
    # The earliest one if tied. Chosen by validation: test is for the report only.
    best = max(rounds, key=lambda r: r["validation_accuracy"], default={"round": 0})
    return {
        "config": config.to_json(), "environment": environment(), "rounds": rounds,
        "best_round": best["round"], "accuracy": best.get("accuracy"), "ci95": best.get("ci95"),
        "peak_rss_mb": peak_rss_mb(), "stopped": stopped}


def read_report(out: Path) -> dict[str, Any]:
    """Read the report of a run folder; it has at least the evaluation before training.

    Raises:
        RunError: it is missing, no round is finished, or a field is not as schema.Report says.
    """
    report = read(out / "report.json")
    if not report["rounds"]:
        raise RunError(
            f"{out}: no round of this run is finished. Resume it with: l2r-lite run --resume {out}")
    return report


def _entry(number: int, place: Path, problems: dict[str, tuple[Problem, ...]]) -> dict[str, Any]:
    test, validation = (
        read_exam(place / f"{split}.jsonl", problems[split]) for split in ("test", "validation"))
    seconds: dict[str, float] = {}
    if (place / "stages.json").exists():
        seconds = read(place / "stages.json")
    interval = accuracy_interval(test)
    evaluation = seconds.get("validation", 0.0) + seconds.get("test", 0.0)
    return {
        "round": number,
        **(_taught(place, problems["train"], seconds) if number else {}),
        "accuracy": round(test.accuracy, 4),
        "ci95": [round(x, 4) for x in interval],
        "validation_accuracy": round(validation.accuracy, 4),
        "evaluation_seconds": round(evaluation, 2),
        "by_skill": {name: round(share, 4) for name, share in test.by_skill.items()}}


def _taught(
    place: Path, problems: Sequence[Problem], seconds: dict[str, float]
) -> dict[str, Any]:
    """The part of a round's entry that comes from its exam, feedback and training."""
    exam = read(place / "exam.jsonl", problems)
    feedback = read(place / "feedback.json")
    items = read(place / "training.jsonl")
    rejections = read(place / "rejected.jsonl", problems)
    lessons = read(place / "lessons.jsonl", problems)
    asked = {p.id: p for p in problems}
    triplets = sum(i["positive"] is not None and i["negative"] is not None for i in items)
    cost = {"teacher_cost_so_far": feedback["so_far"]} if feedback.get("so_far") else {}
    return {
        "train_questions": len(problems), "samples": len(exam),
        "mistakes": sum(not s.correct for s in exam), "teacher_calls": feedback["teacher_calls"],
        "lessons": len(lessons),
        "lessons_in_doubt": sum(not follows(asked[x.problem_id], x.rationale) for x in lessons),
        "rejected": len(rejections),
        "rejected_by_reason": dict(sorted(Counter(r.reason for r in rejections).items())),
        "without_lesson": feedback.get("without_lesson", {}), **cost,
        "items": len(items),
        "triplet_share": round(triplets / len(items), 4) if items else 0.0,
        "exam_seconds": seconds.get("exam", 0.0),
        "feedback_seconds": seconds.get("feedback", 0.0),
        "train_seconds": seconds.get("training", 0.0)}


def environment() -> dict[str, Any]:
    """The machine and the versions that a result was measured with."""
    versions = {}
    for package in ("l2r-lite", "torch", "transformers", "peft", "bitsandbytes"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    torch = sys.modules.get("torch")  # a report does not need torch, so it is not imported here
    cuda = torch is not None and torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(), "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(0) if torch and cuda else "cpu",
        "threads": torch.get_num_threads() if torch else None,
        "processes": int(os.environ.get("WORLD_SIZE", "1")), **versions}


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def peak_rss_mb() -> float | None:
    """The most memory that this process has used, in MB (10⁶ bytes); None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
    return round(peak * unit / 1e6, 1)


def as_table(report: dict[str, Any]) -> str:
    """The rounds for a terminal: mistakes, lessons, accuracy with 95 % interval, seconds."""
    lines = ["round   mistakes   lessons   accuracy (95 % interval)   seconds"]
    for r in report["rounds"]:
        low, high = r["ci95"]
        accuracy = f"{r['accuracy']:6.1%}  ({low:.1%} – {high:.1%})"
        mistakes = f"{r['mistakes']} of {r['samples']}" if r["round"] else "–"
        lessons = r["lessons"] if r["round"] else "–"
        kept = "  ← kept" if r["round"] == report["best_round"] else ""
        lines.append(
            f"{r['round']:5}{mistakes:>14}{lessons:>8}   {accuracy:<26}{_seconds(r):>6.0f}{kept}")
    return "\n".join(lines)


def _seconds(entry: dict[str, Any]) -> float:
    return sum(entry.get(name, 0.0) for name in TIMES)


def summarise(reports: list[dict[str, Any]]) -> str:
    """Runs, one per line, and their means: test accuracy per round and of the student kept."""
    rounds = min(len(r["rounds"]) for r in reports)
    columns = ["before", *(f"round {n}" for n in range(1, rounds)), "kept"]
    rows = [[*(e["accuracy"] for e in r["rounds"][:rounds]), r["accuracy"]] for r in reports]
    lines = ["seed   " + "".join(f"{c:>10}" for c in columns) + "   seconds   peak MB"]
    for report, row in zip(reports, rows, strict=True):
        shares = "".join(f"{value:>10.1%}" for value in row)
        seconds, peak = sum(map(_seconds, report["rounds"])), report["peak_rss_mb"] or 0
        lines.append(f"{report['config'].get('seed', '–'):<7}{shares}{seconds:>10.0f}{peak:>10.0f}")
    if len(rows) == 1:
        return "\n".join([*lines, "One run: a mean with its interval needs two seeds or more."])
    means = [mean_interval(column) for column in zip(*rows, strict=True)]
    lines.append("mean   " + "".join(f"{mean:>10.1%}" for mean, _ in means))
    lines.append("± 95 % " + "".join(f"{half:>10.1%}" for _, half in means))
    return "\n".join(lines)
