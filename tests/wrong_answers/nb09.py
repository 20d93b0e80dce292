"""Wrong answers to the exercises of notebook 10, as readers write them, and what each must be told."""

_ERROR = """
import numpy as np
def my_standard_error(first, second):
    d = first - second
    S, Q = {shape}
    by_seed, by_question = {means}
    rest = d - d.mean(1, keepdims=True) - d.mean(0) + {mean}
    ms_seeds = {seeds}
    ms_questions = {questions}
    ms_rest = np.sum(rest ** 2) / {freedom}
    with np.errstate(invalid="ignore"):
        return {result}
"""
_RIGHT = {
    "shape": "d.shape", "means": "(d.mean(1), d.mean(0))", "mean": "d.mean()", "freedom": "((S - 1) * (Q - 1))",
    "seeds": "Q * by_seed.var(ddof=1)", "questions": "S * by_question.var(ddof=1)",
    "result": "np.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))",
}


def _error(**wrong: str) -> str:
    return _ERROR.format(**_RIGHT | wrong)


_SEEDS = """
import math
def my_seeds_needed(difference, deviation):
    return {count}
"""
_HOLM = """
def my_holm(p_values):
    m = len(p_values)
    order = np.argsort(p_values)
    corrected = [0.0] * m
    worst = 0.0
    for rank, i in enumerate(order):
        {step}
    return {result}
"""


def _holm(step: str, result: str = "corrected") -> str:
    return "import numpy as np\n" + _HOLM.format(step=step, result=result)


WRONG = {
    "09.1": [
        (_error(result="np.sqrt((ms_seeds + ms_questions) / (S * Q))"), "The rest is counted twice"),
        (_error(result="np.sqrt((ms_seeds + ms_questions + ms_rest) / (S * Q))"), "You added MS_rest"),
        (_error(result="(ms_seeds + ms_questions - ms_rest) / (S * Q)"), "This is the variance"),
        (_error(result="by_seed.std(ddof=1) / S**0.5"), "You took the seeds only"),
        (_error(result="by_seed.std() / S**0.5"), "You took the seeds only"),
        (_error(result="by_question.std(ddof=1) / Q**0.5"), "You took the questions only"),
        (_error(result="d.std() / np.sqrt(d.size)"), "one more independent experiment"),
        (_error(result="d.std(ddof=1) / np.sqrt(d.size)"), "one more independent experiment"),
        (_error(result="sum(x.mean(1).var(ddof=1) / S for x in (first, second)) ** 0.5"), "They are pairs"),
        (_error(freedom="(S * Q)"), "MS_rest has (S − 1)·(Q − 1) degrees of freedom"),
        (_error(seeds="Q * by_seed.var()", questions="S * by_question.var()", freedom="(S * Q)"), "np.var does without ddof=1"),
        (_error(seeds="by_seed.var(ddof=1)", questions="by_question.var(ddof=1)"), "A factor is missing"),
        (_error(seeds="S * by_seed.var(ddof=1)", questions="Q * by_question.var(ddof=1)"), "Axes or factors are swapped"),
        (_error(shape="d.shape[::-1]"), "Axes or factors are swapped"),
        (_error(means="(d.mean(0), d.mean(1))"), "Axes or factors are swapped"),
        (_error(means="(d.mean(0), d.mean(1))", seeds="Q * np.sum((by_seed - d.mean()) ** 2) / (S - 1)",
                questions="S * np.sum((by_question - d.mean()) ** 2) / (Q - 1)"), "Axes or factors are swapped"),
        (_error(mean="0"), "yours lacks the last term"),
        ("import math\n" + _error(mean="0", result="math.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))"),
         "yours lacks the last term"),
        (_error(result="np.sqrt(ms_seeds + ms_questions - ms_rest)"), "the error of a single answer"),
        (_error(result="100 * np.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))"), "Give it as a share"),
        (_error(result="1.96 * np.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))"), "half of an interval"),
    ],
    "09.2": [
        ("my_seeds = (6, 5)", "in the other order"), ("my_seeds = (1, 0)", "Both tell the same story"),
        ("my_seeds = (3, 7)", "more extreme pair"), ("my_seeds = 5", "a pair of seeds"),
    ],
    "09.3": [
        (_SEEDS.format(count="math.ceil((1.96 * deviation / difference) ** 2) or 1"), "You left the power out"),
        (_SEEDS.format(count="max(1, math.ceil(2.8 * deviation / abs(difference)))"), "The square is missing"),
        (_SEEDS.format(count="max(math.ceil(2 * 7.85 * (deviation / difference) ** 2), 1)"), "belongs to unpaired arms"),
        (_SEEDS.format(count="max(1, int(7.85 * deviation**2 / difference**2))"), "Round up"),
        (_SEEDS.format(count="math.ceil(7.85 * deviation**2 / difference**2)"), "one seed is enough, but none is not"),
        (_SEEDS.format(count="max(1, math.ceil((1.96**2 + 0.84**2) * (deviation / difference) ** 2))"), "they are added first"),
    ],
    "09.4": [
        ("def my_holm(p_values):\n    return [min(1, len(p_values) * p) for p in p_values]", "Bonferroni"),
        (_holm("worst = max(worst, min(1, (rank + 1) * p_values[i])); corrected[i] = worst"), "the wrong way round"),
        (_holm("corrected[i] = min(1, (m - rank) * p_values[i])"), "may not be smaller than the one before"),
        (_holm("worst = max(worst, (m - rank) * p_values[i]); corrected[i] = worst"), "cannot exceed 1"),
        (_holm("worst = max(worst, min(1, (m - rank) * p_values[i])); corrected[rank] = worst"), "in the order in which"),
        (_holm("worst = max(worst, min(1, (m - rank - 1) * p_values[i])); corrected[i] = worst"), "count ranks from 1"),
    ],
}  # fmt: skip
