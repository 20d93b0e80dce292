"""Sentences of notebook 13 about its own run, each with a condition that must be true when all cells have run."""

_PAIRS = "lab.effect(CARRY)"
_EARLIER = "[(a, b) for r, a, b in lab.repairs if not r.last]"

STORIES = [
    ("More than half of $V$ as seen is gone on questions that had no part in the choice.",
     "real.future.mean() < 0.5 * real.seen.mean()"),
    ("Nothing can be explained there, and $V$ as seen is still above 0.5", "null.seen.mean() > 0.5"),
    ("It accepts a sentence in nearly all real cases and in few shuffled ones",
     "real.any_accepted > 0.9 and null.any_accepted <= 0.1"),
    ("gives better explanations than choosing by $V$ as seen (blue), with the same five sentences",
     "real.reranked.mean() > real.future.mean() + 0.05"),
    ("The table predicts better than the best sentence", "found['table'] > found['sentence'] + 0.05"),
    ("most of the difference is gone.", f"abs({_PAIRS}.within) < 0.5 * {_PAIRS}.observed"),
    ("In minimal pairs nothing of it is left that these pairs can show",
     f"abs({_PAIRS}.paired) < 0.1 and abs({_PAIRS}.paired) < 0.5 * {_PAIRS}.observed"),
    ("With it repaired the student reaches the right answer far more often than by rewriting",
     f"sum(a for a, _ in {_EARLIER}) > 2 * sum(b for _, b in {_EARLIER})"),
    ("in most of these answers", f"sum(a for a, _ in {_EARLIER}) > 0.5 * len({_EARLIER})"),
]  # fmt: skip
