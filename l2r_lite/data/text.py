"""Text from data sets, students and teachers: fold white space, and refuse the unreadable."""

import re

# Characters of a question, an option, a rationale: five times the longest of any benchmark.
LONGEST_TEXT = 10_000


def fold(text: str) -> str:
    """Fold white space: one space between words, none at either end."""
    return " ".join(text.split())


def unreadable(text: str) -> str:
    """Why no student can read this text; "" if a student can."""
    if len(text) > LONGEST_TEXT:
        return f"has {len(text):,} characters; at most {LONGEST_TEXT:,} can be read"
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        return "has a NUL or half a character (\\ud800–\\udfff), which no tokenizer reads"
    return ""
