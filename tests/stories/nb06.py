"""Sentences of notebook 06 about its own run, each with a condition that must be true when all cells have run."""

STORIES = [
    ("Right and wrong are mixed.", "abs(neighbours(before)[0] - by_chance[0]) < 0.2"),
    (
        "On right or wrong, neighbours agree little more than by chance.",
        "neighbours(before)[0] - by_chance[0] < 0.5 * (neighbours(before)[3] - by_chance[3])",
    ),
    (
        "On the length and the first character of the answer they agree far more often.",
        "neighbours(before)[3] > 1.3 * by_chance[3] and neighbours(before)[2] > 1.5 * by_chance[2]",
    ),
    (
        "Learning to write the lessons (λ = 0) hardly changes how close the mistakes are.",
        "abs((cosines['trained, λ = 0'][1] - cosines['before training'][1]).mean()) < 0.1",
    ),
    (
        "anchors and positives come together and mistakes move away, until some items reach loss 0 and stop pushing.",
        "(cosines['trained, λ = 0.5'][0] - cosines['before training'][0]).mean() > 0.15"
        " and (cosines['trained, λ = 0.5'][1] - cosines['before training'][1]).mean() < -0.15"
        " and (1 - cosines['trained, λ = 0.5'][0] + cosines['trained, λ = 0.5'][1] <= 0).any()",
    ),
    (
        "Right and wrong form two groups in neither.",
        "all(abs(neighbours(states)[0] - by_chance[0]) < 0.2 for states in after.values())",
    ),
    (
        "the nearest state on another question has the same answer far more often than before.",
        "neighbours(after['trained, λ = 0.5'])[1] > 1.8 * neighbours(before)[1]",
    ),
    (
        "h⁻ comes closer to h, above all in the student that has learned to tell answers apart",
        "corrupted_table[3][2] - corrupted_table[2][2] > 2 * (corrupted_table[1][2] - corrupted_table[0][2]) > 0",
    ),
    ("The training loss falls here too, so no loss curve shows the bug.", "last < 0.6 * first"),
    (
        "on real, unseen triplets, anchors and positives are less close, and L_cl ends higher than in the row above.",
        "cosines[name][0].mean() < cosines['trained, λ = 0.5'][0].mean() - 0.05"
        " and (1 - cosines[name][0] + cosines[name][1]).clamp_min(0).mean()"
        " > (1 - cosines['trained, λ = 0.5'][0] + cosines['trained, λ = 0.5'][1]).clamp_min(0).mean() + 0.05",
    ),
    ("With one lesson and no other source of positives, L_cl is exactly 0", "shares[0][3:] == ['0%', '0.00']"),
    ("It helps little in this exam", "float(shares[1][3].rstrip('%')) < 25"),
    ("two lessons per mistake solve it.", "float(shares[2][3].rstrip('%')) > 95"),
]
