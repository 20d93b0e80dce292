"""Measure the cost of the loop panel: the same run with and without a panel, in turns, each in its own kernel.

    .venv/bin/python tests/measure_panel.py --pairs 3        # on a quiet machine; a pair takes two to three minutes
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile

from jupyter_client.manager import start_new_kernel

COMMON = """
import json, time
import transformers, peft, bitsandbytes
from l2r_lite.loop.config import LoopConfig
from l2r_lite.runs.run import run_rounds
from l2r_lite.app.panels import loop_panel
def drawn(widget):
    return "base64" in str(getattr(widget, "value", "")) or any(map(drawn, getattr(widget, "children", ())))
config = LoopConfig(rounds=2, limit=340, validation_limit=85, test_limit=170, reflection_weight=0.5)
"""
BARE = """
began = time.monotonic()
report = run_rounds(config, "bare", progress=False)
print(json.dumps({"seconds": time.monotonic() - began, "accuracy": report["accuracy"]}))
"""
PANEL = """
panel = loop_panel(config, ".", "panel")
display(panel)
began, first = time.monotonic(), None
panel.run()
while first is None or not panel.wait(1):
    first = first or (drawn(panel.panel) and time.monotonic() - began) or None
    time.sleep(0.01)
print(json.dumps({"seconds": time.monotonic() - began, "first": first, "accuracy": panel.report["accuracy"]}))
"""


def measure(code: str) -> dict[str, float]:
    """Run code in a fresh kernel, in a folder of its own; what its last line says."""
    said: list[str] = []

    def hear(message: dict) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            said.append(message["content"]["text"])
        if message["msg_type"] == "error":
            raise SystemExit("\n".join(message["content"]["traceback"]))

    with tempfile.TemporaryDirectory() as folder:
        manager, client = start_new_kernel(cwd=folder)
        try:
            client.execute_interactive(COMMON, timeout=300, output_hook=hear)
            client.execute_interactive(code, timeout=1800, output_hook=hear)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    return json.loads("".join(said).strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    pairs = [(measure(BARE), measure(PANEL)) for _ in range(parser.parse_args().pairs)]
    for bare, panel in pairs:
        if bare["accuracy"] != panel["accuracy"]:
            raise SystemExit(f"not the same run: {bare['accuracy']} and {panel['accuracy']}")
        print(f"bare {bare['seconds']:6.1f} s   panel {panel['seconds']:6.1f} s   first redraw {panel['first']:.2f} s")
    extra = statistics.median(panel["seconds"] / bare["seconds"] - 1 for bare, panel in pairs)
    print(f"the panel costs {extra:+.1%} (median of {len(pairs)} pairs)")


if __name__ == "__main__":
    main()
