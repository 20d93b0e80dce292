"""NF4: bitsandbytes agrees with plain torch; where it does not, the student is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import create_dynamic_map, dequantize_4bit, quantize_4bit
from bitsandbytes.nn import Linear4bit, Params4bit
from safetensors import safe_open
from torch import nn

from l2r_course import pretrain
from l2r_course.nf4 import (
    INT4,
    double_quantise,
    eight_bit_levels,
    normal_levels,
    quantise,
    quantise_block,
    round_to_levels,
    round_to_nf4,
)  # fmt: skip
from l2r_lite.loop.errors import StudentError
from l2r_lite.students.four_bit import (
    BLOCK,
    LEVELS,
    check_four_bit_layers,
    dequantise,
    four_bit_bytes,
    four_bit_layers,
    relative_error,
)
from l2r_lite.students.loading import load_student
from l2r_lite.students.sources import POCKET
from tiny_student import build_tiny

SHAPES = [(64, 64), (1, 64), (3, 128), (192, 512), (576, 192), (100, 320)]


def quantised(shape: tuple[int, int], *, nested: bool, seed: int = 0):  # noqa: ANN202
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1
    packed, state = quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4", compress_statistics=nested)
    return weight, packed, state


def test_a_weight_in_plain_torch_equals_what_bitsandbytes_reads() -> None:
    for shape, nested in product(SHAPES, (False, True)):
        weight, packed, state = quantised(shape, nested=nested)
        theirs, ours = dequantize_4bit(packed, state), dequantise(packed, state)
        assert ours.shape == weight.shape
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
        assert (ours - weight).norm() / weight.norm() < 0.11  # 4 bits keep nine tenths of a Gaussian weight
        if not nested:
            assert torch.equal(round_to_nf4(weight), theirs)


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


def test_the_levels_are_sorted_quantiles_of_a_normal_distribution_with_0_and_both_ones() -> None:
    assert len(LEVELS) == 16 and LEVELS[7] == 0
    assert torch.equal(LEVELS.sort().values, LEVELS) and LEVELS[0] == -1 and LEVELS[-1] == 1
    torch.testing.assert_close(normal_levels(), LEVELS, rtol=0, atol=2e-7)  # bitsandbytes made its table in fp32


def test_the_scales_levels_are_those_of_bitsandbytes() -> None:
    assert torch.equal(eight_bit_levels(), create_dynamic_map())


def test_a_block_is_stored_as_its_absmax_and_the_nearest_levels() -> None:
    block = torch.tensor([0.2, -0.08, -0.4, 0.0])
    codes, scale = quantise_block(block, torch.tensor([-1.0, -0.3, 0.0, 0.4, 1.0]))
    assert codes.tolist() == [3, 1, 0, 2] and scale == block.abs().max()


def test_a_block_of_zeros_has_scale_0_and_no_nan() -> None:
    codes, scale = quantise_block(torch.zeros(2, 8))
    assert (LEVELS[codes] == 0).all() and scale.tolist() == [0, 0]


def test_a_matrix_quantised_by_hand_equals_bitsandbytes_to_the_bit() -> None:
    for shape in [*SHAPES, (192, 192), (2048, 64)]:
        weight, packed, state = quantised(shape, nested=True)
        ours = quantise(weight)
        assert torch.equal(ours.packed, packed.view(-1))
        if ours.scales.second.any():  # a single block is its own mean: bitsandbytes writes code 0 there, and 0 · 0 = 0
            assert torch.equal(ours.scales.codes, state.absmax.view(-1))
        assert torch.equal(ours.scales.second, state.state2.absmax) and ours.scales.offset == state.offset
        assert torch.equal(ours.numbers(), dequantize_4bit(packed, state))


def test_scales_look_up_the_nearest_level_or_bitsandbytes_table() -> None:
    scales = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    nearest, looked_up = double_quantise(scales, table=0), double_quantise(scales)
    differ = (nearest.codes != looked_up.codes).float().mean()
    assert 0 < differ < 0.01  # only scales near the middle between two levels
    off = [(s.numbers() - scales).abs() for s in (nearest, looked_up)]
    assert (off[0] <= off[1] + 1e-7).all() and off[1].max() < 0.01


def test_bytes_are_those_that_bitsandbytes_keeps() -> None:
    for shape in [*SHAPES, (2048, 64)]:
        _, packed, state = quantised(shape, nested=True)
        kept = (packed, state.absmax, state.state2.absmax, state.offset.reshape(-1))
        assert four_bit_bytes(shape) == sum(t.numel() * t.element_size() for t in kept)
    assert four_bit_bytes((1, 65)) == 33 + 2 + 4 + 4  # a last block that is shorter


def test_nf4_loses_less_of_a_normal_weight_than_integers_and_small_blocks_less_than_large_ones() -> None:
    weight = quantised((192, 512), nested=False)[0]
    nf4, int4 = ([relative_error(weight, round_to_levels(weight, levels, b)) for b in (64, 512)] for levels in (LEVELS, INT4))
    assert nf4[0] < nf4[1] < int4[1] and nf4[0] < int4[0] < int4[1]
    assert relative_error(weight, weight) == 0 and relative_error(weight, 0 * weight, weight > 0) == 1


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
            load_student(str(folder), device="cpu")
        assert load_student(str(folder), device="cpu", four_bit=False)
    else:
        check_four_bit_layers(load_student(str(folder), device="cpu").model, "wide")


def test_all_sizes_of_the_pocket_student_are_multiples_of_64() -> None:
    assert pretrain.HIDDEN % 64 == pretrain.INTERMEDIATE % 64 == 0
    config = json.loads((POCKET / "config.json").read_text())
    assert config["hidden_size"] % 64 == config["intermediate_size"] % 64 == 0
    for file in POCKET.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                shape = weights.get_slice(name).get_shape()
                assert len(shape) == 1 or shape[-1] % 64 == 0, name


def test_bitsandbytes_asks_for_no_further_package_when_it_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", "import l2r_lite, bitsandbytes"], capture_output=True, text=True, check=True)
    assert "pip install" not in done.stdout + done.stderr  # it would on a CPU with AVX512-BF16
