"""Count the memory of a training step without allocating any.

The real layers run on fake tensors, which have a shape and a dtype but no data.

Private names of torch are used here and nowhere else: `torch._subclasses.fake_tensor`,
`torch.utils._python_dispatch`, `torch.utils._pytree`, `UntypedStorage._cdata`, and
`Module._parameters` and `_buffers`. Known to work with torch 2.13.0; tests/test_patches.py fails
when a release changes them.
"""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from l2r_lite.students.folding import joined


def step_peak(
    model: Any, rows: int, length: int, targets: int, checkpointing: bool, dtype: torch.dtype
) -> int:
    """The most bytes that a training step uses at once, without the weights.

    Args:
        model: a peft model on the meta device; its weights are replaced.
        rows, length: of the packed batch.
        targets: tokens that are projected onto the vocabulary.
    """
    base = model.get_base_model()
    with _fake_weights(model) as weights, joined(model, dtype), Ledger(weights) as ledger:
        if checkpointing:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        zeros = torch.zeros(rows, length, dtype=torch.long)
        mask = torch.zeros(rows, 1, length, length, dtype=dtype)
        out = base.base_model(
            input_ids=zeros, attention_mask=mask, position_ids=zeros, use_cache=False)
        hidden = out.last_hidden_state
        # As in training, only tokens with a label are projected onto the vocabulary.
        picked = hidden.reshape(rows * length, -1)[torch.zeros(targets, dtype=torch.long)]
        logits = base.get_output_embeddings()(picked).float()
        loss = nn.functional.cross_entropy(logits, torch.zeros(targets, dtype=torch.long))
        del logits  # as in training: only what cross_entropy keeps of them stays in memory
        loss = loss + hidden[:, -1].float().mean()
        loss.backward()
    return ledger.peak


def read_peak(model: Any, rows: int, length: int, dtype: torch.dtype) -> int:
    """The most bytes that reading prompts in an exam uses at once, without the weights.

    Args:
        model: a peft model on the meta device; its weights are replaced.
        rows, length: prompts that are read together, and their tokens.
    """
    from transformers import DynamicCache

    base = model.get_base_model()
    model.eval()
    with _fake_weights(model) as weights, joined(model, dtype), Ledger(weights) as ledger:
        ids, cache = torch.zeros(rows, length, dtype=torch.long), DynamicCache()
        with torch.no_grad():
            base.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
    return ledger.peak


@contextmanager
def _fake_weights(model: Any) -> Iterator[list[torch.Tensor]]:
    """Replace every weight by a fake tensor on the CPU, so that the CPU's kernels are chosen."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        made: dict[torch.Tensor, torch.Tensor] = {}  # tied weights stay tied
        for module in model.modules():
            for group in (module._parameters, module._buffers):
                for name, tensor in group.items():
                    if tensor is None:
                        continue
                    if tensor not in made:
                        made[tensor] = _fake(tensor)
                    group[name] = made[tensor]
        yield list(made.values())


def _fake(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty


class Ledger(TorchDispatchMode):
    """Counts the bytes of the tensors that are made while it is active and are still alive.

    Args:
        known: tensors that are not counted.

    Attributes:
        now, peak: bytes alive at present, and the most so far.
    """

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
                    weakref.finalize(storage, self._freed, key, size)
        return out

    def _freed(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.now -= size
