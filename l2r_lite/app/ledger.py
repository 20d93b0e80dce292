"""Counting the memory of a training step without memory: the real layers run on tensors that have a shape but no bytes."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from l2r_lite.students.folding import joined


def step_peak(model: Any, rows: int, length: int, targets: int, checkpointing: bool, dtype: torch.dtype) -> int:
    """The highest number of bytes that a training step holds beside its weights, counted without computing anything.

    Args:
        model: a peft model on the meta device; its weights are replaced.
        rows, length: of the packed batch.
        targets: tokens that are projected onto the vocabulary.
    """
    with _weightless(model) as weights, joined(model, dtype), Ledger(weights) as ledger:
        if checkpointing:
            model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        base = model.get_base_model()
        zeros = torch.zeros(rows, length, dtype=torch.long)
        mask = torch.zeros(rows, 1, length, length, dtype=dtype)
        hidden = base.base_model(input_ids=zeros, attention_mask=mask, position_ids=zeros, use_cache=False).last_hidden_state
        picked = hidden.reshape(rows * length, -1)[torch.zeros(targets, dtype=torch.long)]
        logits = base.get_output_embeddings()(picked).float()  # as in training.losses: only where a label needs it
        loss = nn.functional.cross_entropy(logits, torch.zeros(targets, dtype=torch.long)) + hidden[:, -1].float().mean()
        loss.backward()
    return ledger.peak


@contextmanager
def _weightless(model: Any) -> Iterator[list[torch.Tensor]]:
    """Give every weight a shape and a device but no memory, so that a CPU's own kernels are chosen and none runs."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        made: dict[Any, Any] = {}
        for module in model.modules():
            for group in (module._parameters, module._buffers):
                for name, tensor in group.items():
                    if tensor is not None and tensor not in made:
                        empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                        made[tensor] = (
                            nn.Parameter(empty, requires_grad=tensor.requires_grad)
                            if isinstance(tensor, nn.Parameter) else empty
                        )  # fmt: skip
                    group[name] = None if tensor is None else made[tensor]
        yield list(made.values())


class Ledger(TorchDispatchMode):
    """Counts the bytes of all tensors alive that were made while it is on, and their highest sum; `known` ones are free."""

    def __init__(self, known: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.alive = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if key not in self.alive:
                    self.alive.add(key)
                    self.now += size
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, key, size)
        return out

    def _gone(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.now -= size
