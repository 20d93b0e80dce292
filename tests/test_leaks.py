"""Leaks between splits, the recorded counts for the benchmarks, and the texts that notebook 01 grades."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from l2r_course import leak_counts
from l2r_course.checks.outputs import GRADERS, agrees, how_many, miscounted, real_outputs
from l2r_course.leak_counts import benchmark_counts, counts_of, parrot, parrot_accuracy
from l2r_lite.data.benchmarks import SPLITS, masked
from l2r_lite.data.leaks import NETS, leaked, leaked_pairs, story
from l2r_lite.data.problems import load_problems
from l2r_lite.loop.records import LETTERS, Problem

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark files lie outside the project")


def test_twins_are_found_in_every_net_and_each_net_is_wider_than_the_one_before() -> None:
    train = ["Ann has 3 eggs. Bo has 2.5. How many have both?", "Is it so?"]
    test = [train[0], "Ann has 12 eggs. Bo has 1,250.  How many have both?", "Ann has 4 eggs. Bo has 9. Who has more?", "Who?"]
    found = {name: leaked_pairs(train, test, key) for name, key in NETS.items()}
    assert found == {"exact": [(0, 0)], "masked": [(0, 0), (0, 1)], "story": [(0, 0), (0, 1), (0, 2)]}
    assert story("Is it so?") == "" and not leaked_pairs(["Is it so?"], ["Who?"], story)
    assert leaked_pairs(["a", "A"], ["a", "b"], masked) == [(0, 0), (1, 0)]


def test_a_question_with_two_twins_leaks_once() -> None:
    one, two, three = (Problem(id=str(i), question=f"Ann has {i} eggs.", answer="1", kind="number") for i in range(3))
    assert leaked([one, two], [three]) == 1 and leaked([], [three]) == 0


@needs_data
def test_the_kept_counts_are_those_of_the_files() -> None:
    for name in ("svamp", "multiarith", "multiarith-template", "strategyqa"):
        splits = {split: load_problems(name, split, data_dir=DATA) for split in SPLITS}
        assert counts_of(splits) == benchmark_counts()["benchmarks"][name], name


@needs_data
def test_the_command_prints_counts_and_writes_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "counts.json"
    monkeypatch.setattr(leak_counts, "COUNTS", file)
    monkeypatch.setattr(leak_counts, "BENCHMARKS", {"multiarith": None, "strategyqa": None})
    leak_counts.main(["--data-dir", str(DATA)])
    assert "'masked': 77" in capsys.readouterr().out and not file.exists()
    leak_counts.main(["--data-dir", str(DATA), "--write"])
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["benchmarks"]["multiarith"]["leaks"] == {"exact": 5, "masked": 77, "story": 84}


def test_the_kept_counts_hold_numbers_and_no_question() -> None:
    for about in benchmark_counts()["benchmarks"].values():
        assert about.keys() == {"kind", "rows", "words", "leaks"}
        assert sum(about["words"].values()) == sum(about["rows"].values())
        assert all(isinstance(n, int) for part in ("rows", "words", "leaks") for n in about[part].values())


def test_a_parrot_repeats_what_it_met_and_knows_no_new_wording() -> None:
    train, test = (load_problems("pocket", split, limit=170) for split in ("train", "test"))
    answer = parrot(train)
    assert [answer(p) for p in train] == [p.answer for p in train]
    assert [answer(p) for p in test] == [None] * len(test)
    assert parrot_accuracy(train, test, by_row=False) == 0 < parrot_accuracy(train, test, by_row=True) < 0.5
    other = [p for p in load_problems("pocket", "train", limit=850, seed=1) if answer(p) is not None]
    assert len(other) > 50 and all(answer(p) == p.answer for p in other)


def test_sixty_texts_have_a_reading_that_an_answer_of_their_kind_can_have() -> None:
    shown, hidden = real_outputs(), real_outputs(shown=False)
    assert (len(shown), len(hidden)) == (30, 30)
    assert len({o.text for o in shown + hidden}) == 60
    for output in shown + hidden:
        problem = output.problem
        assert bool(problem.choices) == (problem.kind == "choice")
        allowed = {"choice": LETTERS[: len(problem.choices)], "yes-no": ("yes", "no")}.get(problem.kind)
        for answer in filter(None, (problem.answer, output.read)):
            assert answer in allowed if allowed else agrees(answer, answer, "number")
        assert output.text == output.text.strip() and output.temperature >= 0


def test_the_library_reads_more_of_the_texts_than_simple_graders_and_takes_fewer_right_answers_away() -> None:
    shown = real_outputs()
    *simple, ours = ((how_many(read, shown), miscounted(read, shown)) for read in GRADERS.values())
    assert all(ours[0] >= count + 8 and ours[1][0] < lost for count, (lost, _) in simple)
