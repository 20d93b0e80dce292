"""A verifier trained on the student's own rationales: right or wrong, from the last hidden state.

Cobbe et al. (arXiv 2110.14168) train a language model as the verifier. Here it is a logistic
regression on the state that the student has at the end of a rationale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from l2r_lite.data.answers import is_correct
from l2r_lite.loop.losses import read_texts
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student

ROWS = 128
PENALTY = 0.01  # on the squared weights, halved


@dataclass(frozen=True)
class Verifier:
    """A linear score of a rationale's last hidden state.

    Attributes:
        mean, deviation: of each dimension on the training rationales, (hidden,).
        weights, bias: (hidden,) and (); positive scores say "right".
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor
    bias: Tensor

    def score(
        self, student: Student, problems: Sequence[Problem], texts: Sequence[str]
    ) -> list[float]:
        """The log-odds that each rationale is right."""
        states = (last_states(student, problems, texts) - self.mean) / self.deviation
        return (states @ self.weights + self.bias).tolist()


def train_verifier(
    student: Student, problems: Sequence[Problem], *, samples: int = 4, seed: int = 0,
    max_new_tokens: int = 56,
) -> Verifier:
    """Sample rationales for training questions, and fit right against wrong."""
    written = student.generate(
        [student.prompt(problem) for problem in problems], samples=samples, temperature=0.7,
        max_new_tokens=max_new_tokens, seed=seed)
    pairs = [(p, text) for p, texts in zip(problems, written, strict=True) for text in texts]
    asked, texts = [p for p, _ in pairs], [text for _, text in pairs]
    right = torch.tensor([float(is_correct(text, p)) for p, text in pairs])
    return fit(last_states(student, asked, texts), right)


def fit(states: Tensor, right: Tensor) -> Verifier:
    """Logistic regression with a small penalty.

    Args:
        states: (texts, hidden).
        right: (texts,), 1 for a right rationale and 0 for a wrong one.
    """
    mean, deviation = states.mean(0), states.std(0) + 1e-6
    scaled = (states - mean) / deviation
    weights = torch.zeros(states.shape[1], requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(scaled @ weights + bias, right)
        value = value + PENALTY * weights.square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    return Verifier(mean, deviation, weights.detach(), bias.detach())


def auc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that a right text has a higher score than a wrong one; a tie counts half.

    nan if all texts are right, or all are wrong.
    """
    positive = [s for s, is_right in zip(scores, right, strict=True) if is_right]
    negative = [s for s, is_right in zip(scores, right, strict=True) if not is_right]
    if not positive or not negative:
        return math.nan
    ranks = rankdata([*positive, *negative])[: len(positive)]
    pairs = len(positive) * len(negative)
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / pairs)


@torch.inference_mode()
def last_states(student: Student, problems: Sequence[Problem], texts: Sequence[str]) -> Tensor:
    """The student's state at the end of each rationale, (texts, hidden), in fp32 on the CPU."""
    student.model.eval()
    items = [TrainingItem(p, text) for p, text in zip(problems, texts, strict=True)]
    parts = [items[i : i + ROWS] for i in range(0, len(items), ROWS)]
    states = [read_texts(student, part, [i.anchor for i in part]).last for part in parts]
    return torch.cat(states).float().cpu()
