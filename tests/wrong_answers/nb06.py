"""Typical wrong answers to notebook 06's exercises: exercise → (code, a part of the message it must get)."""

_LOSS = """
def my_triplet_loss(anchor, positive, negative, has_triplet, margin=1.0):
    near = cosine_similarity(anchor, positive, dim=-1)
    far = cosine_similarity(anchor, negative, dim=-1)
    loss = {loss}
    return {mean}
"""
_HINGE = "torch.relu(margin - near + far)"
_KEPT = "(loss * has_triplet).sum() / has_triplet.sum().clamp_min(1)"
_TEXTS = """
def my_triplet_texts(lesson, other, mistake, gold_line):
    anchor, positive = f"{{lesson}} {{gold_line}}", f"{{other}} {{gold_line}}"
    return anchor, positive, {negative}
"""

WRONG = {
    "06.1": [
        (_LOSS.format(loss="margin - near + far", mean=_KEPT), "clamp each item"),
        (_LOSS.format(loss="margin - near + far", mean=f"torch.relu({_KEPT})"), "mean first and clamped it afterwards"),
        (_LOSS.format(loss="torch.relu(margin + near - far)", mean=_KEPT), "signs are swapped"),
        (_LOSS.format(loss=_HINGE, mean="(loss * has_triplet).mean()"), "divide by has_triplet.sum()"),
        (_LOSS.format(loss=_HINGE, mean="loss.mean()"), "do not use has_triplet"),
        (_LOSS.format(loss=_HINGE, mean="loss[has_triplet].mean()"), "0 by 0"),
        (_LOSS.format(loss=_HINGE, mean="loss[has_triplet].sum()"), "sum over the items"),
        (_LOSS.format(loss="torch.relu(1 - near + far)", mean=_KEPT), "always use margin 1"),
        (
            """
def my_triplet_loss(anchor, positive, negative, has_triplet, margin=1.0):
    near, far = torch.einsum("bh,bh->b", anchor, positive), torch.einsum("bh,bh->b", anchor, negative)
    loss = torch.relu(margin - near + far)[has_triplet]
    return loss.mean() if len(loss) else torch.tensor(0.0)
""",
            "dot products",
        ),
        (
            """
def my_triplet_loss(anchor, positive, negative, has_triplet, margin=1.0):
    if not has_triplet.any():
        return torch.tensor(0.0)
    a, p, n = anchor[has_triplet], positive[has_triplet], negative[has_triplet]
    return torch.nn.functional.triplet_margin_loss(a, p, n, margin=margin, eps=0)
""",
            "Euclidean",
        ),
        (
            """
def my_triplet_loss(anchor, positive, negative, has_triplet, margin=1.0):
    a, p, n = (v / v.norm(dim=1, keepdim=True) for v in (anchor, positive, negative))
    loss = torch.clamp(margin - (a * p).sum(1) + (a * n).sum(1), min=0) * has_triplet
    return loss.sum() / max(has_triplet.sum(), 1)
""",
            "length 0",
        ),
    ],
    "06.2": [
        ('my_answer = {"A": [0.1, 0.5], "B": [0.1], "C": [], "D": [0.1, 0.5, 1.0]}', "the item is satisfied"),
        ('my_answer = {"A": [], "B": [], "C": [0.1, 0.5, 1.0, 1.5], "D": []}', "closer by ρ"),
        ("my_answer = {name: [0.1, 0.5, 1.0, 1.5] for name in 'ABCD'}", "Not every margin"),
        ('my_answer = {"A": [1.0, 1.5], "B": [0.5, 1.0, 1.5], "C": [0.1, 0.5, 1.0, 1.5], "D": [1.0, 1.5]}', "Look at D"),
        ('my_answer = {"A": [1.5, 1.0], "B": [0.5, 1.0, 1.5], "C": [0.5, 1.0, 1.5], "D": [1.5]}', "Look at C"),
        ('my_answer = {"A": [1.5], "B": [0.5, 1.0, 1.5], "C": [0.1, 0.5, 1.0, 1.5], "D": [1.5]}', "cos⁺ − cos⁻ = 0.80"),
        ('my_answer = {"A": 1.0, "B": 0.5, "C": 0.1, "D": 1.5}', "dictionary of lists"),
    ],
    "06.3": [
        (_TEXTS.format(negative='mistake + " " + gold_line'), "ends in the right one"),
        (_TEXTS.format(negative='mistake.split("The answer is")[0] + gold_line'), "did not write that"),
        (_TEXTS.format(negative='mistake.split("The answer is")[0].strip()'), "keep it"),
        (_TEXTS.format(negative='mistake if "answer" in mistake else f"{mistake} {gold_line}"'), "cut off before any answer"),
        ("def my_triplet_texts(lesson, other, mistake, gold_line):\n    return lesson, other, mistake", "have no answer"),
        (
            """
def my_triplet_texts(lesson, other, mistake, gold_line):
    return mistake, f"{other} {gold_line}", f"{lesson} {gold_line}"
""",
            "The order is",
        ),
    ],
    "06.4": [
        (
            """
def my_positive(anchor, lessons, own_correct):
    if len(lessons) >= 2:
        return lessons[0]
    return own_correct[0] if own_correct else None
""",
            "may be the anchor itself",
        ),
        (
            """
def my_positive(anchor, lessons, own_correct):
    for text in lessons:
        if text != anchor:
            return text
""",
            "never use own_correct",
        ),
        (
            """
def my_positive(anchor, lessons, own_correct):
    for text in own_correct + lessons:
        if text != anchor:
            return text
""",
            "Lessons come first",
        ),
        (
            """
def my_positive(anchor, lessons, own_correct):
    others = [x for x in lessons if x != anchor]
    return (others + own_correct + [None])[0]
""",
            "word for word",
        ),
        (
            """
def my_positive(anchor, lessons, own_correct):
    others = [x for x in lessons + own_correct if x != anchor]
    return others[0] if others else anchor
""",
            "only hides that",
        ),
        (
            """
def my_positive(anchor, lessons, own_correct):
    others = [x for x in lessons + own_correct if x != anchor]
    return others[0] if others else ""
""",
            "not an empty text",
        ),
    ],
}  # fmt: skip
