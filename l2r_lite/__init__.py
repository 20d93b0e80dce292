"""Teach a small language model to reason, round by round, from its own mistakes (arXiv 2310.13332).

One module per step of the loop. Read them in this order, each beside its notebook:
records, problems, grading, prompts, student, exam, teacher, reflection, training, rounds.
Importing the package loads nothing heavy: torch comes with the first module that needs it (student).
"""

import logging

# On CPUs with AVX512-BF16 bitsandbytes asks, as it is imported, for a package with a kernel that has no backward. Students
# never use it (nf4.keep_plain_layout), and a reader should not install it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

__version__ = "0.1.0"
