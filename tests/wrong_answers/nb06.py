"""Typical wrong answers to the exercises of notebook 06, as a reader would write them."""

WRONG = {
    "06.1": [
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    weights = []\n"
            "    for position in range(prompt + rationale + padding):\n"
            "        if position < prompt:\n"
            "            weights.append(prompt_weight)\n"
            "        elif position < prompt + rationale:\n"
            "            weights.append(1.0)\n"
            "        else:\n"
            "            weights.append(0.0)\n"
            "    return weights\n",
            "shift by one",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    tokens = [prompt_weight] * prompt + [1.0] * rationale + [0.0] * padding\n"
            "    return [0.0] + tokens[:-1]\n",
            "shifted the other way",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    total = prompt + rationale + padding\n"
            "    return [prompt_weight if t + 1 < prompt else 1.0 for t in range(total - 1)] + [0.0]\n",
            "Your padding counts",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    w = [prompt_weight] * (prompt - 1)\n"
            "    w += [1.0] * (rationale + (1 if padding else 0))\n"
            "    return w + [0.0] * (prompt + rationale + padding - len(w))\n",
            "predicts the first padding token",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    return [1.0] * (prompt + rationale - 1) + [0.0] * (padding + 1)\n",
            "weigh as much as the rationale's",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    return [0.0] * (prompt - 1) + [1.0] * rationale + [0.0] * (padding + 1)\n",
            "does not count at all",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    return [0.1] * (prompt - 1) + [1.0] * rationale + [0.0] * (padding + 1)\n",
            "ignores the argument",
        ),
        (
            "def my_weights(prompt, rationale, padding, prompt_weight=0.1):\n"
            "    return [prompt_weight] * (prompt - 1) + [1.0] * rationale + [0.0] * padding\n",
            "one entry short",
        ),
    ],
    "06.2": [
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction='none')\n"
            "    return (loss * weights.flatten()).mean()\n",
            "divided by the number of tokens. A weighted mean",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    loss = -logits.log_softmax(-1).gather(2, labels.unsqueeze(2)).squeeze(2)\n"
            "    return (weights * loss).sum() / torch.count_nonzero(weights)\n",
            "number of tokens that count",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    return torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels)\n",
            "the weights do nothing",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    labels = labels.masked_fill(weights == 0, -100)\n"
            "    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())\n",
            "all counted alike",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    loss = torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction='none')\n"
            "    return torch.sum(weights * loss)\n",
            "did not divide",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    rows = []\n"
            "    for x, y, w in zip(logits, labels, weights):\n"
            "        if w.sum() > 0:\n"
            "            rows.append((torch.nn.functional.cross_entropy(x, y, reduction='none') * w).sum() / w.sum())\n"
            "    return torch.stack(rows).mean()\n",
            "mean of the rows",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    p = torch.softmax(logits, dim=-1)\n"
            "    loss = torch.nn.functional.cross_entropy(p.flatten(0, 1), labels.flatten(), reduction='none')\n"
            "    return (loss * weights.flatten()).sum() / weights.sum()\n",
            "takes the softmax itself",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    p = torch.softmax(logits, dim=-1).gather(-1, labels[..., None]).squeeze(-1)\n"
            "    return -(weights * torch.log(p)).sum() / weights.sum()\n",
            "log_softmax or cross_entropy",
        ),
        (
            "def my_lm_loss(logits, labels, weights):\n"
            "    log_p = logits.log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)\n"
            "    return (weights * log_p).sum() / weights.sum()\n",
            "sign is turned around",
        ),
    ],
    "06.3": [
        (
            "def my_mask(part):\n    return torch.ones(len(part), len(part), dtype=torch.bool).tril()\n",
            "plain causal mask",
        ),
        (
            "def my_mask(part):\n"
            "    part = torch.tensor(part)\n"
            "    same = part[:, None] == part[None, :]\n"
            "    return same & torch.ones(len(part), len(part), dtype=torch.bool).tril()\n",
            "does not see the prompt",
        ),
        (
            "def my_mask(part):\n"
            "    part = torch.tensor(part)\n"
            "    return (part[:, None] == part[None, :]) | (part[None, :] == 0)\n",
            "j must be at most i",
        ),
        (
            "def my_mask(part):\n"
            "    n = len(part)\n"
            "    mask = torch.zeros(n, n, dtype=torch.bool)\n"
            "    for i in range(n):\n"
            "        for j in range(i):\n"
            "            mask[i, j] = part[j] == part[i] or part[j] == 0\n"
            "    return mask\n",
            "does not see itself",
        ),
        (
            "def my_mask(part):\n"
            "    n = len(part)\n"
            "    mask = torch.zeros(n, n, dtype=torch.bool)\n"
            "    for i in range(n):\n"
            "        for j in range(i + 1):\n"
            "            mask[j, i] = part[j] in (0, part[i])\n"
            "    return mask\n",
            "turned around: the row",
        ),
        (
            "def my_mask(part):\n"
            "    p = torch.tensor(part)\n"
            "    future = torch.ones(len(p), len(p)).triu(1) > 0\n"
            "    other = (p[:, None] != p[None, :]) & (p[None, :] > 0)\n"
            "    return future | other\n",
            "True where looking is forbidden",
        ),
    ],
    "06.4": [
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    lm = sum(i[0] for i in items) / sum(i[1] for i in items)\n"
            "    cl = sum(i[2] or 0.0 for i in items) / len(items)\n"
            "    return lm + reflection_weight * cl\n",
            "number of all items",
        ),
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    loss = weight = cl = 0.0\n"
            "    for s, w, c in items:\n"
            "        loss, weight = loss + s, weight + w\n"
            "        if c is not None:\n"
            "            cl += c\n"
            "    return loss / weight + reflection_weight * cl\n",
            "added the reflection losses up",
        ),
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    lm = sum(s / w for s, w, _ in items) / len(items)\n"
            "    cl = [c for *_, c in items if c is not None]\n"
            "    return lm + (reflection_weight * sum(cl) / len(cl) if cl else 0.0)\n",
            "each item's own mean first",
        ),
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    items = [i for i in items if i[2] is not None]\n"
            "    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)\n"
            "    return lm + reflection_weight * sum(c for _, _, c in items) / len(items)\n",
            "left items without a triplet out of L_lm",
        ),
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    cl = [c for _, _, c in items if c is not None]\n"
            "    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)\n"
            "    return lm + reflection_weight * sum(cl) / len(cl)\n",
            "no mean to take",
        ),
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    cl = [c for _, _, c in items if c is not None]\n"
            "    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)\n"
            "    return lm + (sum(cl) / len(cl) if cl else 0.0)\n",
            "left λ out",
        ),
        (
            "def my_joint_loss(items, reflection_weight=0.5):\n"
            "    cl = [c for _, _, c in items if c is not None]\n"
            "    lm = sum(s for s, _, _ in items) / sum(w for _, w, _ in items)\n"
            "    return (1 - reflection_weight) * lm + reflection_weight * (sum(cl) / len(cl) if cl else 0.0)\n",
            "1 − λ",
        ),
    ],
    "06.5": [
        ('my_answer = "a"', "knows its sums"),
        ('my_answer = "c"', "the prompt weighs 0.1"),
        ('my_answer = "the prompt"', "one of the three letters"),
    ],
}
