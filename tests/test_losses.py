"""The joint loss: by hand, against a plain reference without packing, and against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import l2r_lite.training as training
import pytest
import torch
from l2r_course.states import neighbours_agree, principal_axes, rationale_states, triplet_cosines
from plain import plain_step
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.losses import triplet_loss
from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.students.folding import joined
from l2r_lite.students.packing import hidden_states, losses, pack, token_losses

PAPER = LoopConfig(reflection_weight=0.5)

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


# --- the triplet loss by hand ---


@pytest.mark.parametrize(
    ("anchor", "positive", "negative", "margin", "loss"),
    [
        (EAST, EAST, WEST, 1.0, 0.0),  # 1 − 1 − 1 = −1, clamped
        (EAST, EAST, NORTH, 1.0, 0.0),  # 1 − 1 + 0
        (EAST, NORTH, NORTH, 1.0, 1.0),  # 1 − 0 + 0
        (EAST, WEST, EAST, 1.0, 3.0),  # 1 + 1 + 1
        (EAST, EAST, EAST, 0.0, 0.0),
        (EAST, NORTH, EAST, 0.0, 1.0),
        (EAST, EAST, NORTH, 2.0, 1.0),
        ([3.0, 0.0], [0.5, 0.5], [0.0, 7.0], 1.0, 1 - math.sqrt(0.5)),  # lengths do not matter
    ],
)
def test_the_triplet_loss_by_hand(anchor: list, positive: list, negative: list, margin: float, loss: float) -> None:
    rows = (torch.tensor([v]) for v in (anchor, positive, negative))
    assert triplet_loss(*rows, margin=margin).item() == pytest.approx(loss, abs=1e-6)


def batch_of(*triplets: tuple[list, list, list]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(column) for column in zip(*triplets, strict=True))


def test_the_triplet_loss_is_the_mean_over_items() -> None:
    three = batch_of((EAST, WEST, EAST), (EAST, NORTH, NORTH), (EAST, EAST, WEST))
    assert triplet_loss(*three).item() == pytest.approx((3 + 1 + 0) / 3)


def test_items_without_a_triplet_take_no_part_in_the_mean() -> None:
    three = batch_of((EAST, WEST, EAST), (EAST, NORTH, NORTH), (EAST, EAST, WEST))
    kept = torch.tensor([True, False, True])
    assert triplet_loss(*three, has_triplet=kept).item() == pytest.approx(3 / 2)


def test_an_item_without_a_triplet_may_hold_anything_without_harm_to_loss_or_gradients() -> None:
    anchor, positive, negative = batch_of((EAST, NORTH, NORTH), (EAST, EAST, EAST))
    anchor[1], positive[1], negative[1] = math.nan, math.inf, -math.inf
    anchor.requires_grad_()
    loss = triplet_loss(anchor, positive, negative, has_triplet=torch.tensor([True, False]))
    assert loss.item() == pytest.approx(1.0)
    loss.backward()
    assert anchor.grad is not None and anchor.grad[0].isfinite().all()


def test_a_batch_without_any_triplet_has_loss_0_and_finite_gradients() -> None:
    anchor, positive, negative = batch_of((EAST, NORTH, NORTH))
    anchor.requires_grad_()
    loss = triplet_loss(anchor, positive, negative, has_triplet=torch.tensor([False]))
    loss.backward()
    assert loss.item() == 0 and anchor.grad is not None and not anchor.grad.any()


def test_hidden_states_of_length_0_do_not_make_nan() -> None:
    zeros = torch.zeros(2, 3, requires_grad=True)
    loss = triplet_loss(zeros, torch.ones(2, 3), torch.ones(2, 3))
    loss.backward()
    assert loss.isfinite() and zeros.grad is not None and zeros.grad.isfinite().all()


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\).*one shape"):
        triplet_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 4))


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin = -0.1"):
        triplet_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3), margin=-0.1)


def test_going_down_the_gradient_moves_the_anchor_towards_the_positive() -> None:
    anchor, positive, negative = batch_of((NORTH, EAST, WEST))
    anchor.requires_grad_()
    triplet_loss(anchor, positive, negative).backward()
    moved = anchor.detach() - 0.1 * anchor.grad
    assert cosine_similarity(moved, positive) > 0 > cosine_similarity(moved, negative)


# --- packed batches against a plain reference ---


@pytest.fixture(scope="module")
def student(load_tiny: Callable) -> Student:
    """Unquantised and in double precision, with an adapter that does something."""
    return load_tiny(wake=True, four_bit=False, dtype=torch.float64, device="cpu")


@pytest.fixture(autouse=True)
def in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses and Llama's norms compute in fp32 whatever the student computes in; here, rounding would hide errors."""

    def norm(self: LlamaRMSNorm, x: Tensor) -> Tensor:
        return self.weight * x * (x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).rsqrt()

    monkeypatch.setattr(Tensor, "float", Tensor.double)
    monkeypatch.setattr(LlamaRMSNorm, "forward", norm)


@pytest.fixture(scope="module")
def items(pocket_problems: list[Problem]) -> list[TrainingItem]:
    """Different lengths, with triplets (✓) and without (no positive, no negative, neither)."""
    p = pocket_problems
    short, long = "The answer is 7.", "First I guess, then I guess again, and at last I say it. The answer is 12."
    return [
        TrainingItem(p[0], write_rationale(p[0], 0), write_rationale(p[0], 1), short),  # ✓
        TrainingItem(p[16], write_rationale(p[16], 0), write_rationale(p[16], 2), long),  # ✓
        TrainingItem(p[7], write_rationale(p[7], 1), None, short),
        TrainingItem(p[15], write_rationale(p[15], 2), write_rationale(p[15], 0), None),
        TrainingItem(p[4], write_rationale(p[4], 0)),
        TrainingItem(p[17], write_rationale(p[17], 1), write_rationale(p[17], 0), short),  # ✓
    ]


def alone(student: Student, problem: Problem, rationale: str) -> tuple[Tensor, Tensor, int]:
    """Token ids of prompt + rationale + end, their last hidden states, and the prompt's length: no packing, no padding."""
    prompt = student.tokenizer(student_prompt(problem)).input_ids
    text = student.tokenizer(completion(rationale), add_special_tokens=False).input_ids
    ids = torch.tensor([[*prompt, *text, student.tokenizer.eos_token_id]])
    out = student.model.get_base_model().model(input_ids=ids)
    return ids[0], out.last_hidden_state[0], len(prompt)


def reference(
    student: Student, items: list[TrainingItem], *, margin: float = 1.0, prompt_weight: float = 0.1
) -> tuple[Tensor, Tensor]:
    """L_lm and L_cl as the paper writes them, one rationale and one token at a time."""
    total = weights = torch.tensor(0.0, dtype=torch.float64)
    reflections = []
    for item in items:
        ids, hidden, start = alone(student, item.problem, item.anchor)
        log_p = (hidden @ student.head.weight.T).log_softmax(-1)
        for position in range(1, len(ids)):
            weight = prompt_weight if position < start else 1.0
            total = total - weight * log_p[position - 1, ids[position]]
            weights = weights + weight
        if item.positive is not None and item.negative is not None:
            h = hidden[-1]
            h_plus, h_minus = (alone(student, item.problem, t)[1][-1] for t in (item.positive, item.negative))
            gap = margin - cosine_similarity(h, h_plus, 0) + cosine_similarity(h, h_minus, 0)
            reflections.append(gap.clamp_min(0))
    return total / weights, torch.stack(reflections).mean() if reflections else torch.tensor(0.0)


CHOSEN = {"all": [0, 1, 2, 3, 4, 5], "with triplets": [0, 1, 5], "without": [2, 3, 4], "one": [1], "one without": [4]}


@pytest.mark.parametrize("chosen", CHOSEN)
def test_packed_losses_equal_separate_passes_over_each_rationale(
    student: Student, items: list[TrainingItem], chosen: str
) -> None:
    some = [items[i] for i in CHOSEN[chosen]]
    lm, cl = losses(student, pack(student, some))
    want_lm, want_cl = reference(student, some)
    assert lm.item() == pytest.approx(want_lm.item(), rel=1e-6)
    assert cl.item() == pytest.approx(want_cl.item(), abs=1e-6)
    assert (cl.item() > 0) == bool({0, 1, 5} & set(CHOSEN[chosen]))


def test_packed_gradients_equal_those_of_separate_passes(student: Student, items: list[TrainingItem]) -> None:
    weights = list(student.trainable.values())
    lm, cl = losses(student, pack(student, items), margin=1.5)
    ours = torch.autograd.grad(lm + 0.7 * cl, weights)
    want_lm, want_cl = reference(student, items, margin=1.5)
    want = torch.autograd.grad(want_lm + 0.7 * want_cl, weights)
    for one, other in zip(ours, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


EXAMPLES = "Question: 2 + 3?\nAnswer: 2 + 3 = 5. The answer is 5.\n\nQuestion: 4 + 4?\nAnswer: 4 + 4 = 8. The answer is 8.\n\n"


@pytest.mark.parametrize("examples", ["", EXAMPLES], ids=["alone", "after demonstrations"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_one_pass_gives_the_losses_and_gradients_of_the_textbooks_four(
    load_tiny: Callable, items: list[TrainingItem], examples: str, checkpointing: bool
) -> None:
    """Demonstrations are computed once for the batch; what all rows give back must reach the adapter."""
    student = load_tiny(wake=True, four_bit=False, dtype=torch.float64, device="cpu", gradient_checkpointing=checkpointing)
    student.demonstrate(examples)
    student.model.train()
    config = LoopConfig(reflection_weight=0.7, margin=0.9)
    got = train_step(student, items, config)
    ours = {name: w.grad.clone() for name, w in student.trainable.items()}
    student.model.zero_grad(set_to_none=True)
    loss = plain_step(student, items, margin=0.9, reflection_weight=0.7)
    assert got["lm"] + 0.7 * got["cl"] == pytest.approx(loss, abs=1e-6)
    for name, weight in student.trainable.items():
        assert (ours[name] - weight.grad).norm() < 1e-5 * weight.grad.norm(), name
        assert weight.grad.any()


@pytest.mark.parametrize("four_bit", [True, False])
def test_layers_joined_with_their_adapters_give_the_same_gradients(
    load_tiny: Callable, items: list[TrainingItem], four_bit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # in single precision, where layers are joined
    student = load_tiny(wake=True, four_bit=four_bit, dtype=torch.float32, device="cpu")
    student.demonstrate(EXAMPLES)
    train_step(student, items, PAPER)
    apart = {name: w.grad.clone() for name, w in student.trainable.items()}
    student.model.zero_grad(set_to_none=True)
    with joined(student.model, student.dtype):
        assert "forward" in vars(student.model.get_base_model().model.layers[0].mlp.up_proj)
        train_step(student, items, PAPER)
    assert not any("forward" in vars(module) for module in student.model.modules())
    for name, weight in student.trainable.items():
        assert cosine_similarity(apart[name].flatten(), weight.grad.flatten(), 0) > 0.99999, name
        assert weight.grad.norm().item() == pytest.approx(apart[name].norm().item(), rel=1e-4)


def test_each_tokens_loss_and_the_hidden_states_are_those_of_a_text_that_stands_alone(
    student: Student, items: list[TrainingItem]
) -> None:
    """What notebook 06 draws, token by token."""
    batch = pack(student, [items[0]])
    hidden = hidden_states(student, batch)
    loss, weight = token_losses(student, batch, hidden)
    ids, states, start = alone(student, items[0].problem, items[0].anchor)
    log_p = (states @ student.head.weight.T).log_softmax(-1)
    torch.testing.assert_close(loss, torch.stack([-log_p[t - 1, ids[t]] for t in range(1, len(ids))]), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(weight.to(loss), torch.tensor([0.1] * (start - 1) + [1.0] * (len(ids) - start)).to(loss))
    for number, text in enumerate((items[0].anchor, items[0].positive, items[0].negative)):
        want = alone(student, items[0].problem, text or "")[1][-1]
        torch.testing.assert_close(hidden[0, batch.ends[0, number]], want, rtol=1e-6, atol=1e-9)


def test_the_order_of_the_items_does_not_change_the_losses(student: Student, items: list[TrainingItem]) -> None:
    there, back = losses(student, pack(student, items)), losses(student, pack(student, items[::-1]))
    assert [x.item() for x in there] == pytest.approx([x.item() for x in back], abs=1e-9)


def test_the_mistake_does_not_change_what_is_learned_from_the_anchor(student: Student, items: list[TrainingItem]) -> None:
    """No token of anchor or prompt may look at positive or negative, though they lie in one sequence."""
    with_triplets, without = pack(student, items), pack(student, items, with_triplets=False)
    assert with_triplets.ids.shape[1] > without.ids.shape[1]
    assert losses(student, with_triplets)[0].item() == pytest.approx(losses(student, without)[0].item(), abs=1e-9)


def test_prompt_tokens_weigh_a_tenth_and_rationale_answer_and_end_weigh_one(
    student: Student, items: list[TrainingItem]
) -> None:
    batch = pack(student, items[:1])
    prompt = len(student.tokenizer(student_prompt(items[0].problem)).input_ids)
    anchor = len(student.encode("", completion(items[0].anchor))[1])
    weight = batch.weight[0]
    assert weight[0] == 0  # nothing predicts the first token
    torch.testing.assert_close(weight[1:prompt], torch.full((prompt - 1,), 0.1))
    assert (weight[prompt : prompt + anchor] == 1).all()
    assert not weight[prompt + anchor :].any()
    assert batch.ids[0, prompt + anchor - 1] == student.tokenizer.eos_token_id


@pytest.mark.parametrize("prompt_weight", [0.5, 1.0])
def test_the_prompt_weight_changes_the_loss_as_it_says(
    student: Student, items: list[TrainingItem], monkeypatch: pytest.MonkeyPatch, prompt_weight: float
) -> None:
    usual = losses(student, pack(student, items))[0].item()
    monkeypatch.setattr(training, "PROMPT_WEIGHT", prompt_weight)
    lm = losses(student, pack(student, items))[0].item()
    assert lm == pytest.approx(reference(student, items, prompt_weight=prompt_weight)[0].item(), rel=1e-6)
    assert abs(lm - usual) > 1e-3


def test_a_student_that_attends_to_another_part_would_be_noticed(
    student: Student, items: list[TrainingItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the comparison with the reference can fail: a plain causal mask gives another reflection loss."""

    def causal_only(self: training.Packed, dtype: torch.dtype) -> Tensor:
        length = self.ids.shape[1]
        sees = torch.ones(length, length, dtype=torch.bool).tril().expand(len(self.ids), -1, -1)
        return torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)[:, None]

    want = losses(student, pack(student, items))[1].item()
    monkeypatch.setattr(training.Packed, "mask", causal_only)
    assert abs(losses(student, pack(student, items))[1].item() - want) > 1e-3


# --- gradients ---


def step_gradients(student: Student, items: list[TrainingItem], **knobs: object) -> dict[str, Tensor]:
    for weight in student.trainable.values():
        weight.grad = None
    train_step(student, items, PAPER.with_(**knobs))
    return {n: torch.zeros_like(w) if w.grad is None else w.grad.clone() for n, w in student.trainable.items()}


@pytest.mark.parametrize("reflection_weight", [0.0, 0.5, 5.0])
def test_gradients_equal_finite_differences(student: Student, items: list[TrainingItem], reflection_weight: float) -> None:
    grads = step_gradients(student, items, reflection_weight=reflection_weight)

    @torch.no_grad()
    def total() -> float:
        lm, cl = losses(student, pack(student, items))
        return (lm + reflection_weight * cl).item()

    names = [n for n in grads if "layers.0.self_attn.q_proj" in n or "layers.1.mlp.down_proj" in n]
    assert len(names) == 4
    for name in names:
        flat, weight = grads[name].flatten(), student.trainable[name].data.view(-1)
        for entry in (flat.abs().argmax().item(), len(flat) // 2):
            old, step = weight[entry].item(), 1e-5
            weight[entry] = old + step
            above = total()
            weight[entry] = old - step
            below = total()
            weight[entry] = old
            assert flat[entry].item() == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-7), name


@pytest.mark.parametrize("micro_batch", [1, 2, 4, 5, 6, 100])
def test_micro_batches_give_the_gradients_of_the_whole_batch(
    student: Student, items: list[TrainingItem], micro_batch: int
) -> None:
    """Though they hold different numbers of tokens and of triplets (one of two may have none)."""
    whole = step_gradients(student, items, margin=1.5)
    parts = step_gradients(student, items, margin=1.5, micro_batch=micro_batch)
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-6, atol=1e-7)


def test_a_step_reports_the_whole_batchs_losses_and_its_share_of_triplets(student: Student, items: list[TrainingItem]) -> None:
    lm, cl = (x.item() for x in losses(student, pack(student, items)))
    entry = train_step(student, items, PAPER.with_(micro_batch=2))
    assert entry["lm"] == pytest.approx(lm, rel=1e-6)
    assert entry["cl"] == pytest.approx(cl, abs=1e-6)
    assert entry["triplets"] == pytest.approx(0.5)


def test_a_batch_without_triplets_says_so(student: Student, items: list[TrainingItem]) -> None:
    entry = train_step(student, items[2:5], PAPER)
    assert entry["triplets"] == 0 and entry["cl"] == 0 and entry["lm"] > 0


def test_without_reflection_no_positives_and_negatives_are_computed(
    student: Student, items: list[TrainingItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[training.Packed] = []
    real = training.losses

    def watched(student: Student, batch: training.Packed, *, margin: float) -> tuple[Tensor, Tensor]:
        seen.append(batch)
        return real(student, batch, margin=margin)

    monkeypatch.setattr(training, "losses", watched)
    train_step(student, items, PAPER.with_(reflection_weight=0.0))
    train_step(student, items, PAPER.with_(reflection_weight=0.1))
    assert [batch.part.max().item() for batch in seen] == [1, 3]


def test_the_reflection_weight_scales_the_reflection_gradient(student: Student, items: list[TrainingItem]) -> None:
    none, half, whole = (step_gradients(student, items, reflection_weight=w) for w in (0.0, 0.5, 1.0))
    for name in none:
        torch.testing.assert_close(whole[name] - none[name], 2 * (half[name] - none[name]), rtol=1e-6, atol=1e-8)
    assert any((whole[name] - none[name]).abs().max() > 1e-4 for name in none)


# --- what the reflection loss works on ---


def test_states_of_rationales_are_those_of_separate_passes_and_of_training(student: Student, items: list[TrainingItem]) -> None:
    """Whatever stands beside them in the batch, and in whichever batch they are."""
    states = rationale_states(student, [i.problem for i in items], [i.anchor for i in items], rows=4)
    want = torch.stack([alone(student, i.problem, i.anchor)[1][-1] for i in items])
    torch.testing.assert_close(states, want.double(), rtol=1e-6, atol=1e-6)
    assert rationale_states(student, [], []).shape == (0, want.shape[1])
    with pytest.raises(ValueError, match="zip"):
        rationale_states(student, [items[0].problem], [])


def test_cosines_of_items_give_the_reflection_loss_of_training(student: Student, items: list[TrainingItem]) -> None:
    chosen = [items[i] for i in (0, 1, 5)]
    near, far = triplet_cosines(student, chosen)
    want = (1 - near + far).clamp_min(0).mean().item()
    assert losses(student, pack(student, chosen))[1].item() == pytest.approx(want, abs=1e-6)
    with pytest.raises(ValueError, match="no triplet"):
        triplet_cosines(student, items)


def test_principal_axes_find_the_two_directions_of_a_flat_cloud() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(50, 2, generator=generator) * torch.tensor([3.0, 1.0])
    directions, _ = torch.linalg.qr(torch.randn(8, 2, generator=generator))
    spots, share = principal_axes(flat @ directions.T + 5)
    assert share.sum().item() == pytest.approx(1) and share[0] > share[1]
    apart, before = (torch.cdist(x.double(), x.double()) for x in (spots, flat))  # in single precision some CPUs are 0.002 off
    torch.testing.assert_close(apart, before, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(principal_axes(flat @ directions.T + 5)[0], spots)


def test_neighbours_are_looked_for_among_other_questions() -> None:
    states = torch.tensor([EAST, EAST, NORTH, NORTH])
    assert neighbours_agree(states, ["a", "b", "c", "d"], ["e", "e", "n", "n"])[0] == 1
    assert neighbours_agree(states, ["a", "a", "c", "c"], ["e", "e", "n", "n"]) == (0, 0)
    assert neighbours_agree(states, ["a", "b", "c", "d"], [1, 1, 1, 0])[1] == pytest.approx((3 * 2 / 3 + 0) / 4)
    with pytest.raises(ValueError, match="one question"):
        neighbours_agree(states, ["a"] * 4, [1] * 4)
