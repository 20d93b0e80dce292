"""LoRA by hand against peft."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from l2r_course.lora import adapter_parameters, lora_forward
from l2r_lite.students.loading import load_student


@pytest.mark.parametrize(("rank", "alpha"), [(1, 1), (4, 8), (16, 4)])
def test_the_forward_pass_by_hand_equals_pefts(rank: int, alpha: int) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(12, 7, bias=False)
    weight = plain.weight.detach().clone()
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"])
    layer = get_peft_model(nn.Sequential(plain), config).base_model.model[0]
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    x = torch.randn(2, 5, 12)
    assert torch.equal(layer(x), plain(x))  # a fresh adapter adds nothing
    nn.init.normal_(b)
    torch.testing.assert_close(lora_forward(x, weight, a, b, alpha=alpha), layer(x))


def test_numbers_that_train_are_those_of_a_student() -> None:
    student = load_student("pocket", four_bit=False, lora_rank=4)
    shapes = [tuple(m.weight.shape) for name, m in student.model.named_modules() if name.endswith("base_layer")]
    assert len(shapes) == 28
    assert adapter_parameters(shapes, 4) == sum(p.numel() for p in student.trainable.values())
