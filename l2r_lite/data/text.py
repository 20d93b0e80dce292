"""Text from data sets, students and teachers: white space folded, and what cannot be read."""

import re

# Characters of a question, an option, a rationale: five times the longest of any benchmark.
LONGEST_TEXT = 10_000


def fold(text: str) -> str:
    """White space folded: one space between words, none around."""
    return " ".join(text.split())


def unreadable(text: str) -> str:
    """Why no student could be asked this text; "" if it could."""
    if len(text) > LONGEST_TEXT:
        return f"has {len(text):,} characters; at most {LONGEST_TEXT:,} can be read"
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        return "has a NUL or half a character (\\ud800–\\udfff), which no tokenizer reads"
    return ""
