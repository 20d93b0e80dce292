"""Merge a student's adapter into its weights, as one plain transformers model."""

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from l2r_lite.data.hub import skip_dead_hub
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.student import Student
from l2r_lite.students.four_bit import full_weight
from l2r_lite.students.sources import locate, model_config

# Largest relative difference of logits that rounding explains.
_ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-3}
_ROUNDING_16_BIT = 0.15


@torch.no_grad()
def merge(student: Student, dtype: torch.dtype = torch.float32) -> Any:
    """A plain transformers model that computes the same as the student: rounded W plus α/r · BA.

    Merging into the *original* weights would give a different model: the adapter was trained with
    the rounded ones.

    Raises:
        StudentError: the merged model's logits differ from the student's.
    """
    from transformers import AutoModelForCausalLM

    where = locate(student.name)
    with skip_dead_hub(where):
        config = model_config(where)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain = dict(model.named_modules())
    base = student.model.get_base_model()
    for name, parameter in base.named_parameters():
        if ".lora_" not in name and ".base_layer." not in name:
            module, _, kind = name.rpartition(".")
            plain[module].get_parameter(kind).copy_(parameter.float())
    for name, layer in base.named_modules():
        if hasattr(layer, "lora_A"):
            _merge_layer(layer, plain[name.replace(".base_layer", "")])
    model.tie_weights()
    model.generation_config = base.generation_config
    model = model.eval()
    _check_merged(student, model)
    return model.to(dtype)


def _check_merged(student: Student, merged: Any) -> None:
    ids = torch.tensor([student.encode("Question: 2 + 3?\nAnswer:")[0]])
    student.model.eval()
    logits = student.model(input_ids=ids.to(student.device)).logits.float().cpu()
    off = (merged(input_ids=ids).logits - logits).norm() / logits.norm()
    if not off < _ROUNDING.get(student.dtype, _ROUNDING_16_BIT):
        raise StudentError(
            f'student "{student.name}": its adapter cannot be merged into this kind of model '
            f"({student.model.config.model_type}): the logits differ by {off:.0%}. Load the base "
            "model and the adapter with peft's PeftModel.from_pretrained instead.")


def _merge_layer(layer: Any, plain: Any) -> None:
    """Write a layer's rounded weight and its update into the layer of the plain model.

    In a mixture of experts, peft adapts experts and routers as nested parameters of any name.
    """
    original = layer.get_base_layer()
    name = getattr(layer, "parameter_name", "weight")
    update = layer.get_delta_weight("default").float()
    rounded = full_weight(original) if name == "weight" else getattr(original, name)
    merged = rounded.float() + update
    target = getattr(plain, name)
    # bitsandbytes stores GPT-2's layers (in, out) as linear ones (out, in).
    target.copy_(merged.T if isinstance(plain, Conv1D) and _is_linear(original) else merged)
    if getattr(original, "bias", None) is not None:
        plain.bias.copy_(original.bias.float())


def _is_linear(layer: Any) -> bool:
    return isinstance(layer, torch.nn.Linear)
