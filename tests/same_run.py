"""Start runs and compare them, for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from l2r_lite.loop.config import LoopConfig
from l2r_lite.runs.report import TIMES
from l2r_lite.runs.run import run_rounds

# What may differ between two runs of one config; `stopped` is looked at by itself.
VOLATILE = (*TIMES, "environment", "peak_rss_mb", "config", "teacher_cost_so_far")


def run(config: LoopConfig, out: Path, **options: Any) -> dict[str, Any]:
    return run_rounds(config, out, progress=False, **options)


def flags(config: LoopConfig, out: Path) -> list[str]:
    """The command line of a run."""
    given = [f"--{k.replace('_', '-')}={v}" for k, v in config.to_json().items() if v != getattr(LoopConfig(), k)]
    return ["run", "--out", str(out), *given]


def lasting(data: Any) -> Any:
    """A report without what may differ."""
    if isinstance(data, dict):
        return {key: lasting(value) for key, value in data.items() if key not in VOLATILE}
    return [lasting(x) for x in data] if isinstance(data, list) else data


def read_report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


def assert_same_run(out: Path, other: Path) -> None:
    """Same report, same samples, lessons, items and losses, same weights bit for bit, and nothing half-written left."""
    assert lasting(read_report(out)) == lasting(read_report(other))
    files = sorted(f.relative_to(other) for f in other.rglob("*.jsonl"))
    assert sorted(f.relative_to(out) for f in out.rglob("*.jsonl")) == files
    for file in files:
        assert (out / file).read_text(encoding="utf-8") == (other / file).read_text(encoding="utf-8"), file
    adapters = [f.relative_to(other).parent for f in other.rglob("adapter_model.safetensors")]
    assert len(adapters) >= 3, "no run that was trained and ended"
    for adapter in adapters:
        assert same_weights(out / adapter, other / adapter), adapter
    assert not [f for f in out.rglob("*") if f.name.startswith(".") or f.suffix == ".partial"]


def same_weights(one: Path, other: Path) -> bool:
    a, b = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)
