"""Typical wrong answers to the exercises of notebook 03."""

WRONG = {
    "03.1": [
        (
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    if temperature == 0:\n"
            "        best = max(range(len(logits)), key=lambda i: logits[i])\n"
            "        return [1.0 if i == best else 0.0 for i in range(len(logits))]\n"
            "    top = max(logits) * temperature\n"
            "    e = [math.exp(temperature * z - top) for z in logits]\n"
            "    return [x / sum(e) for x in e]\n",
            "You multiplied the logits by T",
        ),
        (
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    top = max(z / temperature for z in logits)\n"
            "    e = [math.exp(z / temperature - top) for z in logits]\n"
            "    return [x / sum(e) for x in e]\n",
            "T = 0 is a division by zero",
        ),
        (
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    temperature = temperature or 1.0\n"
            "    top = max(logits)\n"
            "    e = [math.exp((z - top) / temperature) for z in logits]\n"
            "    return [x / sum(e) for x in e]\n",
            "You treat T = 0 like T = 1",
        ),
        (
            "import torch\n"
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    z = torch.tensor(logits)\n"
            "    if temperature == 0:\n"
            "        return (z == z.max()).float()\n"
            "    return torch.softmax(z / temperature, dim=-1)\n",
            "you chose both",
        ),
        (
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    if temperature == 0:\n"
            "        return [float(i == logits.index(max(logits))) for i in range(len(logits))]\n"
            "    weights = [math.exp(z / temperature) for z in logits]\n"
            "    total = sum(weights)\n"
            "    return [w / total for w in weights]\n",
            "too large for a float",
        ),
        (
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    if temperature == 0:\n"
            "        return [float(i == logits.index(max(logits))) for i in range(len(logits))]\n"
            "    return [math.exp(z / temperature) for z in logits]\n",
            "do not add up to 1",
        ),
        (
            "import torch\n"
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    return (torch.softmax(torch.tensor(logits), -1) / temperature).tolist()\n",
            "after the softmax",
        ),
        (
            "import torch\n"
            "import math\ndef my_probabilities(logits, temperature):\n"
            "    return torch.softmax(torch.tensor(logits), -1).tolist()\n",
            "T has no effect",
        ),
    ],
    "03.2": [
        ("def my_mistakes(samples):\n    return [(q, r) for q, r, correct in samples if not correct]\n", "twice"),
        (
            "def my_mistakes(samples):\n"
            "    seen, found = set(), []\n"
            "    for q, r, correct in samples:\n"
            "        if not correct and r not in seen:\n"
            "            seen.add(r)\n"
            "            found.append((q, r))\n"
            "    return found\n",
            "under another question",
        ),
        (
            "def my_mistakes(samples):\n"
            "    right = [q for q, r, correct in samples if correct]\n"
            "    found = []\n"
            "    for q, r, correct in samples:\n"
            "        if q not in right and (q, r) not in found:\n"
            "            found.append((q, r))\n"
            "    return found\n",
            "another sample got right",
        ),
        (
            "def my_mistakes(samples):\n"
            "    found = {}\n"
            "    for q, r, correct in samples:\n"
            "        if not correct and q not in found:\n"
            "            found[q] = r\n"
            "    return list(found.items())\n",
            "one mistake a question",
        ),
        ("def my_mistakes(samples):\n    return {(q, r) for q, r, correct in samples if not correct}\n", "A set has no order"),
        ("def my_mistakes(samples):\n    return sorted({(q, r) for q, r, ok in samples if not ok})\n", "sorted"),
        (
            "def my_mistakes(samples):\n"
            "    found = []\n"
            "    for q, r, correct in samples:\n"
            "        if not correct and (not found or found[-1] != (q, r)):\n"
            "            found.append((q, r))\n"
            "    return found\n",
            "another one stood between",
        ),
    ],
    "03.3": [
        ("def my_pass_at_k(samples, right, k):\n    p = right / samples\n    return 1 - (1 - p) ** k\n", "naive estimate"),
        (
            "import math\n"
            "def my_pass_at_k(samples, right, k):\n    return 1 - math.comb(samples - right, k) // math.comb(samples, k)\n",
            "// cut the share",
        ),
        (
            "import math\ndef my_pass_at_k(samples, right, k):\n"
            "    def c(n, r):\n"
            "        return math.factorial(n) / math.factorial(r) / math.factorial(n - r)\n"
            "    return 1 - c(samples - right, k) / c(samples, k)\n",
            "n − c < k",
        ),
        (
            "import math\ndef my_pass_at_k(samples, right, k):\n"
            "    if samples - right < k:\n"
            "        return 0.0\n"
            "    return 1 - math.comb(samples - right, k) / math.comb(samples, k)\n",
            "n − c < k",
        ),
        (
            "import math\ndef my_pass_at_k(samples, right, k):\n"
            "    share = 1.0\n"
            "    for i in range(k):\n"
            "        share *= (samples - right - i) / (samples - i)\n"
            "    return share\n",
            "1 minus it",
        ),
        ("def my_pass_at_k(samples, right, k):\n    return 1 if right > 0 else 0\n", "any of all n samples is right"),
        ("def my_pass_at_k(samples, right, k):\n    return right / samples\n", "pass@1"),
    ],
    "03.4": [
        (
            "import math\ndef my_wilson_interval(right, total, z=1.96):\n"
            "    if not total:\n"
            "        return 0.0, 1.0\n"
            "    p = right / total\n"
            "    half = z * math.sqrt(p * (1 - p) / total)\n"
            "    return p - half, p + half\n",
            "at 0 % and 100 % it has no width",
        ),
        (
            "import math\ndef my_wilson_interval(right, total, z=1.96):\n"
            "    n, p = total, right / total\n"
            "    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)\n"
            "    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))\n"
            "    return centre - half, centre + half\n",
            "everything is possible",
        ),
        (
            "import math\ndef my_wilson_interval(right, total, z=1.96):\n"
            "    if total == 0:\n"
            "        return (0.0, 1.0)\n"
            "    n, p = total, right / total\n"
            "    centre = p + z**2 / (2 * n)\n"
            "    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))\n"
            "    return max(0, centre - half), min(1, centre + half)\n",
            "forgot to divide by 1 + z²/n",
        ),
        (
            "import math\ndef my_wilson_interval(right, total, z=1.96):\n"
            "    if total == 0:\n"
            "        return (0.0, 1.0)\n"
            "    n, p = total, right / total\n"
            "    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)\n"
            "    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n))\n"
            "    return centre - half, centre + half\n",
            "n squared",
        ),
        (
            "import math\ndef my_wilson_interval(right, total, z=1.96):\n"
            "    if total == 0:\n"
            "        return (0.0, 1.0)\n"
            "    n, p = total, right / total\n"
            "    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))\n"
            "    return p - half, p + half\n",
            "Your centre is p itself",
        ),
    ],
}
