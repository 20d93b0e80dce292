"""Monkeypatch: keep bitsandbytes from repacking 4-bit weights.

Needed by bitsandbytes 0.46 to 0.50.2 at least. On CPUs with AVX512-BF16 it repacks 4-bit weights at
the first eval-mode forward, i.e. at the first exam. The repacked layout has no backward, so the
training step after an exam would learn from noise, with only a warning.
tests/test_patches.py fails when the patch no longer works or is no longer needed.
"""

from __future__ import annotations

from torch import nn

from l2r_lite.students.four_bit import four_bit_layers


def keep_plain_layout(model: nn.Module) -> None:
    """Call this after loading, before the first forward pass."""
    for layer in four_bit_layers(model).values():
        layer.support_avx512bf16_for_cpu = False
