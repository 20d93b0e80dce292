"""tests/gpu.py runs here, at its smallest sizes: on the day with a card it must not fail for a typing error."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import gpu

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="with a card, run tests/gpu.py itself")


def run(tmp_path: Path, *parts: str) -> dict[str, Any]:
    assert gpu.main([*parts, "--small", "--out", str(tmp_path), "--work", str(tmp_path / "work")]) == 0
    return json.loads((tmp_path / "cpu-small.json").read_text(encoding="utf-8"))


def check(found: dict[str, Any], parts: list[str]) -> None:
    assert found["card"] == "CPU" and found["small"] and found["environment"]["torch"]
    for name in parts:
        assert "failed" not in found[name], found[name]
    numbers = [v for part in parts for v in found[part].values() if isinstance(v, float)]
    assert numbers and all(map(math.isfinite, numbers))


@on_a_cpu
def test_its_smallest_form_runs_and_keeps_the_parts_of_earlier_calls(tmp_path: Path) -> None:
    first = run(tmp_path, "gradients", "short-of-memory")
    found = run(tmp_path, "large-fp16")
    check(found, ["gradients", "short-of-memory", "large-fp16"])
    assert found["gradients"] == first["gradients"]
    assert found["gradients"]["four_bit_cosine_after_an_exam"] > 0.9999
    assert found["short-of-memory"]["same_texts"] == 1 and len(found["short-of-memory"]["warnings"]) == 1
    assert found["large-fp16"]["losses_finite"] and found["large-fp16"]["planned_exam"] > 0


@on_a_cpu
@pytest.mark.slow
def test_all_of_it_runs_at_its_smallest_sizes(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="trl is in the extra `test`")
    found = run(tmp_path)
    check(found, list(gpu.PARTS))
    assert all(family["same_greedy_texts"] for name, family in found["families"].items() if name != "part_seconds")
    assert found["smol"]["against_generate"]["same_texts"] == 1 and "left_out" not in found["smol"]["against_trl"]


def test_a_part_that_fails_is_written_down_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(setting: gpu.Setting) -> dict[str, Any]:
        raise ZeroDivisionError("no such kernel")

    monkeypatch.setattr(gpu, "PARTS", {"first": broken, "second": lambda setting: {"value": 1.0}})
    monkeypatch.setattr(gpu, "card_name", lambda: "NVIDIA T4")
    assert gpu.main(["--small", "--out", str(tmp_path), "--work", str(tmp_path / "work")]) == 1
    found = json.loads((tmp_path / "nvidia-t4-small.json").read_text(encoding="utf-8"))
    assert found["first"]["failed"] == "ZeroDivisionError: no such kernel" and found["second"]["value"] == 1


@on_a_cpu
def test_without_a_card_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert gpu.main(["--out", str(tmp_path)]) == 2 and "no CUDA card here; --small" in capsys.readouterr().err
    assert gpu.main(["nonsense"]) == 2 and "no part nonsense; there are: gradients" in capsys.readouterr().err
    assert gpu.main(["--list"]) == 0 and not list(tmp_path.iterdir())
