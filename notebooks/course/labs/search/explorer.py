"""The lab's explorer: a student, and how many samples a choice is made from."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as w
from matplotlib.figure import Figure

from l2r_course.explorers import explore
from l2r_course.figures.search import price_of_search
from l2r_course.labs.search.study import SAMPLES, Study, results_table
from l2r_lite.runs.show import Table


def search_explorer(studies: Mapping[str, Study]) -> explore:
    """Choose a student and the number of samples; nothing is generated again."""

    def view(student: str, samples: int) -> tuple[Figure, Table]:
        shown = {student: studies[student]}
        return price_of_search(shown, samples), results_table(shown, samples)

    last = list(studies)[-1]
    return explore(
        view, student=w.Dropdown(options=list(studies), value=last),
        samples=w.IntSlider(SAMPLES, 1, SAMPLES))
