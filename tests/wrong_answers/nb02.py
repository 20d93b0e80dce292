"""Typical wrong answers to the exercises of notebook 02, and a part of the message that each must get."""

# fmt: off
WRONG = {
    "02.1": [("""
def my_quantise_block(block, levels):
    scale = block.max()
    if scale == 0:
        return torch.full(block.shape, (levels == 0).nonzero().item()), scale
    distance = (block[:, None] / scale - levels[None, :]).abs()
    return distance.argmin(1), scale
""", "largest absolute value"), ("""
def my_quantise_block(block, levels):
    scale = block.abs().max()
    step = 2 / (len(levels) - 1)
    codes = torch.round((block / scale.clamp(min=1e-9) + 1) / step).long()
    return codes, scale
""", "equally spaced levels"), ("""
def my_quantise_block(block, levels):
    scale = max(abs(w) for w in block)
    codes = []
    for w in block:
        codes.append(min(range(len(levels)), key=lambda k: abs(levels[k] - w / scale)))
    return torch.tensor(codes), scale
""", "0 / 0 is nan"), ("""
def my_quantise_block(block, levels):
    scale = block.abs().amax()
    return torch.argmin(torch.abs(block.reshape(-1, 1) - levels), dim=1), scale
""", "did not divide the block"), ("""
def my_quantise_block(block, levels):
    scale = block.abs().max()
    x = block / (scale + 1e-12)
    return torch.searchsorted(levels, x - 1e-6), scale
""", "level above"), ("""
def my_quantise_block(block, levels):
    scale = block.abs().max()
    x = block / scale.clamp_min(1e-12)
    nearest = (x[:, None] - levels).abs().argmin(1)
    return scale, nearest
""", "scale first"), ("""
def my_quantise_block(block, levels):
    scale = block.abs().max()
    x = block / scale.clamp_min(1e-12)
    return torch.stack([levels[(levels - v).abs().argmin()] for v in x]), scale
""", "level's index")],
    "02.2": [("""
def my_four_bit_bytes(rows, columns):
    return (rows * columns + 1) // 2
""", "forgot the scales. Every block"), ("""
def my_four_bit_bytes(rows, columns):
    n = rows * columns
    blocks = (n + 63) // 64
    return (n + 1) // 2 + 4 * blocks
""", "every scale in 4 bytes"), ("""
def my_four_bit_bytes(rows, columns):
    n = rows * columns
    blocks = (n + 63) // 64
    return (n + 1) // 2 + blocks + 4 * ((blocks + 255) // 256)
""", "forgot the mean"), ("""
def my_four_bit_bytes(rows, columns):
    n = rows * columns
    return -(-n // 2) + n // 64 + 4 * (n // 64 // 256) + 4
""", "rounded a count down"), ("""
def my_four_bit_bytes(rows, columns):
    import math
    n = rows * columns
    blocks = math.floor(n / 64)
    return math.floor(n / 2) + blocks + 4 * math.floor(blocks / 256) + 4
""", "rounded a count down"), ("""
def my_four_bit_bytes(rows, columns):
    n = rows * columns
    return n // 2 + -(-n // 64) + 4 * (-(-n // 64 // 256)) + 4
""", "rounded a count down"), ("""
def my_four_bit_bytes(rows, columns):
    n = rows * columns
    return int(n / 2 + n / 64 + n / 64 / 256 * 4 + 4)
""", "Round each count up"), ("""
def my_four_bit_bytes(rows, columns):
    import math
    blocks = math.ceil(rows * columns / 64)
    return 8 * (math.ceil(rows * columns / 2) + blocks + 4 * math.ceil(blocks / 256) + 4)
""", "These are bits"), ("""
def my_four_bit_bytes(rows, columns):
    import math
    blocks = sum(math.ceil(columns / 64) for _ in range(rows))
    return math.ceil(rows * columns / 2) + blocks + math.ceil(blocks / 256) * 4 + 4
""", "one row to the next")],
    "02.3": [("""
def my_lora(x, weight, a, b, alpha):
    return x @ weight.T + (x @ a.T) @ b.T
""", "forgot the factor"), ("""
def my_lora(x, weight, a, b, alpha):
    return x @ (weight + alpha * b @ a).T
""", "did not divide by the rank"), ("""
def my_lora(x, weight, a, b, alpha):
    return x @ weight.T + alpha / len(a) * (x @ b @ a)
""", "swapped A and B"), ("""
def my_lora(x, weight, a, b, alpha):
    return alpha / len(a) * (x @ a.T @ b.T)
""", "left out W x"), ("""
def my_lora(x, weight, a, b, alpha):
    scale = alpha / a.shape[0]
    return (x @ weight.T + x @ (b @ a).T) * scale
""", "update only"), ("""
def my_lora(x, weight, a, b, alpha):
    return weight @ x + alpha / len(a) * b @ a @ x
""", "batch and time"), ("""
def my_lora(x, weight, a, b, alpha):
    return x @ weight.T + alpha / len(b) * (x @ a.T @ b.T)
""", "layer's width")],
    "02.4": [("""
def my_trainable(shapes, rank):
    total = 0
    for out, into in shapes:
        total += out * into
        total += rank * out + into * rank
    return total
""", "counted the base weights, too"), ("""
def my_trainable(shapes, rank):
    return sum(rank * s[1] for s in shapes)
""", "counted only A"), ("""
def my_trainable(shapes, rank):
    return sum(rank * o * i for o, i in shapes)
""", "added, not multiplied"), ("""
def my_trainable(shapes, rank):
    return sum(map(sum, shapes))
""", "forgot the rank"), ("""
def my_trainable(shapes, rank):
    if not shapes:
        return 0
    out, into = shapes[0]
    return rank * out + rank * into
""", "one matrix only")],
}
