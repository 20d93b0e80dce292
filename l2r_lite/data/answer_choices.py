"""The verdict or the option that a sentence states as its answer, or that a text concludes with."""

import re
from collections.abc import Iterator, Sequence

from l2r_lite.data.plain import plain_text
from l2r_lite.loop.records import LETTERS

NOT_ONE = ""  # stated is not one answer: "yes and no", "A or B"

# "most likely", "definitely", "of course": how sure an answer is changes nothing in it.
ADVERB = (
    r"(?:(?:most|very|quite|almost|more|highly|pretty|just)\s)?"
    r"(?:[a-z]{2,20}ly|therefore|thus|then|hence|indeed|perhaps|maybe|just|still|also|always|here"
    r"|of course|in fact|no doubt|without (?:a |any )?doubt)")
_LEADS_IN = re.compile(
    rf"(?:[\s\"'*:,]{{0,8}}(?:{ADVERB}|I (?:think|believe|guess|would say)|that|either|both|between"
    r"|it is|it's|going to be|to be)\b,?){1,4}",
    re.IGNORECASE)

_ENDS = r"(?=[\s)\]}*\"']{0,5}(?:$|[.,;:!?)\n-])|\s(?:because|since|as)\b)"
VERDICT = re.compile(rf"\b(?P<word>yes|no|true|false)\b{_ENDS}", re.IGNORECASE)
_FIRST_WORD = re.compile(
    r"[\s\"'*:(]{0,8}(?:(?P<word>yes|true|false)\b"
    r"|(?P<no>no)(?=\s(?:it|he|she|they|you|we|there|this|that|the|not)\b))",
    re.IGNORECASE)
_NOT_SO = re.compile(
    rf"[\s\"'*:]{{0,8}}(?:{ADVERB}\s)?not(?=\s{{0,5}}(?:$|[.,;!?\n]))", re.IGNORECASE)
_SECOND = (
    r"(?:[^.!?\n]{{0,60}}?(?:\b(?:and|or|but|nor)|[/,&;])\s{{0,3}}"
    r"(?:also\s|sometimes\s|then\s|maybe\s|rather\s)?{other}"
    r"(?=[\s)\]}}*\"']{{0,5}}(?:$|[.,;:!?)\n-])|\s(?:in|for|if|when|on|at|to|under|with|depending"
    r"|since|because|as|it|that|by|from)\b))")
_BOTH_VERDICTS = re.compile(
    rf"\byes\b{_SECOND.format(other='no')}|\bno\b{_SECOND.format(other='yes')}"
    rf"|\btrue\b{_SECOND.format(other='false')}|\bfalse\b{_SECOND.format(other='true')}",
    re.IGNORECASE)
_CLAUSE_START = re.compile(
    r"(?:^|[.!?:;,(\n\"'-]|\b(?:so|thus|therefore|hence|is|say|answer|likely|probably"
    r"|definitely|certainly|clearly|surely))[\s*\"'(]{0,5}$",
    re.IGNORECASE)

_LETTER = r"(?P<letter>[A-Z])"
_SURE_LETTER = re.compile(
    r"[\s\"'*:]{0,8}(?:the\s)?(?:correct\s)?(?:option|choice|letter)?\s?"
    rf"(?:[(\[{{][\"']?{_LETTER}[\"']?[)\]}}]"
    rf"|{_LETTER.replace('letter', 'bare')}(?=[).:,;\"'*\]}}]|\s{{0,5}}$|\s[-–—]))",
    re.IGNORECASE)
_LIKELY_LETTER = re.compile(
    rf"\s{{0,3}}(?:(?:the\s)?(?:correct\s)?(?:option|choice|letter)\s)?{_LETTER}(?=[\s/&])")
_OTHER_LETTER = re.compile(
    r"[)\]}]?\s?(?:,?\s?(?:and/or|or|and)\s|[/&]\s?|,\s?)"
    r"(?:(?:maybe|perhaps|possibly|also|even|option|choice)\s){0,2}"
    r"(?:\((?P<paren>[A-Z])\)|(?P<bare>[A-Z])(?=[),./&\s\"']|$))")
_NAMED_LETTER = re.compile(
    rf"\((?P<paren>[A-Z])\)|\b(?:[Oo]ption|[Cc]hoice)\s\(?{_LETTER}(?![\w'])"
    r"|(?:^|\n)(?P<line>[A-Z])[).:](?=\s|$)"
    rf"|\b(?:(?i:so|be|is|it's|{ADVERB})),?\s(?P<bare>[A-Z])(?=[.!]?\s{{0,3}}$)"
    r"|\b(?P<it>[A-Z]) it is(?=[.!]?\s{0,3}$)")

# "I would pick B", "The correct option is B", "B is correct": said without the word "answer".
_BEST = (
    r"(?:correct|right|best|final|only|proper|appropriate|suitable|remaining|obvious|logical|better"
    r"|sensible|reasonable|plausible|probable|valid|matching|likely|likeliest|safest"
    r"|most\s(?!un|im|in)[a-z]{3,15})")
_PICK = (
    rf"(?:I|we|one|let's|let us|so|thus|therefore|hence|then)(?:'d|'ll|'m|\sam|,)?"
    rf"(?:\s(?:would|will|should|must|can|could|have to|has to|need to|{ADVERB})){{0,3}}"
    r"\s(?:pick(?:ed|ing)?|choose(?!\s(?:from|between|among))|chose|choosing|select(?:ed|ing)?"
    r"|go(?:ing)? (?:with|for)|went with|opt(?:ing)? for|vote for|settle on|lean(?:ing)? towards?"
    r"|guess|say)\b(?:\sthat\b)?")
_CHOICE_IS = (
    rf"(?:(?:{_BEST}\s){{1,3}}|\b(?:the|my|our)\s|(?:^|\n)\s{{0,3}})"
    r"(?:option|choice|letter|pick|selection|alternative|guess|bet)\b(?:\s?\([^()\n]{0,60}\))?"
    rf"(?:\s(?:here|then|{ADVERB})){{0,2}}"
    rf"\s?(?:\b(?:(?:would|should|must|will|has to)\s)?(?:{ADVERB}\s)?(?:is|was|be)\b|[:=])")
CHOICE_MARK = re.compile(rf"\b(?:{_PICK}|{_CHOICE_IS})", re.IGNORECASE)
_IS_RIGHT = re.compile(
    r"(?:^|[.!?\n:;,(]\s{0,3}|\b(?:[Ss]o|[Tt]hus|[Tt]herefore|[Hh]ence|[Oo]nly|[Oo]ption|[Cc]hoice"
    r"|[Tt]hat),?\s)(?:[Oo]ption\s|[Cc]hoice\s|[Oo]nly\s)?\(?(?P<letter>[A-Z])\)?"
    r"\s(?:is|must be|should be|would be|has to be|seems|fits|makes)\s"
    rf"(?i:(?:{ADVERB}\s)?(?:the\s)?(?:{_BEST}|answer|most|one)\b)")

_ARTICLE = r"(?:(?:be|in|at|on|for|to|a|an|the|with|likely|necessarily|really)\s){0,3}"
_DENIED = re.compile(
    r"(?:\bnot?|n't|\bcannot|\brather than|\binstead of|\bneither|\bnor|\bnever)"
    rf"\s{_ARTICLE}$",
    re.IGNORECASE)
_JOINED = re.compile(
    r"\s?(?:,|,?\s(?:or|and|and/or)\s|\s?[/&])\s?(?:an?\s|the\s)?(?:\([a-z]\)\s?)?")
_LIST_ENDS = re.compile(r"\s?(?:$|[.,;!?)\"'])|\s(?:or|and)\b")


def stated_verdict(sentence: str) -> str | None:
    """The "yes" or "no" that a sentence states; `NOT_ONE` for both, None for neither."""
    if _BOTH_VERDICTS.search(sentence):
        return NOT_ONE
    if verdict := VERDICT.search(sentence):
        return _yes_no(verdict["word"])
    if first := _FIRST_WORD.match(sentence, _lead(sentence)):
        return _yes_no(first["word"] or first["no"])
    return "no" if _NOT_SO.match(sentence) else None


def concluding_verdict(text: str) -> str | None:
    """The last yes or no that is a clause of its own."""
    verdict = None
    for match in VERDICT.finditer(text):
        if _CLAUSE_START.search(text[max(0, match.start() - 12) : match.start()]):
            verdict = _yes_no(match["word"])
    return verdict


def stated_choice(
    sentence: str, choices: Sequence[str], *, right_there: bool = False
) -> str | None:
    """The letter of the option that a sentence states; `NOT_ONE` for several, None for none.

    Args:
        right_there: an option counts only where the sentence begins, as after "I would pick".
    """
    known = LETTERS[: len(choices)] or LETTERS
    lead = _lead(sentence)
    if match := _SURE_LETTER.match(sentence, lead):
        letter = (match["letter"] or match["bare"]).upper()
        named = option_named(sentence, choices) if match["bare"] == "a" else None
        if _other_letter(sentence, match.end(), letter, choices):
            return NOT_ONE
        return named or (letter if letter in known else NOT_ONE)
    named = option_named(sentence, choices, within=lead + 8 if right_there else None)
    if named:
        return named
    if (match := _LIKELY_LETTER.match(sentence, lead)) and match["letter"] in known:
        letter = match["letter"]
        return NOT_ONE if _other_letter(sentence, match.end(), letter, choices) else letter
    return named


def concluding_choice(text: str, last_sentence: str, choices: Sequence[str]) -> str | None:
    """What is said to be right, or the last letter named, or the last sentence's option."""
    known = LETTERS[: len(choices)] or LETTERS
    right = [m["letter"] for m in _IS_RIGHT.finditer(text) if m["letter"] in known]
    if right:
        return right[-1]
    lettered: str | None = None
    for match in _NAMED_LETTER.finditer(text):
        letter = match["paren"] or match["letter"] or match["line"] or match["bare"] or match["it"]
        lettered = letter if letter in known else lettered
    return lettered or option_named(last_sentence, choices) or None


def option_named(text: str, choices: Sequence[str], *, within: int | None = None) -> str | None:
    """The letter of the option whose text comes first; of two at one place, the longer one.

    An option that is denied ("not a bank but …") is not named; `NOT_ONE` for "a bank or a library".

    Args:
        within: the option must begin this near to the text's start.
    """
    folded = " ".join(text.casefold().split())
    named = sorted(n for n in _options_named(folded, choices) if within is None or n[0] <= within)
    if not named:
        return None
    start, minus_length, letter = named[0]
    end = start - minus_length
    for other_start, other_length, other in named[1:]:
        joint = _JOINED.match(folded, end)
        if joint and joint.end() == other_start and other != letter:
            return NOT_ONE if _LIST_ENDS.match(folded, other_start - other_length) else letter
    return letter


def _options_named(folded: str, choices: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Where each option is named first, minus its length, and its letter."""
    for letter, choice in zip(LETTERS, choices, strict=False):
        option = " ".join(plain_text(choice).casefold().split())
        if not option:
            continue
        for found in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", folded):
            if not _DENIED.search(folded[max(0, found.start() - 40) : found.start()]):
                yield found.start(), -len(option), letter
                break


def _other_letter(sentence: str, end: int, letter: str, choices: Sequence[str]) -> bool:
    """Whether another letter is stated beside one: "(A) or (C)", "(A) bank or (C) mall"."""
    known = LETTERS[: len(choices)] or LETTERS
    number = LETTERS.index(letter)
    if number < len(choices):
        option = re.escape(plain_text(choices[number]))
        if told := re.match(rf"[)\]}}.:]?\s?{option}", sentence[end:], re.IGNORECASE):
            end += told.end()
    other = _OTHER_LETTER.match(sentence, end)
    return other is not None and (other["paren"] or other["bare"]) in known.replace(letter, "")


def _lead(sentence: str) -> int:
    """Where the answer begins, after "most likely", "either" and the like."""
    leads_in = _LEADS_IN.match(sentence)
    return leads_in.end() if leads_in else 0


def _yes_no(word: str) -> str:
    return "yes" if word.lower() in ("yes", "true") else "no"
