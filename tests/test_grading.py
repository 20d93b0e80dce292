"""Grading: what real models write, read the way a careful person would read it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2r_lite.data.answers import canonical_number, extract_answer, is_correct, parse_number, read_answer, same_answer
from l2r_lite.data.arithmetic import equations, wrong_equations
from l2r_lite.loop.records import Kind, Problem

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded data lies outside the project")

CHOICES = ("bank", "library", "department store", "mall", "new york")

NUMBERS = [
    ("Debby had 32 + 42 = 74 pieces. 74 - 35 = 39. The answer is 39.", "39"), ("The answer is 1,234.", "1234"),
    ("The answer is $1,234.50.", "1234.5"), ("The answer is **18**.", "18"), ("**Answer:** 42", "42"),
    ("**Answer**: 42 apples", "42"), ("### Final Answer\n\n42", "42"), ("Final Answer: 42.", "42"), ("#### 18", "18"),
    ("She has 9 - 4 = 5 left.\n####5", "5"), (r"Therefore, the final answer is $\boxed{42}$.", "42"),
    (r"\boxed{1{,}234}", "1234"), (r"\boxed{\frac{3}{4}}", "0.75"), (r"So we get \[ \boxed{12 \text{ apples}} \]", "12"),
    (r"The answer is \$5.", "5"), ("The answer is -5.", "-5"), ("The answer is \u22125 degrees.", "-5"),
    ("The answer is -$5.", "-5"), ("The answer is 72.0", "72"), ("The answer is 3.50", "3.5"), ("The answer is .5", "0.5"),
    ("The answer is 1/2.", "0.5"), ("The answer is ½.", "0.5"), ("The answer is 2½ cups.", "2.5"),
    ("The answer is 2 1/2 cups.", "2.5"), ("The answer is 1/3 of the cake.", "1/3"), ("The answer is 25%.", "25"),
    (r"The answer is 25\%.", "25"), ("The answer is 3 million.", "3000000"), ("The answer is 1e3.", "1000"),
    ("The answer is 10\u202f000.", "10000"), ("The answer is 5 apples and not 7.", "5"), ("The answer is not 5, it is 7.", "7"),
    ("The answer is 5. Wait, that is wrong. The answer is 7.", "7"),
    ("The answer is 12. Wait, I forgot one: 3 x 5 = 15.", "15"), ("The answer is 12. Wait, let me look again. Yes.", "12"),
    ("The answer is 12. They wait for 5 minutes.", "12"), ("The answer is 3 + 4 = 7.", "7"),
    ("The answer is 35, so 17 / 15 = 3.", "35"), ("The answer is 12 pens because 3 * 4 = 12 and 12 - 2 = 10.", "12"),
    ("The answer is 3 + 4, so it is 7 = 7.", "7"), ("The answer is 12. So 3 + 5 = 8 are left over.", "12"),
    ("The answer is 12. Wait, that is wrong. 3 * 7 = 21.", "21"), ("The answer is 3 + 4.", None),
    ("The answer is 5 or 6.", None), ("The answer is 5-10.", None), ("The answer is 5:30.", None),
    ("The answer is 1,23,456.", None), ("The answer is 12 - a dozen.", "12"),
    ("Thus, the answer to the question is 8 weeks.", "8"), ("The correct answer should be 16.", "16"),
    ("The answer is therefore 9.", "9"), ("The answer is three.", "3"), ("The answer is twenty-five dollars.", "25"),
    ("The answer is:\n\n$$\n42\n$$", "42"), ("To answer this, note that the number of apples is 5. Then 5 + 3 = 8.", "8"),
    ("80 - 41 = 39", "39"), ("...which is 16 / 4 = 4 pieces.", "4"), ("So each pack costs $51", "51"),
    ("16 people. 80 / 16 = 5 days. It will take 5 days to harvest 80 sacks.", "5"),
    ("5 + 3 = 8. So Ann, who had 5, now has 10.", "10"), ("4 * 2 = <<4*2=8>>8 apples", "8"),
    ("The answer is 5.\n\nQ: Next one, what is 2 + 2?\nA: The answer is 4.", "5"), ("Question: 2 + 3?\nThe answer is 5.", "5"),
    ("The range is 10-3 here.", "3"), ("CO2 is up by 7 units in B12", "7"), ("The answer is unknown.", None),
    ("He has 5 apples. The answer cannot be found; the answer is not given.", None), ("I do not know.", None), ("", None),
    ("The answer is", None), ("The answer is 1e999.", None),
    ("The answer is 11.111111111111111111111111111/1111.", None),  # written out it would be too long to read back
    ("The answer is " + "9" * 5000, None), ("The answer is 5/0.", None), ("The answer is NaN.", None), ("answer: 7\n", "7"),
    ("The answer is `12`.", "12"), ("Answer = 12", "12"), ("The final result is 6 bags", "6"),
]  # fmt: skip
YES_NO = [
    ("The answer is yes.", "yes"), ("So the answer is **no**.", "no"), ("Answer: No", "no"),
    ("Yes. College ceremonies happen in December.", "yes"), ("No, because the density is lower.", "no"),
    ("Yes, it seems so. But it sinks, so no.", "no"), ("The answer is True.", "yes"),
    ("There is no evidence. Thus, yes.", "yes"), ("There is no evidence of this in Rome.", None),
    ("The answer is yes. Wait, that's wrong. So no.", "no"), ("#### no", "no"), (r"\boxed{\text{Yes}}", "yes"),
    ("This is a yes or no question.", None), ("", None),
]  # fmt: skip
CHOICE = [
    ("The answer is (C).", "C"), ("The answer is C.", "C"), ("The answer is c.", "C"), ("The answer is **C**.", "C"),
    ("Answer: C", "C"), ("Answer: C) department store", "C"), ("The answer is C. department store", "C"),
    ("The answer is B because magazines are there.", "B"), ("The answer is option D.", "D"),
    ("The correct answer is (B) library.", "B"), (r"\boxed{\text{(E)}}", "E"), ("#### D", "D"), ("The answer is bank.", "A"),
    ("The answer is a bank.", "A"), ("The answer is a library.", "B"), ("The answer is A bank.", "A"),
    ("So the answer is New York.", "E"), ("It must be a place with money. So (A).", "A"), ("C", "C"), ("b)", "B"),
    ("A door like this stands in a mall.", "D"), ("The answer is (A). Wait, that's wrong. The answer is (C).", "C"),
    ("The answer is (A) or (C).", None), ("The answer is Z.", None), ("The answer is somewhere else.", None), ("", None),
]  # fmt: skip


def misread(kind: Kind, table: list[tuple[str, str | None]], choices: tuple[str, ...] = ()) -> dict[str, str | None]:
    """What of a table is read otherwise than it says."""
    return {text: read for text, wanted in table if (read := extract_answer(text, kind, choices)) != wanted}


def test_answers_of_every_kind_are_read_as_a_person_would_read_them() -> None:
    assert misread("number", NUMBERS) == {}
    assert misread("yes-no", YES_NO) == {}
    assert misread("choice", CHOICE, CHOICES) == {}


def test_it_is_told_in_words_where_an_answer_was_read() -> None:
    for text, answer, why in [
        ("3 + 4 = 7. The answer is 7.", "7", "stated after “answer is”"),
        (r"So it is \boxed{7}.", "7", r"stated after “\boxed”"),
        ("The answer is 5 or 6.", None, "not one answer"),
        ("The answer is 5. Wait, 3 + 4 = 7.", "7", "taken back"),
        ("She has 5. The answer is unknown.", None, "there is none"),
        ("3 + 4 = 7", "7", "the conclusion counts"),
        ("", None, "nothing concludes"),
    ]:
        read, told = read_answer(text, "number")
        assert read == answer == extract_answer(text, "number") and why in told


def test_numbers_are_compared_exactly() -> None:
    assert same_answer("72.0", "72", "number") and same_answer("0.5", "1/2", "number")
    assert same_answer("1,000", "$1000", "number")
    assert not same_answer("0.30000000000000004", "0.3", "number")
    assert not same_answer("0.33", "1/3", "number")
    assert not same_answer("9007199254740993", "9007199254740992", "number")


def test_no_answer_is_never_correct_whatever_the_gold_answer() -> None:
    for gold, kind in (("nan", "number"), ("1e999", "number"), ("", "yes-no"), ("", "choice"), ("None", "number")):
        problem = Problem(id="p", question="?", answer=gold, kind=kind)  # type: ignore[arg-type]
        for text in ("", gold, "The answer is " + gold, "None"):
            assert not is_correct(text, problem)
    assert not same_answer(None, None, "number")


def test_a_correct_text_is_correct() -> None:
    assert is_correct("The answer is 39.", Problem(id="p", question="?", answer="39.0", kind="number"))
    choice = Problem(id="p", question="?", answer="A", kind="choice", choices=CHOICES)
    assert is_correct("The answer is bank", choice) and not is_correct("The answer is mall", choice)


@settings(deadline=None)
@given(st.fractions(max_denominator=10**6))
def test_a_canonical_number_reads_back_as_itself(value: Fraction) -> None:
    assert parse_number(canonical_number(value)) == value


_SNIPPETS = [
    "The answer is ", "answer", "####", r"\boxed{", "}", "(A)", "1,000", "½", "1/2", "-", " = ", "+", "x", "%", "e9", "(", ")",
    "\n", "Wait", "no", "yes", ".", "²", "\ud800", "\0", "5", "²5", "٣", "Q:", r"\frac{", "<<", "to ", "bank",
]  # fmt: skip
_TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(_SNIPPETS), max_size=40).map("".join))


@settings(max_examples=150, deadline=None)
@given(_TEXTS, st.sampled_from(["number", "yes-no", "choice"]), st.lists(st.text(max_size=8), max_size=5))
def test_no_text_makes_grading_raise(text: str, kind: Kind, choices: list[str]) -> None:
    answer = extract_answer(text, kind, choices)
    assert answer is None or (answer and same_answer(answer, answer, kind))
    assert all(equation in equations(text) for equation in wrong_equations(text))


EQUATIONS = [
    ("2 + 3 = 5", [True]), ("2 + 3 = 6", [False]), ("2 + 3 * 4 = 14", [True]), ("2 + 3 * 4 = 20", [False]),
    ("2 + 3 = 5 + 1 = 6", [False, True]), ("10 / 2 + 1 = 5 + 1 = 6", [True, True]),
    ("32 apples + 4 apples = 36 apples", [True]), ("24 problems ÷ 4 problems/hour = 6 hours", [True]),
    ("6 friends + 1 (Will) = 7 people", [True]), ("$76 - $25 = $51.", [True]), ("10 / 3 = 3.33, or 20/3 ≈ 6.67", [True, True]),
    ("10 / 3 = 3", [False]), ("0.1 + 0.2 = 0.3", [True]), ("183 * $62 = $11,346", [True]), ("939 * 1091 = $1,024,369", [False]),
    ("20% * 50 = 10 and 100% - 25% = 75%", [True, True]), ("50 cents * 4 = $2", [True]), ("(5 + 3) * 2 = 16", [True]),
    ("2(5 + 3) = 15", [False]), ("-5 + 8 = 3 and 5 - -3 = 8", [True, True]), ("- 5 + 3 = 8\n2. 5 + 3 = 9", [True, False]),
    ("3 x 4 = 12, 3x4 = 12, 3 × 4 = 12, 3 times 4 = 12", [True] * 4), (r"$5 \times 3 = 15 \text{ apples}$", [True]),
    ("4/2=<<4/2=2>>2", [True]), ("5 + 3\n= 9", [False]), ("5 / 0 = 0", [False]), ("total cost = 12 + 3 = 15", [True]),
]  # fmt: skip
UNCERTAIN = [
    "2x + 4 = 6", "x + 4 + 2 = 12", "10 + 2 = 3 * y", "x(5 + 3) = 16", "5^2 + 3 = 28", "2**3 + 1 = 9", "2 1/2 * 10 = 25",
    "25% of 80 + 3 = 23", "half of 10 + 3 = 8", "2 dozen - 5 = 19", "25 / 8 = 3 remainder 1", "3 days = 12 / 4",
    "5:30 - 2:30 = 3 hours", "5 + 3 => 9", "5 + 3 >= 9", "", "She has 5 - or so she says = 3",
]  # fmt: skip


def test_equations_are_found_and_recomputed_exactly_and_what_is_uncertain_is_not_called_wrong() -> None:
    found = [(text, [equation.holds for equation in equations(text)]) for text, _ in EQUATIONS]
    assert found == EQUATIONS
    assert {text: wrong for text in UNCERTAIN if (wrong := wrong_equations(text))} == {}


@settings(deadline=None)
@given(st.integers(-999, 999), st.sampled_from("+-*/"), st.integers(1, 999), st.integers(1, 5))
def test_a_true_equation_holds_and_one_that_is_off_does_not(a: int, op: str, b: int, off: int) -> None:
    value = {"+": Fraction(a + b), "-": Fraction(a - b), "*": Fraction(a * b), "/": Fraction(a, b)}[op]
    right = canonical_number(value)
    assert [e.holds for e in equations(f"We get {a} {op} {b} = {right}.")] == [True]
    assert [e.holds for e in equations(f"We get {a} {op} {b} = {canonical_number(value + off)}.")] == [False]


def _recorded(name: str) -> tuple[list[int], int]:
    folder = DATA / "recorded" / "faithful-cot" / name
    questions = map(json.loads, (folder / "questions.jsonl").read_text("utf-8").splitlines())
    golds = {row["id"]: row["answer"] for row in questions}
    rows = [json.loads(line) for line in (folder / "gpt4.jsonl").read_text("utf-8").splitlines()]
    right = [r["id"] for r in rows if same_answer(extract_answer(r["completion"], "number"), golds[r["id"]], "number")]
    return right, len(rows)


@needs_data
def test_recorded_gpt4_on_multiarith_counts_as_the_source_counts() -> None:
    right, rows = _recorded("MultiArith")
    assert (len(right), rows) == (587, 596)


@needs_data
def test_recorded_gpt4_on_svamp_counts_as_the_source_counts_but_for_one_named_item() -> None:
    right, rows = _recorded("SVAMP")
    # 591: "80 / 16 = 5 days. It will take 5 days to harvest 80 sacks." Gold is 5; a last-number grader reads 80.
    assert 591 in right
    assert (len(right) - 1, rows) == (918, 1000)


@needs_data
def test_recorded_gpt4_arithmetic_is_right_on_multiarith_and_wrong_in_nine_known_places_on_svamp() -> None:
    counts = {}
    for name in ("MultiArith", "SVAMP"):
        path = DATA / "recorded" / "faithful-cot" / name / "gpt4.jsonl"
        texts = [json.loads(line)["completion"] for line in path.read_text("utf-8").splitlines()]
        counts[name] = (sum(len(equations(t)) for t in texts), sum(len(wrong_equations(t)) for t in texts))
    assert counts["MultiArith"][0] > 1150 and counts["MultiArith"][1] == 0
    assert counts["SVAMP"][0] > 1200 and counts["SVAMP"][1] == 9
