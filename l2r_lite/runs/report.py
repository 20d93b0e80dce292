"""report.json: what a run did and reached, computed from its folder's files alone."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from l2r_lite.loop import runfolder as folder
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.records import ExamReport, Lesson, Problem, Rejection, Sample
from l2r_lite.runs.statistics import mean_interval, wilson_interval

# What may differ between two runs of one config on one machine; tests compare everything else.
TIMES = ("exam_seconds", "feedback_seconds", "train_seconds", "evaluation_seconds")

EVALUATED = ("validation.jsonl", "test.jsonl")
TRAINED = ("exam.jsonl", "feedback.json", "rejected.jsonl", "lessons.jsonl", "training.jsonl")


def build_report(out: Path, config: LoopConfig, stopped: str) -> dict[str, Any]:
    """The report of a run folder, finished or not.

    Returns:
        {"config", "environment", "rounds": [one entry a finished round, entry 0 before any training], "best_round",
        "accuracy": that of the student handed back, "peak_rss_mb", "stopped"}. Accuracies are shares of the test
        questions, `validation_accuracy` of the validation questions; the latter decides `best_round`.
    """
    problems = {
        split: tuple(folder.read_lines(out / "problems" / f"{split}.jsonl", Problem))
        for split in ("train", "validation", "test")
    }
    rounds = []
    for number in range(config.rounds + 1):
        place = out / f"round-{number}"
        if not all((place / name).exists() for name in (*EVALUATED, *(TRAINED if number else ()))):
            break
        rounds.append(_entry(number, place, problems))
    best = max(rounds, key=lambda r: r["validation_accuracy"], default=None)  # the earliest of equals
    return {
        "config": config.to_json(),
        "environment": environment(),
        "rounds": rounds,
        "best_round": best["round"] if best else 0,
        "accuracy": best["accuracy"] if best else None,
        "ci95": best["ci95"] if best else None,
        "peak_rss_mb": peak_rss_mb(),
        "stopped": stopped,
    }


def read_report(out: Path) -> dict[str, Any]:
    """The report of a run folder, as far as a table or a figure of it needs.

    Raises:
        RunError: there is none, or it is damaged.
    """
    report = folder.read_json(out / "report.json")
    try:
        as_table(report), report["config"]["seed"], report["environment"]
        if not report["rounds"]:
            raise ValueError("no round of it is finished")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise folder.RunError(
            f"{out / 'report.json'}: is no report of a run ({type(error).__name__}: {error}). "
            f"Make it anew with: l2r-lite run --resume {out}"
        ) from error
    return report


def _entry(number: int, place: Path, problems: dict[str, tuple[Problem, ...]]) -> dict[str, Any]:
    test = ExamReport(problems["test"], tuple(folder.read_lines(place / "test.jsonl", Sample)))
    validation = ExamReport(problems["validation"], tuple(folder.read_lines(place / "validation.jsonl", Sample)))
    seconds = folder.read_json(place / "stages.json") if (place / "stages.json").exists() else {}
    entry: dict[str, Any] = {"round": number}
    if number:
        exam = folder.read_lines(place / "exam.jsonl", Sample)
        feedback = folder.read_json(place / "feedback.json")
        items = folder.read_lines(place / "training.jsonl", dict)
        rejected = Counter(r.reason for r in folder.read_lines(place / "rejected.jsonl", Rejection))
        triplets = sum(i["positive"] is not None and i["negative"] is not None for i in items)
        entry |= {
            "train_questions": len(problems["train"]),
            "samples": len(exam),
            "mistakes": sum(not s.correct for s in exam),
            "teacher_calls": feedback["teacher_calls"],
            "lessons": len(folder.read_lines(place / "lessons.jsonl", Lesson)),
            "rejected": sum(rejected.values()),
            "rejected_by_reason": dict(sorted(rejected.items())),
            "without_lesson": feedback.get("without_lesson", {}),
            **({"teacher_cost_so_far": feedback["so_far"]} if feedback.get("so_far") else {}),
            "items": len(items),
            "triplet_share": round(triplets / len(items), 4) if items else 0.0,
            "exam_seconds": seconds.get("exam", 0.0),
            "feedback_seconds": seconds.get("feedback", 0.0),
            "train_seconds": seconds.get("training", 0.0),
        }
    entry |= {
        "accuracy": round(test.accuracy, 4),
        "ci95": [round(x, 4) for x in wilson_interval(sum(s.correct for s in test.samples), len(test.samples))],
        "validation_accuracy": round(validation.accuracy, 4),
        "evaluation_seconds": round(seconds.get("validation", 0.0) + seconds.get("test", 0.0), 2),
        "by_skill": {name: round(share, 4) for name, share in test.by_skill.items()},
    }
    return entry


def stopping_round(validation: Sequence[float], patience: int, minimal_gain: float = 0.0) -> tuple[int, int]:
    """What the stopping rule makes of a run's validation accuracies, so that a rule can be tried without a run.

    A round is better if it exceeds the best so far by more than `minimal_gain`; a tie is not better, so that of equals the
    student with the least training is kept. With minimal_gain = 0 this is the rule of `rounds.run_rounds`.

    Args:
        validation: accuracies in [0, 1] of the student before any training and after each round.
        patience: stop after so many rounds in a row that were not better; 0: never.

    Returns:
        The last round that is run, and the round whose student is handed back (0: the untrained one).
    """
    best = 0
    for number in range(1, len(validation)):
        if validation[number] > validation[best] + minimal_gain:
            best = number
        elif patience and number - best >= patience:
            return number, best
    return len(validation) - 1, best


def environment() -> dict[str, Any]:
    """The machine and the versions that a result was measured with."""
    versions = {}
    for package in ("l2r-lite", "torch", "transformers", "peft", "bitsandbytes"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    torch = sys.modules.get("torch")
    device = torch.cuda.get_device_name(0) if torch and torch.cuda.is_available() else "cpu"
    return {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}", "cpu": _cpu_name(),
        "cores": os.cpu_count(), "device": device, "threads": torch.get_num_threads() if torch else None,
        "processes": int(os.environ.get("WORLD_SIZE", "1")), **versions,
    }  # fmt: skip


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def peak_rss_mb() -> float | None:
    """The most memory that this process has held, in MB (10⁶ bytes); None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def as_table(report: dict[str, Any]) -> str:
    """The rounds as a table for a terminal: round, mistakes, lessons, accuracy with 95 % interval, seconds."""
    lines = ["round   mistakes   lessons   accuracy (95 % interval)   seconds"]
    for r in report["rounds"]:
        low, high = r["ci95"]
        accuracy = f"{r['accuracy']:6.1%}  ({low:.1%} – {high:.1%})"
        mistakes, lessons = (f"{r['mistakes']} of {r['samples']}", str(r["lessons"])) if r["round"] else ("–", "–")
        seconds = sum(r.get(name, 0.0) for name in TIMES)
        kept = "  ← kept" if r["round"] == report["best_round"] else ""
        lines.append(f"{r['round']:5}{mistakes:>14}{lessons:>8}   {accuracy:<26}{seconds:>6.0f}{kept}")
    return "\n".join(lines)


def summarise(reports: list[dict[str, Any]]) -> str:
    """Several finished runs, one a line, and their means: test accuracy before, after each round, and of the student kept."""
    rounds = min(len(r["rounds"]) for r in reports)
    columns = ["before", *(f"round {n}" for n in range(1, rounds)), "kept"]
    rows = [[*(e["accuracy"] for e in r["rounds"][:rounds]), r["accuracy"]] for r in reports]
    lines = ["seed   " + "".join(f"{c:>10}" for c in columns) + "   seconds   peak MB"]
    for report, row in zip(reports, rows, strict=True):
        seconds = sum(e.get(name, 0.0) for e in report["rounds"] for name in TIMES)
        shown = "".join(f"{value:>10.1%}" for value in row)
        lines.append(f"{report['config']['seed']:<7}{shown}{seconds:>10.0f}{report['peak_rss_mb'] or 0:>10.0f}")
    means = [mean_interval([row[i] for row in rows]) for i in range(len(columns))]
    lines.append("mean   " + "".join(f"{mean:>10.1%}" for mean, _ in means))
    lines.append("± 95 % " + "".join(f"{half:>10.1%}" for _, half in means))
    return "\n".join(lines)
