"""What is wrong with a student, problems or a teacher, found without loading or asking them."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from l2r_lite.data.problems import PROBLEM_NAMES
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.students.sources import SHORT_NAMES, locate
from l2r_lite.teachers.cost import CostError, Price, price_of

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


def _exists(name: str, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(Path(name).expanduser())
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, the home of nobody
        return False


def in_sources(config: LoopConfig) -> dict[str, str]:
    """What is wrong with student and problems, without loading them."""
    found, student, problems = {}, config.student, config.problems
    if student and _exists(student, Path.is_dir):
        try:
            locate(student)
        except StudentError as error:
            found["student"] = str(error)
    elif student not in SHORT_NAMES and not _HUB_ID.fullmatch(student):
        known = ", ".join(SHORT_NAMES)
        found["student"] = (
            f'student "{student}": not found. Enter {known}, an existing folder, or a '
            "Hugging Face id such as Qwen/Qwen2.5-1.5B-Instruct.")
    if problems not in PROBLEM_NAMES and not _exists(problems, Path.is_file):
        known = ", ".join(PROBLEM_NAMES)
        found["problems"] = f'problems "{problems}": not found. Enter {known}, or an existing file.'
    return found


def in_teacher(config: LoopConfig, key: str | None) -> dict[str, str]:
    """What is wrong with the teacher, without asking it."""
    teacher = config.teacher
    kind, _, rest = teacher.partition(":")
    if teacher in ("scripted", "none"):
        return {}
    if kind == "recorded" and rest:
        if _exists(rest, Path.is_file):
            return {}
        return {
            "teacher": f'teacher "{teacher}": there is no such file. It needs a file with the '
            "replies of an LLM."}
    if kind != "openai" or not rest:
        known = "scripted, recorded:FILE, openai:MODEL or none"
        return {"teacher": f'teacher "{teacher}": not known. Enter {known}.'}
    found = {}
    kept = config.teacher_cache and _exists(config.teacher_cache, Path.is_file)
    if not (config.base_url or key or os.environ.get("OPENAI_API_KEY") or kept):
        found["key"] = (
            "OpenAI needs an API key: enter it here, or set OPENAI_API_KEY before you start "
            "Jupyter.")
    try:
        price = None
        if config.price:
            price = Price.parse(config.price)
        elif config.base_url is None:
            price = price_of(rest)
        if config.budget is not None and price is None:
            found["price"] = (
                f"The price of {rest} is not known, and a budget needs it. Enter INPUT,OUTPUT, for "
                "example 0.15,0.60.")
    except CostError as error:
        found["price"] = str(error)
    return found
