"""Wrong answers to notebook 07's exercises, as a reader would write them, and what each must be told."""

WRONG = {
    "07.1": [
        (
            "def my_forgotten(before, after, threshold):\n"
            "    fell = [(before[s] - after[s], s) for s in before if s in after and before[s] - after[s] > threshold]\n"
            "    return [s for _, s in sorted(fell, key=lambda x: x[0])]",
            "mildest fall stands first",
        ),
        (
            "def my_forgotten(before, after, threshold):\n"
            "    change = {s: after[s] - before[s] for s in after}\n"
            "    return [s for s in sorted(change, key=change.get, reverse=True) if change[s] > threshold]",
            "the other way round",
        ),
        (
            "def my_forgotten(before, after, threshold):\n"
            "    change = {s: abs(before[s] - after[s]) for s in before if s in after}\n"
            "    return [s for s in sorted(change, key=change.get, reverse=True) if change[s] > threshold]",
            "without abs()",
        ),
        (
            "def my_forgotten(before, after, threshold):\n"
            "    falls = {s: before[s] - after[s] for s in before if s in after}\n"
            "    return [s for s, fall in sorted(falls.items(), key=lambda x: -x[1]) if fall >= threshold]",
            "exactly the threshold",
        ),
        (
            "def my_forgotten(before, after, threshold):\n"
            "    falls = {s: before[s] - after[s] for s in before}\n"
            "    return sorted([s for s in falls if falls[s] > threshold], key=falls.get, reverse=True)",
            "has no entry in `after`",
        ),
        (
            "def my_forgotten(before, after, threshold):\n"
            "    return [s for s in before if s in after and before[s] > after[s] + threshold]",
            "sort them by the fall",
        ),
    ],
    "07.2": [
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    now = {q for q, _ in rounds[-1]}\n"
            "    old = [p for r in rounds[:-1] for p in r if p[0] not in now]\n"
            "    return random.Random(seed).sample(old, min(len(old), round(share * len(rounds[-1]))))",
            "is there twice",
        ),
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    old = {q: (q, t) for r in rounds[:-1] for q, t in r}\n"
            "    return random.Random(seed).sample(list(old.values()), min(len(old), round(share * len(rounds[-1]))))",
            "has lessons in the current round",
        ),
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    now = {q for q, _ in rounds[-1]}\n"
            "    old = {q: (q, t) for r in rounds[:-1] for q, t in r if q not in now}\n"
            "    return random.sample(list(old.values()), min(len(old), round(share * len(rounds[-1]))))",
            "same seed chose differently",
        ),
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    now = {q for q, _ in rounds[-1]}\n"
            "    old = {q: (q, t) for r in rounds[:-1] for q, t in r if q not in now}\n"
            "    return list(old.values())[: round(share * len(rounds[-1]))]",
            "Every seed makes the same choice",
        ),
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    now = {q for q, _ in rounds[-1]}\n"
            "    old = {q: (q, t) for r in rounds[:-1] for q, t in r if q not in now}\n"
            "    return random.Random(seed).sample(list(old.values()), round(share * len(rounds[-1])))",
            "take all of them then",
        ),
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    now = {q for q, _ in rounds[-1]}\n"
            "    old = {q: (q, t) for r in rounds[:-1] for q, t in r if q not in now}\n"
            "    n = round(share * sum(len(r) for r in rounds[:-1]))\n"
            "    return random.Random(seed).sample(list(old.values()), min(len(old), n))",
            "the share of the earlier lessons",
        ),
        (
            "import random\n"
            "def my_replay(rounds, share, seed):\n"
            "    if len(rounds) < 2:\n"
            "        return []\n"
            "    now = {q for q, _ in rounds[-1]}\n"
            "    old = {q: (q, t) for q, t in rounds[-2] if q not in now}\n"
            "    return random.Random(seed).sample(list(old.values()), min(len(old), round(share * len(rounds[-1]))))",
            "draw from all earlier rounds",
        ),
    ],
    "07.3": [
        ("worse = dict(replay=0.5)\ncured = dict(replay=1.0)", "Replay holds the known skills"),
        ("worse = dict(epochs=1)\ncured = dict(replay=1.0)", "Less training is no way"),
        ("worse = {'learning_rate': 0.01}\ncured = {'epochs': 1, 'learning_rate': 1e-3}", "Who does not learn does not forget"),
        ("worse = dict(epochs=6)\ncured = dict(epochs=1)", "To learn less is no cure"),
        ("worse = dict(learning_rate=0.01)\ncured = dict(learning_rate=0.01, replay=0.5)", "half of the start's"),
        ("worse = dict(replay=1)\ncured = dict(learning_rate=0.01)", "The two are swapped"),
        ("worse = dict(learning_rate=0.01)\ncured = dict(rounds=2)", "A second round repairs"),
        ("worse = dict(learning_rate=0.01)\ncured = dict(replay=2)", "measured are 0.0, 0.5, 1.0"),
        ("worse = dict(lr=0.01)\ncured = dict(replay=1)", "no knob lr"),
        ("worse = 'learning_rate=0.01'\ncured = dict(replay=1)", "is to be a dict"),
        ("worse = dict(epochs=3)\ncured = dict(replay=1)", "the setting that we start from"),
    ],
    "07.4": [
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best, waited = validation[0], 0\n"
            "    for i, v in enumerate(validation[1:], 1):\n"
            "        if v > best + minimal_gain:\n"
            "            best, waited = v, 0\n"
            "        else:\n"
            "            waited += 1\n"
            "        if patience and waited == patience:\n"
            "            return i, i\n"
            "    return len(validation) - 1, len(validation) - 1",
            "hand back the last round",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best = waited = 0\n"
            "    for i in range(1, len(validation)):\n"
            "        better = validation[i] - validation[i - 1] > minimal_gain\n"
            "        best, waited = (i, 0) if better else (best, waited + 1)\n"
            "        if patience and waited == patience:\n"
            "            return i, best\n"
            "    return len(validation) - 1, best",
            "with the one before",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best = waited = 0\n"
            "    for i in range(1, len(validation)):\n"
            "        better = validation[i] - validation[best] >= minimal_gain\n"
            "        best, waited = (i, 0) if better else (best, waited + 1)\n"
            "        if patience and waited == patience:\n"
            "            return i, best\n"
            "    return len(validation) - 1, best",
            "A tie counts as better",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best = waited = 0\n"
            "    for i in range(1, len(validation)):\n"
            "        better = validation[i] - validation[best] > minimal_gain\n"
            "        best, waited = (i, 0) if better else (best, waited + 1)\n"
            "        if patience and waited > patience:\n"
            "            return i, best\n"
            "    return len(validation) - 1, best",
            "one round too late",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best = waited = 0\n"
            "    for i in range(1, len(validation)):\n"
            "        better = validation[i] - validation[best] > minimal_gain\n"
            "        best, waited = (i, 0) if better else (best, waited + 1)\n"
            "        if patience and waited == patience:\n"
            "            return i + 1, best + 1\n"
            "    return len(validation), best + 1",
            "counted from 0",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best = waited = 0\n"
            "    for i in range(1, len(validation)):\n"
            "        better = validation[i] > validation[best]\n"
            "        best, waited = (i, 0) if better else (best, waited + 1)\n"
            "        if patience and waited == patience:\n"
            "            return i, best\n"
            "    return len(validation) - 1, best",
            "do not use minimal_gain",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best = waited = 0\n"
            "    for i in range(1, len(validation)):\n"
            "        better = validation[i] - validation[best] > minimal_gain\n"
            "        best, waited = (i, 0) if better else (best, waited + 1)\n"
            "        if waited >= patience:\n"
            "            return i, best\n"
            "    return len(validation) - 1, best",
            "Patience 0 means never",
        ),
        (
            "def my_stop(validation, patience, minimal_gain):\n"
            "    best, seen = validation[0], 0\n"
            "    for i, v in enumerate(validation):\n"
            "        seen = 0 if v > best + minimal_gain else seen + (i > 0)\n"
            "        best = max(best, v) if seen == 0 else best\n"
            "        if patience and seen == patience:\n"
            "            break\n"
            "    return i, validation.index(max(validation))",
            "rounds after the stop",
        ),
    ],
}
