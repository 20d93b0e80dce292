"""Typical wrong answers to the exercises of notebook 04."""

_REJECT = """
import re
from l2r_lite.data.answers import extract_answer

def my_reject(rationale, answer):
    said = extract_answer(rationale, "number")
    {answered}
    for a, op, b, c in {found}:
        a, b, c = int(a), int(b), int(c)
        {judged}
            return "wrong arithmetic"
    return None
"""
_ANSWERED = 'if said is None: return "no answer"\n    if said != answer: return "wrong answer"'
_FOUND = 're.findall(r"(\\d+)\\s*([-+*/])\\s*(\\d+)\\s*=\\s*(\\d+)", rationale)'
_JUDGED = 'if op == "/" and b == 0 or eval(f"{a} {op} {b}") != c:'


def _reject(answered: str = _ANSWERED, found: str = _FOUND, judged: str = _JUDGED) -> str:
    return _REJECT.format(answered=answered, found=found, judged=judged)


def _payload(fields: str, text: str = "json.dumps(data)", shown: str | None = "mistake") -> str:
    add = f'if mistake is not None: data["wrong_rationale"] = {shown}' if shown else "pass"
    return f"""
import json
def my_payload(question, answer, mistake=None):
    data = {{{fields}}}
    {add}
    return {text}
"""


_FIELDS = '"question": question, "correct_answer": answer'
_F_STRING = """
def my_payload(question, answer, mistake=None):
    {escape}
    text = f'{{{{"question": "{{question}}", "correct_answer": "{{answer}}"'
    if mistake is not None:
        text += f', "wrong_rationale": "{{mistake}}"'
    return text + "}}"
"""


def _verdicts(number: int, said: str) -> str:
    verdicts = ["lesson", "wrong arithmetic", "wrong answer", "duplicate", "lesson", "lesson"]
    verdicts[number - 1] = said
    return f"my_verdicts = {verdicts}"


WRONG = {
    "04.1": [
        (_payload(_FIELDS, "data"), "That is a dict"),
        (_F_STRING.format(escape=""), "a quote inside a text ends it early"),
        ("""
def my_payload(question, answer, mistake=None):
    return '{"question": "%s", "correct_answer": "%s", "wrong_rationale": "%s"}' % (question, answer, mistake)
""", "a quote inside a text ends it early"),
        (_payload(_FIELDS, "str(data)"), "how Python writes a dict"),
        (_payload(_FIELDS, "f'{data}'"), "how Python writes a dict"),
        (_F_STRING.format(escape="if mistake: mistake = mistake.replace('\"', '\\\\\"')"), "You escape quotes only"),
        (_payload(_FIELDS, shown="""mistake.replace('"', "'")"""), "You changed the text"),
        (_payload(_FIELDS, shown="' '.join(mistake.split())"), "You changed the text"),
        (_payload(_FIELDS + ', "wrong_rationale": mistake', shown=None), "leave out the field"),
        (_payload(_FIELDS + ', "wrong_rationale": mistake or ""', shown=None), "leave out the field"),
        (_payload(_FIELDS, "json.dumps(json.dumps(data))"), "encoded twice"),
        (_payload('"question": question'), "The correct answer is missing"),
        ("""
import json
def my_payload(question, answer, mistake=None):
    text = f'{{"question": "{question}", "correct_answer": "{answer}"'
    return text + ("}" if mistake is None else f', "wrong_rationale": {json.dumps(mistake)}}}')
""", "The question comes from outside too"),
    ],
    "04.2": [
        (_reject(found="[]"), "the final answer only"),
        (_reject(found=_FOUND.replace("=\\s*", "= ")), "space after `=`"),
        (_reject(judged='if op == "/" and (b == 0 or a // b != c) or op != "/" and eval(f"{a} {op} {b}") != c:'), "// 8 is 9"),
        (_reject(found=_FOUND + "[:1]"), "first equation only"),
        (_reject(found=_FOUND + "[-1:]"), "last equation only"),
        (_reject(answered="").replace("    return None", '    if said is None: return "no answer"\n'
                 '    return None if said == answer else "wrong answer"'), "the answer is judged first"),
        (_reject(answered='if said is None: return "no answer"'), "never compare"),
        (_reject(answered='if said is None: return "no answer"\n    if answer not in rationale: return "wrong answer"'),
         "anywhere in the text"),
        (_reject(answered='if said != answer: return "wrong answer"'), "extract_answer gives None"),
        (_reject(judged='if eval(f"{a} {op} {b}") != c:'), "divides by zero"),
        ("def my_reject(rationale, answer):\n    return True", "type bool"),
    ],
    "04.3": [
        (_verdicts(2, "lesson"), "recompute its equations"), (_verdicts(3, "copy of the mistake"), "judged first"),
        (_verdicts(4, "lesson"), "white space"), (_verdicts(5, "no answer"), "no answer line"),
        (_verdicts(6, "wrong answer"), "limit of verification"), ("my_verdicts = ['lesson', 'false']", "one per reply"),
        ("my_verdicts = ['ok'] * 6", "spell it"), (_verdicts(2, "duplicate"), "each equation"),
    ],
}  # fmt: skip
