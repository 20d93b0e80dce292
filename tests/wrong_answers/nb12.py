"""Typical wrong answers to the exercises of notebook 12, and a part of the message that each must get."""

# fmt: off
WRONG = {
    "12.1": [("""
def my_items(first, second, samples):
    items = []
    for text, is_right in samples:
        if not is_right:
            items += [(first, second, text), (second, first, text)]
    return items
""", "The same wrong text twice"), ("""
def my_items(first, second, samples):
    items = []
    for text in dict.fromkeys(text for text, _ in samples):
        items += [(first, second, text), (second, first, text)]
    return items
""", "negatives of right samples"), ("""
def my_items(first, second, samples):
    for text, is_right in samples:
        if not is_right:
            return [(first, second, text), (second, first, text)]
    return []
""", "one mistake only"), ("""
def my_items(first, second, samples):
    seen, items = set(), []
    for text, is_right in samples:
        if not is_right and text not in seen:
            seen.add(text)
            items.append((first, second, text))
    return items
""", "one item per mistake"), ("""
def my_items(first, second, samples):
    wrong = dict.fromkeys(text for text, is_right in samples if not is_right)
    return [(lesson, lesson, text) for text in wrong for lesson in (first, second)]
""", "the positive is the anchor itself"), ("""
def my_items(first, second, samples):
    wrong = sorted({text for text, is_right in samples if not is_right})
    return [item for text in wrong for item in ((first, second, text), (second, first, text))]
""", "Your order differs")],
    "12.2": [("""
def my_scales(weights):
    return [1 / len(weights)] * len(weights)
""", "the same share"), ("""
def my_scales(weights):
    return [1.0] * len(weights)
""", "adds the mean losses up"), ("""
def my_scales(weights):
    return [weight for weight in weights]
""", "turns each mean back into a sum"), ("""
def my_scales(weights):
    return [weight / len(weights) for weight in weights]
""", "divided by the number of micro-batches"), ("""
def my_scales(weights):
    most = max(weights, default=1)
    return [weight / most for weight in weights]
""", "divided by the largest weight")],
    "12.3": [("""
def my_rate(step, steps):
    warmup = max(1, steps // 20)
    return min(step / warmup, 1.0) * max(0.1, 1 - step / steps)
""", "trains nothing"), ("""
def my_rate(step, steps):
    return max(0.1, 1 - step / steps)
""", "no warm-up"), ("""
def my_rate(step, steps):
    warmup = max(1, steps // 20)
    return (step + 1) / warmup if step < warmup else 1.0
""", "stays at the peak"), ("""
def my_rate(step, steps):
    warmup = max(1, steps // 20)
    return min((step + 1) / warmup, 1.0) * (1 - step / steps)
""", "falls below a tenth"), ("""
def my_rate(step, steps):
    warmup = max(1, steps // 20)
    return max(0.1, min((step + 1) / warmup, 1.0) * (1 - step / steps))
""", "limited the product"), ("""
def my_rate(step, steps):
    warmup = steps // 20
    return min((step + 1) / warmup, 1.0) * max(0.1, 1 - step / steps)
""", "fewer than 20 steps"), ("""
def my_rate(step, steps):
    warmup = max(1, steps // 20)
    return min((step + 1) / warmup, max(0.1, 1 - step / steps))
""", "product")],
}
