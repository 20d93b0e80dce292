"""The lab's explorer: what a student can do after a kind of lesson and a number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_course.explorers import explore
from l2r_course.figures.helping import one_dose
from l2r_course.labs.helping.doses import Look
from l2r_lite.runs.show import Table


def dose_explorer(looks: Mapping[str, Sequence[Look]]) -> explore:
    """Choose a kind of lesson and a step; nothing is trained again."""

    def view(lesson: str, step: int) -> tuple[Figure, Table]:
        seen = next(look for look in looks[lesson] if look.step == step)
        before = looks[lesson][0]
        rows = [[text, f"{getattr(before, name):.1%}", f"{getattr(seen, name):.1%}"]
                for name, text in NAMES.items()]
        return one_dose(seen, before), Table(["share", "untrained", f"after {step} steps"], rows)

    steps = [look.step for look in next(iter(looks.values()))][1:]
    return explore(
        view, lesson=w.Dropdown(options=list(looks), value=list(looks)[1]),
        step=w.Dropdown(options=steps, value=steps[-1]))


NAMES = {
    "free": "right answers", "forced": "right answers, first word given",
    "known": "right on known skills", "forced_known": "right on known skills, first word given",
    "withheld": "right on withheld skills", "with_step": "texts that write a step"}
