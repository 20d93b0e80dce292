"""Typical wrong answers to the exercises of notebook 15, and a part of the message that each must get."""

PLACE = """
def place(program, written):
    for i, step in enumerate(program):
        if i >= len(written) or written[i] != step:
            return i
    return len(program)
"""

# fmt: off
WRONG = {
    "15.1": [(PLACE + """
def my_hint(program, written):
    i = place(program, written)
    return program[i] if i < len(program) else None
""", "gives the last step away"), ("""
def my_hint(program, written):
    return program[0] if len(program) > 1 else None
""", "always gives the first step"), ("""
def my_hint(program, written):
    for step in program[:-1]:
        if step not in written:
            return step
""", "anywhere in the text"), (PLACE + """
def my_hint(program, written):
    i = place(program, written)
    return written[i] if i < len(written) and i < len(program) - 1 else None
""", "the student's wrong step"), (PLACE + """
def my_hint(program, written):
    i = place(program, written)
    return program[i] if i < len(written) and i < len(program) - 1 else None
""", "stopped too early")],
    "15.2": [("""
def my_tokens(explained, hinted, solved):
    return sum(full if hint is None else hint for full, hint in zip(explained, hinted))
""", "stops after the hint"), ("""
def my_tokens(explained, hinted, solved):
    return sum(explained) + sum(hint or 0 for hint in hinted)
""", "although the hint was enough"), ("""
def my_tokens(explained, hinted, solved):
    total = 0
    for full, hint, done in zip(explained, hinted, solved):
        if hint is not None:
            total += hint if done else hint + full
    return total
""", "can have no hint"), ("""
def my_tokens(explained, hinted, solved):
    return sum((hint or 0) if done else full for full, hint, done in zip(explained, hinted, solved))
""", "leaves the hint out"), ("""
def my_tokens(explained, hinted, solved):
    paid = sum((h or 0) + (0 if done else full) for full, h, done in zip(explained, hinted, solved))
    return sum(explained) - paid
""", "what is saved")],
    "15.3": [
        ('my_sentences = ["a", "b", "c"]', "(b) does not belong"), ('my_sentences = ["a", "d"]', "not questions"),
        ('my_sentences = ["c", "e"]', "cannot speak of children"), ('my_sentences = ["a"]', "(c) is missing"),
        ('my_sentences = "c"', "(a) is missing"),
    ],
}
