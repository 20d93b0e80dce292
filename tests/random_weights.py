"""A student of a known shape with random weights, as a folder: for measuring what a large one costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm.auto import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from l2r_lite.app.planner import student_shape
from l2r_lite.students.sources import POCKET

SHARD = 2e9  # bytes; not many more are ever in memory at once
POOL = 16_777_259  # a prime: no two rows of a matrix are alike


def build_random(name: str, folder: Path, **changes: Any) -> Path:
    """Save a model of `name`'s shape in bf16, with the pocket student's tokeniser.

    Args:
        name: a student whose shape the planner knows; no weights are looked up.
        changes: fields of its config to set otherwise.
    """
    if (folder / "model.safetensors.index.json").is_file():
        return folder
    shape = student_shape(name)
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = AutoConfig.for_model(**{**shape.to_dict(), **ends, "layer_types": None, **changes})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    tied = config.tie_word_embeddings
    weights = {n: w for n, w in model.state_dict().items() if not (tied and n == "lm_head.weight")}
    folder.mkdir(parents=True, exist_ok=True)
    shard: dict[str, torch.Tensor] = {}
    places: dict[str, str] = {}
    # Drawing billions of numbers takes minutes: all matrices repeat these, from where they fit their shape.
    pool = torch.empty(POOL, dtype=torch.bfloat16).normal_(0, 0.02, generator=torch.Generator().manual_seed(0))

    def flush() -> None:
        file = f"model-{len(set(places.values())) + 1:05}.safetensors"
        save_file(shard, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(shard, file))
        shard.clear()

    for n, weight in tqdm(weights.items(), desc="random weights", leave=False):
        if "norm" in n:
            shard[n] = torch.ones(weight.shape, dtype=torch.bfloat16)
        else:
            count = weight.numel()
            shard[n] = pool.repeat(-(-count // POOL))[:count].view(weight.shape).clone()
        if sum(w.nbytes for w in shard.values()) > SHARD:
            flush()
    if shard:
        flush()
    config.save_pretrained(folder)
    AutoTokenizer.from_pretrained(POCKET).save_pretrained(folder)
    index = {"metadata": {"total_size": sum(w.numel() * 2 for w in weights.values())}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder
