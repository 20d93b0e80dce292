"""Why an arm is ahead or behind: the training of one round, watched step by step.

Accuracy says that an arm is behind, not why. Here one round is trained as in the loop and inspected
between steps: the gradient of each loss term in the adapter, the loss on held-out lessons, and the
hidden states. `make evidence ARGS=causes` does this for several seeds of two arms. Notebook 10
shows the log, logs/causes/pocket.jsonl.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from l2r_course.states import neighbours_agree, rationale_states, triplet_cosines
from l2r_lite.data.problems import load_problems
from l2r_lite.loop import runfolder
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.items import make_items, mistakes_and_replay
from l2r_lite.loop.lessons import choose_mistakes, make_lessons
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.training import train_round
from l2r_lite.runs.run import USUAL
from l2r_lite.runs.show import Table
from l2r_lite.runs.statistics import mean_interval
from l2r_lite.students.loading import student_from
from l2r_lite.students.packing import losses
from l2r_lite.students.rows import pack
from l2r_lite.teachers.open import open_teacher

if TYPE_CHECKING:
    from l2r_lite.loop.config import LoopConfig
    from l2r_lite.loop.student import Student

LOG = Path(__file__).parent / "logs" / "causes" / "pocket.jsonl"
STEPS = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40)  # steps after which the training is inspected
HELD = 48  # questions whose lessons are held out of training
TOLD = (  # a field of Look, its description, digits
    ("lm", "L_lm on held-out lessons, in nats", 2),
    ("cl", "L_cl on held-out lessons", 2),
    ("lm_pull", "norm of L_lm's gradient", 2),
    ("cl_pull", "norm of L_cl's gradient, before λ", 2),
    ("cosine", "cosine of the two gradients", 2),
    ("positive", "cos(h, h⁺)", 2),
    ("negative", "cos(h, h⁻)", 2),
    ("directions", "effective rank of the states", 1),
    ("same_digit", "share whose nearest state of another question ends in the same digit", 2),
)


@dataclasses.dataclass(frozen=True)
class Look:
    """Both loss terms at one moment of a round's training, without the factor λ.

    Attributes:
        step: after how many steps.
        lm, cl: L_lm and L_cl on held-out lessons, whose questions are not trained on.
        lm_pull, cl_pull: norms of their gradients in the adapter, on training lessons.
        cosine: of these two gradients, in [−1, 1].
        positive, negative: mean cos(h, h⁺) and cos(h, h⁻) on held-out lessons.
        directions: effective rank of the states of held-out lessons, between 1 and their number.
        same_digit: share of states whose nearest state of another question has an answer with the
            same last digit, in [0, 1].
    """

    step: int
    lm: float
    cl: float
    lm_pull: float
    cl_pull: float
    cosine: float
    positive: float
    negative: float
    directions: float
    same_digit: float


@dataclasses.dataclass(frozen=True)
class Watched:
    """All looks at one run (an arm and a seed): a line of the log."""

    arm: str
    seed: int
    reflection_weight: float
    looks: tuple[Look, ...]
    environment: dict[str, Any]
    commit: str = ""
    date: str = ""


def watch(
    config: LoopConfig, held: int = HELD, steps: Collection[int] = STEPS, progress: bool = True
) -> list[Look]:
    """Train the first round of a run with this config, and inspect it after some of its steps.

    Args:
        held: number of additional questions whose lessons are held out of training.
        steps: inspect it after these; 0 is before training.

    Raises:
        ValueError: the student makes mistakes on fewer than 2 · held questions.
    """
    seed = config.seed * 1009 + 1  # as in the loop's round 1
    student = student_from(config)
    train = load_problems(config.problems, "train", config.limit or None, config.seed)
    exam = take_exam(
        student, train, samples=config.samples, temperature=config.temperature, seed=seed,
        rows=config.exam_rows, max_new_tokens=config.max_new_tokens, progress=progress,
        judge=USUAL.judge)
    limit = config.feedback_limit + held if config.feedback_limit else 0
    asks = choose_mistakes(exam, config.with_(feedback_limit=limit), seed=seed)
    asked = list(dict.fromkeys(m.problem.id for m in asks))
    if len(asked) < 2 * held:
        raise ValueError(
            f"mistakes on {len(asked)} questions are too few to keep {held} of them out of "
            "training")
    aside = set(asked[:: len(asked) // held][:held])
    lessons = make_lessons(open_teacher(config), asks, config.lessons, read=USUAL.read,
                           verify=USUAL.verify, progress=progress).lessons
    trained_on = [x for x in lessons if x.problem_id not in aside]
    held_out = [x for x in lessons if x.problem_id in aside]
    curriculum = mistakes_and_replay(config.replay, USUAL.verify)
    trained = curriculum(exam, trained_on, [], seed=seed)
    kept = make_items(train, held_out, exam.mistakes, exam.correct, seed=seed)
    kept, some = ([i for i in items if i.has_triplet][: 2 * held] for items in (kept, trained))
    seen = [look(student, some, kept, config, 0)]
    taken = 0

    def after(_: object) -> None:
        nonlocal taken
        taken += 1
        if taken in steps:
            seen.append(look(student, some, kept, config, taken))

    train_round(student, trained, config, seed=seed, objective=USUAL.objective, on_step=after,
                progress=progress)
    return seen


def look(
    student: Student, trained: Sequence[TrainingItem], held: Sequence[TrainingItem],
    config: LoopConfig, step: int,
) -> Look:
    """Both terms as they are now. Changes nothing. Each item needs a triplet."""
    was_training = student.model.training
    weights = list(student.trainable.values())
    lm, cl = losses(student, pack(student, trained), margin=config.margin)
    gradients = (torch.autograd.grad(term, weights, retain_graph=term is lm) for term in (lm, cl))
    lm_pull, cl_pull = (torch.cat([g.flatten().double() for g in each]) for each in gradients)
    with torch.no_grad():
        held_lm, held_cl = losses(student, pack(student, held), margin=config.margin)
    plus, minus = triplet_cosines(student, held)
    one_each = {item.problem.id: item for item in held}
    problems, anchors = zip(*((i.problem, i.anchor) for i in one_each.values()), strict=True)
    states = rationale_states(student, problems, anchors)
    agree, _ = neighbours_agree(states, list(one_each), [p.answer[-1] for p in problems])
    student.model.train(was_training)
    return Look(
        step=step, lm=held_lm.item(), cl=held_cl.item(), lm_pull=lm_pull.norm().item(),
        cl_pull=cl_pull.norm().item(), cosine=cosine_similarity(lm_pull, cl_pull, 0).item(),
        positive=plus.mean().item(), negative=minus.mean().item(),
        directions=effective_rank(states), same_digit=agree)


def looks_table(watched: Sequence[Watched]) -> Table:
    """Untrained, and after the last step of each λ: means over seeds ± 95 % (t)."""
    weights = sorted({w.reflection_weight for w in watched})
    groups = {"untrained": (weights[0], 0)}
    groups |= {f"after the round, λ = {weight:g}": (weight, -1) for weight in weights}
    rows = []
    for name, what, digits in TOLD:
        cells = []
        for weight, place in groups.values():
            mine = [w for w in watched if w.reflection_weight == weight]
            mean, half = mean_interval([getattr(w.looks[place], name) for w in mine])
            interval = "" if math.isnan(half) else f" ± {half:.{digits}f}"
            cells.append(f"{mean:.{digits}f}{interval}")
        rows.append([what, *cells])
    return Table(["mean over seeds ± 95 % (t)", *groups], rows)


def effective_rank(states: Tensor) -> float:
    """Number of directions in which hidden states (n, hidden) differ: exp(entropy of variances).

    Lengths do not count, as in the cosines of the triplet loss. (Roy and Vetterli, 2007, with
    variances instead of singular values.)
    """
    unit = normalize(states.double(), dim=1)
    variance = torch.linalg.svdvals(unit - unit.mean(0)) ** 2
    return torch.special.entr(variance / variance.sum()).sum().exp().item()


def write_log(file: Path, watched: Sequence[Watched]) -> None:
    """Write the lines in order; the file is written completely or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(watched, key=lambda w: (w.reflection_weight, w.arm, w.seed))
    lines = [dataclasses.asdict(w) for w in ordered]
    for line in lines:
        line["looks"] = [{k: round(v, 5) for k, v in seen.items()} for seen in line["looks"]]
    runfolder.write_lines(file, lines)


def read_log(file: Path = LOG) -> list[Watched]:
    """All lines of the log; none if there is no file.

    Raises:
        RunError: a line cannot be read.
    """
    lines = runfolder.read_lines(file, dict) if file.exists() else []
    looks = [tuple(Look(**seen) for seen in line["looks"]) for line in lines]
    return [Watched(**(line | {"looks": seen})) for line, seen in zip(lines, looks, strict=True)]
