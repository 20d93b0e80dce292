"""TRL's SFTTrainer on a student of ours, for `make bench`: the same model, LoRA, items, batch size and number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.prompts import completion, student_prompt
from l2r_lite.loop.records import TrainingItem
from l2r_lite.loop.student import Student


def sft_trainer(student: Student, items: Sequence[TrainingItem], config: LoopConfig, out: Path) -> Any:
    """A trainer that learns from question + rationale, already tokenised; it pads, shuffles and takes its steps by itself."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    ids = [sum(student.encode(student_prompt(i.problem), completion(i.anchor)), []) for i in items]
    settings = SFTConfig(
        output_dir=str(out), per_device_train_batch_size=config.batch_size, num_train_epochs=config.epochs,
        learning_rate=config.learning_rate, weight_decay=0.0, max_grad_norm=1.0, gradient_checkpointing=False, bf16=False,
        use_cpu=student.device.type == "cpu", save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
        max_length=None,
    )  # fmt: skip
    return SFTTrainer(model=student.model, args=settings, train_dataset=Dataset.from_dict({"input_ids": ids}),
                      processing_class=student.tokenizer)  # fmt: skip
