"""Tailored training: items, the traps of the reference code, and one round."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from l2r_lite.data.answers import read, same_answer
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.data.pocket.world import SKILLS, make_problem
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import Stopped
from l2r_lite.loop.exam import grade
from l2r_lite.loop.items import epoch_batches, make_items, mistakes_and_replay, own_answers, round_batches
from l2r_lite.loop.lessons import make_lessons
from l2r_lite.loop.losses import tailored_loss
from l2r_lite.loop.prompts import answer_line
from l2r_lite.loop.records import LETTERS, ExamReport, Lesson, Mistake, Problem, Sample, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_round
from l2r_lite.runs.run import USUAL
from l2r_lite.students.loading import load_student
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.rows import pack
from l2r_lite.teachers.scripted import ScriptedTeacher


def wrong_answer(problem: Problem, by: int = 1) -> str:
    if problem.kind == "number":
        return str(int(problem.answer) + by)
    if problem.kind == "yes-no":
        return "no" if problem.answer == "yes" else "yes"
    index = LETTERS.index(problem.answer)
    return LETTERS[(index + 1) % len(problem.choices)]


def wrong_rationale(problem: Problem, style: int = 0, by: int = 1) -> str:
    right = write_rationale(problem, style)
    return right[: right.rindex("The answer is")] + answer_line(wrong_answer(problem, by), problem.kind)


@pytest.fixture(scope="module")
def problems(pocket_problems: list[Problem]) -> list[Problem]:
    return pocket_problems[:36]


def lessons_on(problems: list[Problem], count: int) -> list[Lesson]:
    return [Lesson(p.id, write_rationale(p, style)) for p in problems for style in range(count)]


def mistakes_on(problems: list[Problem], count: int = 1) -> list[Mistake]:
    return [Mistake(p, wrong_rationale(p, s), wrong_answer(p)) for p in problems for s in range(count)]


# --- items ---


@st.composite
def an_exam_with_mistakes(draw: st.DrawFn) -> tuple[list[Problem], ExamReport]:
    """Pocket problems answered in the ways students answer: right, wrong answer, garbled in the middle, cut off."""
    problems, samples = [], []
    for number in range(draw(st.integers(1, 5))):
        skill = SKILLS[draw(st.sampled_from(list(SKILLS)))]
        rng = random.Random(draw(st.integers(0, 2**32)))
        problem = make_problem(skill, rng.choice(skill.wordings), rng, f"p{number}")
        problems.append(problem)
        texts = []
        for _ in range(draw(st.integers(1, 4))):
            text = write_rationale(problem, draw(st.integers(0, 2)))
            how = draw(st.sampled_from(["right", "wrong answer", "wrong number", "cut", "gold inside", "nothing"]))
            if how == "wrong answer":
                text = wrong_rationale(problem, draw(st.integers(0, 2)), draw(st.integers(1, 90)))
            elif how == "wrong number":
                at = draw(st.sampled_from([m.span() for m in re.finditer(r"\d+", text)]))
                text = f"{text[: at[0]]}{draw(st.integers(0, 99))}{text[at[1] :]}"
            elif how == "cut":
                text = text[: draw(st.integers(0, len(text)))].strip()
            elif how == "gold inside":
                text = f"It may be {problem.answer}. {answer_line(wrong_answer(problem), problem.kind)}"
            elif how == "nothing":
                text = ""
            texts.append(text)
        samples += grade(problem, texts, USUAL.judge)
    return problems, ExamReport(tuple(problems), tuple(samples))


def lessons_for(exam: ExamReport, count: int) -> list[Lesson]:
    """What a run makes of an exam's mistakes."""
    made = make_lessons(ScriptedTeacher(), exam.mistakes, count, read=USUAL.read, verify=USUAL.verify, progress=False)
    return made.lessons


@settings(max_examples=150, deadline=None)
@given(an_exam_with_mistakes(), st.integers(1, 3), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_mistake_used_as_negative_ends_in_the_students_own_wrong_answer(
    sat: tuple[list[Problem], ExamReport], count: int, replay: float
) -> None:
    """The reference code appends the gold answer to mistakes: its negatives end in the right answer."""
    problems, exam = sat
    lessons = lessons_for(exam, count)
    items = make_items(problems, lessons, exam.mistakes, exam.correct, replay=replay)
    said = {(m.problem.id, m.rationale): m.answer for m in exam.mistakes}
    for item in items:
        if item.negative is None:
            continue
        assert (item.problem.id, item.negative) in said, "a negative that the student never wrote"
        answer = read(item.negative, item.problem)
        assert answer == said[item.problem.id, item.negative]
        assert not same_answer(answer, item.problem.answer, item.problem.kind)


@settings(max_examples=100, deadline=None)
@given(an_exam_with_mistakes(), st.integers(1, 3))
def test_anchor_and_positive_are_right_and_different_rationales_of_the_same_question(
    sat: tuple[list[Problem], ExamReport], count: int
) -> None:
    problems, exam = sat
    lessons = lessons_for(exam, count)
    for item in make_items(problems, lessons, exam.mistakes, exam.correct):
        for text in filter(None, (item.anchor, item.positive)):
            assert same_answer(read(text, item.problem), item.problem.answer, item.problem.kind)
        assert item.positive != item.anchor


def test_the_negatives_last_tokens_are_the_students_own_answer_in_the_packed_batch(
    load_tiny: Callable, problems: list[Problem]
) -> None:
    student = load_tiny()
    items = make_items(problems, lessons_on(problems, 2), mistakes_on(problems), {})
    for item in items[:12]:
        batch = pack(student, [item])
        negative = batch.ids[0][batch.part[0] == 3].tolist()
        assert negative[-1] == student.tokenizer.eos_token_id
        text = student.tokenizer.decode(negative[:-1])
        assert text.endswith(answer_line(wrong_answer(item.problem), item.problem.kind))
        assert not text.endswith(answer_line(item.problem.answer, item.problem.kind))


def test_one_lesson_and_no_own_correct_sample_make_no_triplet(problems: list[Problem]) -> None:
    """The reference code's reflection loss is silently 0 there; ours can be counted."""
    items = make_items(problems, lessons_on(problems, 1), mistakes_on(problems), {})
    assert len(items) == len(problems)
    assert not any(item.has_triplet for item in items)
    assert all(item.positive is None and item.negative is not None for item in items)


def test_the_students_own_correct_sample_is_the_positive_where_there_is_one_lesson_only(problems: list[Problem]) -> None:
    correct = {problems[0].id: [write_rationale(problems[0], 2)]}
    items = make_items(problems[:2], lessons_on(problems[:2], 1), mistakes_on(problems[:2]), correct)
    assert [item.positive for item in items] == [write_rationale(problems[0], 2), None]
    assert [item.has_triplet for item in items] == [True, False]


def test_an_own_correct_sample_in_the_lessons_very_words_is_no_positive(problems: list[Problem]) -> None:
    problem = problems[0]
    correct = {problem.id: [write_rationale(problem, 0)]}
    (item,) = make_items([problem], [Lesson(problem.id, write_rationale(problem, 0))], mistakes_on([problem]), correct)
    assert item.positive is None


def test_with_two_lessons_each_is_the_others_positive(problems: list[Problem]) -> None:
    problem = problems[0]
    items = make_items([problem], lessons_on([problem], 2), mistakes_on([problem]), {problem.id: ["own"]})
    assert [(i.anchor, i.positive) for i in items] == [
        (write_rationale(problem, 0), write_rationale(problem, 1)),
        (write_rationale(problem, 1), write_rationale(problem, 0)),
    ]


def test_different_mistakes_on_a_question_are_used_in_turn(problems: list[Problem]) -> None:
    problem = problems[0]
    items = make_items([problem], lessons_on([problem], 3), mistakes_on([problem], 2), {})
    wrong = [m.rationale for m in mistakes_on([problem], 2)]
    assert [i.negative for i in items] == [wrong[0], wrong[0], wrong[1]]  # mirrored items share one


def test_without_replay_there_are_lessons_only(problems: list[Problem]) -> None:
    correct = {p.id: [write_rationale(p, 0)] for p in problems}
    items = make_items(problems, lessons_on(problems[:5], 2), mistakes_on(problems), correct,
                       earlier=lessons_on(problems[10:], 1))  # fmt: skip
    assert len(items) == 10 and {i.source for i in items} == {"lesson"}


def test_replay_is_a_share_of_the_earlier_lessons_and_of_own_answers_per_lesson_each_once(problems: list[Problem]) -> None:
    correct = {p.id: [write_rationale(p, 0), write_rationale(p, 1)] for p in problems[:20]}
    now = lessons_on(problems[:5], 2)
    earlier = [*now[:2], *lessons_on(problems[20:], 1), *lessons_on(problems[20:], 1)]  # taught again now, and twice
    there = len(problems[20:])
    for replay in (0.5, 1.0, 0.2):
        old = round(replay * there)
        items = make_items(problems, now, mistakes_on(problems), correct, earlier=earlier, replay=replay)
        assert Counter(i.source for i in items) == {
            "lesson": 10, "replay": old, "own": min(15, round(replay * (10 + old)))}
        assert len({(i.problem.id, i.anchor) for i in items}) == len(items)
        assert not {i.problem.id for i in items if i.source == "own"} & {p.id for p in problems[:5]}
        assert not any(i.has_triplet for i in items if i.source == "own")
    none = make_items(problems, now, mistakes_on(problems), {}, replay=1.0)
    assert Counter(i.source for i in none) == {"lesson": 10}


def test_an_earlier_lesson_is_replayed_although_its_question_has_another_one_now(problems: list[Problem]) -> None:
    now, before = ([Lesson(problems[0].id, write_rationale(problems[0], style))] for style in (0, 1))
    items = make_items(problems, now, [], {}, earlier=before, replay=1.0)
    assert [(i.anchor, i.source) for i in items] == [(now[0].rationale, "lesson"), (before[0].rationale, "replay")]
    assert items[0].positive == items[1].anchor and items[1].positive == items[0].anchor  # each the other's second way


def test_own_answers_that_are_right_by_luck_are_not_trained_on(problems: list[Problem]) -> None:
    """"yes" to a comparison is right half of the time, whatever the steps say."""
    lucky = next(p for p in problems if p.kind == "yes-no")
    samples = [Sample(lucky.id, 0, f"Add: 1 + 1 = 2. The answer is {lucky.answer}.", lucky.answer, True),
               *(Sample(p.id, 0, write_rationale(p, 0), p.answer, True) for p in problems if p != lucky)]  # fmt: skip
    curriculum = mistakes_and_replay(1.0, USUAL.verify)
    report = ExamReport(tuple(problems), tuple(samples))
    taught = next(p for p in problems if p != lucky)
    items = curriculum(report, lessons_on([taught], 2), [lessons_on(problems, 1)], seed=0)
    own = {i.problem.id for i in items if i.source == "own"}
    assert own == {p.id for p in problems} - {lucky.id, taught.id}


def test_the_seed_decides_what_is_replayed(problems: list[Problem]) -> None:
    def replayed(seed: int) -> list[TrainingItem]:
        return make_items(problems, lessons_on(problems[:5], 2), mistakes_on(problems), {}, replay=1.0, seed=seed,
                          earlier=lessons_on(problems[10:], 1))  # fmt: skip

    assert replayed(1) == replayed(1) != replayed(2)


# --- batches ---


def test_an_epoch_shows_every_item_once(problems: list[Problem]) -> None:
    items = [TrainingItem(p, write_rationale(p, 0)) for p in problems]
    batches = epoch_batches(items, 8, random.Random(0))
    assert sorted(i.problem.id for b in batches for i in b) == sorted(p.id for p in problems)
    assert all(len(b) <= 8 for b in batches)


def test_steps_bound_a_rounds_training_whatever_the_number_of_lessons(problems: list[Problem]) -> None:
    def shown(lessons: int, **knobs: int) -> list[list[TrainingItem]]:
        made = make_items(problems, lessons_on(problems[:12], lessons), [], {})
        return round_batches(made, LoopConfig(batch_size=8, epochs=2, **knobs), random.Random(0))

    assert [len(shown(n)) for n in (1, 2)] == [4, 6]  # two passes over 12 and over 24 items, 8 a step
    assert [len(shown(n, steps=7)) for n in (1, 2)] == [7, 7]
    passes = Counter(item.anchor for batch in shown(1, steps=7) for item in batch)
    assert set(passes.values()) <= {3, 4} and len(passes) == 12  # whole passes, the last one cut
    assert shown(2, steps=3) == shown(2)[:3]
    assert round_batches([], LoopConfig(steps=7), random.Random(0)) == []


def test_a_pass_has_every_lesson_and_own_answers_are_spread_over_the_passes(problems: list[Problem]) -> None:
    correct = {p.id: [write_rationale(p, 0)] for p in problems}
    made = make_items(problems, lessons_on(problems[:6], 2), [], correct, earlier=lessons_on(problems[6:9], 2), replay=1.0)
    shown = Counter((i.source, i.anchor) for b in round_batches(made, LoopConfig(batch_size=4, epochs=3), random.Random(0))
                    for i in b)  # fmt: skip
    times = {source: {n for (s, _), n in shown.items() if s == source} for source in ("lesson", "replay", "own")}
    assert times == {"lesson": {3}, "replay": {3}, "own": {1}} and len(shown) == len(made)
    alone = [TrainingItem(p, write_rationale(p, 0), source="own") for p in problems[:8]]  # self-training has nothing else
    again = Counter(i.anchor for b in round_batches(alone, LoopConfig(epochs=3), random.Random(0)) for i in b)
    assert set(again.values()) == {3}


def test_self_training_takes_every_own_correct_rationale_and_nothing_else(problems: list[Problem]) -> None:
    said = [Sample(problems[n].id, k, t, "7", True) for n, k, t in ((3, 0, "one"), (3, 1, "two"), (1, 0, "three"))]
    wrong = [Sample(problems[2].id, 0, "four", "8", False)]
    made = own_answers(ExamReport(tuple(problems), (*said, *wrong)), lessons_on(problems, 1), [lessons_on(problems, 1)], seed=0)
    assert [(i.problem.id, i.anchor) for i in made] == [(problems[n].id, t) for n, t in ((1, "three"), (3, "one"), (3, "two"))]
    assert not any(i.has_triplet for i in made) and {i.source for i in made} == {"own"}


# --- one round ---


QUICK = LoopConfig(epochs=1, batch_size=12, learning_rate=1e-2, reflection_weight=0.5)


@pytest.fixture(scope="module")
def items(problems: list[Problem]) -> list[TrainingItem]:
    return make_items(problems[:18], lessons_on(problems[:18], 2), mistakes_on(problems[:18]), {})


def train(student: Student, items: list[TrainingItem], config: LoopConfig = QUICK, **options: Any) -> list[dict[str, float]]:
    """A round of training as a run does it."""
    return train_round(student, items, config, **{"seed": 0, "objective": packed_loss, "progress": False, **options})


def weights_of(student: Student) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in student.trainable.items()}


def test_the_same_seed_trains_the_same_weights_bit_for_bit(load_tiny: Callable, items: list[TrainingItem]) -> None:
    def trained(seed: int) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
        student = load_tiny()
        log = train(student, items, seed=seed)
        return weights_of(student), log

    (one, log), (same, same_log), (other, _) = trained(1), trained(1), trained(2)
    assert log == same_log
    assert all(torch.equal(one[n], same[n]) for n in one)
    assert not all(torch.equal(one[n], other[n]) for n in one)


def test_a_round_takes_adamws_steps_with_clipped_gradients_on_a_rate_that_warms_up_and_falls(
    load_tiny: Callable, items: list[TrainingItem]
) -> None:
    """Written out by hand. A loss of growing size makes the gradients' norms differ, so that clipping changes AdamW's steps."""
    config = LoopConfig(steps=4, batch_size=4, epochs=1, reflection_weight=0.0, learning_rate=1e-3)
    sizes = iter((0.1, 30.0, 300.0, 3.0))

    def growing(student: Student, batch: list[TrainingItem], config: LoopConfig) -> Iterator[dict[str, torch.Tensor]]:
        size = next(sizes)
        for part in tailored_loss(student, batch, config):
            yield {**part, "loss": size * part["loss"]}

    trained, student = load_tiny(wake=True), load_tiny(wake=True)
    log = train_round(trained, items, config, seed=7, objective=growing, progress=False)
    assert max(step["gradient"] for step in log) > 1 > min(step["gradient"] for step in log)  # the norm before clipping

    weights, shares = list(student.trainable.values()), (1.0, 0.75, 0.5, 0.25)
    optimizer = torch.optim.AdamW(weights, weight_decay=0.0)
    batches, sizes = round_batches(items, config, random.Random("7/training")), iter((0.1, 30.0, 300.0, 3.0))
    for batch, share in zip(batches, shares, strict=True):
        optimizer.zero_grad()
        for part in growing(student, batch, config):
            part["loss"].backward()
        norm = torch.cat([w.grad.flatten() for w in weights]).norm()
        for weight in weights:
            weight.grad *= min(1.0, 1.0 / (norm.item() + 1e-6))
        optimizer.param_groups[0]["lr"] = share * config.learning_rate
        optimizer.step()
    for name, weight in student.trainable.items():
        torch.testing.assert_close(trained.trainable[name], weight, rtol=1e-4, atol=1e-6)


def test_a_round_lowers_both_losses(items: list[TrainingItem]) -> None:
    config = LoopConfig(epochs=8, batch_size=12, reflection_weight=0.5)
    log = train(load_student("pocket", device="cpu"), items, config)
    steps = len(items) // 12
    assert len(log) == 8 * steps
    first, last = log[:steps], log[-steps:]
    for loss in ("lm", "cl"):
        assert sum(e[loss] for e in last) < 0.7 * sum(e[loss] for e in first), loss
    assert all(e["gradient"] > 0 and e["triplets"] == 1 for e in log)


def test_a_round_with_the_plain_losses_in_micro_batches_or_with_checkpointing_takes_the_same_steps_up_to_rounding(
    load_tiny: Callable, items: list[TrainingItem]
) -> None:
    usual = train(load_tiny(), items)
    others = [
        train_round(load_tiny(), items, QUICK, seed=0, progress=False),
        train(load_tiny(), items, QUICK.with_(micro_batch=5)),
        train(load_tiny(gradient_checkpointing=True), items),
    ]
    for other in others:
        for one, same in zip(usual, other, strict=True):
            assert same == pytest.approx(one, rel=1e-3)


def test_a_round_leaves_the_base_model_as_it_was_and_ends_in_eval_mode_without_gradients(
    tiny: Student, items: list[TrainingItem]
) -> None:
    before = {n: p.detach().clone() for n, p in tiny.model.named_parameters() if n not in tiny.trainable}
    train(tiny, items)
    after = dict(tiny.model.named_parameters())
    assert all(torch.equal(before[n], after[n]) for n in before)
    assert not tiny.model.training
    assert all(p.grad is None for p in tiny.trainable.values())


def test_a_round_without_lessons_leaves_the_student_as_it_was(tiny: Student) -> None:
    before = weights_of(tiny)
    assert train(tiny, []) == []
    assert all(torch.equal(before[n], w) for n, w in weights_of(tiny).items())


def test_stop_ends_the_round_between_two_steps_and_the_student_stays_usable(tiny: Student, items: list[TrainingItem]) -> None:
    steps: list[dict[str, float]] = []
    with pytest.raises(Stopped):
        train(tiny, items, QUICK.with_(epochs=4), stop=lambda: len(steps) == 2, on_step=steps.append)
    assert len(steps) == 2
    assert tiny.generate(["2 + 2 ="], max_new_tokens=4) == tiny.generate(["2 + 2 ="], max_new_tokens=4)
    train(tiny, items)
    assert all(w.isfinite().all() for w in tiny.trainable.values())


def test_another_objective_trains_another_student_and_logs_what_it_yields(tiny: Student, items: list[TrainingItem]) -> None:
    """The seam of a lab: any loss, whole or in parts that add up."""

    def smallest(student: Student, batch: list[TrainingItem], config: LoopConfig) -> Iterator[dict[str, torch.Tensor]]:
        for _ in range(2):
            size = sum(weight.pow(2).sum() for weight in student.trainable.values())
            yield {"loss": size, "size": size}

    log = train(tiny, items, QUICK.with_(epochs=4, reflection_weight=0.0), objective=smallest)
    assert set(log[0]) == {"size", "gradient"} and log[-1]["size"] < 0.9 * log[0]["size"]
