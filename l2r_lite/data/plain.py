"""Text as it is read: without markdown, LaTeX and currency, each sign written in one way."""

import re

# Digits in groups as other countries write them: 1 250, 1.250.000, 1.250,50 and 12'500. A single
# dot is a decimal point: 1.250 is 1.25. "12 200-litre barrels" are twelve barrels. "7 + 3 = 10
# 120 - 10 = 110" may have been two lines, so after "=" only round numbers are joined.
_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_.,'’:/^])[1-9][0-9]{0,2}"
    r"(?:(?:(?P<spaced>(?:[ ][0-9]{3}){1,4})|(?:\.[0-9]{3}){2,4}"
    r"|\.[0-9]{3}(?=,[0-9]{1,2}(?![0-9])))"
    r"(?:,(?P<decimals>[0-9]{1,2})(?![0-9]|[.,][0-9]))?"
    r"|(?:['’][0-9]{3}){1,4})(?![0-9]|-[A-Za-z])"
    r"(?P<goes_on>[ ]?[-+*/x×÷=]|[ ](?:is|are|was|were)\b)?")

_FRACTIONS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5",
    "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}
_SIGNS = {
    "−": "-", "–": "-", "⁄": "/", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'",
    "’": "'", "‚": "'", "∓": "±", "。": ". ", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "\u2007": " ", "\u3000": " "}
_FULL_WIDTH = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_ONE_FOR_ONE = str.maketrans(_FRACTIONS | _SIGNS | _FULL_WIDTH)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_MARKUP = {"**": " ", "`": " ", "+/-": "±"}
_LATEX = {
    r"\times": "×", r"\cdot": "×", r"\div": "÷", r"\approx": "≈", r"\left": "", r"\right": "",
    r"\pm": "±", r"\mp": "±", r"^{\circ}": "°", r"^\circ": "°", r"\%": "%", r"\$": "$",
    r"\!": "", r"\;": " ", r"\:": " ", "\\ ": " ", r"\quad": " ", r"{,}": ",", r"\(": " ",
    r"\)": " ", r"\[": " ", r"\]": " "}
_TEXT_IN_LATEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s?\{([^{}\n]{0,200})\}")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s?([0-9])\s?([0-9])")
_FRACTION = re.compile(
    r"(?P<divided>[/÷]\s?)?\\[dtc]?frac\s?\{(?P<top>[^{}\n]{1,60})\}\s?\{(?P<bottom>[^{}\n]{1,60})\}")
_PLAIN_NUMBER = re.compile(r"\s?-?[0-9][0-9,.]*\s?")


def plain_text(text: str, *, spaced: bool = True) -> str:
    """Remove markdown, LaTeX, currency and GSM8K's <<…>>; write digits, quotes and spaces alike.

    Args:
        spaced: read "1 250" as 1250.
    """
    if not text.isascii():
        # 1 234 with a fixed space is one number, and so is 2½.
        text = re.sub(r"(?<=[0-9])[\u00a0\u202f\u2009](?=[0-9]{3}(?![0-9]))", ",", text)
        text = re.sub(rf"(?<=[0-9])\s?(?=[{''.join(_FRACTIONS)}])", " ", text)
        text = re.sub(
            r"(?<![0-9])10([⁻⁰¹²³⁴-⁹]{1,4})", lambda m: "10^" + m[1].translate(_RAISED), text)
        text = text.translate(_ONE_FOR_ONE)
    text = re.sub(r"(?<![0-9])10\*\*(?=-?[0-9])", "10^", text)
    for old, new in (_MARKUP | _LATEX if "\\" in text else _MARKUP).items():
        text = text.replace(old, new)
    text = re.sub(r"<<[^<>\n]{0,200}>>", "", text)
    if "\\" in text:
        text = _without_latex(text)
    text = re.sub(r"[$€£¥]", " ", re.sub(r"-[$€£¥]", "-", text))
    return grouped(text, spaced=spaced)


def grouped(text: str, *, spaced: bool = True) -> str:
    """Digits in groups as other countries write them (1 250, 1.250.000, 12'500) with commas."""

    def with_commas(found: re.Match[str]) -> str:
        digits, goes_on, decimals = found[0], found["goes_on"] or "", found["decimals"] or ""
        before = text[max(0, found.start() - 5) : found.start()].rstrip()
        two_lines = before.endswith("=") and (goes_on or not digits.endswith("00"))
        if found["spaced"] and (two_lines or not spaced):
            return digits
        digits = digits[: len(digits) - len(goes_on)]
        whole = digits[: len(digits) - len(decimals) - 1] if decimals else digits
        decimals = f".{decimals}" if decimals else ""
        return re.sub(r"[ .'’]", ",", whole) + decimals + goes_on

    return _GROUPS.sub(with_commas, text)


def _without_latex(text: str) -> str:
    text = _TEXT_IN_LATEX.sub(r"\1", text)
    text = re.sub(r"(?<=[0-9])\\,(?=[0-9]{3}(?![0-9]))", ",", text).replace("\\,", " ")
    text = re.sub(r"(?<=[0-9])\\(?=[dtc]?frac)", r" \\", text)  # 3\frac{1}{2} is 3 1/2
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    return _FRACTION.sub(_fraction, _FRACTION.sub(_fraction, text))  # one within another


def _fraction(found: re.Match[str]) -> str:
    r"""a/b, with brackets where \frac binds closer than a slash: \frac{3 + 5}{2} is (3 + 5)/2."""
    parts = [found["top"], found["bottom"]]
    written = "/".join(p if _PLAIN_NUMBER.fullmatch(p) else f"({p})" for p in parts)
    return f"{found['divided']}({written})" if found["divided"] else written
