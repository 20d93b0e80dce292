"""Keys and values of the rationales being written: one slot a rationale, and a slot that has become free takes the next."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values, each (slots, heads, columns, size): a token's column is its position in its own text."""

    supports_early_init = False

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self.slots = weakref.proxy(slots)  # a cycle would keep each exam's cache until Python's collector comes by

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        def empty(like: Tensor) -> Tensor:
            return like.new_zeros(self.slots.rows, like.shape[1], self.slots.columns, like.shape[3])

        self.keys, self.values, self.is_initialized = empty(key_states), empty(value_states), True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Put one new token a slot (slots, heads, 1, size) where it belongs, and show every slot up to the longest text."""
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
    """A cache of fixed places, for `rows` texts of at most `columns` tokens.

    Attributes:
        ends: (rows,), the column of each slot's newest token. A slot that is not in use stays where it is.
        width: one more than the last column that any slot in use has reached.
    """

    def __init__(self, layers: int, rows: int, columns: int, device: torch.device) -> None:
        super().__init__(layers=[_SlotLayer(self) for _ in range(layers)])
        self.rows, self.columns, self.width = rows, columns, 0
        self.every = torch.arange(rows, device=device)
        self.ends = torch.zeros(rows, dtype=torch.long, device=device)

    def fill(self, places: Tensor, prompts: Cache, repeat: int) -> None:
        """Put prompts that were computed elsewhere into free slots, each `repeat` times in a row: once for each sample."""
        for layer, computed in zip(self.layers, prompts.layers, strict=True):
            if not layer.is_initialized:
                layer.lazy_initialization(computed.keys, computed.values)
            width = computed.keys.shape[2]
            layer.keys[places, :, :width] = computed.keys.repeat_interleave(repeat, 0)
            layer.values[places, :, :width] = computed.values.repeat_interleave(repeat, 0)

    def keep(self, places: Tensor) -> None:
        """Close all slots but these, and move those together."""
        for layer in self.layers:
            # Only columns in use are moved, into the front of what is there: no second cache is ever held.
            for tensor in (layer.keys, layer.values):
                tensor[: len(places), :, : self.width] = tensor[places, :, : self.width]
            layer.keys, layer.values = layer.keys[: len(places)], layer.values[: len(places)]
        self.rows, self.every, self.ends = len(places), self.every[: len(places)], self.ends[places]

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Additive attention mask (rows, 1, 1, width) for one new token a slot: each looks as far as its own text goes."""
        beyond = torch.arange(self.width, device=self.ends.device) > self.ends[:, None]  # (rows, width)
        blocked = torch.zeros(beyond.shape, dtype=dtype, device=beyond.device)
        return blocked.masked_fill(beyond, torch.finfo(dtype).min)[:, None, None]
