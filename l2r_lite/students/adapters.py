"""Save and load a student's adapter, as safetensors."""

import os
import shutil
import tempfile
from pathlib import Path

from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.runfolder import SCRATCH
from l2r_lite.loop.student import Student


def save_adapter(student: Student, folder: Path) -> None:
    """Write the adapter as safetensors; the folder appears complete or not at all."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder.parent))
    student.model.save_pretrained(scratch, safe_serialization=True)
    os.chmod(scratch, 0o755)  # noqa: S103 - mkdtemp makes it private; a run's folders are not
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    scratch.rename(folder)


def load_adapter(student: Student, folder: Path) -> None:
    """Replace the adapter's weights with saved ones.

    Raises:
        StudentError: there is no adapter, or it has another shape.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(folder) / "adapter_model.safetensors"
    if not file.is_file():
        raise StudentError(
            f"{folder}: no adapter_model.safetensors there; is this the adapter of a finished "
            "round?")
    try:
        weights = load_file(file, device=str(student.device))
    except (SafetensorError, OSError) as error:
        raise StudentError(
            f"{file}: is damaged ({error}); remove the folder to train its round again."
        ) from error
    misfit = StudentError(
        f"{folder}: this adapter was made for another student or LoRA rank than {student.name}.")
    if len(weights) != len(student.trainable):
        raise misfit
    try:
        result = set_peft_model_state_dict(student.model, weights)
    except RuntimeError as error:
        raise misfit from error
    if result.unexpected_keys:
        raise misfit
