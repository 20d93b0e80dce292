"""The prefix of a student (its demonstrations): computed once, shared by many rows."""

from __future__ import annotations

from typing import Any

import torch

from l2r_lite.loop.student import Student


def prefix_cache(student: Student, rows: int) -> Any:
    """Keys and values of the prefix for `rows` rows, without copies; gradients flow through.

    Empty if the student has no prefix. Layers keep all keys, whatever the model's attention window:
    no text computed with this cache is longer (`Student.fast_up_to`).
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache()
    if student.prefix:
        once = DynamicCache()
        ids = torch.tensor([student.prefix], device=student.device)
        student.decoder(input_ids=ids, past_key_values=once, use_cache=True)
        for known in once.layers:
            layer = DynamicLayer()
            layer.lazy_initialization(known.keys, known.values)
            layer.keys = known.keys.expand(rows, -1, -1, -1)
            layer.values = known.values.expand(rows, -1, -1, -1)
            cache.layers.append(layer)
    return cache
