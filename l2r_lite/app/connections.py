"""Check for the doctor whether the Hugging Face hub and a teacher's endpoint can be reached.

Each function returns whether all is well, and a sentence for the user.
"""

import json
import os
from urllib.parse import urlsplit

from l2r_lite.data.hub import cache_folder, fetch
from l2r_lite.loop.config import LoopConfig
from l2r_lite.students.sources import SMOL


def hub() -> tuple[bool, str]:
    """The hub or its mirror (HF_ENDPOINT), tested with a file of a few hundred bytes."""
    from huggingface_hub import constants

    without = "the default needs none; without it, use --student FOLDER, --data-dir DIR"
    if (cache_folder() / "SmolLM2-135M-Instruct" / "model.safetensors").is_file():
        without += "; SmolLM2 is on this machine"
    if constants.HF_HUB_OFFLINE:
        return False, f"HF_HUB_OFFLINE is set: {without}"
    # A mirror's address may contain a user name and a password: show only what follows them.
    host = urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]
    try:
        json.loads(fetch(f"{constants.ENDPOINT}/{SMOL}/resolve/main/config.json")[1])
    except OSError as error:
        return False, f"{host} cannot be reached ({error}): {without}"
    except ValueError:
        return False, f"{host} returns an unexpected page (a login page?): {without}"
    return True, f"{host} answers"


def key(config: LoopConfig) -> tuple[bool, str]:
    """Whether the environment has the key for the config's endpoint; it is never shown."""
    url, name = _address(config)
    if os.environ.get(name):
        return True, f"{name} is set (and not shown)"
    if config.base_url is None:
        return False, f"{name} is not set; a teacher openai:MODEL needs it, the default does not"
    return False, f"{name} is not set; set it if {urlsplit(url).hostname} requires a key"


def endpoint(config: LoopConfig) -> tuple[bool, str] | None:
    """Whether the endpoint answers, takes the key and has the model; None without an endpoint."""
    from l2r_lite.teachers.endpoint import public_address

    kind, _, model = config.teacher.partition(":")
    if config.base_url is None and kind != "openai":
        return None
    url, name = _address(config)
    where = public_address(url)
    try:
        status, body = fetch(f"{url}/models", key=os.environ.get(name))
    except OSError as error:
        return False, (
            f"nothing answers at {where} ({error}): is the server running, is --base-url right?")
    if status in (401, 403):
        return False, f"{where} rejects the key: set the right one in {name}"
    if status >= 300:
        return False, (
            f"{where} answers, but {status} to /models: is --base-url right (it usually ends in "
            "/v1)?")
    names = _model_names(body)
    if kind == "openai" and names and model not in names:
        there = ", ".join(names[:5])
        return False, f"{where} answers, but has no model {model} (it has {there})"
    return True, f"{where} answers"


def _address(config: LoopConfig) -> tuple[str, str]:
    """The teacher's address, and the environment variable that holds the key for it."""
    from l2r_lite.teachers.endpoint import OPENAI
    from l2r_lite.teachers.openai_teacher import KEY, OTHER_KEY

    url = (config.base_url or OPENAI).rstrip("/")
    return url, KEY if url == OPENAI else OTHER_KEY


def _model_names(body: bytes) -> list[str]:
    try:
        return [str(entry["id"])[:60] for entry in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return []
