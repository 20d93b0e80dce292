"""Checks of notebook 02: a block in four bits, bytes of a matrix, LoRA, trainable parameters."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import ceil, floor

import torch
from torch import Tensor
from torch.nn.functional import linear

from l2r_course.checks.base import Case, Program, exercise, judge
from l2r_course.lora import adapter_parameters, lora_forward
from l2r_course.nf4 import quantise_block
from l2r_lite.students.four_bit import LEVELS, four_bit_bytes

FEW = torch.tensor([-1.0, -0.3, 0.0, 0.4, 1.0])  # levels for cases worked out by hand


def _nearest(between: Tensor, levels: Tensor) -> Tensor:
    return (between.unsqueeze(-1) - levels).abs().argmin(-1)


def _divided_by(measure: Program) -> Program:
    """Right, except for the number that the block is divided by; a block of zeros stays one."""

    def function(block: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        scale = measure(block)
        return _nearest(block / scale.where(scale != 0, torch.ones(())), levels), scale

    return function


def _coded_by(code: Program) -> Program:
    """Right, for a block of zeros too, except for how a number in [−1, 1] becomes a code."""

    def function(block: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        scale = block.abs().max()
        return (code(block / scale, levels), scale) if scale else quantise_block(block, levels)

    return function


def _no_guard(code: Program) -> Program:
    return lambda block, levels: (code(block / block.abs().max(), levels), block.abs().max())


def _between_edges(between: Tensor, levels: Tensor) -> Tensor:
    return torch.bucketize(between, (levels[1:] + levels[:-1]) / 2)


EQUAL_STEPS: tuple[Program, ...] = (
    lambda x, levels: ((x + 1) / 2 * (len(levels) - 1)).round(),
    lambda x, _: ((x + 1) * 7.5).round(),
    lambda x, _: (x * 8).round(),
    lambda x, _: (x * 7).round(),
    lambda x, _: (x * 7).round() + 7,
    lambda x, _: (x * 7).round() + 8,
)


@exercise("02.1", "a block in four bits")
def check_quantise_block(my_quantise_block: Program) -> None:
    """Codes of the nearest levels, and the block's absmax as its scale."""
    weights = torch.randn(64, generator=torch.Generator().manual_seed(2))
    cases: list[Case] = [
        (torch.tensor([0.2, -0.08, 0.4, 0.0]), FEW), (torch.tensor([0.2, -0.4, 0.1, 0.0]), FEW),
        (torch.tensor([-0.5, -0.4, -0.1]), FEW), (weights * 0.06, LEVELS), (weights - 3, LEVELS),
        (torch.tensor([-2.0]), LEVELS), (torch.zeros(8), LEVELS)]
    judge("02.1", my_quantise_block, quantise_block, cases, {
        "You divided by the largest number, which may be small or negative. Take the largest "
        "absolute value.": _divided_by(torch.max),
        "You rounded to equally spaced levels. Find the nearest of `levels`, which are denser near "
        "0.": [_coded_by(code) for code in EQUAL_STEPS],
        "You did not divide the block by its scale. The levels are in [−1, 1]; weights need not "
        "be.":
            lambda block, levels: (_nearest(block, levels), block.abs().max()),
        "You took the next level above, not the nearest one. Compare with the midpoints between "
        "levels.": _coded_by(lambda x, levels: torch.bucketize(x, levels)),
        "You took the next level below, not the nearest one. Compare with the midpoints between "
        "levels.": _coded_by(lambda x, levels: torch.bucketize(x, levels, right=True) - 1),
        "These are the levels themselves. A code is the level's index, which fits in 4 bits.":
            _coded_by(lambda x, levels: levels[_nearest(x, levels)]),
        "These are the weights read back, not codes. A code is the level's index, which fits in 4 "
        "bits.":
            lambda b, levels: (levels[quantise_block(b, levels)[0]] * b.abs().max(), b.abs().max()),
        "You returned the scale first. Return the codes, then the scale.":
            lambda block, levels: quantise_block(block, levels)[::-1],
        "The scale has one dimension too many. It is one number per block (no keepdim).":
            lambda block, levels: (
                quantise_block(block, levels)[0], block.abs().max(0, keepdim=True).values),
        "You divided by the mean absolute value, so some numbers are beyond the last level, ±1.":
            _divided_by(lambda block: block.abs().mean()),
        "You divided by the standard deviation, so some numbers are beyond the last level, ±1.":
            _divided_by(lambda block: block.std() if len(block) > 1 else block.abs().max()),
        "A block of zeros has scale 0. Guard the division, but leave the returned scale as it "
        "is.":
            lambda block, levels: (
                quantise_block(block, levels)[0], block.abs().max() or torch.ones(())),
        "0 / 0 is nan, and nan has no nearest level. A block of zeros has scale 0, and all its "
        "codes are those of the level 0.": [_no_guard(_nearest), _no_guard(_between_edges)],
    })


def _bytes(
    *, codes: Callable[[int], float] = lambda n: ceil(n / 2), scale: int = 1, second: int = 4,
    offset: int = 4,
    blocks: Callable[[int, int], int] = lambda rows, columns: ceil(rows * columns / 64),
    whole: float = 1,
) -> Program:
    """Bytes of a matrix with one thing counted in another way."""

    def function(rows: int, columns: int) -> float:
        count = blocks(rows, columns)
        return whole * (codes(rows * columns) + scale * count + second * ceil(count / 256) + offset)

    return function


def _rounded(codes: Program, blocks: Program, second: Program) -> Program:
    """Bytes of a matrix with each of the three counts rounded in its own way."""

    def function(rows: int, columns: int) -> int:
        numbers = rows * columns
        count = blocks(numbers / 64)
        return int(codes(numbers / 2) + count + 4 * second(count / 256) + 4)

    return function


ROUNDED_DOWN: list[Program] = [
    _rounded(*ways) for rounding in (floor, round) for ways in product((ceil, rounding), repeat=3)
    if rounding in ways]


@exercise("02.2", "bytes of a 4-bit matrix")
def check_four_bit_bytes(my_four_bit_bytes: Program) -> None:
    """Codes, scales in 8 bits, the scales' own scales, and their mean."""
    cases: list[Case] = [
        (64, 64), (1, 64), (192, 512), (128, 128), (129, 128), (4096, 4096), (3, 100), (1, 65)]
    judge("02.2", my_four_bit_bytes, lambda rows, columns: four_bit_bytes((rows, columns)), cases, {
        "You forgot the scales. Every block of 64 codes needs one.":
            _bytes(scale=0, second=0, offset=0),
        "You stored every scale in 4 bytes. With double quantisation it takes 1.":
            [_bytes(scale=4, second=0, offset=0), _bytes(scale=4)],
        "You forgot the scales' own scales (4 bytes for 256 of them) and their mean (4 bytes).":
            _bytes(second=0, offset=0),
        "You forgot the mean of the scales, which is subtracted before they are quantised: 4 "
        "bytes per matrix.": _bytes(offset=0),
        "You forgot the scales' own scales: 256 scales share one of 4 bytes.": _bytes(second=0),
        "You used 1 or 4 bytes per code. A code has 4 bits, so two codes share a byte.":
            [_bytes(codes=lambda n: n), _bytes(codes=lambda n: 4 * n)],
        "These are bits. A byte has 8.": _bytes(whole=8),
        "You rounded a count down. A shorter last block needs a scale, too, and an odd last code "
        "needs a byte. Round up.":
            ROUNDED_DOWN,
        "Part of a byte or of a scale cannot be stored. Round each count up.":
            [lambda r, c: r * c / 2 + r * c / 64 + 4 * r * c / 64 / 256 + 4,
             lambda r, c: int(r * c / 2 + r * c / 64 + 4 * r * c / 64 / 256 + 4),
             lambda r, c: ceil(r * c / 2 + r * c / 64 + 4 * r * c / 64 / 256 + 4)],
        "Blocks continue from one row to the next. Round up once per matrix, not once per row.":
            _bytes(blocks=lambda rows, columns: rows * ceil(columns / 64)),
        "256 scales share a scale, not 256 weights. There are 64 times fewer of these.":
            lambda r, c: ceil(r * c / 2) + ceil(r * c / 64) + 4 * ceil(r * c / 256) + 4,
    })


def _scaled(factor: Program) -> Program:
    """LoRA with the update times factor(α, r, in, out) in place of α/r."""

    def function(x: Tensor, weight: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
        return linear(x, weight) + factor(alpha, len(a), a.shape[1], len(b)) * (x @ a.T @ b.T)

    return function


def _numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@exercise("02.3", "LoRA, the forward pass")
def check_lora(my_lora: Program) -> None:
    """y = W x + (α/r) · B A x, for one vector and for many."""
    eye, vector = torch.eye(2), torch.tensor([1.0, 2.0])
    one, down = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0], [0.0]])
    # In 4, out 3, rank 2.
    wide = (_numbers(3, 4, seed=2), _numbers(2, 4, seed=3), _numbers(3, 2, seed=4))
    square = (_numbers(4, 4, seed=5), _numbers(2, 4, seed=6), _numbers(4, 2, seed=7))
    cases: list[Case] = [
        (vector, eye, one, down, 2.0), (vector, eye, one, torch.zeros(2, 1), 2.0),
        (_numbers(4, seed=8), *wide, 8.0), (_numbers(5, 4, seed=9), *wide, 1.0),
        (_numbers(2, 3, 4, seed=10), *square, 16.0), (torch.zeros(4), *square, 4.0)]
    judge("02.3", my_lora,
          lambda x, weight, a, b, alpha: lora_forward(x, weight, a, b, alpha=alpha), cases,
          {
              "You forgot the factor α/r before the update.": _scaled(lambda alpha, *_: 1.0),
              "You multiplied by α but did not divide by the rank r.":
                  _scaled(lambda alpha, *_: alpha),
              "You divided by r but did not multiply by α.": _scaled(lambda _, r, *__: 1 / r),
              "Your factor is upside down. It is α/r, not r/α.":
                  _scaled(lambda alpha, r, *_: r / alpha),
              "You divided by a layer's width. The rank r is the number of rows of A.":
                  [_scaled(lambda alpha, r, n, m: alpha / n),
                   _scaled(lambda alpha, r, n, m: alpha / m)],
              "You swapped A and B. x goes through A first, down to r numbers, then through B.":
                  lambda x, w, a, b, alpha: x @ w.T + alpha / len(a) * (x @ b @ a),
              "You left out W x. The frozen layer still contributes.":
                  lambda x, w, a, b, alpha: alpha / len(a) * (x @ a.T @ b.T),
              "The factor α/r belongs to the update only. Yours scales W x, too.":
                  lambda x, w, a, b, alpha: alpha / len(a) * (x @ w.T + x @ a.T @ b.T),
              "W is (out, in). Multiply x by its transpose, x @ W.T, or use "
              "torch.nn.functional.linear.":
                  lambda x, w, a, b, alpha: x @ w + alpha / len(a) * (x @ a.T @ b.T),
              "`weight @ x` works for one vector only. x may have batch and time before its last "
              "dimension, and x @ weight.T handles them.":
                  lambda x, w, a, b, alpha: w @ x + alpha / len(a) * (b @ (a @ x)),
          })


@exercise("02.4", "how many parameters train")
def check_trainable(my_trainable: Program) -> None:
    """Σ r · (in + out) over the matrices that have an adapter."""
    pocket = 4 * ([(192, 192)] * 4 + [(512, 192)] * 2 + [(192, 512)])
    cases: list[Case] = [([(2, 3)], 1), ([(192, 512)], 16), ([(8, 8), (8, 8)], 2), (pocket, 16),
                         ([(4, 4)], 64), ([], 16)]
    judge("02.4", my_trainable, adapter_parameters, cases, {
        "You counted the base weights, too. They are frozen.":
            lambda shapes, r: sum(n * m + r * (n + m) for n, m in shapes),
        "You counted the base weights, which are frozen. Only A and B train.":
            lambda shapes, r: sum(n * m for n, m in shapes),
        "You counted only A, r × in. B, out × r, trains, too.":
            lambda shapes, r: sum(r * m for _, m in shapes),
        "You counted only B, out × r. A, r × in, trains, too.":
            lambda shapes, r: sum(r * n for n, _ in shapes),
        "A has r · in numbers and B has out · r. Their counts are added, not multiplied.":
            [lambda shapes, r: sum(r * n * m for n, m in shapes),
             lambda shapes, r: sum(r * n * r * m for n, m in shapes)],
        "You forgot the rank. A has r rows, and B has r columns.":
            lambda shapes, r: sum(n + m for n, m in shapes),
        "You counted one matrix only. Every matrix has its own A and B.":
            lambda shapes, r: r * sum(shapes[0]) if shapes else 0,
        "You counted each different shape once. Every matrix has its own A and B.":
            lambda shapes, r: sum(r * (n + m) for n, m in set(shapes)),
        "These are bytes (4 per number, or 16 with gradient and Adam's moments). The exercise asks "
        "how many numbers train.":
            [lambda shapes, r: 4 * adapter_parameters(shapes, r),
             lambda shapes, r: 16 * adapter_parameters(shapes, r)],
    })
