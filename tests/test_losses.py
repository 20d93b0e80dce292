"""The joint loss: checked by hand, the plain form against the paper's formulas, the one-pass form against the plain one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from l2r_course.states import neighbours_agree, principal_axes, rationale_states, triplet_cosines
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop import losses as plain
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.losses import tailored_loss, triplet_loss
from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.protocols import Objective
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.students import packing
from l2r_lite.students import rows as layout
from l2r_lite.students.packing import hidden_states, packed_loss, token_losses
from l2r_lite.students.rows import Packed, cut, make_rows, pack

PAPER = LoopConfig(reflection_weight=0.5)

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


# --- the triplet loss by hand ---


def test_the_triplet_loss_by_hand() -> None:
    for anchor, positive, negative, margin, loss in [
        (EAST, EAST, WEST, 1.0, 0.0),  # 1 − 1 − 1 = −1, clamped
        (EAST, EAST, NORTH, 1.0, 0.0),  # 1 − 1 + 0
        (EAST, NORTH, NORTH, 1.0, 1.0),  # 1 − 0 + 0
        (EAST, WEST, EAST, 1.0, 3.0),  # 1 + 1 + 1
        (EAST, EAST, EAST, 0.0, 0.0),
        (EAST, NORTH, EAST, 0.0, 1.0),
        (EAST, EAST, NORTH, 2.0, 1.0),
        ([3.0, 0.0], [0.5, 0.5], [0.0, 7.0], 1.0, 1 - math.sqrt(0.5)),  # lengths do not matter
    ]:
        rows = (torch.tensor([v]) for v in (anchor, positive, negative))
        assert triplet_loss(*rows, margin=margin).item() == pytest.approx(loss, abs=1e-6)


def batch_of(*triplets: tuple[list, list, list]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(column) for column in zip(*triplets, strict=True))


def test_the_triplet_loss_is_the_mean_over_the_items_that_have_a_triplet() -> None:
    three = batch_of((EAST, WEST, EAST), (EAST, NORTH, NORTH), (EAST, EAST, WEST))
    assert triplet_loss(*three).item() == pytest.approx((3 + 1 + 0) / 3)
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


def test_different_shapes_and_a_negative_margin_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\).*same shape"):
        triplet_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="margin = -0.1"):
        triplet_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3), margin=-0.1)


def test_going_down_the_gradient_moves_the_anchor_towards_the_positive() -> None:
    anchor, positive, negative = batch_of((NORTH, EAST, WEST))
    anchor.requires_grad_()
    triplet_loss(anchor, positive, negative).backward()
    moved = anchor.detach() - 0.1 * anchor.grad
    assert cosine_similarity(moved, positive) > 0 > cosine_similarity(moved, negative)


# --- the plain losses against the paper's formulas ---


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


def step(
    student: Student, items: list[TrainingItem], objective: Objective = packed_loss, **knobs: object
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """What a training step logs, and its gradients."""
    student.model.zero_grad(set_to_none=True)
    logged = train_step(student, items, PAPER.with_(**knobs), objective)
    return logged, {n: torch.zeros_like(w) if w.grad is None else w.grad.clone() for n, w in student.trainable.items()}


def assert_same_step(one: tuple[dict, dict], other: tuple[dict, dict]) -> None:
    (logged, gradients), (want, wanted) = one, other
    assert logged == pytest.approx(want, rel=1e-6, abs=1e-6)
    for name, gradient in wanted.items():
        assert (gradients[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
    assert any(gradient.any() for gradient in wanted.values())


def test_the_plain_losses_and_gradients_are_those_of_the_papers_formulas(student: Student, items: list[TrainingItem]) -> None:
    """Of all items, of those with triplets, of those without, of one of each."""
    for chosen in ([0, 1, 2, 3, 4, 5], [0, 1, 5], [2, 3, 4], [1], [4]):
        some = [items[i] for i in chosen]
        logged, gradients = step(student, some, tailored_loss, margin=1.5, reflection_weight=0.7)
        lm, cl = reference(student, some, margin=1.5)
        assert logged["lm"] == pytest.approx(lm.item(), rel=1e-6)
        assert logged["cl"] == pytest.approx(cl.item(), abs=1e-6)
        assert (cl.item() > 0) == bool({0, 1, 5} & set(chosen))
        wanted = torch.autograd.grad(lm + 0.7 * cl, list(student.trainable.values()))
        for ours, want in zip(gradients.values(), wanted, strict=True):
            torch.testing.assert_close(ours, want, rtol=1e-5, atol=1e-7)


# --- one pass over packed sequences against the plain three ---

EXAMPLES = "Question: 2 + 3?\nAnswer: 2 + 3 = 5. The answer is 5.\n\nQuestion: 4 + 4?\nAnswer: 4 + 4 = 8. The answer is 8.\n\n"


def mirrors(items: list[TrainingItem]) -> list[TrainingItem]:
    """Items whose positive is an anchor too: two lessons on one question, each the other's positive."""
    return [TrainingItem(i.problem, i.positive, i.anchor, i.negative) for i in items if i.has_triplet]


@pytest.mark.parametrize("examples", ["", EXAMPLES], ids=["alone", "after demonstrations"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_one_pass_gives_the_losses_and_gradients_of_the_plain_three(
    load_tiny: Callable, items: list[TrainingItem], examples: str, checkpointing: bool
) -> None:
    """Demonstrations are computed once for the batch; what all rows give back must reach the adapter."""
    student = load_tiny(wake=True, four_bit=False, dtype=torch.float64, device="cpu", gradient_checkpointing=checkpointing)
    student.demonstrate(examples)
    student.model.train()
    knobs = {"reflection_weight": 0.7, "margin": 0.9}
    for some in (items, items[:2] + mirrors(items) + items[2:], items[2:5], items[4:5]):
        want = step(student, some, tailored_loss, **knobs)
        assert_same_step(step(student, some, **knobs), want)
        for micro_batch in (1, 2, 4, 100):  # they hold different numbers of tokens and of triplets: one may have none
            assert_same_step(step(student, some, micro_batch=micro_batch, **knobs), want)
    assert_same_step(step(student, items, reflection_weight=0.0), step(student, items, tailored_loss, reflection_weight=0.0))


def test_items_that_mirror_each_other_are_one_row(student: Student, items: list[TrainingItem]) -> None:
    three = [i for i in items if i.has_triplet]
    rows = make_rows(student, items + mirrors(items))
    assert len(rows) == len(items) and sum(row.items for row in rows) == len(items) + 3
    assert sum(row.mirrored for row in rows) == 3
    assert not any(row.mirrored for row in make_rows(student, three[:1] * 2))  # the same item again is no mirror
    assert sum(row.items for row in make_rows(student, three[:1] * 2 + mirrors(three[:1]) * 3)) == 5
    other = [TrainingItem(i.problem, str(i.positive), i.anchor, "Another mistake. The answer is 3.") for i in three[:1]]
    assert not any(row.mirrored for row in make_rows(student, three[:1] + other))


def test_rows_are_cut_into_pieces_of_so_many_items_and_tokens(student: Student, items: list[TrainingItem]) -> None:
    rows = sorted(make_rows(student, items + mirrors(items)), key=lambda row: len(row.ids))
    for most, tokens in ((1, 2048), (3, 2048), (None, 2048), (None, 300), (2, 1)):
        pieces = cut(rows, most=most, tokens=tokens)
        assert [row for piece in pieces for row in piece] == rows
        for piece in pieces:
            assert len(piece) == 1 or sum(row.items for row in piece) <= (most or 99)
            assert len(piece) == 1 or len(piece) * max(len(row.ids) for row in piece) <= tokens
    assert len(cut(rows, most=None)) == 1 and len(cut(rows, tokens=1)) == len(rows)


@pytest.mark.parametrize("four_bit", [True, False])
def test_one_pass_joins_layers_with_their_adapters_and_gives_the_same_gradients(
    load_tiny: Callable, items: list[TrainingItem], four_bit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # in single precision, where layers are joined
    student = load_tiny(wake=True, four_bit=four_bit, dtype=torch.float32, device="cpu")
    student.demonstrate(EXAMPLES)
    _, apart = step(student, items, tailored_loss)
    student.model.zero_grad(set_to_none=True)
    for part in packed_loss(student, items, PAPER):
        assert "forward" in vars(student.model.get_base_model().model.layers[0].mlp.up_proj)
        part["loss"].backward()
    assert not any("forward" in vars(module) for module in student.model.modules())
    for name, weight in student.trainable.items():
        assert cosine_similarity(apart[name].flatten(), weight.grad.flatten(), 0) > 0.99999, name
        assert weight.grad.norm().item() == pytest.approx(apart[name].norm().item(), rel=1e-4)


def test_each_tokens_loss_and_the_hidden_states_are_those_of_a_text_that_stands_alone(
    student: Student, items: list[TrainingItem]
) -> None:
    """What notebook 07 draws, token by token."""
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


def losses_of(student: Student, batch: Packed) -> list[float]:
    with torch.no_grad():
        return [loss.item() for loss in packing.losses(student, batch)]


def test_the_order_of_the_items_does_not_change_the_losses(student: Student, items: list[TrainingItem]) -> None:
    there, back = losses_of(student, pack(student, items)), losses_of(student, pack(student, items[::-1]))
    assert there == pytest.approx(back, abs=1e-9)


def test_the_mistake_does_not_change_what_is_learned_from_the_anchor(student: Student, items: list[TrainingItem]) -> None:
    """No token of anchor or prompt may look at positive or negative, though they lie in one sequence."""
    with_triplets, without = pack(student, items), pack(student, items, with_triplets=False)
    assert with_triplets.ids.shape[1] > without.ids.shape[1]
    assert losses_of(student, with_triplets)[0] == pytest.approx(losses_of(student, without)[0], abs=1e-9)


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


def test_the_prompt_weight_changes_the_loss_as_it_says(
    student: Student, items: list[TrainingItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = step(student, items)[0]["lm"]
    for weight in (0.5, 1.0):
        for module in (layout, plain):
            monkeypatch.setattr(module, "PROMPT_WEIGHT", weight)
        want = reference(student, items, prompt_weight=weight)[0].item()
        for objective in (packed_loss, tailored_loss):
            assert step(student, items, objective)[0]["lm"] == pytest.approx(want, rel=1e-6)
        assert abs(want - usual) > 1e-3


def test_a_student_that_attends_to_another_part_would_be_noticed(
    student: Student, items: list[TrainingItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the comparison with the plain losses can fail: a plain causal mask gives another reflection loss."""

    def causal_only(self: Packed, dtype: torch.dtype) -> Tensor:
        length = self.ids.shape[1]
        sees = torch.ones(length, length, dtype=torch.bool).tril().expand(len(self.ids), -1, -1)
        return torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)[:, None]

    monkeypatch.setattr(Packed, "mask", causal_only)
    assert abs(step(student, items)[0]["cl"] - step(student, items, tailored_loss)[0]["cl"]) > 1e-3


# --- gradients ---


@pytest.mark.parametrize("reflection_weight", [0.0, 0.5, 5.0])
def test_gradients_equal_finite_differences(student: Student, items: list[TrainingItem], reflection_weight: float) -> None:
    _, grads = step(student, items, reflection_weight=reflection_weight)

    def total() -> float:
        lm, cl = losses_of(student, pack(student, items))
        return lm + reflection_weight * cl

    names = [n for n in grads if "layers.0.self_attn.q_proj" in n or "layers.1.mlp.down_proj" in n]
    assert len(names) == 4
    for name in names:
        flat, weight = grads[name].flatten(), student.trainable[name].data.view(-1)
        for entry in (flat.abs().argmax().item(), len(flat) // 2):
            old, small = weight[entry].item(), 1e-5
            weight[entry] = old + small
            above = total()
            weight[entry] = old - small
            below = total()
            weight[entry] = old
            assert flat[entry].item() == pytest.approx((above - below) / (2 * small), rel=1e-4, abs=1e-7), name


def test_a_step_reports_its_share_of_triplets_also_where_there_is_none(student: Student, items: list[TrainingItem]) -> None:
    for objective in (packed_loss, tailored_loss):
        assert step(student, items, objective)[0]["triplets"] == pytest.approx(0.5)
        entry, _ = step(student, items[2:5], objective)
        assert entry["triplets"] == 0 and entry["cl"] == 0 and entry["lm"] > 0


def test_without_reflection_no_positives_and_negatives_are_computed(
    student: Student, items: list[TrainingItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Packed] = []
    real = packing.losses

    def watched(student: Student, batch: Packed, *, margin: float) -> tuple[Tensor, Tensor]:
        seen.append(batch)
        return real(student, batch, margin=margin)

    monkeypatch.setattr(packing, "losses", watched)
    step(student, items, reflection_weight=0.0)
    step(student, items, reflection_weight=0.1)
    assert [batch.part.max().item() for batch in seen] == [1, 3]


def test_the_reflection_weight_scales_the_reflection_gradient(student: Student, items: list[TrainingItem]) -> None:
    none, half, whole = (step(student, items, reflection_weight=w)[1] for w in (0.0, 0.5, 1.0))
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
    assert losses_of(student, pack(student, chosen))[1] == pytest.approx(want, abs=1e-6)
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
