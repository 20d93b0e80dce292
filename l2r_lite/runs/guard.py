"""Give a run folder to one process at a time, and check that its files were not changed.

    run.lock      locked by the process that holds the folder; freed when that process ends
    running.json  {"host", "pid", "since"}: which process holds it, for the message to others
    seals.json    {"format", "config", "sha256": {file of a finished stage: digest}}: finds a
                  flipped byte or an edit
"""

import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from l2r_lite.loop.errors import RunError
from l2r_lite.loop.runfolder import SCRATCH, read_json, write_json
from l2r_lite.runs.reading import check, check_folder, read

FORMAT = 1  # of a run folder; raised when older versions cannot read what newer ones write
SEALED = (
    "problems/*.jsonl", "round-*/*.jsonl", "round-*/feedback.json", "round-*/adapter/*.safetensors")
# A file is final once its stage's last file exists; until then a resumed stage writes it again.
LAST_OF_STAGE = {
    "rejected.jsonl": "lessons.jsonl", "feedback.json": "lessons.jsonl",
    "training.jsonl": "adapter", "losses.jsonl": "adapter"}
READ_ONLY = "may not be written; make it writable, or copy the run to another place"
LINK = (
    "is a link, and a write through it could land anywhere. Remove it, or replace it by what it "
    "points to")
OTHER_KIND = "cannot be made, because a file, folder or link is in its place; move that away"
TROUBLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your share of the disk is used up; free some space",
    errno.EFBIG: "a file has grown larger than it may; raise the limit",
    errno.EROFS: "can only be read; make it writable, or copy the run to another place",
    errno.EACCES: READ_ONLY, errno.EPERM: READ_ONLY,
    errno.ELOOP: LINK, errno.EEXIST: OTHER_KIND, errno.EISDIR: OTHER_KIND,
    errno.ENOTDIR: OTHER_KIND,
    errno.EIO: "the disk cannot be read or written (I/O error); check it"}


class HeldFolder:
    """A folder that this process holds."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._held = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        """Device and inode of the lock file: a folder that replaced this one has different ones."""
        with suppress(FileNotFoundError):
            found = (self.out / "run.lock").stat()
            return found.st_dev, found.st_ino
        return None

    def check(self) -> None:
        """Raises RunError if the folder was removed or replaced: more output would be lost."""
        if self._held is None or self._identity() != self._held:
            raise RunError(
                f"{self.out}: the run folder was removed while its run was in progress. Put it "
                f"back and resume with: l2r-lite run --resume {self.out}; or start again.")


@contextmanager
def hold(out: Path) -> Iterator[HeldFolder]:
    """Hold a run folder, made if necessary; disk errors become messages of one sentence.

    Raises:
        RunError: another process holds it, or it cannot be written.
    """
    with _explain_trouble(out):
        out.mkdir(parents=True, exist_ok=True)
        _refuse_link(out / "run.lock")
        lock = FileLock(out / "run.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RunError(
                f"{out}: another run is using this folder ({_holder(out)}). Wait for it, stop it, "
                "or use another folder with --out.") from None
        try:
            since = datetime.now().astimezone().isoformat(timespec="seconds")
            holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
            clear_scratch(out)
            refuse_links(out)
            write_json(out / "running.json", holder)
            folder = HeldFolder(out)
            try:
                yield folder
            except FileNotFoundError:
                folder.check()  # the likely reason, in one sentence
                raise
        finally:
            with suppress(OSError):
                clear_scratch(out)
                (out / "running.json").unlink(missing_ok=True)
            lock.release()


def refuse_links(out: Path) -> None:
    """Refuse a folder that holds anything besides plain files and folders.

    A link could lead a write, and a pipe or a device could stop a read for ever.

    Raises:
        RunError: names the link, pipe or device.
    """
    for folder, folders, files in os.walk(out):
        for name in (*folders, *files):
            _refuse_link(Path(folder, name))


def _refuse_link(path: Path) -> None:
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise RunError(f"{path}: {LINK}.")
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise RunError(f"{path}: is a pipe or a device, not a file. Remove it.")


def _holder(out: Path) -> str:
    try:
        holder = read_json(out / "running.json")
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (RunError, KeyError, TypeError):
        return "by a process that has just started"


@contextmanager
def _explain_trouble(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        if not number:  # safetensors and copytree have the number only in their text
            found = re.search(r"(?:os error|Errno) ([0-9]+)", str(error))
            number = int(found[1]) if found else 0
        if number not in TROUBLE:
            raise
        names = [getattr(error, name, None) for name in ("filename2", "filename")]
        where = next(filter(None, names), out)  # the former: the target of a rename
        raise RunError(
            f"{where}: {TROUBLE[number]}. Finished work is kept; then resume with: "
            f"l2r-lite run --resume {out}") from error


def sealed_config(out: Path) -> dict[str, Any]:
    """The settings that a folder's files were made with; {} if it has no seals.

    Raises:
        RunError: the folder was written by a newer version, or its seals are damaged.
    """
    file = out / "seals.json"
    if not file.exists():
        return {}
    seals = read_json(file)
    number = seals.get("format") if isinstance(seals, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise RunError(
            f"{out}: was written by a newer l2r_lite (format {number}; this one reads {FORMAT}). "
            "Update l2r_lite, or use another folder.")
    check(file, seals)
    return seals["config"]


class Checksums:
    """Digests of the files of all finished stages.

    Args:
        out: a folder that this process holds.
        config: the settings of the run.
    """

    def __init__(self, out: Path, config: dict[str, Any]) -> None:
        self.out, self.file, self.config = out, out / "seals.json", config
        self.digests: dict[str, str] = {}
        if sealed_config(out):
            self.digests = read_json(self.file)["sha256"]

    def check(self) -> None:
        """Compare every file with its seal, then seal the files that have none.

        Raises:
            RunError: a file was changed, is missing, or is not as schema.FILES says.
        """
        if not self.file.exists() and any(self._finished()):
            warnings.warn(
                f"{self.out}: was made by a version that kept no checksums (or seals.json was "
                "removed); its files are used as they are.", stacklevel=4)
        found = {self._name(file): _digest(file) for file in self._finished()}
        for name, digest in found.items():
            if self.digests.get(name, digest) != digest:
                self._raise_changed(self.out / name)
        for file in map(self.out.joinpath, self.digests):
            if file.suffix == ".safetensors" and not file.exists() and file.parent.exists():
                raise RunError(
                    f"{file}: is missing. Remove the folder {file.parent} to train its "
                    "round again; everything else is kept.")
        check_folder(self.out)
        # Missing files will be made again, and must not be compared with the old ones.
        self._seal(found)

    def sweep(self) -> None:
        """Seal the files of stages that were finished since the last call."""
        names = {self._name(file): file for file in self._finished()}
        new = {name: _digest(file) for name, file in names.items() if name not in self.digests}
        if new:
            self._seal(self.digests | new)

    def _seal(self, digests: dict[str, str]) -> None:
        self.digests = digests
        write_json(self.file, {"format": FORMAT, "config": self.config, "sha256": self.digests})

    def _finished(self) -> Iterator[Path]:
        for pattern in SEALED:
            for file in sorted(self.out.glob(pattern)):
                if (file.parent / LAST_OF_STAGE.get(file.name, file.name)).exists():
                    yield file

    def _name(self, file: Path) -> str:
        return file.relative_to(self.out).as_posix()

    def _raise_changed(self, file: Path) -> None:
        """Name the file that was changed and, if it cannot be read, its damaged line."""
        if file.suffix == ".jsonl":
            read(file)
        thing = f"the folder {file.parent}" if file.suffix == ".safetensors" else "the file"
        raise RunError(
            f"{file}: is not what the run wrote (a flipped byte, or an edit by hand). Remove "
            f"{thing} to repeat its stage; if you meant to change it, remove {self.file}, "
            "and every file is used as it is.")


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def copy_folder(source: Path, target: Path) -> None:
    """Replace `target` with a copy of `source`; the copy appears complete."""
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=target.parent))
    shutil.copytree(source, scratch / "copy")
    if os.path.lexists(target):
        target.rename(scratch / "old")
    (scratch / "copy").rename(target)
    shutil.rmtree(scratch)


def clear_scratch(out: Path) -> None:
    """Remove files and folders that a killed process left half written."""
    for left in [*out.rglob(f"{SCRATCH}*"), *out.rglob(".*.writing")]:
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)
