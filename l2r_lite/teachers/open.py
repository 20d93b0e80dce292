"""The teacher that a config names."""

from collections.abc import Callable

from l2r_lite.data.hub import cache_folder
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import TeacherError
from l2r_lite.loop.protocols import Teacher
from l2r_lite.teachers.recorded import RecordedTeacher
from l2r_lite.teachers.scripted import NoTeacher, ScriptedTeacher

_HINTS = {
    "recorded": "name the file with the LLM's rationales",
    "openai": "name the model, e.g. openai:gpt-4o-mini",
}


def open_teacher(
    config: LoopConfig, stop: Callable[[], bool] = lambda: False, key: str | None = None
) -> Teacher:
    """The teacher of a config: "scripted", "recorded:FILE", "openai:MODEL" or "none".

    Args:
        stop: ends the calls of an openai teacher early.
        key: of an openai teacher; None takes the environment's.

    Raises:
        TeacherError: an unknown name, or a file, price or cache that cannot be used.
    """
    kind, _, rest = config.teacher.partition(":")
    if config.teacher == "scripted":
        return ScriptedTeacher()
    if config.teacher == "none":
        return NoTeacher()
    if kind == "recorded" and rest and rest != "FILE":
        return RecordedTeacher(rest)
    if kind == "openai" and rest:
        from l2r_lite.teachers.cost import Price
        from l2r_lite.teachers.openai_teacher import OpenAITeacher  # takes a second to import

        return OpenAITeacher(
            rest, base_url=config.base_url, key=key,
            cache=config.teacher_cache or cache_folder() / "teacher.jsonl", budget=config.budget,
            price=Price.parse(config.price) if config.price else None, annotator=config.annotator,
            max_tokens=config.max_new_tokens, concurrency=config.concurrency, stop=stop)
    hint = _HINTS.get(kind, "known are scripted, recorded:FILE, openai:MODEL and none")
    raise TeacherError(f'teacher "{config.teacher}": {hint}.')
