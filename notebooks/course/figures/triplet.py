"""One triplet in the plane: the three vectors that training moves, and the loss surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cosine_similarity

from l2r_course.figures.common import headline
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, new_figure, style
from l2r_lite.loop.losses import triplet_loss
from l2r_lite.runs.show import Table

STEP = 0.04  # learning rate of a step downhill
NAMES = (("h", "black"), ("h⁺", BLUE), ("h⁻", ORANGE))
PUSH, ON_THE_LEFT, REAL = RED, GREEN, PURPLE


@dataclass(frozen=True)
class Triplet:
    """h, h⁺ and h⁻ as unit vectors in the plane: before each step downhill, and after the last.

    Attributes:
        margin: ρ.
        path: (steps + 1, 3, 2): the vectors of h, h⁺ and h⁻.
        pushes: (steps + 1, 3, 2): minus the gradient of the loss with respect to each vector.
        losses: (steps + 1,).
    """

    margin: float
    path: Tensor
    pushes: Tensor
    losses: Tensor

    @classmethod
    def descend(
        cls, margin: float, angle_positive: float, angle_negative: float, steps: int = 0
    ) -> Triplet:
        """Start with these angles between h and the others, and take steps of gradient descent.

        All three vectors move, because all three come from the student. A step only turns them: a
        cosine does not depend on lengths.

        Args:
            margin: ρ ≥ 0.
            angle_positive, angle_negative: in degrees, 0 to 180.
        """
        angles = torch.tensor([0.0, math.radians(angle_positive), -math.radians(angle_negative)])
        now = torch.stack([angles.cos(), angles.sin()], 1)  # (3, 2)
        path, pushes, losses = [], [], []
        for _ in range(steps + 1):
            vectors = now.clone().requires_grad_()
            loss = triplet_loss(vectors[:1], vectors[1:2], vectors[2:], margin=margin)
            (gradient,) = torch.autograd.grad(loss, vectors)
            path.append(now)
            pushes.append(-gradient)
            losses.append(loss.detach())
            now = torch.nn.functional.normalize(now - STEP * gradient, dim=1)
        return cls(margin, torch.stack(path), torch.stack(pushes), torch.stack(losses))

    def cosines(self) -> tuple[list[float], list[float]]:
        """cos(h, h⁺) and cos(h, h⁻) before each step and after the last."""
        h, near, far = self.path.unbind(1)
        return cosine_similarity(h, near, -1).tolist(), cosine_similarity(h, far, -1).tolist()

    def sum(self) -> str:
        """The loss after the last step, with its numbers filled in."""
        near, far = (values[-1] for values in self.cosines())
        inside = f"{self.margin:.1f} − ({near:.2f}) + ({far:.2f})"
        return f"max(0, {inside}) = {self.losses[-1]:.2f}".replace("-", "−")


@style()
def triplet_plane(triplet: Triplet, items: tuple[Tensor, Tensor] | None = None) -> Figure:
    """A triplet as unit vectors, with the push on each; beside it the loss over the two cosines.

    Args:
        items: (cos(h, h⁺), cos(h, h⁻)) of real items, drawn as dots over the loss.
    """
    figure = new_figure(11, 5.4)
    left, right = figure.subplots(1, 2)
    _draw_vectors(left, triplet)
    _draw_surface(right, triplet.margin)
    if items is not None:
        told = f"real items: {_pushing(triplet.margin, items)} of {len(items[0])} push"
        right.scatter(*items, s=16, color=REAL, lw=0, zorder=3, label=told)
    near, far = triplet.cosines()
    right.plot(near, far, "-", color=ON_THE_LEFT, lw=2, zorder=3)
    right.scatter(near[-1:], far[-1:], s=190, marker="*", color=ON_THE_LEFT, ec="white", zorder=4,
                  label="the triplet on the left")
    right.legend(loc="upper left", fontsize=11, framealpha=0.9)
    steps = len(near) - 1
    after = f"After {steps} steps: " if steps else ""
    if steps == 1:
        after = "After 1 step: "
    said = "it pushes" if triplet.losses[-1] > 0 else "no push"
    headline(figure, f"{after}{triplet.sum()}: {said}")
    return figure


def triplet_table(triplet: Triplet, items: tuple[Tensor, Tensor] | None = None) -> Table:
    """The figure's numbers: each step, and how many real items push at this margin."""
    columns = (
        *triplet.cosines(), triplet.losses.tolist(),
        triplet.pushes[:, 0].norm(dim=-1).tolist())
    rows: list[list[object]] = [
        [step, *(f"{number:.3f}" for number in numbers)]
        for step, numbers in enumerate(zip(*columns, strict=True))]
    if items is not None:
        told = f"{_pushing(triplet.margin, items)} of {len(items[0])} push"
        rows.append(["real items", told, "", "", ""])
    return Table(["step", "cos(h, h⁺)", "cos(h, h⁻)", "loss", "push on h"], rows)


def _pushing(margin: float, items: tuple[Tensor, Tensor]) -> int:
    return int((margin - items[0] + items[1] > 0).sum())


def _draw_vectors(axes: Axes, triplet: Triplet) -> None:
    circle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(circle), np.sin(circle), color=GREY, lw=0.8, alpha=0.5)
    for number, (name, colour) in enumerate(NAMES):
        axes.plot(*triplet.path[:, number].T, color=colour, lw=3, alpha=0.35)  # its path so far
        x, y = triplet.path[-1, number].tolist()
        _arrow(axes, (0, 0), (x, y), colour)
        axes.text(1.15 * x, 1.15 * y, name, color=colour, fontsize=14, ha="center", va="center",
                  weight="bold")
        push = triplet.pushes[-1, number]
        if push.norm() > 0.05:
            end = (x + 0.4 * push[0].item(), y + 0.4 * push[1].item())
            _arrow(axes, (x, y), end, PUSH)
    length = triplet.pushes[-1, 0].norm()
    axes.text(0, -1.48, f"red: the push, minus the gradient (on h: {length:.2f})", color=PUSH,
              ha="center", fontsize=12)
    axes.set(xlim=(-1.45, 1.45), ylim=(-1.6, 1.4), aspect="equal")
    axes.axis("off")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "lw": 2.2, "mutation_scale": 18}
    axes.annotate("", end, start, arrowprops=look)


def _draw_surface(axes: Axes, margin: float) -> None:
    line = np.linspace(-1, 1, 81)
    near, far = np.meshgrid(line, line)
    levels = np.arange(0, 4.1, 0.5)
    axes.contourf(near, far, np.maximum(0, margin - near + far), levels, cmap="Greys", vmax=7)
    # The loss is the same along a line cos(h, h⁻) = cos(h, h⁺) + level − margin.
    for level in levels:
        shift = level - margin
        colour, width = ("black", 1.8) if level == 0 else (GREY, 0.7)
        axes.plot(line, line + shift, color=colour, lw=width)
        if -1.8 < shift < 1.3:  # labelled in the middle of its line
            middle = -shift / 2
            box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8}
            axes.text(middle, middle + shift, f"{level:g}", fontsize=11, ha="center", va="center",
                      color="#333333", bbox=box)
    axes.fill_between(line, -1, np.maximum(line - margin, -1), color="white", zorder=1)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="cos(h, h⁺)", ylabel="cos(h, h⁻)", aspect="equal")
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_yticks([-1, -0.5, 0, 0.5, 1])
    axes.set_title("loss of one item (darker: higher; white: 0)", fontsize=12, fontweight="normal")
