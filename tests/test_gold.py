"""Gold answers of a user's file: the whole text is the answer, or the line is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from l2r_lite.app.cli import main
from l2r_lite.data.gold import gold_number, split_solution
from l2r_lite.data.problems import ProblemError, load_problems

READ = {
    "26": 26, " 26. ": 26, "$18": 18, "18 dollars": 18, "-3": -3, "−3 °C": -3, "1,250": 1250, "1 250": 1250,
    "1.250.000": 1250000,
    "12'500 km": 12500, "€1.50": Fraction(3, 2), "EUR 12": 12, "50 %": 50, "2 1/2": Fraction(5, 2), "½": Fraction(1, 2),
    "3/4 of the cake": Fraction(3, 4), r"3\frac{1}{2}": Fraction(7, 2),
    "5 packs (of ten)": 5, "1e3": 1000, ".5": Fraction(1, 2),
    "2 million": 2_000_000,
}  # fmt: skip
REFUSED = ["5 or 6", "5-6", "between 5 and 10", "10:30", "3 + 4", "16 - 3 = 13", "x = 5", "5, 6", "1 25", "12 3456",
           "5 to 6 days", "1.2.3", "room 5", "5 boxes of 10", "Paris", "", "5\n6", "1/0"]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), READ.items())
def test_a_number_is_read_with_its_currency_and_unit(text: str, wanted: Fraction) -> None:
    assert gold_number(text) == wanted


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_one_number_is_none(text: str) -> None:
    assert gold_number(text) is None


def write(folder: Path, *rows: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_gsm8ks_rows_load_as_they_are(tmp_path: Path) -> None:
    answer = "He eats 16 - 3 = <<16-3=13>>13 eggs.\n13 * 2 = <<13*2=26>>26 dollars.\n#### 26"
    (problem,) = load_problems(write(tmp_path, {"question": "How much?", "answer": answer, "split": "train"}))
    assert problem.answer == "26" and problem.kind == "number"
    assert problem.rationale == "He eats 16 - 3 = 13 eggs.\n13 * 2 = 26 dollars."
    assert split_solution("#### 1,250") == ("", "1,250") and split_solution(" 5 ") == ("", "5")


def test_a_line_without_one_answer_is_refused_or_left_out_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = ("train", "validation", "test")
    rows = [{"question": f"Case {i}: how many?", "answer": "7", "split": split} for i, split in enumerate(splits)]
    path = write(tmp_path, *rows, {"question": "How late?", "answer": "10:30"})
    with pytest.raises(ProblemError, match=r"line 4: the answer \"10:30\" is neither one number(.|\n)*--skip-bad"):
        load_problems(path)
    run = ["run", "--problems", str(path), "--teacher", "none", "--dry-run"]
    assert main(run) == 2 and "line 4" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="left out 1 bad line"):
        assert main([*run, "--skip-bad"]) == 0
    assert "train 1, validation 1, test 1" in capsys.readouterr().out
