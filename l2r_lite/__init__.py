"""Teach a small language model to reason, round by round, from its own mistakes (arXiv 2310.13332).

Start reading in `l2r_lite.loop`. The names below are what a user needs; each is imported when it is
first asked for, so `import l2r_lite` loads neither torch nor transformers.
"""

import importlib
import logging
from typing import Any

# On CPUs with AVX512-BF16 bitsandbytes advises, as it is imported, to install a kernel that has no
# backward. Students never use it (students/bitsandbytes_layout.py).
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

__version__ = "0.1.0"

_PLACES = {
    "LoopConfig": "loop.config",
    "Loop": "loop.rounds",
    "Problem": "loop.records",
    "take_exam": "loop.exam",
    "make_lessons": "loop.lessons",
    "PRESETS": "students.presets",
    "load_student": "students.loading",
    "load_problems": "data.problems",
    "open_teacher": "teachers.open",
    "run_rounds": "runs.run",
    "USUAL": "runs.run",
    "read_report": "runs.report",
    "export_run": "runs.export",
    "loop_panel": "app.panels.loop",
    "mistake_browser": "app.panels.mistakes",
    "compare_panel": "app.panels.compare",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'l2r_lite' has no attribute {name!r}")
    return getattr(importlib.import_module(f"l2r_lite.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
