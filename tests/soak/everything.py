"""Run the long tests one after the other, even if one fails, and print all results at the end.

    python tests/soak/everything.py [pytest's own options]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-s"]
PIP = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
PARTS: dict[str, Sequence[str]] = {
    "kills": [*PYTEST, str(TESTS / "test_kill.py")],
    "memory": [*PYTEST, str(TESTS / "test_soak.py")],
    "hostile input": [*PYTEST, str(TESTS / "test_hostile_input.py")],
    "a stranger's folder": [*PYTEST, str(TESTS / "test_strangers_folder.py")],
    # It has wheels for Linux only, belongs to nothing else, and is not needed by the parts above.
    "the fuzzer's package": [*PIP, "atheris>=3.0"],
    "fuzzing": [sys.executable, str(TESTS / "soak" / "fuzz.py"), "-runs=10000000"],
}


def run_all(parts: Mapping[str, Sequence[str]]) -> bool:
    """Run each command, tell at the end how each ended and after how long; whether all went well."""
    env = {**os.environ, "SOAK": "1", "OMP_NUM_THREADS": "1"}
    told = []
    for name, command in parts.items():
        began = time.monotonic()
        status = subprocess.run(command, env=env, check=False).returncode
        outcome = "passed" if status == 0 else f"FAILED (status {status})"
        told.append((status, f"{name:<22}{outcome:<20}{(time.monotonic() - began) / 60:8.1f} min"))
    print("\n" + "\n".join(line for _, line in told), flush=True)
    return not any(status for status, _ in told)


if __name__ == "__main__":
    options = sys.argv[1:]
    sys.exit(not run_all({name: [*c, *options] if c[: len(PYTEST)] == PYTEST else c for name, c in PARTS.items()}))
