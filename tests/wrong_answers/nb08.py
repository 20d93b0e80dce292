"""Typical wrong answers to the exercises of notebook 08, and a part of the message that each must get."""

# fmt: off
WRONG = {
    "08.1": [("""
def my_forgotten(before, after, threshold):
    fell = [(before[s] - after[s], s) for s in before if s in after and before[s] - after[s] > threshold]
    return [s for _, s in sorted(fell, key=lambda x: x[0])]
""", "smallest fall comes first"), ("""
def my_forgotten(before, after, threshold):
    change = {s: after[s] - before[s] for s in after}
    return [s for s in sorted(change, key=change.get, reverse=True) if change[s] > threshold]
""", "the wrong way round"), ("""
def my_forgotten(before, after, threshold):
    change = {s: abs(before[s] - after[s]) for s in before if s in after}
    return [s for s in sorted(change, key=change.get, reverse=True) if change[s] > threshold]
""", "without abs()"), ("""
def my_forgotten(before, after, threshold):
    falls = {s: before[s] - after[s] for s in before if s in after}
    return [s for s, fall in sorted(falls.items(), key=lambda x: -x[1]) if fall >= threshold]
""", "exactly the threshold"), ("""
def my_forgotten(before, after, threshold):
    falls = {s: before[s] - after[s] for s in before}
    return sorted([s for s in falls if falls[s] > threshold], key=falls.get, reverse=True)
""", "missing in `after` was not asked about"), ("""
def my_forgotten(before, after, threshold):
    return [s for s in before if s in after and before[s] > after[s] + threshold]
""", "sort them by the fall")],
    "08.2": [("""
import random
def my_replay(rounds, share, seed):
    old = [p for r in rounds[:-1] for p in r if p not in rounds[-1]]
    return random.Random(seed).sample(old, round(share * len(old)))
""", "is in your list twice"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    return random.Random(seed).choices(old, k=round(share * len(old)))
""", "without replacement"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r})
    return random.Random(seed).sample(old, round(share * len(old)))
""", "is a lesson of the current round"), ("""
import random
def my_replay(rounds, share, seed):
    now = {q for q, _ in rounds[-1]}
    old = sorted({p for r in rounds[:-1] for p in r if p[0] not in now})
    return random.Random(seed).sample(old, round(share * len(old)))
""", "another lesson on the same question"), ("""
import random
def my_replay(rounds, share, seed):
    old = {q: (q, t) for r in rounds[:-1] for q, t in r if (q, t) not in rounds[-1]}
    return random.Random(seed).sample(list(old.values()), round(share * len(old)))
""", "one lesson per question"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    return random.sample(old, round(share * len(old)))
""", "same seed chose different lessons"), ("""
import random
def my_replay(rounds, share, seed):
    old = list(dict.fromkeys(p for r in rounds[:-1] for p in r if p not in rounds[-1]))
    return old[: round(share * len(old))]
""", "Every seed makes the same choice"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    return random.Random(seed).sample(old, min(len(old), round(share * len(rounds[-1]))))
""", "not of the 2 lessons of the current round"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    n = round(share * sum(len(r) for r in rounds[:-1]))
    return random.Random(seed).sample(old, n)
""", "draw more lessons than there are"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    n = round(share * sum(len(r) for r in rounds[:-1]))
    return random.Random(seed).sample(old, min(len(old), n))
""", "take the share of what is left"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    return random.Random(seed).sample(old, int(share * len(old)))
""", "cut off the fraction"), ("""
import random
def my_replay(rounds, share, seed):
    old = sorted({p for r in rounds[:-1] for p in r if p not in rounds[-1]})
    rng = random.Random(seed)
    n = round(share * len(old))
    return rng.sample(old[:n + 1], n)
""", "was not chosen"), ("""
import random
def my_replay(rounds, share, seed):
    if len(rounds) < 2:
        return []
    old = sorted(set(rounds[-2]) - set(rounds[-1]))
    return random.Random(seed).sample(old, round(share * len(old)))
""", "not only from the last one")],
    "08.3": [("""
worse = dict(replay=0.25)
cured = dict(replay=1.0)
""", "Replay protects the known skills"), ("""
worse = dict(epochs=1)
cured = dict(replay=1.0)
""", "Less training does not"), ("""
worse = {'learning_rate': 0.01}
cured = {'epochs': 1, 'learning_rate': 1e-3}
""", "because it learns little"), ("""
worse = dict(learning_rate=0.01)
cured = dict(epochs=1, learning_rate=0.01, replay=0.25)
""", "Learning less is no cure"), ("""
worse = dict(learning_rate=0.01)
cured = dict(learning_rate=0.01, replay=1)
""", "half of the start's"), ("""
worse = dict(replay=1)
cured = dict(learning_rate=0.01)
""", "The two are swapped"), ("""
worse = dict(learning_rate=0.01)
cured = dict(rounds=2)
""", "A second round would repair"), ("""
worse = dict(learning_rate=0.01)
cured = dict(replay=0.5)
""", "we measured 0.0, 0.25, 1.0"), ("""
worse = dict(learning_rate=0.01)
cured = dict(replay=2)
""", "must be between 0 and 1"), ("""
worse = dict(learning_rate=0.01)
cured = dict(epochs=1)
""", "because it learns little"), ("""
worse = dict(epochs=4)
cured = dict(replay=1)
""", "What makes each step larger"), ("""
worse = dict(learning_rate=0.01)
cured = dict(rate_decay=0.5)
""", "from round 2 on"), ("""
worse = dict(lr=0.01)
cured = dict(replay=1)
""", "we measured only"), ("""
worse = 'learning_rate=0.01'
cured = dict(replay=1)
""", "must be a dict"), ("""
worse = dict(epochs=2)
cured = dict(replay=1)
""", "equals the start")],
    "08.4": [("""
def my_stop(validation, patience, minimal_gain):
    best, waited = validation[0], 0
    for i, v in enumerate(validation[1:], 1):
        if v > best + minimal_gain:
            best, waited = v, 0
        else:
            waited += 1
        if patience and waited == patience:
            return i, i
    return len(validation) - 1, len(validation) - 1
""", "the last round as the best"), ("""
def my_stop(validation, patience, minimal_gain):
    best = waited = 0
    for i in range(1, len(validation)):
        better = validation[i] - validation[i - 1] > minimal_gain
        best, waited = (i, 0) if better else (best, waited + 1)
        if patience and waited == patience:
            return i, best
    return len(validation) - 1, best
""", "with the one before"), ("""
def my_stop(validation, patience, minimal_gain):
    best = waited = 0
    for i in range(1, len(validation)):
        better = validation[i] - validation[best] >= minimal_gain
        best, waited = (i, 0) if better else (best, waited + 1)
        if patience and waited == patience:
            return i, best
    return len(validation) - 1, best
""", "A tie counts as better"), ("""
def my_stop(validation, patience, minimal_gain):
    best = waited = 0
    for i in range(1, len(validation)):
        better = validation[i] - validation[best] > minimal_gain
        best, waited = (i, 0) if better else (best, waited + 1)
        if patience and waited > patience:
            return i, best
    return len(validation) - 1, best
""", "one round too late"), ("""
def my_stop(validation, patience, minimal_gain):
    best = waited = 0
    for i in range(1, len(validation)):
        better = validation[i] - validation[best] > minimal_gain
        best, waited = (i, 0) if better else (best, waited + 1)
        if patience and waited == patience:
            return i + 1, best + 1
    return len(validation), best + 1
""", "one too high"), ("""
def my_stop(validation, patience, minimal_gain):
    best = waited = 0
    for i in range(1, len(validation)):
        better = validation[i] > validation[best]
        best, waited = (i, 0) if better else (best, waited + 1)
        if patience and waited == patience:
            return i, best
    return len(validation) - 1, best
""", "do not use minimal_gain"), ("""
def my_stop(validation, patience, minimal_gain):
    best = waited = 0
    for i in range(1, len(validation)):
        better = validation[i] - validation[best] > minimal_gain
        best, waited = (i, 0) if better else (best, waited + 1)
        if waited >= patience:
            return i, best
    return len(validation) - 1, best
""", "Patience 0 means never"), ("""
def my_stop(validation, patience, minimal_gain):
    best, seen = validation[0], 0
    for i, v in enumerate(validation):
        seen = 0 if v > best + minimal_gain else seen + (i > 0)
        best = max(best, v) if seen == 0 else best
        if patience and seen == patience:
            break
    return i, validation.index(max(validation))
""", "rounds after the stop")],
}
