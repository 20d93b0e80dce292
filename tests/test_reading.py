"""The reader, kind of fault by kind of fault: each was once read silently wrong. None means: no one answer is stated."""

from __future__ import annotations

import json
from itertools import product

import pytest

from l2r_lite.data.answers import extract_answer, read_answer, same_answer
from l2r_lite.data.arithmetic import equations, wrong_equations
from l2r_lite.loop.records import Kind
from test_grading import CHOICES, DATA, needs_data

NUMBERS: dict[str, list[tuple[str, str | None]]] = {
    "something stands between “answer” and its verb": [
        ("The answer (in hours) is 6. He rests 2 hours.", "6"), ("The answer [in km] is 12. That is 3 laps.", "12"),
        ("The final answer (rounded to the nearest cent) is $4.25. The rest is 3.", "4.25"),
        ("So the answer, in dollars, is 28. They paid 5 days later.", "28"), ("Answer (dollars): 28. It took 5 days.", "28"),
        ("The answer — in minutes — is 90. Or 2 laps.", "90"), ("The answer (with the 2 extra) is 14. 3 kids.", "14"),
        ("The answer, I believe, is 9. There are 4 cats.", "9"), ("The answer turns out to be 13. 5 more.", "13"),
        ("The answer's unit is km. 3 + 4 = 7", "7"), ("The answer (see above). Then 5 + 3 = 8", "8"),
    ],
    "another mark": [
        ("Ans: -7. It took 3 h.", "-7"), ("Ans. 12 pens. 3 are red.", "12"), ("ANS = 14; 2 left", "14"),
        ("Ans - 40. Then 3.", "40"), ("<answer>42</answer> 3 steps were used.", "42"), ("[answer]7[/answer] in 3 steps", "7"),
        ("Final: 30. 2 facts.", "30"), ("<think>3 + 4 = 7</think><final_answer>7</final_answer> took 6", "7"),
        ("__Answer__: 21. 3 x 7.", "21"), ("The answer’s 12. In 4 days.", "12"),
        ("The answer\n\n28\n\nChecked with 3 tests.", "28"), ("The answers are 5 and 6.", None),
        ("The answers are as follows: a) 5 b) 6. The total is 11.", "11"), ("Plans to answer 10 calls. 5 + 3 = 8", "8"),
        ("The trans: 5 of them. 2 + 2 = 4", "4"),
    ],
    "a mixed number": [
        (r"\boxed{2\frac{3}{4}}", "2.75"), (r"The answer is $1\tfrac{1}{2}$ cups.", "1.5"),
        (r"The answer is 3\dfrac12.", "3.5"), ("The answer is 5 1/4 miles.", "5.25"), ("The answer is 3½.", "3.5"),
        (r"\boxed{-2\frac{1}{4}}", "-2.25"), ("The answer is 2 and a half.", "2.5"),
        ("The answer is two and a half hours.", "2.5"), (r"\boxed{\frac{7}{2}}", "3.5"), ("The answer is 3 7/2.", None),
        ("The answer is 5 3/0.", None),
    ],
    "number words": [
        ("The answer is one hundred and five.", "105"), ("The answer is three thousand, two hundred and six.", "3206"),
        ("The answer is one million two hundred thousand.", "1200000"), ("The answer is twelve hundred.", "1200"),
        ("The answer is negative twelve.", "-12"), ("The answer is three quarters.", "0.75"),
        ("The answer is twenty two.", "22"), ("The answer is half a million.", "500000"),
        ("The answer is one of the boxes, 7.", "7"), ("The answer is one hundred and two hundred.", None),
        ("The answer is two or three.", None),
    ],
    "digit groups": [
        ("The answer is 12.500.000.", "12500000"), ("The answer is 12’500 francs.", "12500"),
        ("The answer is 1 234 567.", "1234567"), ("The answer is 1.250,50 euros.", "1250.5"),
        ("The answer is 10 000 people.", "10000"), ("The answer is 3.500.", "3.5"), ("The answer is 1 25.", None),
        ("The answer is 1,23,456.", None), ("The answer is 12 200-litre barrels.", "12"),
    ],
    "several numbers": [
        ("The answer is either 5 or 10.", None), ("The answer is $5 to $10.", None), ("The answer is 5 – 10.", None),
        ("The answer is between $5 and $10.", None), ("The answer is 5, 10 and 15.", None),
        ("The answer is 5 and/or 6.", None), ("The answer is 3 apples and 4 pears.", None), ("The answer is 5 (or 6).", None),
        ("The answer is x = 5 or x = -5.", None), ("The answer is 4 feet and 6 inches.", None),
        ("The answer is 7 of the 10 apples.", "7"), ("The answer is 7 out of 10.", "7"),
        ("The answer is 5, and he has 6 left.", "5"), ("The answer is 5 for 2 people.", "5"),
        ("The answer is 24, not 25.", "24"), ("The answer is 5 packs (of ten).", "5"),
    ],
    "a calculation": [
        ("The answer is 20 = 4 + 16.", "20"), ("The answer is $15 = 3 * $5 .", "15"), ("The answer is 5 + 10 = 15.", "15"),
        ("The answer is 3 times 5, that is 15.", "15"), ("The answer is 20 minus 5, so 15.", "15"),
        ("The answer is x = 12.", "12"), ("The answer is 6 groups multiplied by 7 kids, giving 42 kids.", "42"),
        ("The answer is 5 * 3.", None), ("The answer is the sum of 3 and 4.", None),
    ],
    "no number at all": [
        ("The answer is ±5.", None), ("The answer is 10 +/- 2.", None), (r"The answer is $\pm 3$.", None),
        ("The answer is 10:30.", None), ("The answer is 7:45 pm.", None), ("The answer is 3:2.", None),
        ("The answer is 2^5.", None), ("The answer: 12 minutes, at 10:30.", "12"),
    ],
    "a scale": [
        ("The answer is 5k.", "5000"), ("The answer is 2.5K dollars.", "2500"), ("The answer is $3M.", "3000000"),
        ("The answer is 3 dozen eggs.", "36"), ("The answer is half a dozen.", "6"), ("The answer is 3 × 10^4.", "30000"),
        (r"The answer is $4 \times 10^{5}$.", "400000"), ("The answer is 6×10⁴.", "60000"), ("The answer is ４２．５.", "42.5"),
        ("The answer is 3 km.", "3"), ("The answer is 5 m.", "5"), ("The answer is 5 kids.", "5"),
        ("The answer is 12 - a dozen.", "12"),
    ],
}  # fmt: skip
YES_NO: dict[str, list[tuple[str, str | None]]] = {
    "something before the verdict": [
        ("The answer (yes or no) is no.", "no"), ("Answer (True/False): True", "yes"),
        ("The answer is most likely no.", "no"), ("The answer is almost certainly yes.", "yes"),
        ("The answer is probably not.", "no"), ("The answer, surely, is yes.", "yes"), ("I would say yes.", "yes"),
        ("<answer>No</answer> Yes, it is odd.", "no"), ("Ans: No. Yes, that is odd.", "no"),
    ],
    "quotes": [
        ("The answer is “yes”.", "yes"), ("The answer is ‘No’.", "no"), ("The answer is «no».", "no"),
        ('The answer is "Yes".', "yes"),
    ],
    "both": [
        ("The answer is both yes and no.", None), ("The answer is yes or no.", None),
        ("The answer is neither yes nor no.", None), ("The answer is yes in summer, no in winter.", None),
        ("The answer is true and false.", None), ("The answer is no, not yes.", "no"),
        ("The answer is not yes but no.", "no"), ("The answer is yes, there is no doubt.", "yes"),
        ("The answer is yes, no question.", "yes"), ("The answer depends.", None),
    ],
}  # fmt: skip
CHOICE: dict[str, list[tuple[str, str | None]]] = {
    "an adverb before the letter": [
        ("The answer is most likely B.", "B"), ("The answer is probably (D).", "D"), ("The most likely answer is B.", "B"),
        ("The answer is definitely C, I think.", "C"), ("The answer (one letter) is D. A bank is no place.", "D"),
        ("The answer (A, B, C, D or E) is C.", "C"), ("The answer is “C”.", "C"),
        ("The answer is New York, most likely.", "E"),
    ],
    "the word “answer” is not there": [
        ("I would pick D.", "D"), ("I'd choose (C).", "C"), ("Let's go with option E.", "E"), ("I choose library.", "B"),
        ("My pick is B.", "B"), ("The right option would be C.", "C"), ("Option B is correct.", "B"),
        ("(D) is the best answer.", "D"), ("So B it is.", "B"), ("<answer>(E)</answer> not A", "E"),
        ("Ans: (B) library", "B"), ("I'm going with C.", "C"), ("I would not pick B. I would pick C.", "C"),
        ("I would never choose A. The answer is D.", "D"),
    ],
    "an option that is denied": [
        ("The answer is not a library but a bank.", "A"), ("The answer is a mall rather than a bank.", "D"),
        ("The answer is not (A) but (B).", "B"), ("The answer isn't a bank, it's a mall.", "D"),
        ("Not a bank. So a mall.", "D"), ("The answer is neither a bank nor a library but a mall.", "D"),
        ("The answer is a bank, not a library.", "A"), ("The answer is clearly not A, B or C, so D.", "D"),
        ("The correct option is not A. It is B.", "B"),
    ],
    "several": [
        ("The answer is A and C.", None), ("The answer is either B or C.", None),
        ("The answer is a bank or a library.", None), ("The answer is both (A) and (B).", None), ("The answer is A/B.", None),
        ("A and B are wrong. The answer is C.", "C"), ("The answer is a department store.", "C"),
    ],
}  # fmt: skip


TABLES = {"number": NUMBERS, "yes-no": YES_NO, "choice": CHOICE}


@pytest.mark.parametrize(("kind", "fault"), [(kind, fault) for kind, table in TABLES.items() for fault in table])
def test_every_kind_of_fault_is_read_as_a_person_would_read_it(kind: Kind, fault: str) -> None:
    cases = TABLES[kind][fault]
    options = CHOICES if kind == "choice" else ()
    misread = {text: read_answer(text, kind, options) for text, want in cases if not _agrees(text, kind, options, want)}
    assert misread == {} and len(cases) >= 4


def _agrees(text: str, kind: Kind, options: tuple[str, ...], want: str | None) -> bool:
    read = extract_answer(text, kind, options)
    return read is None if want is None else same_answer(read, want, kind)


MARKS = ["The answer is {}.", "The answer (in all) is {}.", "Therefore, the final answer is most likely {}.", "**Answer:** {}.",
         "Ans: {}.", "#### {}\n", "<answer>{}</answer>", r"\boxed{{{}}}.", "So the answer, then, would be {}.", "Answer - {}.",
         "The answer turns out to be {}."]  # fmt: skip
WRITTEN = {
    "number": {"28": "28", "$1,250.50": "1250.5", "1 250": "1250", "3 1/2": "3.5", "one hundred twenty": "120", "-7": "-7",
               "2.5k": "2500", "4 dozen": "48", "3 × 10^3": "3000", "3 + 4 = 7": "7", "15 = 5 * 3": "15",
               "5 or 6": None, "5 to 10": None, "±5": None},
    "yes-no": {"yes": "yes", "No": "no", "“no”": "no", "definitely yes": "yes", "true": "yes", "yes and no": None},
    "choice": {"(C)": "C", "B": "B", "“D”": "D", "a library": "B", "(A) bank": "A", "not a bank but a library": "B",
               "A or C": None},
}  # fmt: skip
AFTER = ["", " That took 5 days.", " Option A is for others, yes."]


@pytest.mark.parametrize("kind", ["number", "yes-no", "choice"])
def test_every_mark_goes_with_every_way_to_write_an_answer_and_with_what_follows(kind: Kind) -> None:
    options = CHOICES if kind == "choice" else ()
    combined = product(MARKS, WRITTEN[kind].items(), AFTER)
    texts = {mark.format(said) + after: want for mark, (said, want), after in combined}
    misread = {text: read_answer(text, kind, options) for text, want in texts.items() if not _agrees(text, kind, options, want)}
    assert misread == {}


def test_equations_with_mixed_numbers_groups_and_times_are_judged_right_or_not_at_all() -> None:
    right = ["2 1/2 + 1 1/2 = 4", r"3\frac{1}{2} + 1 = 4.5", "1 250 + 50 = 1 300", "12'500 - 500 = 12'000", "2½ * 2 = 5",
             "15 = 5 * 3", "1.250.000 + 1 = 1.250.001"]  # fmt: skip
    wrong = ["2 1/2 * 10 = 26", r"3\frac{1}{2} + 1 = 5", "12'500 - 500 = 11'000", "15 = 5 * 4", "３ + ４ = ８"]
    unread = [
        "10:30 + 2:15 = 12:45", "10:00-00:00 = 11 hours", "5 ± 2 = 8", "Day 4:2(50+100+120)=540", "Day 3:70-21-15=34",
        "1 250 + 50 = 1 400", "3k + 2k = 6k", "2 dozen + 6 = 31", "3 × 10^3 = 300", "60 / 3/4 = 80",
    ]  # fmt: skip
    assert {text: [equation.holds for equation in equations(text)] for text in right} == {text: [True] for text in right}
    assert {text: [equation.holds for equation in equations(text)] for text in wrong} == {text: [False] for text in wrong}
    assert {text: found for text in unread if (found := wrong_equations(text))} == {}


@needs_data
def test_gsm8k_is_read_whatever_mark_states_the_answer_and_whatever_follows() -> None:
    """1,319 real solutions. "The answer (in dollars) is $28. That took 5 days." was read as 5 in nearly all of them."""
    rows = [json.loads(line)["answer"] for line in (DATA / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()]
    forms = {"{text}": 1319, "{steps}\nThe answer is {gold}.": 1319, "The answer (in dollars) is ${gold}. {first}": 1319,
             "{steps}\nAns: {gold}. {first}": 1319, "The answer is {gold}. {steps}": 1319}  # fmt: skip
    read = dict.fromkeys(forms, 0)
    for text, form in product(rows, forms):
        steps, gold = map(str.strip, text.split("####"))
        said = form.format(text=text, steps=steps, gold=gold, first=steps.split("\n")[0].split(". ")[0])
        read[form] += same_answer(extract_answer(said, "number"), gold, "number")
    assert read == forms
