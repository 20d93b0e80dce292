"""Typical wrong answers to the exercises of notebook 07, as a reader would write them."""

# fmt: off
WRONG = {
    "07.1": [("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    weights = []
    for position in range(prompt + rationale + padding):
        if position < prompt:
            weights.append(prompt_weight)
        elif position < prompt + rationale:
            weights.append(1.0)
        else:
            weights.append(0.0)
    return weights
""", "shift by one"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    tokens = [prompt_weight] * prompt + [1.0] * rationale + [0.0] * padding
    return [0.0] + tokens[:-1]
""", "in the wrong direction"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    total = prompt + rationale + padding
    return [prompt_weight if t + 1 < prompt else 1.0 for t in range(total - 1)] + [0.0]
""", "Your padding counts"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    w = [prompt_weight] * (prompt - 1)
    w += [1.0] * (rationale + (1 if padding else 0))
    return w + [0.0] * (prompt + rationale + padding - len(w))
""", "predict the first padding token"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    return [1.0] * (prompt + rationale - 1) + [0.0] * (padding + 1)
""", "weigh as much as the rationale's"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    return [0.0] * (prompt - 1) + [1.0] * rationale + [0.0] * (padding + 1)
""", "does not count at all"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    return [0.1] * (prompt - 1) + [1.0] * rationale + [0.0] * (padding + 1)
""", "ignore the argument"), ("""
def my_weights(prompt, rationale, padding, prompt_weight=0.1):
    return [prompt_weight] * (prompt - 1) + [1.0] * rationale + [0.0] * padding
""", "one entry short")],
    "07.2": [("""
def my_lm_loss(logits, labels, weights):
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction='none')
    return (loss * weights.flatten()).mean()
""", "divided by the number of tokens. For a weighted mean"), ("""
def my_lm_loss(logits, labels, weights):
    loss = -logits.log_softmax(-1).gather(2, labels.unsqueeze(2)).squeeze(2)
    return (weights * loss).sum() / torch.count_nonzero(weights)
""", "number of tokens that count"), ("""
def my_lm_loss(logits, labels, weights):
    return torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels)
""", "do not use the weights"), ("""
def my_lm_loss(logits, labels, weights):
    labels = labels.masked_fill(weights == 0, -100)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
""", "use the weights themselves"), ("""
def my_lm_loss(logits, labels, weights):
    loss = torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction='none')
    return torch.sum(weights * loss)
""", "did not divide"), ("""
def my_lm_loss(logits, labels, weights):
    rows = []
    for x, y, w in zip(logits, labels, weights):
        if w.sum() > 0:
            rows.append((torch.nn.functional.cross_entropy(x, y, reduction='none') * w).sum() / w.sum())
    return torch.stack(rows).mean()
""", "mean of the rows"), ("""
def my_lm_loss(logits, labels, weights):
    p = torch.softmax(logits, dim=-1)
    loss = torch.nn.functional.cross_entropy(p.flatten(0, 1), labels.flatten(), reduction='none')
    return (loss * weights.flatten()).sum() / weights.sum()
""", "takes the softmax itself"), ("""
def my_lm_loss(logits, labels, weights):
    p = torch.softmax(logits, dim=-1).gather(-1, labels[..., None]).squeeze(-1)
    return -(weights * torch.log(p)).sum() / weights.sum()
""", "log_softmax or cross_entropy"), ("""
def my_lm_loss(logits, labels, weights):
    log_p = logits.log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)
    return (weights * log_p).sum() / weights.sum()
""", "sign is wrong")],
    "07.3": [("""
def my_mask(part):
    return torch.ones(len(part), len(part), dtype=torch.bool).tril()
""", "ordinary causal mask"), ("""
def my_mask(part):
    part = torch.tensor(part)
    same = part[:, None] == part[None, :]
    return same & torch.ones(len(part), len(part), dtype=torch.bool).tril()
""", "does not attend to the prompt"), ("""
def my_mask(part):
    part = torch.tensor(part)
    return (part[:, None] == part[None, :]) | (part[None, :] == 0)
""", "j must be at most i"), ("""
def my_mask(part):
    n = len(part)
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        for j in range(i):
            mask[i, j] = part[j] == part[i] or part[j] == 0
    return mask
""", "does not attend to itself"), ("""
def my_mask(part):
    n = len(part)
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        for j in range(i + 1):
            mask[j, i] = part[j] in (0, part[i])
    return mask
""", "is transposed"), ("""
def my_mask(part):
    p = torch.tensor(part)
    future = torch.ones(len(p), len(p)).triu(1) > 0
    other = (p[:, None] != p[None, :]) & (p[None, :] > 0)
    return future | other
""", "True where attention is forbidden")],
    "07.4": [("""
def my_joint_loss(items, reflection_weight=0.5):
    lm = sum(i[0] for i in items) / sum(i[1] for i in items)
    cl = sum(i[2] or 0.0 for i in items) / len(items)
    return lm + reflection_weight * cl
""", "number of all items"), ("""
def my_joint_loss(items, reflection_weight=0.5):
    loss = weight = cl = 0.0
    for s, w, c in items:
        loss, weight = loss + s, weight + w
        if c is not None:
            cl += c
    return loss / weight + reflection_weight * cl
""", "summed the triplet losses"), ("""
def my_joint_loss(items, reflection_weight=0.5):
    lm = sum(s / w for s, w, _ in items) / len(items)
    cl = [c for *_, c in items if c is not None]
    return lm + (reflection_weight * sum(cl) / len(cl) if cl else 0.0)
""", "each item's own mean first"), ("""
def my_joint_loss(items, reflection_weight=0.5):
    items = [i for i in items if i[2] is not None]
    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)
    return lm + reflection_weight * sum(c for _, _, c in items) / len(items)
""", "left items without a triplet out of L_lm"), ("""
def my_joint_loss(items, reflection_weight=0.5):
    cl = [c for _, _, c in items if c is not None]
    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)
    return lm + reflection_weight * sum(cl) / len(cl)
""", "no mean to take"), ("""
def my_joint_loss(items, reflection_weight=0.5):
    cl = [c for _, _, c in items if c is not None]
    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)
    return lm + (sum(cl) / len(cl) if cl else 0.0)
""", "left λ out"), ("""
def my_joint_loss(items, reflection_weight=0.5):
    cl = [c for _, _, c in items if c is not None]
    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)
    return (1 - reflection_weight) * lm + reflection_weight * (sum(cl) / len(cl) if cl else 0.0)
""", "1 − λ")],
    "07.5": [("""
my_answer = "a"
""", "can calculate"), ("""
my_answer = "c"
""", "the prompt weighs 0.1"), ("""
my_answer = "the prompt"
""", "one of the three letters")],
}
