"""The guards of mutations.py are still where it looks for them, and a removed one is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

import mutations


def test_every_guard_stands_once_in_its_file_and_names_tests_that_exist() -> None:
    assert [mutation.guard for mutation in mutations.MUTATIONS if not mutations.stands_once(mutation)] == []
    named = {name for mutation in mutations.MUTATIONS for name in mutation.tests}
    assert [name for name in sorted(named) if not (Path(mutations.__file__).with_name(f"{name}.py")).exists()] == []
    assert len({mutation.guard for mutation in mutations.MUTATIONS}) == len(mutations.MUTATIONS) >= 40


@pytest.mark.slow
def test_a_removed_guard_is_noticed_and_the_copy_is_whole_again(tmp_path: Path) -> None:
    copy = mutations.make_copy(tmp_path)
    some = [mutation for mutation in mutations.MUTATIONS if mutation.tests in (("test_statistics",), ("test_grading",))]
    assert len(some) >= 3 and all(mutations.survives(mutation, copy) for mutation in some)
    assert all(mutation.old in (copy / mutation.file).read_text(encoding="utf-8") for mutation in some)
