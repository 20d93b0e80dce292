"""Where a text states its answer ("The answer is", "####"), and where that statement ends."""

import re
from dataclasses import dataclass

from l2r_lite.data.answer_choices import ADVERB, CHOICE_MARK
from l2r_lite.loop.records import Kind

LONGEST_STATEMENT = 300

# What may stand between "answer" and its verb: "(in dollars)", ", rounded," and "to the question".
_ASIDE = (
    r"(?:\s?\((?:[^()\n]|\([^()\n]{0,40}\)){0,80}\)|\s?\[[^\[\]\n]{0,80}\]|\s?,\s?[^,.:;=\n]{1,60},"
    r"|\s?[—-]\s?[^—.:;=\n-]{1,60}[—-])")
_WORDS = r"(?:\([^()\n]{0,80}\)|[^.:=\n()]){1,80}?"
_PHRASE = rf"(?:\s(?:to|for)\b{_WORDS}|\s(?:here|then))"
_LOOSER_PHRASE = rf"\s(?:in|of|as|rounded|given|that\s(?:I|we)|I|we)\b{_WORDS}"
_VERB = (
    r"\b(?:(?:should|would|must|will|can|has|have|seems?|appears?|turns\sout|ought"
    rf"|needs|is\s(?:likely|going)|can\sonly)\s(?:to\s)?(?:{ADVERB}\s){{0,2}})?"
    r"(?:is|was|are|be|equals|becomes|comes\s(?:out\s)?to)\b")
_ADVERBS = rf"[ ]{{0,3}}(?:\s?,?\s?{ADVERB},?){{0,2}}[ ]{{0,3}}"
_NOUN = (  # but no "questions to answer: 10", "we arrive at the same answer: 9 + 6"
    r"(?<!\bto )(?<!\bcan )(?<!\bmust )(?<!\bwill )(?<!\bat that )(?<!\bat this )"
    r"(?<!\bfor the )(?<!\bcheck the )(?<!\bcheck our )(?<!\bcheck that our )(?<!\bcheck that the )"
    r"(?<!\bverify the )"
    r"(?<![^\W_])(?:answer|final\s(?:result|verdict|choice|solution|output))(?![^\W_])[*_\"'\]]{0,3}")
_NO_ANSWER = r"(?!\s(?:correct|right|exact|the same|found|obtained|reasonable|worth)\b)"
_MARK = re.compile(
    r"####|\\(?:boxed|fbox)\s?\{(?P<boxed>(?:[^{}\n]|\{[^{}\n]{0,60}\}){0,200})\}"
    r"|[<\[](?:final[ _-]?)?(?:answer|ans)[>\]]"
    rf"|{_NOUN}{_ASIDE}?(?:{_PHRASE}?{_ASIDE}?{_ADVERBS}(?:{_VERB}{_NO_ANSWER}|[:=→⇒]|[-=]>|\n"
    r"|\s?[—-]\s(?=[0-9(]|[A-Z](?![a-z])|yes\b|no\b))"
    rf"|\sof(?=\s{{1,3}}-?\.?[0-9])|{_LOOSER_PHRASE}{_ASIDE}?{_ADVERBS}{_VERB}{_NO_ANSWER})[ ]?:?"
    r"|(?<![^\W_])answer(?:'s|s\s(?:are|were))\s(?=\s?-?\.?[0-9]|(?:yes|no)\b|\(?(?-i:[A-Z])\b)"
    r"|(?<![^\W_])ans(?:\.|\s?[:=]|\s-(?=\s)|-)(?:\s?[:=]|\s-(?=\s))?"  # the "-" of "Ans: -5" stays
    r"|(?<![\w-])(?<![\w,;] )final\s?[:=]|(?:^|\n)[ ]{0,3}(?:final )?answer\s?[—-]\s",
    re.IGNORECASE)
_STOP = re.compile(  # not the dot of "approx. 5"; the end of a tag or of all text ends it too
    r"(?<!\bapprox)(?<!\bca)(?<!\bi\.e)(?<!\be\.g)(?<!\bvs)[.!?](?=\s|$)|\n|</|<\||\[/",
    re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """What a text states as its answer.

    Attributes:
        sentence: what follows the mark in its sentence.
        end: where it ends in the text.
        continuation: all that follows, if a line break comes right after "is": such a text often
            computes on and gives its answer at the end.
    """

    sentence: str
    end: int
    continuation: str = ""


def find_marks(text: str, kind: Kind) -> list[re.Match[str]]:
    """Where an answer is stated explicitly, in order."""
    marks = list(_MARK.finditer(text))
    if kind == "choice":
        marks += CHOICE_MARK.finditer(text)
        marks.sort(key=re.Match.end)
    return marks


def is_pick(mark: re.Match[str]) -> bool:
    """Whether a mark says "I would pick" and the like, without the word "answer"."""
    return mark.re is CHOICE_MARK


def statement(text: str, mark: re.Match[str]) -> Statement:
    """What follows a mark in its sentence, at most 300 characters."""
    if boxed := mark.groupdict().get("boxed"):
        return Statement(boxed, mark.end())
    start = mark.end()
    while start < len(text) and start < mark.end() + 40 and text[start] in " \t\r\n:*":
        start += 1
    stop = _STOP.search(text, start, start + LONGEST_STATEMENT)
    if stop and stop[0] == ".":
        alone = text[start : stop.start()]
        if len(alone) <= 2 and alone.isalpha():  # the dot of "A. bank" ends no sentence
            stop = _STOP.search(text, stop.end(), start + LONGEST_STATEMENT)
    end = stop.start() if stop else min(start + LONGEST_STATEMENT, len(text))
    is_broken = "\n" in text[mark.end() : start] and mark[0].rstrip()[-1:].isalpha()
    return Statement(text[start:end], end, text[start:] if is_broken else "")
