"""The loop's stopping rule on its own, to try it on validation accuracies without a run."""

from collections.abc import Sequence


def stopping_round(
    validation: Sequence[float], patience: int, minimal_gain: float = 0.0
) -> tuple[int, int]:
    """Where the stopping rule ends a run with these validation accuracies, and what it keeps.

    A round is better if it exceeds the best so far by more than `minimal_gain`. A tie is not
    better, so of equal students the one with the least training is kept. With minimal_gain = 0
    this is the rule of `run_rounds`.

    Args:
        validation: accuracies in [0, 1] of the student before any training and after each round.
        patience: stop after this many rounds in a row that were not better; 0: never.

    Returns:
        The last round that is run, and the round whose student is kept (0: the untrained one).
    """
    best = 0
    for number in range(1, len(validation)):
        if validation[number] > validation[best] + minimal_gain:
            best = number
        elif patience and number - best >= patience:
            return number, best
    return len(validation) - 1, best
