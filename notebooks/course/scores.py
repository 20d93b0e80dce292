"""The scores behind a rationale: where the student could have gone on differently."""

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
    """The scores of every next token at each place of a text that the student could write.

    Attributes:
        tokens: the text's tokens, the end of text last.
        logits: (tokens, vocabulary); token i is chosen from row i, after the tokens before it.
        vocabulary: every token as text, with the space that it may begin with.
    """

    tokens: list[str]
    logits: Tensor
    vocabulary: list[str]

    def likeliest(
        self, place: int, temperature: float = 1.0, count: int = 6
    ) -> list[tuple[str, float]]:
        """The likeliest tokens at a place, and their probabilities."""
        chances, ids = probabilities(self.logits[place], temperature).topk(count)
        names = [self.vocabulary[i] for i in ids.tolist()]
        return list(zip(names, chances.tolist(), strict=True))


@torch.inference_mode()
def score_tokens(student: Student, prompt: str, rationale: str = "") -> TokenScores:
    """Look at the scores behind a rationale: where could the student have gone on differently?

    Args:
        rationale: what follows the prompt; "" looks at the first token only.
    """
    student.model.eval()
    asked, written = student.encode(prompt, completion(rationale) if rationale else "")
    ids = torch.tensor([asked + written], device=student.device)
    output = student.decoder(input_ids=ids, past_key_values=prefix_cache(student, 1))
    before = output.last_hidden_state[0, len(asked) - 1 : -1]  # before each written token
    logits = student.head(before).float().cpu()
    vocabulary = student.tokenizer.batch_decode([[i] for i in range(student.head.out_features)])
    return TokenScores([vocabulary[i] for i in written], logits, vocabulary)
