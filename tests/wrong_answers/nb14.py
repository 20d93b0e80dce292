"""Typical wrong answers to the exercises of notebook 14, and a part of the message that each must get."""

# fmt: off
WRONG = {
    "14.1": [("""
from collections import Counter
def my_vote(answers):
    votes = Counter(float(a) if a is not None else None for a in answers)
    if not votes:
        return None
    best = max(votes, key=votes.get)
    return next(a for a in answers if (float(a) if a is not None else None) == best)
""", "does not vote"), ("""
from collections import Counter
def my_vote(answers):
    votes = Counter(a for a in answers if a is not None)
    return votes.most_common(1)[0][0] if votes else None
""", "are one answer"), ("""
def my_vote(answers):
    given = [a for a in answers if a is not None]
    counts = [[float(b) for b in given].count(float(a)) for a in given]
    best = [a for a, n in zip(given, counts) if n == max(counts)]
    return best[-1] if best else None
""", "drawn last"), ("""
def my_vote(answers):
    given = [a for a in answers if a is not None]
    counts = [[float(b) for b in given].count(float(a)) for a in given]
    best = [a for a, n in zip(given, counts) if n == max(counts)]
    return max(best, key=float) if best else None
""", "largest or smallest"), ("""
def my_vote(answers):
    return next((a for a in answers if a is not None), None)
""", "the first answer, not")],
    "14.2": [("""
def my_front(ways):
    kept = [w for w in ways if not any(o[1] > w[1] and o[2] < w[2] for o in ways)]
    return [w[0] for w in sorted(kept, key=lambda w: w[2])]
""", "costs more and is no better"), ("""
def my_front(ways):
    kept = [w for w in ways if not any(o is not w and o[1] >= w[1] and o[2] <= w[2] for o in ways)]
    return [w[0] for w in sorted(kept, key=lambda w: w[2])]
""", "remove each other"), ("""
def my_front(ways):
    best = max((w[1] for w in ways), default=0)
    return [w[0] for w in ways if w[1] == best]
""", "only the most accurate"), ("""
def my_front(ways):
    return [max(ways, key=lambda w: w[1] / w[2])[0]] if ways else []
""", "accuracy per token"), ("""
def my_front(ways):
    def beats(a, b):
        return a[1] >= b[1] and a[2] <= b[2] and a[1:] != b[1:]
    return [w[0] for w in ways if not any(beats(o, w) for o in ways)]
""", "their order differs")],
    "14.3": [("""
def my_share(samples):
    return sum(hold and not right for right, hold in samples) / len(samples) if samples else 0.0
""", "divided by all samples"), ("""
def my_share(samples):
    true = [right for right, hold in samples if hold]
    return sum(not right for right in true) / len(true) if true else 0.0
""", "share of *these*"), ("""
def my_share(samples):
    wrong = [hold for right, hold in samples if not right]
    return sum(not hold for hold in wrong) / len(wrong) if wrong else 0.0
""", "with a false equation"), ("""
def my_share(samples):
    wrong = sum(not right for right, _ in samples)
    return sum(hold for _, hold in samples) / wrong if wrong else 0.0
""", "right samples too")],
}
