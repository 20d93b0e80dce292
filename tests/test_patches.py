"""Monkeypatches: each is needed, and does its job. A failure here may mean that a library has fixed the fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

NO_BF16_REPACKING = not (torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported())


def layer(width: int = 256) -> nn.Module:
    from bitsandbytes.nn import Linear4bit

    made = Linear4bit(width, width, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4", compress_statistics=True)
    made.weight.data = torch.randn(width, width, generator=torch.Generator().manual_seed(0))
    return made.to("cpu")  # quantises


def gradient_after_an_exam(made: nn.Module) -> torch.Tensor:
    x = torch.randn(8, 256, generator=torch.Generator().manual_seed(1), dtype=torch.bfloat16)
    with torch.no_grad():
        made.eval()(x)
    learnt = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(made.train()(learnt).float().sum(), learnt, allow_unused=True)
    return torch.zeros_like(x) if found is None else found


@pytest.mark.skipif(NO_BF16_REPACKING, reason="this CPU has no AVX512-BF16, so bitsandbytes repacks nothing")
def test_bitsandbytes_still_repacks_weights_and_the_patch_still_keeps_it_from_that() -> None:
    from l2r_lite.students.bitsandbytes_layout import keep_plain_layout
    from l2r_lite.students.four_bit import dequantise

    kept, repacked = layer(), layer()
    weight = dequantise(kept.weight.data, kept.weight.quant_state)
    true = torch.ones(8, 256) @ weight
    keep_plain_layout(nn.ModuleList([kept]))
    after, lost = gradient_after_an_exam(kept).float(), gradient_after_an_exam(repacked).float()
    assert torch.cosine_similarity(after.flatten(), true.flatten(), 0) > 0.99, "the patch no longer works"
    assert torch.cosine_similarity(lost.flatten(), true.flatten(), 0) < 0.9, (
        "bitsandbytes' repacked layout has a right gradient now: students/bitsandbytes_layout.py is no longer needed")


def modules_after(code: str) -> set[str]:
    told = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU bitsandbytes is imported as usual")
def test_bitsandbytes_still_imports_torchs_compiler_and_the_patch_still_keeps_it_from_that() -> None:
    quick = modules_after("from l2r_lite.students.quick_import import import_quickly; import_quickly()")
    assert "bitsandbytes" in quick and "torch._inductor" not in quick and "torch._dynamo" not in quick, "no longer works"
    usual = modules_after("import bitsandbytes")
    assert "torch._dynamo" in usual, "bitsandbytes no longer loads the compiler: students/quick_import.py is not needed"


def test_the_compiler_is_itself_again_after_the_import() -> None:
    code = ("import torch; before = torch.compile; from l2r_lite.students.quick_import import import_quickly; "
            "import_quickly(); assert torch.compile is before")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


class Products(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += any(name in str(func) for name in (".mm", "addmm", "bmm", "linear"))
        return func(*args, **(kwargs or {}))


def test_peft_still_takes_the_detour_and_the_folded_layers_still_agree_with_it(load_tiny: Callable) -> None:
    """Folding replaces the forward functions of peft's LoRA layers; in the end they are peft's own again."""
    from peft.tuners.lora import LoraLayer

    from l2r_lite.students.folding import folded, joined

    student = load_tiny(wake=True)
    layers = [m for m in student.model.modules() if isinstance(m, LoraLayer)]
    ids = torch.arange(5, 25)[None]

    def hidden() -> torch.Tensor:
        return student.decoder(input_ids=ids).last_hidden_state

    with torch.no_grad():
        student.model.eval()
        peft = hidden()
        for context in (folded, joined):
            with context(student.model, student.dtype):
                assert all("forward" in vars(one) for one in layers), "the patch no longer reaches peft's layers"
                assert torch.allclose(hidden(), peft, rtol=1e-4, atol=1e-4), "folded layers answer otherwise than peft"
            assert not any("forward" in vars(one) for one in layers)
    plain = load_tiny(wake=True, four_bit=False).model.eval()
    with torch.no_grad(), Products() as detour:
        plain(input_ids=ids)
    with folded(plain, torch.float32), Products() as direct:
        plain(input_ids=ids)
    assert detour.count == direct.count + 2 * len(layers), "peft takes no detour any more: folding.py is not needed"


def test_the_private_names_of_torch_that_the_ledger_uses_are_still_there() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._pytree import tree_leaves

    storage = torch.zeros(3).untyped_storage()
    assert isinstance(storage._cdata, int) and storage.nbytes() == 12
    module = nn.Linear(2, 2)
    assert set(module._parameters) == {"weight", "bias"} and module._buffers == {}
    assert FakeTensorMode and TorchDispatchMode and tree_leaves([1, (2,)]) == [1, 2]
