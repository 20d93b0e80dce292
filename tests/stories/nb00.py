"""Sentences of notebook 00 about its own run, and conditions that must be true when its cells have run."""

STORIES = [
    (
        "before training the student gets hardly any of these questions right",
        'report["rounds"][0]["by_skill"]["multiply-add"] <= 0.1',
    ),
    (
        "each exam finds fewer mistakes than the one before it",
        '(found := [r["mistakes"] for r in report["rounds"][1:]]) == sorted(found, reverse=True) and len(set(found)) == 3',
    ),
    (
        "The first round brings the largest gain",
        '(a := [r["accuracy"] for r in report["rounds"]]) and a[1] - a[0] > max(a[2] - a[1], a[3] - a[2], 0)',
    ),
    (
        "Most of the nine withheld skills are dark at first and light after round 1",
        'sum(r < 0.2 and report["rounds"][1]["by_skill"][s] > 0.6 for s, r in report["rounds"][0]["by_skill"].items()) >= 5',
    ),
    (
        "`who-has-more` falls in round 1",
        'report["rounds"][0]["by_skill"]["who-has-more"] > report["rounds"][1]["by_skill"]["who-has-more"]',
    ),
    (
        "although the student knew it",
        'report["rounds"][0]["by_skill"]["who-has-more"] >= 0.8',
    ),
    (
        "Each row has only 25 test questions",
        "len(test) == 25 * len({p.skill for p in test})",
    ),
]  # fmt: skip
