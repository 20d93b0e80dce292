"""The scores behind a rationale: which other tokens the student could have written."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2r_lite.loop.prompts import completion
from l2r_lite.loop.student import Student
from l2r_lite.loop.writing import probabilities
from l2r_lite.students.prefix import prefix_cache


@dataclass(frozen=True)
class TokenScores:
    """The scores of all tokens at each position of a text.

    Attributes:
        tokens: the text's tokens, the end of text last.
        logits: (tokens, vocabulary); row i scores token i, given the tokens before it.
        vocabulary: every token as text, with its leading space if it has one.
    """

    tokens: list[str]
    logits: Tensor
    vocabulary: list[str]

    def likeliest(
        self, place: int, temperature: float = 1.0, count: int = 6
    ) -> list[tuple[str, float]]:
        """The most likely tokens at a position, and their probabilities."""
        chances, ids = probabilities(self.logits[place], temperature).topk(count)
        names = [self.vocabulary[i] for i in ids.tolist()]
        return list(zip(names, chances.tolist(), strict=True))


@torch.inference_mode()
def score_tokens(student: Student, prompt: str, rationale: str = "") -> TokenScores:
    """The scores behind a rationale: which other tokens could the student have written?

    Args:
        rationale: the text after the prompt; "" scores the first token only.
    """
    student.model.eval()
    asked, written = student.encode(prompt, completion(rationale) if rationale else "")
    ids = torch.tensor([asked + written], device=student.device)
    output = student.decoder(input_ids=ids, past_key_values=prefix_cache(student, 1))
    before = output.last_hidden_state[0, len(asked) - 1 : -1]  # before each written token
    logits = student.head(before).float().cpu()
    vocabulary = student.tokenizer.batch_decode([[i] for i in range(student.head.out_features)])
    return TokenScores([vocabulary[i] for i in written], logits, vocabulary)
