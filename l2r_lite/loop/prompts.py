"""How a prompt looks and how a rationale ends, in exam and training (chats: students/chat.py).

A prompt ends in "Answer:", a completion starts with a space and ends in the answer line.
"""

import re

from l2r_lite.loop.records import LETTERS, Kind, Problem

ANSWER_MARK = "The answer is"
_ANSWER_LINE = re.compile(re.escape(ANSWER_MARK) + r"[^\n]*?(?:\.(?=\s|$)|(?=\n)|$)")


def student_prompt(problem: Problem) -> str:
    """The prompt: the question, its options if any, and "Answer:"."""
    pairs = zip(LETTERS, problem.choices, strict=False)
    options = "".join(f" ({letter}) {text}" for letter, text in pairs)
    choices = f" Choices:{options}" if options else ""
    return f"Question: {problem.question}{choices}\nAnswer:"


def completion(rationale: str) -> str:
    """The text that the student writes after the prompt, without the end-of-text token."""
    return " " + " ".join(rationale.split())


def answer_line(answer: str, kind: Kind) -> str:
    """The sentence that ends a rationale: "The answer is 42." or "The answer is (B)."."""
    return f"{ANSWER_MARK} ({answer})." if kind == "choice" else f"{ANSWER_MARK} {answer}."


def cut_after_answer(text: str) -> str:
    """The text up to the end of its first answer line; all of it if there is none."""
    found = _ANSWER_LINE.search(text, _thoughts_end(text))
    return text[: found.end()].strip() if found else text.strip()


def has_answer_line(text: str) -> bool:
    """Whether an unfinished text has a complete answer line; a last "3." may still become 3.5."""
    found = _ANSWER_LINE.search(text, _thoughts_end(text))
    return found is not None and found.end() < len(text)


def _thoughts_end(text: str) -> int:
    """Where the text after the last <think> block begins; its end if that block is still open."""
    closed = text.rfind("</think>")
    return len(text) if text.rfind("<think>") > closed else closed + len("</think>") * (closed >= 0)
