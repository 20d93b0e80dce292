"""Many runs in one process: memory does not grow, no thread and no file handle stays. `make soak` has the long form."""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from fake_endpoint import Server
from l2r_lite.loop.config import LoopConfig
from l2r_lite.runs.run import run_rounds
from soak.everything import run_all

SOAK = "SOAK" in os.environ
RUNS, WARM = (40, 8) if SOAK else (4, 2)  # of five rounds each
PANELS, WARM_PANELS = (20, 4) if SOAK else (3, 1)


def left() -> tuple[set[str], int, list[str]]:
    """Threads, and open files and connections, of this process."""
    me = psutil.Process()
    return {t.name for t in threading.enumerate()}, me.num_fds(), sorted(f.path for f in me.open_files())


def resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


def test_many_rounds_in_one_process_leave_nothing_behind(tiny_config: LoopConfig, tmp_path: Path) -> None:
    """With a real teacher, whose calls have a thread, an event loop and connections of their own."""
    sizes: list[float] = []
    with Server(keep_bodies=False) as server:  # which lives here too, and else keeps 0.13 MB of requests a round
        config = tiny_config.with_(limit=12, validation_limit=4, test_limit=4, rounds=5)
        config = config.with_(teacher="openai:m", base_url=server.url)
        for number in range(RUNS):
            mine = config.with_(teacher_cache=str(tmp_path / f"replies-{number}.jsonl"))
            assert len(run_rounds(mine, tmp_path / f"run-{number}", progress=False)["rounds"]) == 6
            sizes.append(resident())
            if number == WARM - 1:
                before = left()
    after = left()
    print(f"{5 * RUNS} rounds: {sizes[WARM - 1]:.0f} MB after {5 * WARM} rounds, {sizes[-1]:.0f} MB at the end")
    assert not {name for name in after[0] - before[0] if name != "pytest_timeout"}
    assert after[1] <= before[1] and set(after[2]) <= set(before[2])
    assert sizes[-1] <= sizes[WARM - 1] * (1.05 if SOAK else 1.15)


CELL = """
import gc, os, threading, time, ipywidgets, psutil
os.environ["L2R_CACHE"] = "cache"
from l2r_lite.loop.config import LoopConfig
from l2r_lite.app.panels import loop_panel

config = LoopConfig(**{config!r})

def once(number):
    panel = loop_panel(config, folder="runs", name=f"panel-{{number}}")
    panel.run()
    panel.wait()
    state = panel.state
    ipywidgets.Widget.close_all()  # else ipywidgets keeps every panel for good
    del panel
    gc.collect()  # a student is a ring of objects: what waits for the collector is no leak
    return state

me = psutil.Process()

def look():
    time.sleep(11)  # ipykernel has a pipe for each thread that wrote something, and closes those of ended ones every 10 seconds
    gc.collect()
    return me.memory_info().rss / 1e6, me.num_fds(), {{t.name for t in threading.enumerate()}}

states = [once(n) for n in range({warm})]
first = look()
states += [once(n) for n in range({warm}, {runs})]
last = look()
print("SOAK", {{"states": sorted(set(map(str, states))), "first": first[0], "last": last[0], "handles": last[1] - first[1],
                "threads": sorted(last[2] - first[2])}})
"""


@pytest.mark.slow
def test_many_panel_runs_in_one_kernel_leave_nothing_behind(tiny_config: LoopConfig, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    config = tiny_config.with_(limit=12, validation_limit=4, test_limit=4, rounds=1)
    cell = nbformat.v4.new_code_cell(CELL.format(config=config.to_json(), warm=WARM_PANELS, runs=PANELS))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    client = nbclient.NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1"})
    said = next(o.text for o in cell.outputs if o.output_type == "stream" and "SOAK" in o.text)
    print(said)
    found: dict[str, Any] = eval(said.partition("SOAK")[2])  # noqa: S307 - what our own cell printed
    assert found["handles"] <= 0 and found["threads"] == []
    assert found["last"] <= found["first"] * (1.05 if SOAK else 1.25)
    assert len(list((tmp_path / "runs").glob("panel-*/report.json"))) == PANELS


def test_make_soak_goes_on_after_a_part_that_failed_and_fails_in_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit(3)"]
    sound = [sys.executable, "-c", f"import os; assert os.environ['SOAK']; open({str(tmp_path / 'done')!r}, 'x')"]
    assert not run_all({"first": broken, "second": sound})
    assert (tmp_path / "done").exists()
    assert re.search(r"^first +FAILED \(status 3\) +0\.0 min\nsecond +passed +0\.0 min$", capfd.readouterr().out, re.M)
    (tmp_path / "done").unlink()
    assert run_all({"second": sound})
