"""The learner's progress, as a table."""

from __future__ import annotations

from l2r_course import predictions
from l2r_course.checks import notes
from l2r_course.checks.base import titles
from l2r_lite.runs.show import Table


def progress(notebook: str | None = None) -> Table:
    """Exercises solved and predictions made, whatever folder or kernel they were made in.

    Args:
        notebook: two digits, as in "04", for this notebook's own; default: the whole course.
    """
    begins = f"{notebook}." if notebook else ""
    solved, made = notes.solved(), notes.predicted()
    exercises = {n: title for n, title in titles().items() if n.startswith(begins)}
    asked = {n: q for n, q in predictions.all_questions().items() if n.startswith(begins)}
    marks = {n: "✓" if n in solved else "○" for n in exercises}
    rows = [[n, title, marks[n]] for n, title in exercises.items()]
    right = sum(made.get(number) == question.right for number, question in asked.items())
    count = sum(number in made for number in asked)
    rows.append(["predictions", f"{count} of {len(asked)} made, {right} right", ""])
    done = sum(number in solved for number in exercises)
    told = f"{done} of {len(exercises)} solved" if exercises else "none in this notebook"
    return Table(["exercise", told, ""], rows)
