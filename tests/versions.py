"""Does the default run with the oldest versions that pyproject.toml allows, with the newest, and with Colab's?  make versions

Installs each set of versions, for the packages that we depend on most closely, over this environment and does a small run with
its export. torch stays as it is. Needs the package index; takes about a minute and a half.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURS = ("transformers", "peft", "bitsandbytes", "tokenizers", "safetensors", "huggingface-hub", "accelerate")
COLAB = ROOT / "tests" / "colab_versions.txt"
SMALL = ["--limit", "24", "--validation-limit", "17", "--test-limit", "17", "--rounds", "1", "--epochs", "1"]


def resolve(*options: str) -> list[str]:
    """One version of each of OURS, as uv resolves pyproject.toml."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-config", "--no-header", "--no-annotate",
               "--python-version", version, *options, str(ROOT / "pyproject.toml")]  # fmt: skip
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(" ;")[0] for line in lines if line.partition("==")[0] in OURS]


def colab() -> list[str]:
    """Colab's own, and the newest of what it lacks."""
    names = {line.partition("==")[0].replace("_", "-"): line for line in COLAB.read_text().splitlines() if line[0] != "#"}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as held:
        held.write("\n".join(names[name] for name in OURS if name in names))
    return resolve("--constraint", held.name)


def try_out(label: str, pins: list[str], python: str) -> bool:
    """Install the pins beside everything else and run; prints one line."""
    with tempfile.TemporaryDirectory() as scratch:
        over = Path(scratch, "over")
        install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-config", "--no-deps", "--python", python]
        subprocess.run([*install, "--target", str(over), *pins], check=True)
        env = {**os.environ, "PYTHONPATH": f"{over}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        started = time.monotonic()
        for arguments in (["run", *SMALL, "--out", "run"], ["export", "run", "--to", "exported"]):
            command = [python, "-m", "l2r_lite.app.cli", *arguments]
            done = subprocess.run(command, cwd=scratch, env=env, capture_output=True, text=True)
            if done.returncode:
                print(f"{label:8}FAILED at l2r-lite {arguments[0]} with {' '.join(pins)}\n{done.stderr[-2000:]}", flush=True)
                return False
        used = Path(scratch, "run", "report.json").read_text(encoding="utf-8")
    for pin in pins:  # the run itself says what it ran with
        name, _, version = pin.partition("==")
        if found := re.search(rf'"{name}": "([^"]+)"', used):
            assert found[1] == version, f"{name} {found[1]} was used instead of {version}"
    print(f"{label:8}runs and exports in {time.monotonic() - started:.0f} s with {' '.join(pins)}", flush=True)
    return True


if __name__ == "__main__":
    sets = {"lowest": resolve("--resolution", "lowest-direct"), "newest": resolve("--upgrade"), "colab": colab()}
    sys.exit(not all([try_out(label, pins, sys.argv[1]) for label, pins in sets.items()]))
