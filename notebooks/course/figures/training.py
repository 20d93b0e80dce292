"""Figures of training: token weights, the packed mask, what a step moves, which term pulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cosine_similarity

from l2r_course.figures.common import headline, percent
from l2r_lite.app.figures.base import BLUE, GREEN, GREY, ORANGE, RED, new_figure, style
from l2r_lite.students.rows import Packed

PARTS = (("prompt", GREY), ("anchor", BLUE), ("positive", GREEN), ("negative", RED))


@style()
def token_weights(
    tokens: Sequence[str], losses: Sequence[float], weights: Sequence[float]
) -> Figure:
    """What predicting each token costs, above, and what is left of that in L_lm, below.

    Args:
        tokens: the predicted ones, as text.
        losses, weights: of each, −log p in nats, and how much it counts (a prompt's: below 1).
    """
    total = sum(w * x for w, x in zip(weights, losses, strict=True))
    parts = [100 * w * x / total for w, x in zip(weights, losses, strict=True)]
    prompt = [w < 1 for w in weights]
    count = sum(prompt)  # the prompt comes first
    raw, left = sum(losses[:count]) / sum(losses), sum(parts[:count])
    colours = [GREY if p else BLUE for p in prompt]
    figure = new_figure(11, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True)
    panels = ((top, losses, "−log p in nats"), (bottom, parts, "share of L_lm in %"))
    for axes, values, name in panels:
        axes.bar(range(len(tokens)), values, color=colours, width=0.8)
        axes.set(ylabel=name, xlim=(-0.7, len(tokens) - 0.3))
        axes.grid(axis="y", alpha=0.25)
    border = count - 0.5
    top.text(border - 0.3, 0.93, "prompt: weight 0.1", ha="right", color=GREY,
             transform=top.get_xaxis_transform())
    top.text(border + 0.3, 0.93, "rationale, answer, end: weight 1", color=BLUE,
             transform=top.get_xaxis_transform())
    for axes in (top, bottom):
        axes.axvline(border, color="#333333", lw=1)
    _name_tokens(bottom, tokens)
    headline(figure, f"The prompt has {percent(raw)} of the tokens' loss, and {left:.0f} % of it "
                     "once weighted")
    return figure


@style()
def loss_moved(tokens: Sequence[str], losses: Mapping[str, Sequence[float]], prompt: int) -> Figure:
    """Each token's loss at several times, the first in grey.

    Args:
        losses: time ("before", "after 1 step") → −log p of each token.
        prompt: how many of the tokens are the prompt's.
    """
    figure = new_figure(11, 4.8)
    axes = figure.subplots()
    values = list(losses.values())
    of_token = list(zip(*values, strict=True))
    axes.vlines(range(len(tokens)), [min(v) for v in of_token], [max(v) for v in of_token],
                color=GREY, lw=1, alpha=0.6)
    looks = (("#444444", "o"), (ORANGE, "^"), (BLUE, "s"))
    for (name, loss), (colour, marker) in zip(losses.items(), looks, strict=False):
        axes.scatter(range(len(tokens)), loss, color=colour, marker=marker, s=34, label=name,
                     zorder=3)
    axes.axvline(prompt - 0.5, color="#333333", lw=1)
    top = max(max(v) for v in values)
    axes.text(prompt - 0.9, top * 1.1, "prompt: weight 0.1", ha="right", color=GREY)
    axes.text(prompt - 0.1, top * 1.1, "rationale, answer, end: weight 1", color=GREY)
    axes.set(
        ylabel="−log p in nats", xlim=(-0.7, len(tokens) - 0.3), ylim=(-0.03 * top, top * 1.22),
        title="A step moves the few tokens where the lesson says what the student would not")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="center right", frameon=False)
    _name_tokens(axes, tokens)
    return figure


def _name_tokens(axes: Axes, tokens: Sequence[str]) -> None:
    shown = [t.strip() or "↵" for t in tokens]
    axes.set_xticks(range(len(tokens)), shown, rotation=90, fontsize=11)
    axes.tick_params(axis="x", length=0)


@style()
def attention_blocks(batch: Packed) -> Figure:
    """Who may look at whom in a packed batch's first row, and each column's position below."""
    part, sees = batch.part[0].cpu(), (batch.mask(torch.float32)[0, 0] == 0).cpu()
    real = part >= 0
    part, sees, positions = part[real], sees[real][:, real], batch.positions[0].cpu()[real]
    figure = new_figure(8, 8.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    cells = torch.where(sees, part[:, None] + 1, 0)
    shades = ListedColormap(["#f4f4f4", *(c for _, c in PARTS)])
    upper.imshow(cells, cmap=shades, vmin=0, vmax=4, interpolation="nearest", aspect="auto")
    upper.tick_params(length=0)
    for number, (name, colour) in enumerate(PARTS):
        columns = torch.nonzero(part == number).flatten()
        if not len(columns):
            continue
        middle, border = columns.double().mean().item(), columns[-1].item() + 0.5
        upper.axhline(border, color="#333333", lw=0.8)
        upper.text(middle, -1.5, name, ha="center", color=colour, fontweight="bold")
        upper.text(-1.5, middle, name, va="center", ha="right", color=colour, fontweight="bold")
        for axes in (upper, lower):
            axes.axvline(border, color="#333333", lw=0.8)
        lower.plot(columns, positions[columns], color=colour, lw=3)
    upper.set(ylabel="the token that looks", yticks=[])
    upper.yaxis.set_label_coords(-0.17, 0.5)
    upper.set_title("Each rationale sees the prompt and itself only", pad=46)
    upper.text(0.5, 1.06, "the token that is looked at", ha="center", transform=upper.transAxes)
    lower.set(ylabel="position", xlabel="column of the packed row")
    lower.yaxis.set_label_coords(-0.1, 0.5)
    return figure


@style()
def gradient_agreement(
    names: Sequence[str], series: Mapping[str, tuple[Sequence[Tensor], Sequence[Tensor]]]
) -> Figure:
    """For each LoRA tensor, the cosine between a gradient and the one it should be.

    Args:
        names: of the LoRA tensors.
        series: label → (gradients as they should be, gradients); 0 where one of them is 0.
    """
    kinds = list(dict.fromkeys(_kind(n) for n in names))
    figure = new_figure(10, 4.6)
    axes = figure.subplots()
    at = []  # beside each other: layers, and A before B
    for name in names:
        b = 0.04 if "lora_B" in name else 0.0
        at.append(kinds.index(_kind(name)) + 0.07 * (int(_layer(name)) - 1.5) + b)
    looks = ((GREEN, "o"), (RED, "x"))
    for (label, (should, has)), (colour, marker) in zip(series.items(), looks, strict=True):
        pairs = zip(should, has, strict=True)
        values = [cosine_similarity(a.flatten(), b.flatten(), 0).item() for a, b in pairs]
        axes.scatter(at, values, color=colour, marker=marker, s=45, label=label, zorder=3)
    axes.axhline(0, color=GREY, lw=1)
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set(
        ylim=(-1.05, 1.35), xlabel="LoRA tensors A and B of four layers, by the matrix they adapt",
        ylabel="cosine to the true gradient",
        title="The loss is the same, and the gradient is another")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="upper center", ncols=2, frameon=False)
    return figure


def _kind(name: str) -> str:
    return name.split(".lora_")[0].rsplit(".", 1)[1]


def _layer(name: str) -> str:
    return next(piece for piece in name.split(".") if piece.isdigit())


TERMS = (("prompt tokens", GREY), ("rationale tokens", BLUE), ("λ · self-reflection", ORANGE))
Terms = tuple[Tensor, Sequence[float], Sequence[float]]


@style()
def gradient_balance(
    terms: Mapping[str, Terms], student: str, reflection_weight: float = 0.5,
    prompt_weight: float = 0.1,
) -> Figure:
    """The joint loss's gradients as arrows, and each term's share of the joint gradient by λ.

    A term's share is its projection onto the joint gradient, so that shares add up to 1; a term
    that pulls against the others has a negative one.

    Args:
        terms: student → (gradients (3, n) of mean prompt loss, mean rationale loss and L_cl; these
            three losses; how many prompt and rationale tokens there are).
    """
    gradients, losses, (prompt, rationale) = terms[student]
    gram = (gradients @ gradients.T).double().cpu()  # (3, 3): all that a slider needs
    total = prompt_weight * prompt + rationale
    lm = torch.tensor([prompt_weight * prompt / total, rationale / total, 0.0], dtype=torch.double)
    cl = torch.tensor([0.0, 0.0, 1.0], dtype=torch.double)
    weights = [x / 100 for x in range(101)]
    curves = torch.stack([_shares(gram, lm + w * cl) for w in weights])  # (101, 3)
    here = _shares(gram, lm + reflection_weight * cl)
    lm_norm, cl_norm = (lm @ gram @ lm).sqrt(), gram[2, 2].sqrt()
    cosine = (lm @ gram @ cl / (lm_norm * cl_norm)).clamp(-1, 1).item()
    mean = (lm[:2] @ torch.tensor(losses[:2], dtype=torch.double)).item()
    figure = new_figure(11, 4.9)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    _draw_arrows(left, lm_norm.item(), cl_norm.item(), reflection_weight, cosine)
    right.stackplot(weights, (100 * curves.T).tolist(), colors=[c for _, c in TERMS], alpha=0.75)
    right.axvline(reflection_weight, color="black", lw=2)
    right.set(xlim=(0, 1), ylim=(0, 100), xlabel="reflection weight λ",
              ylabel="share of the joint gradient in %")
    for (name, colour), value, y in zip(TERMS, here.tolist(), (1.13, 1.07, 1.01), strict=True):
        right.text(0, y, f"{name}: {percent(value)}", color=colour, transform=right.transAxes,
                   fontweight="bold")
    said = f"{mean:.2f} + {reflection_weight:.1f} · {losses[2]:.2f}"
    loss = mean + reflection_weight * losses[2]
    left.text(0.02, 0.98, f"L = L_lm + λ · L_cl = {said} = {loss:.2f}", va="top",
              transform=left.transAxes)
    headline(figure, f"{student}, λ = {reflection_weight:.1f}: self-reflection is "
                     f"{percent(here[2].item())} of the joint gradient")
    return figure


def _shares(gram: Tensor, scale: Tensor) -> Tensor:
    return scale * (gram @ scale) / (scale @ gram @ scale) + 0.0  # no minus in front of a zero


def _draw_arrows(axes: Axes, lm: float, cl: float, weight: float, cosine: float) -> None:
    """Both gradients in the plane that they span, L_lm's to the right."""
    x, y = weight * cl * cosine, weight * cl * (1 - cosine**2) ** 0.5
    widest = max(lm, cl)
    for (dx, dy), colour in (((lm, 0), BLUE), ((x, y), ORANGE), ((lm + x, y), "black")):
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.5, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (dx, dy), (0, 0), arrowprops=arrow)
    axes.plot([lm, lm + x, x], [0, y, y], color=GREY, lw=1, ls=":")
    axes.text(0, -0.05 * widest, "gradient of L_lm", color=BLUE, va="top")
    axes.text(x, y + 0.04 * widest, "λ · gradient of L_cl", color=ORANGE)
    axes.set(xlim=(-0.3 * widest, 1.3 * widest), ylim=(-0.2 * widest, 1.35 * widest),
             aspect="equal", xlabel="norm", ylabel="norm")
    axes.set_title(f"cosine {cosine:+.2f}: {_how(cosine)}", fontsize=12, fontweight="normal")


def _how(cosine: float) -> str:
    if abs(cosine) <= 0.2:
        return "about at a right angle"
    return "they pull together" if cosine > 0 else "against each other"
