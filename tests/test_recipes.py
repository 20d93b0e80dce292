"""The arithmetic of the recipes against operations that torch counts, and its results for the presets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from l2r_course.recipes import CARDS, PROMPT, SHARE, T4, WRITTEN, exam_bytes, expect, training_operations
from l2r_lite.app.ledger import step_peak
from l2r_lite.app.planner import student_shape
from l2r_lite.students.presets import PRESETS


def skeleton(shape: Any, layers: int, rank: int) -> Any:
    """A student of so many layers with its adapter, without any memory."""
    fields = {**shape.to_diff_dict(), "model_type": shape.model_type, "num_hidden_layers": layers, "layer_types": None}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields), dtype=torch.float16)
        return get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_operations_are_those_that_torch_counts(checkpointing: bool) -> None:
    config = PRESETS["t4"].with_(gradient_checkpointing=checkpointing)
    shape = student_shape(config.student)
    counted = []
    for layers in (1, 2):  # layers are alike
        model = skeleton(shape, layers, config.lora_rank)
        with FlopCounterMode(display=False) as counter:
            step_peak(model, 1, PROMPT + 3 * WRITTEN, PROMPT + 2 * WRITTEN, checkpointing, torch.float16)  # one item
        counted.append(counter.get_total_flops())
    whole = counted[0] + (counted[1] - counted[0]) * (shape.num_hidden_layers - 1)
    items = config.limit * SHARE * config.lessons * (config.epochs + config.replay)
    assert training_operations(config, expect(config, T4).plan) / items == pytest.approx(whole, rel=0.15)


def test_more_work_takes_longer_and_a_better_card_less() -> None:
    config = PRESETS["t4"]
    hours = [expect(config, card).hours for card in CARDS]
    assert all(best < worst for best, worst in hours) and hours[2] < hours[0] < hours[1]
    plan = expect(config, T4).plan
    assert training_operations(config.with_(limit=200), plan) == pytest.approx(training_operations(config, plan) / 10)
    assert exam_bytes(config.with_(exam_rows=32), plan) == 2 * exam_bytes(config, plan)


def test_every_preset_for_a_card_fits_one_of_those_it_is_meant_for() -> None:
    assert all(expect(PRESETS["t4"], card).fits for card in CARDS)
    assert all(expect(PRESETS[name], card).fits for name in ("consumer", "paper") for card in CARDS[1:])
