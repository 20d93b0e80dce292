"""Typical wrong answers to the exercises of notebook 03."""

# fmt: off
WRONG = {
    "03.1": [("""
import math
def my_probabilities(logits, temperature):
    if temperature == 0:
        best = max(range(len(logits)), key=lambda i: logits[i])
        return [1.0 if i == best else 0.0 for i in range(len(logits))]
    top = max(logits) * temperature
    e = [math.exp(temperature * z - top) for z in logits]
    return [x / sum(e) for x in e]
""", "You multiplied the logits by T"), ("""
import math
def my_probabilities(logits, temperature):
    top = max(z / temperature for z in logits)
    e = [math.exp(z / temperature - top) for z in logits]
    return [x / sum(e) for x in e]
""", "you divide by zero"), ("""
import math
def my_probabilities(logits, temperature):
    temperature = temperature or 1.0
    top = max(logits)
    e = [math.exp((z - top) / temperature) for z in logits]
    return [x / sum(e) for x in e]
""", "You treat T = 0 like T = 1"), ("""
import torch
import math
def my_probabilities(logits, temperature):
    z = torch.tensor(logits)
    if temperature == 0:
        return (z == z.max()).float()
    return torch.softmax(z / temperature, dim=-1)
""", "you gave both of them 1"), ("""
import math
def my_probabilities(logits, temperature):
    if temperature == 0:
        return [float(i == logits.index(max(logits))) for i in range(len(logits))]
    weights = [math.exp(z / temperature) for z in logits]
    total = sum(weights)
    return [w / total for w in weights]
""", "too large for a float"), ("""
import math
def my_probabilities(logits, temperature):
    if temperature == 0:
        return [float(i == logits.index(max(logits))) for i in range(len(logits))]
    return [math.exp(z / temperature) for z in logits]
""", "do not add up to 1"), ("""
import torch
import math
def my_probabilities(logits, temperature):
    return (torch.softmax(torch.tensor(logits), -1) / temperature).tolist()
""", "after the softmax"), ("""
import torch
import math
def my_probabilities(logits, temperature):
    return torch.softmax(torch.tensor(logits), -1).tolist()
""", "T has no effect")],
    "03.2": [("""
def my_mistakes(samples):
    return [(q, r) for q, r, correct in samples if not correct]
""", "twice"), ("""
def my_mistakes(samples):
    seen, found = set(), []
    for q, r, correct in samples:
        if not correct and r not in seen:
            seen.add(r)
            found.append((q, r))
    return found
""", "under another question"), ("""
def my_mistakes(samples):
    right = [q for q, r, correct in samples if correct]
    found = []
    for q, r, correct in samples:
        if q not in right and (q, r) not in found:
            found.append((q, r))
    return found
""", "another sample got right"), ("""
def my_mistakes(samples):
    found = {}
    for q, r, correct in samples:
        if not correct and q not in found:
            found[q] = r
    return list(found.items())
""", "one mistake per question"), ("""
def my_mistakes(samples):
    return {(q, r) for q, r, correct in samples if not correct}
""", "A set has no order"), ("""
def my_mistakes(samples):
    return sorted({(q, r) for q, r, ok in samples if not ok})
""", "sorted"), ("""
def my_mistakes(samples):
    found = []
    for q, r, correct in samples:
        if not correct and (not found or found[-1] != (q, r)):
            found.append((q, r))
    return found
""", "Compare with all earlier ones"), ("""
def my_mistakes(samples):
    return list({r: (q, r) for q, r, correct in samples if not correct}.values())
""", "You compare rationales alone"), ("""
def my_mistakes(samples):
    seen, found = [], []
    for q, r, correct in samples:
        if r not in seen and not correct:
            found.append((q, r))
        seen.append(r)
    return found
""", "You compare rationales alone"), ("""
def my_mistakes(samples):
    return list({r: None for q, r, correct in samples if not correct})
""", "You return rationales alone"), ("""
def my_mistakes(samples):
    return list(set((q, r) for q, r, correct in samples if not correct))
""", "A set has no order"), ("""
def my_mistakes(samples):
    return list({(q, r): None for q, r, correct in samples})
""", "kept the right samples too"), ("""
def my_mistakes(samples):
    return list({q: r for q, r, correct in samples if not correct}.items())
""", "one mistake per question")],
    "03.3": [("""
def my_pass_at_k(samples, right, k):
    p = right / samples
    return 1 - (1 - p) ** k
""", "naive estimate"), ("""
import math
def my_pass_at_k(samples, right, k):
    return 1 - math.comb(samples - right, k) // math.comb(samples, k)
""", "// rounded"), ("""
import math
def my_pass_at_k(samples, right, k):
    def c(n, r):
        return math.factorial(n) / math.factorial(r) / math.factorial(n - r)
    return 1 - c(samples - right, k) / c(samples, k)
""", "n − c < k"), ("""
import math
def my_pass_at_k(samples, right, k):
    if samples - right < k:
        return 0.0
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)
""", "n − c < k"), ("""
import math
def my_pass_at_k(samples, right, k):
    share = 1.0
    for i in range(k):
        share *= (samples - right - i) / (samples - i)
    return share
""", "1 minus it"), ("""
def my_pass_at_k(samples, right, k):
    return 1 if right > 0 else 0
""", "any of all n samples is right"), ("""
def my_pass_at_k(samples, right, k):
    return right / samples
""", "pass@1")],
    "03.4": [("""
import math
def my_wilson_interval(right, total, z=1.96):
    if not total:
        return 0.0, 1.0
    p = right / total
    half = z * math.sqrt(p * (1 - p) / total)
    return p - half, p + half
""", "At 0 % and 100 % it has no width"), ("""
import math
def my_wilson_interval(right, total, z=1.96):
    n, p = total, right / total
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return centre - half, centre + half
""", "any accuracy is possible"), ("""
import math
def my_wilson_interval(right, total, z=1.96):
    if total == 0:
        return (0.0, 1.0)
    n, p = total, right / total
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0, centre - half), min(1, centre + half)
""", "forgot to divide by 1 + z²/n"), ("""
import math
def my_wilson_interval(right, total, z=1.96):
    if total == 0:
        return (0.0, 1.0)
    n, p = total, right / total
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n))
    return centre - half, centre + half
""", "n squared"), ("""
import math
def my_wilson_interval(right, total, z=1.96):
    if total == 0:
        return (0.0, 1.0)
    n, p = total, right / total
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return p - half, p + half
""", "Your centre is p itself")],
}
