"""Sentences of notebook 07 about its own run, each with a condition that must be true when all cells have run."""

_LESSON = "sorted(cost_before[len(prompt) - 1 :])"
# Tokens of the lesson that are digits right after an equals sign, or after such a digit.
_RESULTS = (
    "[c for i, c in enumerate(cost_before) if i >= len(prompt) and tokens[i].strip().isdigit()"
    " and '=' in (tokens[i - 1].strip(), tokens[i - 2].strip()) and (tokens[i - 1].strip() == '=' or"
    " tokens[i - 1].strip().isdigit())]"
)

STORIES = [
    ("With weight 1 it would be most of the loss", "sum(cost_before[: len(prompt) - 1]) > 0.5 * sum(cost_before)"),
    ("In the rationale a handful of tokens carry the loss", f"sum({_LESSON}[-5:]) > 0.85 * sum({_LESSON})"),
    ("The digits after each `=` cost almost nothing.", f"len({_RESULTS}) >= 2 and sum({_RESULTS}) < 0.1 * sum({_LESSON})"),
    ("(`In`, `*`, `That`)", "item.anchor.startswith('In all 8 * 7') and 'That leaves' in item.anchor"),
    (
        "Packed and separate passes agree up to rounding.",
        "abs(packed[0] - separate[0]) < 1e-4 and abs(packed[1] - separate[1]) < 1e-4",
    ),
    (
        "With the ordinary causal mask L_lm is still right, because nothing is between prompt and anchor. L_cl is wrong",
        "abs(causal[0] - separate[0]) < 1e-4 and abs(causal[1] - separate[1]) > 1e-3",
    ),
    (
        "The step changed the few tokens at which the student would have written something else.",
        "sum(sorted(a - b for a, b in zip(cost_after, cost_before))[:3]) < 0.6 * (sum(cost_after) - sum(cost_before)) < 0",
    ),
    (
        "The costly tokens of the question hardly moved",
        "sum(cost_after[: len(prompt) - 1]) > 0.8 * sum(cost_before[: len(prompt) - 1])",
    ),
    (
        "A lesson on one question also makes lessons on other questions more likely, even for another withheld skill",
        "all(columns[5][i] < columns[0][i] for i in (0, 1, 2))",
    ),
    (
        "The loss is the same in all three rows, and no error is raised",
        "max(x for x, _ in measured.values()) - min(x for x, _ in measured.values()) < 1e-4",
    ),
    (
        "With the guard each tensor's cosine is 1.",
        "all(torch.cosine_similarity(a.flatten(), b.flatten(), 0) > 0.999 for a, b in zip(true, kept))",
    ),
    (
        "Without it most gradients have little to do with the true ones, and the norm is far too small.",
        "sum(torch.cosine_similarity(a.flatten(), b.flatten(), 0) < 0.6 for a, b in zip(true, cut)) > len(true) / 2"
        " and torch.cat([g.flatten() for g in cut]).norm() < 0.3 * torch.cat([g.flatten() for g in true]).norm()",
    ),
    (
        "it finds them likely from the start, so their loss is low in their first batch already.",
        "next(x['lm_own'] for x in log if 'lm_own' in x) < 0.5 * next(x['lm_lessons'] for x in log if 'lm_lessons' in x)",
    ),
    (
        "The small training raises the mean of the withheld skills. The mean of the known ones falls, in spite of replay.",
        "sum(after.by_skill[s] - before.by_skill[s] for s in before.by_skill if s not in figures.forgetting.KNOWN) > 0"
        " > sum(after.by_skill[s] - before.by_skill[s] for s in before.by_skill if s in figures.forgetting.KNOWN)",
    ),
    (
        "The two gradients are nearly at a right angle",
        "all(abs(torch.cosine_similarity((0.1 * p * g[0] + r * g[1]), g[2], 0)) < 0.2 for g, _, (p, r) in pulls.values())",
    ),
    (
        "In the fresh student λ = 0.5 makes them about equally strong.",
        "0.5 < float(rows[0][3]) / float(rows[0][2]) < 2",
    ),
    (
        "After training most triplets satisfy the margin, L_cl is close to 0, and the same λ gives it a much smaller share.",
        "float(rows[1][1]) < 0.15 and float(rows[1][3]) / float(rows[1][2]) < 0.6 * float(rows[0][3]) / float(rows[0][2])",
    ),
]
