"""NF4: bitsandbytes does what plain torch says, and where it does not, a student is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from bitsandbytes.nn import Linear4bit, Params4bit
from conftest import build_tiny
from safetensors import safe_open
from torch import nn

from l2r_lite.nf4 import BLOCK, LEVELS, check_four_bit_layers, dequantise, four_bit_layers, round_to_nf4
from l2r_lite.pocket import pretrain
from l2r_lite.sources import POCKET, StudentError
from l2r_lite.student import Student

SHAPES = [(64, 64), (1, 64), (3, 128), (192, 512), (576, 192), (100, 320)]


def quantised(shape: tuple[int, int], *, nested: bool, seed: int = 0):  # noqa: ANN202
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1
    packed, state = quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4", compress_statistics=nested)
    return weight, packed, state


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nested", [False, True], ids=["plain absmax", "double quantisation"])
def test_a_weight_in_plain_torch_equals_what_bitsandbytes_reads(shape: tuple[int, int], nested: bool) -> None:
    weight, packed, state = quantised(shape, nested=nested)
    theirs, ours = dequantize_4bit(packed, state), dequantise(packed, state)
    assert ours.shape == weight.shape
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert (ours - weight).norm() / weight.norm() < 0.11  # 4 bits keep nine tenths of a Gaussian weight


@pytest.mark.parametrize("shape", SHAPES)
def test_rounding_to_nf4_equals_quantising_and_reading_back(shape: tuple[int, int]) -> None:
    weight, packed, state = quantised(shape, nested=False)
    assert torch.equal(round_to_nf4(weight), dequantize_4bit(packed, state))


def test_rounding_to_nf4_twice_changes_nothing_more() -> None:
    once = round_to_nf4(quantised((64, 128), nested=False)[0])
    torch.testing.assert_close(round_to_nf4(once), once)


def test_rounding_keeps_zeros_and_each_blocks_largest_number() -> None:
    weight = quantised((4, 64), nested=False)[0]
    weight[1] = 0
    rounded = round_to_nf4(weight)
    assert not rounded[1].any() and rounded.isfinite().all()
    largest = weight.abs().argmax(1)
    kept = rounded[torch.arange(4), largest]
    # a negative largest number is stored exactly (level −1), a positive one too (level 1)
    torch.testing.assert_close(kept, weight[torch.arange(4), largest])


def test_the_sixteen_levels_are_the_quantiles_format_of_qlora() -> None:
    assert len(LEVELS) == 16 and LEVELS[7] == 0
    assert torch.equal(LEVELS.sort().values, LEVELS) and LEVELS[0] == -1 and LEVELS[-1] == 1


def four_bit_model(width: int = 64) -> nn.Module:
    layer = Linear4bit(width, 64, bias=False, quant_type="nf4", compress_statistics=True)
    torch.manual_seed(0)
    layer.weight = Params4bit(torch.randn(64, width), requires_grad=False, quant_type="nf4", compress_statistics=True)
    model = nn.ModuleDict({"first": nn.Linear(8, 8), "second": layer})
    return model.to("cpu")


def test_a_model_that_is_read_rightly_passes_the_check() -> None:
    model = four_bit_model(128)
    assert list(four_bit_layers(model)) == ["second"]
    check_four_bit_layers(model, "mine")


def test_a_layer_that_bitsandbytes_reads_wrongly_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes.functional

    real = bitsandbytes.functional.dequantize_4bit

    def with_shifted_blocks(packed, state):  # noqa: ANN001, ANN202 - what 0.50.2 does to widths like 160
        values = real(packed, state)
        return values.reshape(-1, BLOCK).roll(1, 0).view_as(values)

    monkeypatch.setattr(bitsandbytes.functional, "dequantize_4bit", with_shifted_blocks)
    with pytest.raises(StudentError, match=r'student "mine".*second \(64, 64\) wrongly.*multiples of 64'):
        check_four_bit_layers(four_bit_model(), "mine")


def test_a_student_of_hidden_size_160_is_refused_on_a_cpu_or_read_rightly(tmp_path: Path) -> None:
    """bitsandbytes 0.50.2 on a CPU reads it wrongly; a version that does not may load it."""
    folder = build_tiny(tmp_path / "wide", hidden=160)
    weight = torch.randn(160, 160, generator=torch.Generator().manual_seed(0))
    packed, state = quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4", compress_statistics=False)
    is_wrong = (dequantize_4bit(packed, state) - weight).norm() / weight.norm() > 0.15
    if is_wrong:
        with pytest.raises(StudentError, match=r"4-bit layer model\.layers\.0\.\S+ \(\d+, \d+\) wrongly"):
            Student.load(str(folder), device="cpu")
        assert Student.load(str(folder), device="cpu", four_bit=False)
    else:
        check_four_bit_layers(Student.load(str(folder), device="cpu").model, "wide")


def test_all_sizes_of_the_pocket_student_are_multiples_of_64() -> None:
    assert pretrain.HIDDEN % 64 == pretrain.INTERMEDIATE % 64 == 0
    config = json.loads((POCKET / "config.json").read_text())
    assert config["hidden_size"] % 64 == config["intermediate_size"] % 64 == 0
    for file in POCKET.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                shape = weights.get_slice(name).get_shape()
                assert len(shape) == 1 or shape[-1] % 64 == 0, name
