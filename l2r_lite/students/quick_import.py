"""Monkeypatch: import bitsandbytes without torch's compiler.

Needed by bitsandbytes up to 0.50.2 at least: it wraps its fallback kernels in `torch.compile` at
import, which loads the compiler although nothing is compiled: 3 of the 6 seconds that the pocket
student takes to load. tests/test_patches.py fails when the patch no longer works or is no longer
needed.
"""

from __future__ import annotations

import sys

import torch


def import_quickly() -> None:
    """Import bitsandbytes; in the usual way on a GPU, whose kernels may need compiling."""
    if "bitsandbytes" in sys.modules or torch.cuda.is_available():
        return
    compile_ = torch.compile
    torch.compile = lambda function=None, **_: function or (lambda f: f)  # type: ignore[assignment]
    try:
        import bitsandbytes  # noqa: F401
    finally:
        torch.compile = compile_
