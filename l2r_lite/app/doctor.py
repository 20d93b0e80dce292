"""Check what works on this machine, one line per check: OK, or what to do.

    for finding in examine():
        print(finding)

Nothing here may fail: a package that cannot be imported is a finding, and the checks continue.
"""

import math
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from l2r_lite.app import connections
from l2r_lite.app.probe import four_bit_errors, worst_error
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import printable
from l2r_lite.students.presets import PRESETS

# What the default run imports.
NEEDED = ("torch", "transformers", "peft", "bitsandbytes", "safetensors", "matplotlib")
MEMORY_GB, DISK_GB = 1.2, 0.5  # what the default run may use
# Relative error that 16-bit rounding may cause; a wrong kernel is off by a fifth or more.
TOLERANCE = 0.02
WIDTH, ODD_WIDTH = 256, 160  # of test layers: a usual one, and no multiple of 64
# Files with the limit and the use of a container's memory: cgroup v2, and v1.
CGROUPS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        about: what was checked.
        says: what was found and, unless all is well, what to do.
        state: "OK", "NOTE" (the default still runs) or "FIX" (it does not).
    """

    about: str
    says: str
    state: str = "OK"

    def __str__(self) -> str:
        # It may quote a server or a broken package: one line, without control characters.
        return printable(f"{self.state:6}{self.about:10}{' '.join(self.says.split())}")


Check = Callable[[], Iterator[Finding]]


def examine(config: LoopConfig = PRESETS["pocket"]) -> Iterator[Finding]:
    """Check everything that a run needs, in about five seconds; yields findings one by one.

    Args:
        config: its key and endpoint are checked; the default needs neither.
    """
    needed: dict[str, Check] = {
        "Python": _python, "packages": _packages, "imports": _imports, "device": _device,
        "4-bit": _four_bit, "memory": _memory, "disk": _disk}
    useful: dict[str, Check] = {
        "hub": lambda: _outside("hub", connections.hub()),
        "key": lambda: _outside("key", connections.key(config)),
        "endpoint": lambda: _outside("endpoint", connections.endpoint(config)),
        "preset": _preset}
    for state, checks in (("FIX", needed), ("NOTE", useful)):
        for about, check in checks.items():
            try:
                yield from check()
            except Exception as error:  # a broken package may raise anything
                yield Finding(about, f"could not be checked ({_short(error)})", state)


def _short(error: Exception) -> str:
    name, text = type(error).__name__, str(error).strip()
    return f"{name}: {text.splitlines()[0][:160]}" if text else name


def _outside(about: str, found: tuple[bool, str] | None) -> Iterator[Finding]:
    if found:
        well, says = found
        yield Finding(about, says, "OK" if well else "NOTE")


def _python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    wanted, here = metadata.metadata("l2r-lite")["Requires-Python"], platform.python_version()
    if SpecifierSet(wanted).contains(here, prereleases=True):
        yield Finding("Python", f"{here} on {platform.system()} {platform.machine()}")
    else:
        remedy = "install a newer Python and create .venv again"
        yield Finding("Python", f"{here}, required: {wanted}: {remedy}", "FIX")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("l2r-lite") or []]
    wanted = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    versions = {r.name: _version(r.name) for r in wanted}
    wrong = [
        r for r in wanted
        if not (versions[r.name] and r.specifier.contains(versions[r.name], prereleases=True))]
    for r in wrong:
        version = versions[r.name]
        found = f"is {version}, required: {r.specifier}" if version else "is not installed"
        yield Finding("packages", f'{r.name} {found}: pip install "{r}"', "FIX")
    if not wrong:
        named = ", ".join(f"{name} {versions[name]}" for name in NEEDED[:4])
        yield Finding("packages", f"all {len(wanted)} have supported versions ({named})")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _imports() -> Iterator[Finding]:
    errors: dict[str, Exception] = {}
    # peft imports bitsandbytes too, but slowly: it comes last.
    for name in sorted(NEEDED, key=lambda name: name == "peft"):
        try:
            if name == "bitsandbytes":
                from l2r_lite.students.quick_import import import_quickly

                import_quickly()
            import_module(name)
        except Exception as error:  # a missing system library is an OSError, a mismatch any other
            errors[name] = error
    for name in NEEDED:
        if name in errors:
            says = f"{name} cannot be imported ({_short(errors[name])})"
            yield Finding("imports", f"{says}: pip install --force-reinstall {name}", "FIX")
    if not errors:
        yield Finding("imports", ", ".join(NEEDED))


def _device() -> Iterator[Finding]:
    import torch

    from l2r_lite.students.loading import pick_device, pick_dtype

    device = pick_device()
    dtype = str(pick_dtype(device)).removeprefix("torch.")
    why = ""
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        major, minor = torch.cuda.get_device_capability(device)
        if dtype != "bfloat16":
            why = f" (compute capability {major}.{minor} has no bfloat16)"
        size = f"{card.total_memory / 1e9:.1f} GB"
        yield Finding("device", f"{card.name}, {size}; computes in {dtype}{why}")
        return
    if dtype != "bfloat16":
        why = " (no bfloat16 in hardware)"
    size = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    yield Finding("device", f"CPU, {size}; computes in {dtype}{why}")
    if shutil.which("nvidia-smi"):
        yield Finding(
            "device", f"an NVIDIA driver is installed, but torch {torch.__version__} sees no card: "
            "install a torch with CUDA (pip install --force-reinstall torch), or use a runtime "
            "with a GPU", "NOTE")
    elif torch.backends.mps.is_available():
        yield Finding(
            "device", "Apple's GPU is not used: 4-bit layers compute on the CPU here", "NOTE")


def _four_bit() -> Iterator[Finding]:
    from l2r_lite.students.loading import pick_device, pick_dtype

    device = pick_device()
    dtype = pick_dtype(device)
    forward, gradient = four_bit_errors(WIDTH, device, dtype)
    if not (forward <= TOLERANCE and gradient <= TOLERANCE):  # NaN is wrong, too
        errors = f"forward off by {forward:.0%}, gradient by {gradient:.0%}"
        remedy = "pip install --upgrade bitsandbytes, or run with --no-four-bit"
        yield Finding("4-bit", f"bitsandbytes computes wrongly ({errors}): {remedy}", "FIX")
        return
    says = "forward and gradient after an exam agree with plain torch"
    odd = worst_error(ODD_WIDTH, device, dtype)
    if odd > TOLERANCE:
        how = f"off by {odd:.0%}" if math.isfinite(odd) else "it raises an error"
        wrongly = f"sizes that are not multiples of 64 wrongly ({how})"
        says += f"; it reads {wrongly}, so such students are refused"
    yield Finding("4-bit", says)
    if worst_error(WIDTH, device, dtype, plain_layout=False) > TOLERANCE:
        lost = "repack weights in an exam and lose the gradient after it"
        yield Finding("4-bit", f"bitsandbytes would {lost}; l2r_lite prevents it")


def free_memory() -> int:
    """Bytes that this process uses or can get; a container may have less than its machine."""
    import psutil

    free = [psutil.virtual_memory().available]
    for files in CGROUPS:
        try:
            limit, used = (int(Path("/sys/fs/cgroup", file).read_text()) for file in files)
            free.append(limit - used)
        except (OSError, ValueError):  # no container, or "max"
            continue
    return max(0, min(free)) + psutil.Process().memory_info().rss


def _memory() -> Iterator[Finding]:
    advice = f"the default takes up to {MEMORY_GB:g} GB; close other notebooks and programs"
    yield _enough("memory", free_memory() / 1e9, MEMORY_GB, "", advice)


def _disk() -> Iterator[Finding]:
    advice = f"a run takes up to {DISK_GB:g} GB; free some space, or choose another --out"
    yield _enough("disk", shutil.disk_usage(".").free / 1e9, DISK_GB, " in this folder", advice)


def _enough(about: str, free: float, least: float, where: str, advice: str) -> Finding:
    """Whether enough GB are free for the default."""
    says = f"{free:.1f} GB free{where}"
    if free >= least:
        return Finding(about, says)
    return Finding(about, f"{says}: {advice}", "FIX")


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
                need = f"{plan.peak / 1e9:.1f} of {room:.1f} GB planned"
                yield Finding("preset", f"pocket, then {name}: {need}")
                return
    # A process on a CPU uses up to twice what its tensors need: glibc keeps freed blocks.
    needed = 2 * plan_memory(PRESETS["smol"], dtype=dtype).peak / 1e9
    room = free_memory() / 1e9
    smol = f"; smol may need {needed:.0f} GB"
    if needed < room:
        smol = f", then smol: up to {needed:.0f} of {room:.0f} GB planned"
    yield Finding("preset", f"pocket, the default{smol}")
