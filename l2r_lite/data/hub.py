"""Check whether the Hugging Face hub answers, before a library would wait for minutes.

Every request gives up after SECONDS, and a key is only sent to its own address.
"""

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SECONDS = 4.0  # the longest wait for one address
LARGEST = 1_000_000  # bytes to read of an answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which could send a key elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(
    address: str, *, key: str | None = None, seconds: float = SECONDS
) -> tuple[int, bytes]:
    """Status and beginning of an answer, through the environment's proxy if one is set.

    Args:
        key: sent as a bearer token; redirects are then not followed.

    Raises:
        OSError: no answer in time, or not an http address.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise OSError("not an http address")
    headers = {"User-Agent": "l2r-lite"}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - checked above
    if key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    opener = urllib.request.build_opener(*[_NoRedirect] if key else [])
    answer: list[tuple[int, bytes] | OSError] = []

    def ask() -> None:
        try:
            with opener.open(request, timeout=seconds) as response:
                answer.append((response.status, response.read(LARGEST)))
        except urllib.error.HTTPError as error:
            answer.append((error.code, b""))
        except Exception as error:  # http.client has its own errors, which are not OSErrors
            answer.append(OSError(str(getattr(error, "reason", None) or type(error).__name__)))

    # In a thread, because urllib's timeout covers neither a name look-up nor a slow body.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise OSError(f"no answer within {seconds:g} s")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]


def hub_fault() -> str:
    """Why the hub (or a mirror of it, HF_ENDPOINT) cannot be reached; "" if it can."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        fetch(f"{constants.ENDPOINT}/api/whoami-v2")  # a few bytes, with a key or without
    except OSError as error:
        host = urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]
        return f"{host} cannot be reached ({error})"
    return ""


@contextmanager
def skip_dead_hub(where: str = "") -> Iterator[str]:
    """In this context a hub that does not answer is switched off (as by HF_HUB_OFFLINE).

    Files that were loaded before are then used at once; otherwise the libraries ask the hub for one
    file after the other, and wait each time.

    Args:
        where: for a folder the hub is not needed, and not asked.

    Yields:
        What is wrong with the hub; "" if nothing is.
    """
    from huggingface_hub import constants

    fault = "" if where and Path(where).is_dir() else hub_fault()
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or fault != ""
    try:
        yield fault
    finally:
        constants.HF_HUB_OFFLINE = before


def cache_folder() -> Path:
    """The folder for files that several runs share: $L2R_CACHE, else ~/.cache/l2r_lite."""
    return Path(os.environ.get("L2R_CACHE", Path.home() / ".cache" / "l2r_lite"))
