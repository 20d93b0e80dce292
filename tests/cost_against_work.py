"""Time and memory of exams and training against the amount of work, for `make bench`; both should grow linearly."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2r_lite.app.figures.base import BLUE, ORANGE, new_figure, save, style
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import make_problems
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.training import train_round
from l2r_lite.students.loading import load_student
from l2r_lite.students.packing import packed_loss

SIZES = (100, 200, 400, 800, 1600, 3200)
FULL = 400  # from here on, an exam has all its places taken (240 rationales at once)
REPEATS = 3


def bench_scaling(figure: Path) -> dict[str, Any]:
    """100 to 3,200 questions in an exam, 100 to 3,200 mistakes in one epoch of training, by the pocket student."""
    student = load_student("pocket")
    problems = make_problems("train", max(SIZES), seed=1)
    wrong = "First 1 + 1 = 2. The answer is 1000."
    items = [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), wrong) for p in problems]
    config = LoopConfig(epochs=1, reflection_weight=0.5)

    def exam(size: int) -> None:
        take_exam(student, spread(problems, size), max_new_tokens=56, progress=False)

    def training(size: int) -> None:
        train_round(student, spread(items, size), config, seed=0, objective=packed_loss, progress=False)

    exam(max(SIZES))  # warms up, and grows the heap once
    turns = [{"exam": [watch(exam, n) for n in SIZES], "training": [watch(training, n) for n in SIZES]} for _ in range(REPEATS)]
    measured = {name: list(map(middle, zip(*(turn[name] for turn in turns), strict=True))) for name in turns[0]}
    _draw(measured, figure)
    found: dict[str, Any] = {"sizes": SIZES, "measured": measured}
    for name, points in measured.items():
        seconds, peaks = zip(*points, strict=True)
        found[f"{name}_r_squared"] = float(np.corrcoef(SIZES, seconds)[0, 1] ** 2)
        found[f"{name}_memory_growth"] = peaks[-1] / peaks[SIZES.index(FULL)] - 1
        found[f"{name}_ms_for_one"] = 1000 * float(np.polyfit(SIZES, seconds, 1)[0])
    return found


def spread(everything: Sequence[Any], size: int) -> list[Any]:
    """So many of them, evenly taken, so that every size has the same mix of skills and lengths."""
    return [everything[i * len(everything) // size] for i in range(size)]


def watch(work: Callable[[int], None], size: int) -> tuple[float, float]:
    """Seconds that the work took, and the most memory that the process had meanwhile, in MB."""
    gc.collect()
    peak, over = resident_mb(), threading.Event()

    def look() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, resident_mb())

    watcher = threading.Thread(target=look)
    watcher.start()
    started = time.perf_counter()
    work(size)
    seconds = time.perf_counter() - started
    over.set()
    watcher.join()
    return seconds, peak


def middle(watched: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The medians of seconds and of peaks."""
    seconds, peaks = zip(*watched, strict=True)
    return float(np.median(seconds)), float(np.median(peaks))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def _draw(measured: dict[str, list[tuple[float, float]]], file: Path) -> None:
    with style():
        picture = new_figure(10, 4.2)
        left, right = picture.subplots(1, 2)
        for (name, points), colour, marker in zip(measured.items(), (BLUE, ORANGE), "os", strict=True):
            seconds, peaks = zip(*points, strict=True)
            label = {"exam": "exam (questions)", "training": "training, one epoch (mistakes)"}[name]
            left.plot(SIZES, seconds, f"{marker}-", color=colour, label=label)
            right.plot(SIZES, peaks, f"{marker}-", color=colour, label=label)
        left.set(xlabel="questions or mistakes", ylabel="seconds", title="Time grows in a straight line", ylim=(0, None))
        right.set(xlabel="questions or mistakes", ylabel="memory of the process in MB", title="Memory stays", ylim=(0, None))
        left.legend(frameon=False)
        save(picture, file)
