"""A card with little memory, on a CPU."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TOO_MUCH = "CUDA out of memory. Tried to allocate 2.00 GiB."


class Card(TorchDispatchMode):
    """A card with so many bytes: an operation whose result does not fit beside what is alive raises, as CUDA's does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.used, self.peak, self.alive = size, 0, 0, set[int]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and (key := tensor.untyped_storage()._cdata) not in self.alive:
                storage = tensor.untyped_storage()
                if self.used + storage.nbytes() > self.size:
                    raise torch.OutOfMemoryError(TOO_MUCH)
                self.alive.add(key)
                self.used += storage.nbytes()
                self.peak = max(self.peak, self.used)
                weakref.finalize(storage, self._free, key, storage.nbytes())
        return out

    def _free(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.used -= size


def measured(work: Callable[[], object]) -> int:
    """The bytes that some work needs."""
    gc.collect()
    with Card(10**12) as card:
        work()
    return card.peak
