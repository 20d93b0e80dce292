"""Read the config of a run folder."""

from __future__ import annotations

import json
from pathlib import Path

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError


def read_config(file: Path) -> LoopConfig:
    """Read a run's config.json.

    Raises:
        ConfigError: the file is missing, damaged, or has a setting unknown to this version.
    """
    try:
        if file.exists() and not file.is_file():  # reading a pipe or a device may never end
            raise ValueError("not a file")
        data = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("not a JSON object")
        data.setdefault("prompt", "plain")  # runs made before there was a choice
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{file}: cannot be read as a run's config ({error}); is this a run folder?"
        ) from error
    try:
        return LoopConfig().with_(**data)
    except ConfigError as error:
        said = " ".join(str(error).split())  # it may quote what a stranger wrote
        said = said if len(said) <= 500 else f"{said[:499]}…"
        raise ConfigError(f"{file}: {said}") from error
