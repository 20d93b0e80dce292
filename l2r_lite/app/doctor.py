"""What works on this machine, one line each: OK, or what to do.

    for finding in examine():
        print(finding)

Nothing here may fail: a package that cannot be imported is a finding, and the checks after it go on.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from l2r_lite.app import reach
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import printable
from l2r_lite.students.presets import PRESETS

NEEDED = ("torch", "transformers", "peft", "bitsandbytes", "safetensors", "matplotlib")  # what the default run imports
MEMORY_GB, DISK_GB = 1.2, 0.5  # what a run of the default may take
BLUNT = 0.02  # relative error of a layer that computes in 16 bits; a wrong kernel is off by a quarter or more
CGROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        about: what was looked at.
        says: what was found and, unless all is well, what to do.
        state: "OK", "NOTE" (the default runs all the same) or "MEND" (it does not).
    """

    about: str
    says: str
    state: str = "OK"

    def __str__(self) -> str:
        return printable(f"{self.state:6}{self.about:10}{' '.join(self.says.split())}")  # it may quote anybody


def examine(config: LoopConfig = PRESETS["pocket"]) -> Iterator[Finding]:
    """Look at all that a run needs, and say each finding as soon as it is there; about five seconds.

    Args:
        config: whose key and endpoint to look for; the default needs neither.
    """
    needed: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("Python", _python), ("packages", _packages), ("imports", _imports), ("device", _device), ("4-bit", _four_bit),
        ("memory", _memory), ("disk", _disk),
    ]  # fmt: skip
    useful: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("hub", lambda: _outside("hub", reach.hub())), ("key", lambda: _outside("key", reach.key(config))),
        ("endpoint", lambda: _outside("endpoint", reach.endpoint(config))), ("preset", _preset),
    ]  # fmt: skip
    for state, checks in (("MEND", needed), ("NOTE", useful)):
        for about, check in checks:
            try:
                yield from check()
            except Exception as error:  # a broken package may raise anything
                yield Finding(about, f"could not be looked at ({_short(error)})", state)


def _short(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0][:160]
    return f"{type(error).__name__}{': ' * bool(first)}{first}"


def _outside(about: str, found: tuple[bool, str] | None) -> Iterator[Finding]:
    if found:
        yield Finding(about, found[1], "OK" if found[0] else "NOTE")


def _python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    wanted, here = metadata.metadata("l2r-lite")["Requires-Python"], platform.python_version()
    if SpecifierSet(wanted).contains(here, prereleases=True):
        yield Finding("Python", f"{here} on {platform.system()} {platform.machine()}")
    else:
        yield Finding("Python", f"{here}, needed is {wanted}: install a newer Python and make .venv anew", "MEND")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("l2r-lite") or []]
    wanted = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    versions = {r.name: _version(r.name) for r in wanted}
    wrong = [r for r in wanted if not versions[r.name] or not r.specifier.contains(versions[r.name], prereleases=True)]
    for requirement in wrong:
        version = versions[requirement.name]
        found = f"is {version}, needed is {requirement.specifier}" if version else "is not installed"
        yield Finding("packages", f'{requirement.name} {found}: pip install "{requirement}"', "MEND")
    if not wrong:
        named = ", ".join(f"{name} {versions[name]}" for name in NEEDED[:4])
        yield Finding("packages", f"all {len(wanted)} are there, in versions that do ({named})")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _imports() -> Iterator[Finding]:
    broken = []
    for name in NEEDED:
        try:
            import_module(name)
        except Exception as error:  # a missing system library is an OSError, a mismatch a RuntimeError
            broken.append(name)
            remedy = f"pip install --force-reinstall {name}"
            yield Finding("imports", f"{name} cannot be imported ({_short(error)}): {remedy}", "MEND")
    if not broken:
        yield Finding("imports", ", ".join(NEEDED))


def _device() -> Iterator[Finding]:
    import torch

    from l2r_lite.students.loading import pick_device, pick_dtype

    device = pick_device()
    dtype = str(pick_dtype(device)).removeprefix("torch.")
    if device.type == "cuda":
        card, capability = torch.cuda.get_device_properties(device), torch.cuda.get_device_capability(device)
        why = "" if dtype == "bfloat16" else f" (compute capability {capability[0]}.{capability[1]} has no bfloat16)"
        yield Finding("device", f"{card.name}, {card.total_memory / 1e9:.1f} GB; computes in {dtype}{why}")
        return
    why = "" if dtype == "bfloat16" else " (no bfloat16 in hardware)"
    yield Finding("device", f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads; computes in {dtype}{why}")
    if shutil.which("nvidia-smi"):
        yield Finding("device", f"an NVIDIA driver is here, but torch {torch.__version__} sees no card: install a torch with "
                      "CUDA (pip install --force-reinstall torch), or take a runtime with a GPU", "NOTE")  # fmt: skip
    elif torch.backends.mps.is_available():
        yield Finding("device", "Apple's GPU is not used: 4-bit layers compute on the CPU here", "NOTE")


def _four_bit() -> Iterator[Finding]:
    from l2r_lite.students.loading import pick_device, pick_dtype

    device = pick_device()
    dtype = pick_dtype(device)
    forward, gradient = four_bit_errors(256, device, dtype)
    if not max(forward, gradient) <= BLUNT:  # so that NaN is wrong too
        yield Finding("4-bit", f"bitsandbytes computes wrongly (forward off by {forward:.0%}, gradient by {gradient:.0%}): "
                      "pip install --upgrade bitsandbytes, or run with --no-four-bit", "MEND")  # fmt: skip
        return
    odd = max(four_bit_errors(160, device, dtype))
    refused = f"; it reads sizes that are no multiple of 64 wrongly (off by {odd:.0%}), such students are refused"
    yield Finding("4-bit", f"forward and gradient after an exam agree with plain torch{refused * (odd > BLUNT)}")
    if max(four_bit_errors(256, device, dtype, plain_layout=False)) > BLUNT:
        yield Finding("4-bit", "bitsandbytes would repack weights in an exam and lose the gradient after it; we forbid it")


def four_bit_errors(width: int, device: Any, dtype: Any, *, plain_layout: bool = True) -> tuple[float, float]:
    """Relative errors of a 4-bit layer's output in an exam, and of its gradient after it, against NF4 in plain torch.

    Args:
        width: of the square layer; bitsandbytes 0.50.2 reads 160 wrongly on a CPU.
        plain_layout: as students are loaded; False lets bitsandbytes repack the weights at the first exam.
    """
    import torch
    from bitsandbytes.nn import Linear4bit

    from l2r_lite.students.bitsandbytes_layout import keep_plain_layout
    from l2r_lite.students.four_bit import dequantise, relative_error

    numbers = torch.Generator().manual_seed(0)
    layer = Linear4bit(width, width, bias=False, compute_dtype=dtype, quant_type="nf4", compress_statistics=True)
    layer.weight.data = torch.randn(width, width, generator=numbers)
    layer = layer.to(device)  # quantises
    if plain_layout:
        keep_plain_layout(torch.nn.ModuleList([layer]))
    weight = dequantise(layer.weight.data, layer.weight.quant_state).to(device)
    x, pull = torch.randn(2, 32, width, generator=numbers).to(device, dtype)
    with torch.no_grad():
        written = layer.eval()(x)
    learnt = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer.train()(learnt), learnt, pull, allow_unused=True)
    gradient = torch.zeros_like(learnt) if gradient is None else gradient  # a repacked layer may leave none
    return relative_error(x.float() @ weight.T, written.float()), relative_error(pull.float() @ weight, gradient.float())


def free_memory() -> int:
    """Bytes that this process has or can have: of the machine, or of the container where that is less (2 GB on Binder)."""
    import psutil

    free = [psutil.virtual_memory().available]
    for limit, used in CGROUPS:
        try:
            free.append(int(Path("/sys/fs/cgroup", limit).read_text()) - int(Path("/sys/fs/cgroup", used).read_text()))
        except (OSError, ValueError):  # no container, or "max"
            continue
    return max(0, min(free)) + psutil.Process().memory_info().rss


def _memory() -> Iterator[Finding]:
    free = free_memory() / 1e9
    advice = f": the default takes up to {MEMORY_GB:g} GB; close other notebooks and programs" * (free < MEMORY_GB)
    yield Finding("memory", f"{free:.1f} GB free{advice}", "MEND" if advice else "OK")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    advice = f": a run takes up to {DISK_GB:g} GB; make room, or name another place with --out" * (free < DISK_GB)
    yield Finding("disk", f"{free:.1f} GB free in this folder{advice}", "MEND" if advice else "OK")


def _preset() -> Iterator[Finding]:
    """The largest preset whose plan fits, after the default."""
    import torch

    from l2r_lite.app.planner import plan_memory
    from l2r_lite.students.loading import pick_device, pick_dtype

    device = pick_device()
    dtype = pick_dtype(device)
    if device.type == "cuda":
        room = torch.cuda.get_device_properties(device).total_memory / 1e9
        for name in ("consumer", "t4", "smol"):
            plan = plan_memory(PRESETS[name], dtype=dtype)
            if plan.fits(room):
                yield Finding("preset", f"pocket, then {name}: {plan.peak / 1e9:.1f} of {room:.1f} GB by plan")
                return
    # A process on a CPU holds up to twice what its tensors need: glibc keeps freed blocks.
    need, room = 2 * plan_memory(PRESETS["smol"], dtype=dtype).peak / 1e9, free_memory() / 1e9
    smol = f", then smol: up to {need:.0f} of {room:.0f} GB by plan" if need < room else f"; smol may need {need:.0f} GB"
    yield Finding("preset", f"pocket, the default{smol}")
