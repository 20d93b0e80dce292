"""One answer out of several rationales. Each way looks at something else to decide.

In the terms of the survey (arXiv 2407.11511): samples *generate*, a score *evaluates*, a rule
*controls*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from l2r_course.labs.search.pool import Candidate
from l2r_lite.data.answers import parse_number
from l2r_lite.loop.records import Kind

Choose = Callable[[Sequence[Candidate], Kind], Candidate]


def vote(samples: Sequence[Candidate], kind: Kind) -> Candidate:
    """A sample with the most frequent answer (self-consistency, arXiv 2203.11171).

    No answer is no vote. In a tie the answer that was drawn first wins.
    """
    names = [answer_name(sample.answer, kind) for sample in samples]
    votes = Counter(name for name in names if name is not None)
    if not votes:
        return samples[0]
    return samples[names.index(votes.most_common(1)[0][0])]


def likeliest(samples: Sequence[Candidate], kind: Kind) -> Candidate:
    """The sample with the highest mean log-probability per token."""
    return max(samples, key=lambda sample: sample.per_token)


def checked_vote(samples: Sequence[Candidate], kind: Kind) -> Candidate:
    """A vote among the samples without a false equation; among all if none is left."""
    return vote([sample for sample in samples if sample.equations_hold] or samples, kind)


def verified(samples: Sequence[Candidate], kind: Kind) -> Candidate:
    """The sample that the trained verifier scores highest."""
    return max(samples, key=lambda sample: sample.score)


def oracle(samples: Sequence[Candidate], kind: Kind) -> Candidate:
    """A right sample if there is one: what a perfect choice would reach."""
    return next((sample for sample in samples if sample.is_right), samples[0])


def answer_name(answer: str | None, kind: Kind) -> str | None:
    """One name for all spellings of an answer: "7" for "7.0"."""
    if answer is None:
        return None
    number = parse_number(answer) if kind == "number" else None
    return str(number) if number is not None else answer.strip().casefold()


CHOICES: dict[str, Choose] = {
    "vote": vote, "likeliest": likeliest, "vote, equations checked": checked_vote,
    "trained verifier": verified, "oracle": oracle}
