"""Checks of notebook 07: token weights, cross-entropy, the mask, the joint loss, a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from l2r_course.checks.base import Case, Program, exercise, judge, judge_answer
from l2r_lite.loop.losses import PROMPT_WEIGHT
from l2r_lite.students.rows import Packed

W = PROMPT_WEIGHT


def _of_tokens(p: int, r: int, pad: int, w: float = W) -> list[float]:
    """The weight of each token at its own position: prompt, rationale, padding."""
    return [w] * p + [1.0] * r + [0.0] * pad


def _weights(p: int, r: int, pad: int, w: float = W) -> list[float]:
    # The logits at position t predict token t + 1; nothing follows the last one.
    return [*_of_tokens(p, r, pad, w)[1:], 0.0]


def _first_padding_counts(p: int, r: int, pad: int, w: float = W) -> list[float]:
    return _weights(p, r + 1, pad - 1, w) if pad else _weights(p, r, pad, w)


@exercise("07.1", "which prediction counts how much")
def check_weights(my_weights: Program) -> None:
    cases = [(3, 2, 2), (2, 3, 0), (1, 2, 1), (4, 1, 0), (3, 0, 2), (2, 2, 1, 1.0), (3, 2, 1, 0.0)]
    judge("07.1", my_weights, _weights, cases, {
        "You put each token's weight at its own position. The logits at position t predict token "
        "t + 1: shift by one.": _of_tokens,
        "You shifted in the wrong direction: entry t weights the token *after* position t.":
            lambda p, r, pad, w=W: [0.0, *_of_tokens(p, r, pad, w)[:-1]],
        "Your padding counts. Padding only makes rows equally long: weight 0.":
            lambda p, r, pad, w=W: _weights(p, r + pad, 0, w),
        "In yours the last real token learns to predict the first padding token: weight 0 there.":
            _first_padding_counts,
        "Your prompt tokens weigh as much as the rationale's. Their weight is prompt_weight, by "
        f"default {PROMPT_WEIGHT}.":
            lambda p, r, pad, w=W: _weights(p, r, pad, 1.0),
        "Your prompt does not count at all. Its weight is prompt_weight: small, but not 0.":
            lambda p, r, pad, w=W: _weights(p, r, pad, 0.0),
        "You ignore the argument prompt_weight.":
            lambda p, r, pad, w=W: _weights(p, r, pad),
        "Your list is one entry short. The last position has logits too; they predict nothing: "
        "weight 0.": lambda *case: _weights(*case)[:-1],
    })


def _token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    # (rows, length)
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(
        labels.shape)


def _lm_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (_token_loss(logits, labels) * weights).sum() / weights.sum()


def _mean_of_rows(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return ((_token_loss(logits, labels) * weights).sum(1) / weights.sum(1)).nanmean()


def _softmax_twice(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return _lm_loss(logits.softmax(-1), labels, weights)


def _log_of_softmax(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    loss = -logits.softmax(-1).log().gather(-1, labels[..., None])[..., 0]
    return (loss * weights).sum() / weights.sum()


def _one_minus_p(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    loss = 1 - logits.softmax(-1).gather(-1, labels[..., None])[..., 0]
    return (loss * weights).sum() / weights.sum()


def _lm_cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(6)
    made = []
    tables = (
        [[1.0, 1.0]], [[0.1, 1.0, 1.0]], [[1.0]], [[0.1, 1.0, 0.0], [0.1, 0.0, 0.0]],
        [[0.1, 0.1, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], [[0.5, 2.0], [1.0, 0.0], [0.1, 0.1]])
    for weights in map(torch.tensor, tables):
        logits = (2 * torch.randn(*weights.shape, 3, generator=draw)).round(decimals=1)
        labels = torch.randint(3, tuple(weights.shape), generator=draw)
        made.append((logits, labels, weights))
    # p is 0 in floating point, and log p is −200.
    far = torch.tensor([[[200.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    return [*made, (far, torch.tensor([[1, 1]]), torch.tensor([[1.0, 1.0]]))]


@exercise("07.2", "the weighted cross-entropy")
def check_lm_loss(my_lm_loss: Program) -> None:
    judge("07.2", my_lm_loss, _lm_loss, _lm_cases(), {
        "You divided by the number of tokens. For a weighted mean, divide by the sum of the "
        "weights.": lambda *c: (_token_loss(*c[:2]) * c[2]).mean(),
        "You divided by the number of tokens that count. Divide by the sum of their weights: ten "
        "tokens of weight 0.1 count as one.":
            lambda *c: (_token_loss(*c[:2]) * c[2]).sum() / (c[2] > 0).sum(),
        "This is the mean over all tokens: you do not use the weights, and padding counts.":
            lambda *c: _token_loss(*c[:2]).mean(),
        "This is the mean over all tokens with a weight above 0: use the weights themselves.":
            lambda *c: _token_loss(*c[:2])[c[2] > 0].mean(),
        "You did not divide: the loss must not grow with the number of tokens.":
            lambda *c: (_token_loss(*c[:2]) * c[2]).sum(),
        "You took the mean of each row, then the mean of the rows: tokens in short rows count too "
        "much. Sum over the whole batch and divide once.": _mean_of_rows,
        "You passed probabilities to cross_entropy. Pass logits: it takes the softmax itself.":
            _softmax_twice,
        "You took the softmax and then its log: a tiny probability becomes 0, and its log minus "
        "infinity. log_softmax or cross_entropy avoid that.": _log_of_softmax,
        "This is 1 − p. A token's loss is −log p.": _one_minus_p,
        "The sign is wrong: a loss is −log p, at least 0.": lambda *c: -_lm_loss(*c),
    }, tolerance=1e-4)


def _library_mask(part: Sequence[int]) -> Tensor:
    row, none = torch.tensor([list(part)]), torch.zeros(1, len(part))
    flag = row[:, 0] > 0
    batch = Packed(row, row, row, row, none, row[:, :0], flag, flag)  # mask() reads `part` only
    return batch.mask(torch.float32)[0, 0] == 0


def _seen(part: Sequence[int], rule: Callable[[int, int], bool]) -> Tensor:
    """Entry i, j: whether token i may attend to token j."""
    return torch.tensor([[rule(i, j) for j in range(len(part))] for i in range(len(part))])


@exercise("07.3", "the block mask")
def check_mask(my_mask: Program) -> None:
    cases = [([0, 0, 1, 2],), ([0, 1, 1, 2, 2, 3, 3],), ([0],), ([0, 0, 0],), ([0, 1, 1, 3],),
             ([0, 0, 1, 2, 2, 3],)]
    judge("07.3", my_mask, _library_mask, cases, {
        "This is the ordinary causal mask: positive and negative attend to the anchor. A part "
        "attends to the prompt and itself only.": lambda p: _seen(p, lambda i, j: j <= i),
        "In yours a rationale does not attend to the prompt: it would not know the question.":
            lambda p: _seen(p, lambda i, j: j <= i and p[i] == p[j]),
        "In yours a token attends to later ones, which it has to predict: j must be at most i.":
            lambda p: _seen(p, lambda i, j: p[i] == p[j] or p[j] == 0),
        "In yours a token does not attend to itself. j = i is allowed: a token predicts the one "
        "after it.": lambda p: _seen(p, lambda i, j: j < i and p[j] in (0, p[i])),
        "Your mask is transposed: row i is the token that attends, column j the one that it "
        "attends to.": lambda p: _library_mask(p).T,
        "Your mask is True where attention is forbidden: invert it.": lambda p: ~_library_mask(p),
    })


Item = tuple[float, float, float | None]


def _mean_of_those(cls: list[float], n: int) -> float:
    return sum(cls) / max(len(cls), 1)


def _joint(items: Sequence[Item], weight: float = 0.5, *, share: Program = _mean_of_those) -> float:
    """L_lm + λ·L_cl, with L_cl = share(triplet losses, number of items)."""
    cls = [cl for _, _, cl in items if cl is not None]
    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)
    return lm + weight * share(cls, len(items))


def _means_first(items: Sequence[Item], weight: float = 0.5) -> float:
    lm = sum(s / w for s, w, _ in items) / len(items)
    return lm + _joint(items, weight) - _joint(items, 0.0)


@exercise("07.4", "the joint loss of a batch")
def check_joint_loss(my_joint_loss: Program) -> None:
    cases: list[Case] = [
        ([(6.0, 3.0, 0.8), (1.0, 2.0, None)],), ([(2.0, 4.0, 0.6)],),
        ([(3.0, 1.0, None), (1.0, 3.0, None)],),
        ([(6.0, 2.0, 1.0), (0.0, 6.0, 0.0), (2.0, 2.0, None)],),
        ([(4.0, 2.0, 0.5), (9.0, 3.0, 1.5)], 0.0),
        ([(4.0, 2.0, 0.5), (9.0, 3.0, 1.5), (1.0, 5.0, None)], 2.0)]
    judge("07.4", my_joint_loss, _joint, cases, {
        "You divided the triplet losses by the number of all items. Count only the items with a "
        "triplet.":
            lambda items, weight=0.5: _joint(items, weight, share=lambda cls, n: sum(cls) / n),
        "You summed the triplet losses. L_cl is their mean over the items that have a triplet.":
            lambda items, weight=0.5: _joint(items, weight, share=lambda cls, n: sum(cls)),
        "You took each item's own mean first. L_lm sums over the whole batch and divides once: a "
        "long lesson has more tokens and counts more.": _means_first,
        "You left items without a triplet out of L_lm too. They still have a rationale to learn.":
            lambda items, weight=0.5: _joint([i for i in items if i[2] is not None], weight),
        "If no item has a triplet there is no mean to take: L_cl is 0, and the loss is L_lm.":
            lambda items, weight=0.5: _joint(
                items, weight, share=lambda cls, n: sum(cls) / len(cls)),
        "You left λ out: this is L_lm + L_cl.": lambda items, weight=0.5: _joint(items, 1.0),
        "You weighted L_lm by 1 − λ. The joint loss is L_lm + λ·L_cl.":
            lambda items, weight=0.5: _joint(items, weight) - weight * _joint(items, 0.0),
    })


@exercise("07.5", "which tokens a step moves")
def check_what_moves(my_answer: str | None) -> None:
    told = {
        "a": "The student can calculate: once the lesson has written 56 - 23 =, the result costs "
             "almost nothing. There is little loss left to fall.",
        "c": "Their losses are the highest, but the prompt weighs 0.1, so they get a tenth of the "
             "push. And nobody can learn to predict what a story will say."}
    likely = "The answer is one of the three letters, in quotes."
    judge_answer("07.5", my_answer, "b", lambda answer: told.get(answer, likely))
