"""Figures of training: token weights, the packed mask, what a step moves, losses, gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cosine_similarity

from l2r_course.figures.common import headline, percent
from l2r_lite.app.figures.base import GREEN, GREY, ORANGE, PURPLE, WORSE, new_figure, style
from l2r_lite.app.figures.readable import describe
from l2r_lite.students.rows import Packed

# One meaning per colour in notebook 07; DARK has none.
PROMPT, LESSON, MISTAKE, REFLECTION, DARK = GREY, GREEN, ORANGE, PURPLE, "#444444"
PARTS = (("prompt", PROMPT), ("anchor", LESSON), ("positive", LESSON), ("negative", MISTAKE))


@style()
def token_weights(
    tokens: Sequence[str], losses: Sequence[float], weights: Sequence[float]
) -> Figure:
    """Above the cross-entropy of each token, below its share of L_lm.

    Args:
        tokens: the predicted tokens, as text.
        losses, weights: of each token: −log p in nats, and its weight (below 1 in the prompt).
    """
    total = sum(w * x for w, x in zip(weights, losses, strict=True))
    parts = [100 * w * x / total for w, x in zip(weights, losses, strict=True)]
    prompt = [w < 1 for w in weights]
    count = sum(prompt)  # the prompt comes first
    raw, left = sum(losses[:count]) / sum(losses), sum(parts[:count])
    colours = [PROMPT if p else LESSON for p in prompt]
    figure = new_figure(11, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True)
    panels = ((top, losses, "−log p in nats"), (bottom, parts, "share of L_lm in %"))
    for axes, values, name in panels:
        axes.bar(range(len(tokens)), values, color=colours, width=0.8)
        axes.set(ylabel=name, xlim=(-0.7, len(tokens) - 0.3))
        axes.grid(axis="y", alpha=0.25)
    border = count - 0.5
    top.text(border - 0.3, 0.93, "prompt: weight 0.1", ha="right", color=PROMPT,
             transform=top.get_xaxis_transform())
    top.text(border + 0.3, 0.93, "rationale, answer, end: weight 1", color=LESSON,
             transform=top.get_xaxis_transform())
    for axes in (top, bottom):
        axes.axvline(border, color="#333333", lw=1)
    _name_tokens(bottom, tokens)
    headline(figure, f"The prompt: {percent(raw)} of the unweighted loss, {left:.0f} % of L_lm")
    return figure


@style()
def loss_moved(tokens: Sequence[str], losses: Mapping[str, Sequence[float]], prompt: int) -> Figure:
    """Each token's loss before and after training; the title says which lesson tokens fell most.

    Args:
        losses: "before" and "after 1 step", say → −log p of each token.
        prompt: how many of the tokens belong to the prompt; they come first.
    """
    figure = new_figure(11, 4.8)
    axes = figure.subplots()
    values = list(losses.values())
    of_token = list(zip(*values, strict=True))
    axes.vlines(range(len(tokens)), [min(v) for v in of_token], [max(v) for v in of_token],
                color=GREY, lw=1, alpha=0.6)
    for (name, loss), fill in zip(losses.items(), ("white", DARK), strict=True):
        axes.scatter(range(len(tokens)), loss, color=fill, ec=DARK, s=34, label=name, zorder=3)
    axes.axvline(prompt - 0.5, color="#333333", lw=1)
    top = max(max(v) for v in values)
    axes.text(prompt - 0.9, top * 1.1, "prompt: weight 0.1", ha="right", color=PROMPT)
    axes.text(prompt - 0.1, top * 1.1, "rationale, answer, end: weight 1", color=LESSON)
    axes.set(
        ylabel="−log p in nats", xlim=(-0.7, len(tokens) - 0.3), ylim=(-0.03 * top, top * 1.22))
    fell = [max(0.0, before - after) for before, *_, after in of_token]
    most = sorted(sorted(range(prompt, len(tokens)), key=lambda i: -fell[i])[:3])
    share = sum(fell[i] for i in most) / max(sum(fell[prompt:]), 1e-9)
    headline(figure, f"{percent(share)} of the lesson's fall is at {len(most)} of its "
                     f"{len(tokens) - prompt} tokens: {', '.join(_shown(tokens[i]) for i in most)}")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="center right", frameon=False)
    _name_tokens(axes, tokens)
    return figure


def _name_tokens(axes: Axes, tokens: Sequence[str]) -> None:
    axes.set_xticks(range(len(tokens)), map(_shown, tokens), rotation=90, fontsize=11)
    axes.tick_params(axis="x", length=0)


def _shown(token: str) -> str:
    return token.strip() or "↵"


@style()
def attention_blocks(batch: Packed) -> Figure:
    """Which token may attend to which in a batch's first row; below, each column's position."""
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
    upper.set(ylabel="this token …", yticks=[])
    upper.yaxis.set_label_coords(-0.17, 0.5)
    upper.set_title("Each rationale attends to the prompt and itself only", pad=46)
    upper.text(0.5, 1.06, "… may attend to this token", ha="center", transform=upper.transAxes)
    lower.set(ylabel="position", xlabel="column of the packed row")
    lower.yaxis.set_label_coords(-0.1, 0.5)
    describe(figure, "A square with a row and a column per token. Within each part the triangle up "
                     "to the diagonal is coloured, and in every row the prompt's columns. Below, "
                     "the positions of each rationale continue from the prompt's")
    return figure


@style()
def gradient_agreement(
    names: Sequence[str], series: Mapping[str, tuple[Sequence[Tensor], Sequence[Tensor]]]
) -> Figure:
    """Per LoRA tensor, the cosine between a gradient and the true one (0 if one of them is 0).

    Args:
        names: of the LoRA tensors.
        series: label → (true gradients, gradients), first the good ones, then the bad ones.
    """
    kinds = list(dict.fromkeys(_kind(n) for n in names))
    figure = new_figure(10, 4.6)
    axes = figure.subplots()
    at = []  # side by side: the layers, and A before B
    for name in names:
        b = 0.04 if "lora_B" in name else 0.0
        at.append(kinds.index(_kind(name)) + 0.07 * (int(_layer(name)) - 1.5) + b)
    looks, medians = ((DARK, "o"), (WORSE, "x")), []
    for (label, (should, has)), (colour, marker) in zip(series.items(), looks, strict=True):
        pairs = zip(should, has, strict=True)
        values = [cosine_similarity(a.flatten(), b.flatten(), 0).item() for a, b in pairs]
        axes.scatter(at, values, color=colour, marker=marker, s=45, label=label, zorder=3)
        medians.append(f"{np.median(values):.2f} {label}")
    axes.axhline(0, color=GREY, lw=1)
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set(
        ylim=(-1.05, 1.35), xlabel="LoRA tensors A and B of four layers, by the matrix they adapt",
        ylabel="cosine with the true gradient")
    headline(figure, f"Median cosine: {', '.join(medians)}")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="upper center", ncols=2, frameon=False)
    return figure


def _kind(name: str) -> str:
    return name.split(".lora_")[0].rsplit(".", 1)[1]


def _layer(name: str) -> str:
    return next(piece for piece in name.split(".") if piece.isdigit())


@style()
def losses_apart(log: Sequence[Mapping[str, float]], window: int = 5) -> Figure:
    """L_lm of lessons and of own answers, and L_cl, over the steps of a round.

    Batches without a triplet have no L_cl and are left out of its curve.

    Args:
        log: per step "lm_lessons" and "lm_own" (where the batch has such items), "cl", "triplets".
        window: the running mean is over this many neighbouring batches; fewer on a short curve.
    """
    steps = list(enumerate(log, 1))
    lessons = [(step, entry["lm_lessons"]) for step, entry in steps if "lm_lessons" in entry]
    own = [(step, entry["lm_own"]) for step, entry in steps if "lm_own" in entry]
    reflection = [(step, entry["cl"]) for step, entry in steps if entry["triplets"]]
    figure = new_figure(10, 4.6)
    left, right = figure.subplots(1, 2)
    told = (
        _curve(left, lessons, window, label="L_lm of lessons", color=LESSON, marker="o"),
        _curve(left, own, window, label="L_lm of own answers", color=DARK, marker="^"),
        _curve(right, reflection, window, label="L_cl", color=REFLECTION, marker="o"))
    left.set_ylabel("L_lm in nats per token")
    right.set_ylabel("L_cl (cosines)")
    for axes in (left, right):
        axes.set(xlabel="training step", xlim=(0, len(log) + 1), ylim=(0, None))
        axes.grid(axis="y", alpha=0.25)
        axes.legend(frameon=False, fontsize=11)
    headline(figure, ", ".join(filter(None, told)), fontsize=13)
    figure.supxlabel(
        f"one mark per batch; line: mean of up to {window} neighbouring batches; title: its first "
        "and last value", x=0.01, ha="left", fontsize=11, color=DARK)
    return figure


def _curve(
    axes: Axes, points: Sequence[tuple[int, float]], window: int, *, label: str, color: str,
    marker: str,
) -> str:
    """Draw marks and their running mean; return the mean at both ends, as "L_cl 0.52 → 0.09"."""
    if not points:
        return ""
    steps, values = np.array(points).T
    count = max(1, min(window, len(points) // 2))
    each = np.full(count, 1 / count)
    means = np.convolve(values, each, "valid")
    axes.plot(steps, values, ls="", marker=marker, ms=5, alpha=0.5, color=color)
    axes.plot(np.convolve(steps, each, "valid"), means, lw=2.4, color=color, label=label)
    return f"{label} {means[0]:.2f} → {means[-1]:.2f}"


TERMS = (
    ("prompt tokens", PROMPT), ("rationale tokens", LESSON), ("λ · self-reflection", REFLECTION))
Terms = tuple[Tensor, Sequence[float], Sequence[float]]


@style()
def gradient_balance(
    terms: Mapping[str, Terms], student: str, reflection_weight: float = 0.5,
    prompt_weight: float = 0.1,
) -> Figure:
    """The gradients of both losses as arrows, and each term's share of the joint gradient by λ.

    A term's share is its projection onto the joint gradient. Shares add up to 1; a term that pulls
    against the others has a negative share.

    Args:
        terms: student → (gradients (3, n) of mean prompt loss, mean rationale loss and L_cl; these
            three losses; the number of prompt tokens and of rationale tokens).
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
    """Both gradients in the plane that they span; L_lm's points to the right."""
    x, y = weight * cl * cosine, weight * cl * (1 - cosine**2) ** 0.5
    widest = max(lm, cl)
    for (dx, dy), colour in (((lm, 0), LESSON), ((x, y), REFLECTION), ((lm + x, y), "black")):
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.5, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (dx, dy), (0, 0), arrowprops=arrow)
    axes.plot([lm, lm + x, x], [0, y, y], color=GREY, lw=1, ls=":")
    axes.text(0, -0.05 * widest, "gradient of L_lm", color=LESSON, va="top")
    axes.text(x, y + 0.04 * widest, "λ · gradient of L_cl", color=REFLECTION)
    axes.set(xlim=(-0.3 * widest, 1.3 * widest), ylim=(-0.2 * widest, 1.35 * widest),
             aspect="equal", xlabel="norm", ylabel="norm")
    told = f"cosine {cosine:+.2f}: {_how(cosine)}".replace("-", "−")
    axes.set_title(told, fontsize=12, fontweight="normal")


def _how(cosine: float) -> str:
    if abs(cosine) <= 0.2:
        return "nearly at a right angle"
    return "they agree" if cosine > 0 else "they conflict"
