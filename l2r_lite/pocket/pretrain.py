"""How the pocket student was made: `python -m l2r_lite.pocket.pretrain` (or `make pocket`).

A Llama-shaped LM is trained from random weights on the pocket world's *known* skills, in training wordings only, and on
arithmetic drills. The withheld skills are never shown. In the last part of the run every weight that will be stored in
4 bits is seen through NF4 in the forward pass (straight-through gradients), so that quantisation costs the finished
student next to nothing. One seed decides everything; the weights are written as float16 safetensors.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm.auto import tqdm

from l2r_lite.nf4 import round_to_nf4
from l2r_lite.pocket import rationales, world
from l2r_lite.prompts import completion, student_prompt

# Hidden sizes are multiples of 64: bitsandbytes 0.50.2 dequantises other sizes wrongly on a CPU.
HIDDEN, INTERMEDIATE, LAYERS, HEADS, VOCAB = 192, 512, 4, 3, 768
END = "<|end|>"
PROMPT_WEIGHT = 0.1


def corpus_line(rng: random.Random, drills: float) -> tuple[str, str]:
    """One training text as (prompt, completion): six drills with probability `drills`, else a known skill's problem."""
    if rng.random() < drills:
        return "", "".join(_drill(rng) for _ in range(6))
    skill = world.SKILLS[rng.choice(world.KNOWN)]
    while True:
        wording = tuple(rng.randrange(len(world.CLAUSES[c])) for c in skill.clauses)
        if world.split_of(world.template_name(skill.clauses, wording)) == "train":
            break
    problem = world.make_problem(skill, wording, rng, "pretraining")
    return student_prompt(problem), completion(rationales.write_rationale(problem, rng.randrange(3)))


def _drill(rng: random.Random) -> str:
    op = rng.choice("+-*/<>")
    if op in "*/":
        a, b = rng.randint(2, 9), rng.randint(2, 9)
        return f" {a} * {b} = {a * b}." if op == "*" else f" {a * b} / {a} = {b}."
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    if op in "<>":
        return f" {a} {'<' if a < b else '>'} {b}." if a != b else f" {a} = {b}."
    a, b = max(a, b), min(a, b)
    if op == "-":
        return f" {a} - {b} = {a - b}."
    total, part = a, rng.randint(0, a)
    return f" {part} + {total - part} = {total}."


def build_tokenizer(seed: int):
    """A byte-level BPE of VOCAB tokens in which every digit is a token of its own."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(seed)  # noqa: S311
    # The tokenizer may know the words of all skills: it is the reasoning that is withheld, not the alphabet.
    texts = [student_prompt(p) + completion(rationales.write_rationale(p, rng.randrange(3)))
             for p in world.make_problems("train", 6000, seed)]  # fmt: skip
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(r" ?[0-9]| ?[^\s0-9A-Za-z]| ?[A-Za-z]+|\s"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def build_model(seed: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INTERMEDIATE, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=512, tie_word_embeddings=True,
            bos_token_id=None, eos_token_id=0, pad_token_id=0,
        )
    )  # fmt: skip


class ThroughNF4(nn.Module):
    """Shows the forward pass the NF4 rounding of a weight and passes gradients straight through."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (round_to_nf4(weight.detach()) - weight.detach())


def make_batch(tokenizer, lines: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    """Right-padded ids and loss weights (0 on padding), each (batch, length)."""
    prompts = tokenizer([p for p, _ in lines]).input_ids
    rows, weights = [], []
    for prompt, text in zip(prompts, tokenizer([c for _, c in lines]).input_ids, strict=True):
        rows.append(torch.tensor(prompt + text + [tokenizer.eos_token_id]))
        weights.append(torch.tensor([PROMPT_WEIGHT] * len(prompt) + [1.0] * (len(text) + 1)))
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    weight = nn.utils.rnn.pad_sequence(weights, batch_first=True)
    return ids, weight


def pretrain(out: Path, *, steps: int = 1500, batch: int = 96, lr: float = 3e-3, seed: int = 0, nf4_from: float = 0.7) -> dict:
    """Train, save to `out` (safetensors, tokenizer, config, pretraining.json) and return what was measured."""
    tokenizer, model = build_tokenizer(seed), build_model(seed)
    rng = random.Random(seed + 1)  # noqa: S311
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / steps)))
    )
    started, losses = time.time(), []
    model.train()
    progress = tqdm(range(steps), desc="pretraining", unit="step", mininterval=5)
    for step in progress:
        if step == int(steps * nf4_from):
            for module in model.modules():
                if isinstance(module, nn.Linear) and module is not model.lm_head:
                    parametrize.register_parametrization(module, "weight", ThroughNF4())
        ids, weight = make_batch(tokenizer, [corpus_line(rng, drills=0.15) for _ in range(batch)])
        # Rows are padded on the right and attention is causal: no real token sees padding, so no mask is needed.
        logits = model(input_ids=ids).logits[:, :-1]
        token_loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (token_loss * weight[:, 1:].flatten()).sum() / weight[:, 1:].sum()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 99:
            progress.set_postfix(loss=f"{sum(losses[-100:]) / 100:.4f}")
    for module in model.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    measured = {
        "steps": steps, "batch": batch, "lr": lr, "seed": seed, "nf4_from": nf4_from, "torch": torch.__version__,
        "parameters": sum(p.numel() for p in model.parameters()), "minutes": round((time.time() - started) / 60, 1),
        "loss": round(sum(losses[-100:]) / len(losses[-100:]), 4), "known": world.KNOWN, "withheld": world.WITHHELD,
    }  # fmt: skip
    (out / "pretraining.json").write_text(json.dumps(measured, indent=1))
    return measured


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pretrain the pocket student from random weights.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "student")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = pretrain(arguments.out, steps=arguments.steps, batch=arguments.batch, lr=arguments.lr, seed=arguments.seed)
    print(json.dumps(result, indent=1))
