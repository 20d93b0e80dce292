"""A student as one plain transformers model, its adapter merged into the weights."""

from typing import Any

import torch

from l2r_lite.data.hub import skip_dead_hub
from l2r_lite.loop.student import Student
from l2r_lite.students.four_bit import full_weight
from l2r_lite.students.sources import locate


@torch.no_grad()
def merge(student: Student, dtype: torch.dtype = torch.float32) -> Any:
    """A plain transformers model that computes what the student does: W as rounded, plus α/r · BA.

    Merging into the *original* weights would give another model: the adapter was trained on the
    rounded ones.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    where = locate(student.name)
    with skip_dead_hub(where):
        config = AutoConfig.from_pretrained(where, trust_remote_code=False)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain = dict(model.named_modules())
    base = student.model.get_base_model()
    for name, parameter in base.named_parameters():
        if ".lora_" not in name and ".base_layer." not in name:
            module, _, kind = name.rpartition(".")
            plain[module].get_parameter(kind).copy_(parameter.float())
    for name, layer in base.named_modules():
        if hasattr(layer, "lora_A"):
            update = layer.get_delta_weight("default").float()
            plain[name].weight.copy_(full_weight(layer.base_layer).float() + update)
            if layer.base_layer.bias is not None:
                plain[name].bias.copy_(layer.base_layer.bias.float())
    model.tie_weights()
    model.generation_config = base.generation_config
    return model.to(dtype).eval()
