"""Keys and values of the rationales being written: one slot each, reused when it becomes free."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values, (slots, heads, columns, size).

    A token's column is its position in its own text.
    """

    supports_early_init = False

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        # A reference cycle would keep each exam's cache until Python collects garbage.
        self.slots = weakref.proxy(slots)

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys = self._empty(key_states)
        self.values = self._empty(value_states)
        self.is_initialized = True

    def _empty(self, like: Tensor) -> Tensor:
        return like.new_zeros(self.slots.rows, like.shape[1], self.slots.columns, like.shape[3])

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Store one new token per slot, (slots, heads, 1, size); return all up to the longest."""
        slots = self.slots
        self.keys[slots.every, :, slots.ends] = key_states[:, :, 0]
        self.values[slots.every, :, slots.ends] = value_states[:, :, 0]
        return self.keys[:, :, : slots.width], self.values[:, :, : slots.width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.slots.width, 0

    def get_seq_length(self) -> int:
        return self.slots.width - 1

    def get_max_length(self) -> int:
        return self.slots.columns


class Slots(Cache):
    """A cache for `rows` texts of at most `columns` tokens.

    Attributes:
        ends: (rows,) the column of each slot's newest token; for a free slot it does not change.
        width: one more than the last column that any busy slot has reached.
    """

    def __init__(self, layers: int, rows: int, columns: int, device: torch.device) -> None:
        super().__init__(layers=[_SlotLayer(self) for _ in range(layers)])
        self.rows, self.columns, self.width = rows, columns, 0
        self.every = torch.arange(rows, device=device)
        self.ends = torch.zeros(rows, dtype=torch.long, device=device)

    def fill(self, slots: Tensor, prompts: Cache, repeat: int) -> None:
        """Copy computed prompts into slots, each `repeat` times in a row: once per sample."""
        for layer, computed in zip(self.layers, prompts.layers, strict=True):
            if not layer.is_initialized:
                layer.lazy_initialization(computed.keys, computed.values)
            width = computed.keys.shape[2]
            layer.keys[slots, :, :width] = computed.keys.repeat_interleave(repeat, 0)
            layer.values[slots, :, :width] = computed.values.repeat_interleave(repeat, 0)

    def keep(self, slots: Tensor) -> None:
        """Drop all slots but these."""
        count = len(slots)
        for layer in self.layers:
            # Move only the columns in use, within the same tensor: no second cache is needed.
            for tensor in (layer.keys, layer.values):
                tensor[:count, :, : self.width] = tensor[slots, :, : self.width]
            layer.keys, layer.values = layer.keys[:count], layer.values[:count]
        self.rows, self.every, self.ends = count, self.every[:count], self.ends[slots]

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Additive attention mask (rows, 1, 1, width): each slot attends to its own text."""
        columns = torch.arange(self.width, device=self.ends.device)
        beyond = columns > self.ends[:, None]  # (rows, width)
        visible = torch.zeros(beyond.shape, dtype=dtype, device=beyond.device)
        return visible.masked_fill(beyond, torch.finfo(dtype).min)[:, None, None]
