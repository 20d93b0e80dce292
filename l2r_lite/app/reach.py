"""Whether what lies outside can be reached: the Hugging Face hub, a teacher's endpoint with its key. For the doctor.

Each answer is a pair: whether all is well, and a sentence.
"""

from __future__ import annotations

import json
import os
from urllib.parse import urlsplit

from l2r_lite.loop.config import LoopConfig
from l2r_lite.students.hub import fetch
from l2r_lite.students.sources import SMOL, cache_folder


def hub() -> tuple[bool, str]:
    """The hub, or a mirror of it (HF_ENDPOINT), tried by a file of a few hundred bytes."""
    from huggingface_hub import constants

    here = (cache_folder() / "SmolLM2-135M-Instruct" / "model.safetensors").is_file()
    without = "the default needs none; else --student FOLDER, --data-dir DIR" + "; SmolLM2 is here" * here
    if constants.HF_HUB_OFFLINE:
        return False, f"HF_HUB_OFFLINE is set: {without}"
    host = urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]
    try:
        json.loads(fetch(f"{constants.ENDPOINT}/{SMOL}/resolve/main/config.json")[1])
    except OSError as error:
        return False, f"{host} cannot be reached ({error}): {without}"
    except ValueError:
        return False, f"{host} sends another page than it should (a login page?): {without}"
    return True, f"{host} answers"


def _address(config: LoopConfig) -> tuple[str, str]:
    """Where the teacher of a config is asked, and the environment variable of the key for it."""
    from l2r_lite.teachers.endpoint import OPENAI
    from l2r_lite.teachers.openai_teacher import KEY, OTHER_KEY

    url = (config.base_url or OPENAI).rstrip("/")
    return url, KEY if url == OPENAI else OTHER_KEY


def key(config: LoopConfig) -> tuple[bool, str]:
    """Whether the environment has the key for the config's endpoint; it is never shown."""
    url, name = _address(config)
    if os.environ.get(name):
        return True, f"{name} is set (and not shown)"
    host = urlsplit(url).hostname
    return False, f"{name} is not set; " + (
        "a teacher openai:MODEL needs it, the default none" if config.base_url is None else f"set it if {host} wants a key"
    )


def endpoint(config: LoopConfig) -> tuple[bool, str] | None:
    """Whether the endpoint answers, takes the key and has the model; None where the config has none."""
    from l2r_lite.teachers.endpoint import public_address

    kind, _, model = config.teacher.partition(":")
    if config.base_url is None and kind != "openai":
        return None
    url, name = _address(config)
    where = public_address(url)
    try:
        status, body = fetch(f"{url}/models", key=os.environ.get(name))
    except OSError as error:
        return False, f"nobody answers at {where} ({error}): is the server running, is --base-url right?"
    if status in (401, 403):
        return False, f"{where} refuses the key: put the right one into {name}"
    if status >= 300:
        return False, f"{where} answers, but {status} to /models: is --base-url right (it mostly ends in /v1)?"
    names = _model_names(body)
    if kind == "openai" and names and model not in names:
        return False, f"{where} answers, but has no model {model} (it has {', '.join(names[:5])})"
    return True, f"{where} answers"


def _model_names(body: bytes) -> list[str]:
    try:
        return [str(entry["id"])[:60] for entry in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return []
