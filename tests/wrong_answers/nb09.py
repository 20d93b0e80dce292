"""Typical wrong answers to the exercises of notebook 09, and a part of the message that each must get."""

_ERROR = """
import numpy as np
def my_standard_error(first, second):
    d = first - second
    S, Q = {shape}
    by_seed, by_question = {means}
    rest = d - {column} - d.mean(0) + {mean}
    ms_seeds = {seeds}
    ms_questions = {questions}
    ms_rest = np.sum(rest ** 2) / {freedom}
    with np.errstate(invalid="ignore"):
        return {result}
"""
_RIGHT = {
    "shape": "d.shape", "means": "(d.mean(1), d.mean(0))", "mean": "d.mean()", "column": "d.mean(1, keepdims=True)",
    "freedom": "((S - 1) * (Q - 1))",
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
        (_error(result="by_seed.std(ddof=1) / S**0.5"), "You used the seeds only"),
        (_error(result="by_seed.std() / S**0.5"), "You used the seeds only"),
        (_error(result="by_seed.std(ddof=1)"), "You used the seeds only"),
        (_error(result="by_question.std(ddof=1) / Q**0.5"), "You used the questions only"),
        (_error(result="d.std() / np.sqrt(d.size)"), "an independent experiment"),
        (_error(result="d.std(ddof=1) / np.sqrt(d.size)"), "an independent experiment"),
        (_error(result="np.sqrt(sum(x.mean() * (1 - x.mean()) / x.size for x in (first, second)))"),
         "an independent experiment"),
        (_error(result="np.sqrt(ms_rest / (S * Q))"), "You used the rest only"),
        (_error(result="d.mean()"), "This is the mean difference itself"),
        ("import numpy as np\n" + _error().replace("first - second", "abs(first - second)"), "Keep the signs"),
        (_error(result="sum(x.mean(1).var(ddof=1) / S for x in (first, second)) ** 0.5"), "They are pairs"),
        (_error(freedom="(S * Q)"), "MS_rest has (S − 1)·(Q − 1) degrees of freedom"),
        (_error(seeds="Q * by_seed.var()", questions="S * by_question.var()", freedom="(S * Q)"), "np.var does without ddof=1"),
        (_error(seeds="Q * by_seed.var()", questions="S * by_question.var()"), "np.var does without ddof=1"),
        (_error(seeds="Q * by_seed.var()"), "np.var does without ddof=1"),
        (_error(seeds="by_seed.var(ddof=1)", questions="by_question.var(ddof=1)"), "A factor is missing"),
        (_error(seeds="by_seed.var(ddof=1)"), "A factor is missing"),
        (_error(questions="by_question.var(ddof=1)"), "A factor is missing"),
        (_error(seeds="S * by_seed.var(ddof=1)", questions="Q * by_question.var(ddof=1)"), "Axes or factors are swapped"),
        (_error(shape="d.shape[::-1]"), "Axes or factors are swapped"),
        (_error(means="(d.mean(0), d.mean(1))"), "Axes or factors are swapped"),
        (_error(means="(d.mean(0), d.mean(1))", seeds="Q * np.sum((by_seed - d.mean()) ** 2) / (S - 1)",
                questions="S * np.sum((by_question - d.mean()) ** 2) / (Q - 1)"), "Axes or factors are swapped"),
        (_error(mean="0"), "Your last term is missing"),
        (_error(mean="-d.mean()"), "Your last term is missing or has the wrong sign"),
        (_error(column="d.mean(1)"), "must be a column"),
        (_error(result="(ms_seeds**0.5 + ms_questions**0.5 - ms_rest**0.5) / (S * Q) ** 0.5"), "take one square root"),
        (_error(result="np.sqrt(ms_seeds + ms_questions - ms_rest) / (S * Q)"), "under the square root"),
        (_error(result="np.sqrt((ms_seeds + ms_questions - ms_rest) / Q)"), "You divided by something else"),
        ("import math\n" + _error(mean="0", result="math.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))"),
         "Your last term is missing"),
        (_error(result="np.sqrt(ms_seeds + ms_questions - ms_rest)"), "the error of a single answer"),
        (_error(result="100 * np.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))"), "Return a share"),
        (_error(result="1.96 * np.sqrt((ms_seeds + ms_questions - ms_rest) / (S * Q))"), "half of an interval"),
    ],
    "09.2": [
        ("my_seeds = (6, 5)", "in the wrong order"), ("my_seeds = (1, 0)", "Both tell the same story"),
        ("my_seeds = (3, 7)", "more extreme pair"), ("my_seeds = 5", "Give two seeds"),
        ("my_seeds = (7.6, -1.8)", "not their gains"), ("my_seeds = (4, 0)", "within a row"),
    ],
    "09.3": [
        (_SEEDS.format(count="math.ceil((1.96 * deviation / difference) ** 2) or 1"), "You left the power out"),
        (_SEEDS.format(count="max(1, math.ceil(2.8 * deviation / abs(difference)))"), "The square is missing"),
        (_SEEDS.format(count="max(math.ceil(2 * 7.85 * (deviation / difference) ** 2), 1)"), "belongs to unpaired arms"),
        (_SEEDS.format(count="max(1, int(7.85 * deviation**2 / difference**2))"), "Round up"),
        (_SEEDS.format(count="math.ceil(7.85 * deviation**2 / difference**2)"), "one seed is enough, but you need that one"),
        (_SEEDS.format(count="max(1, round(2.8**2 * (deviation / difference) ** 2))"), "Round up"),
        (_SEEDS.format(count="(2.8 * deviation / difference) ** 2"), "is whole"),
        (_SEEDS.format(count="max(1, math.ceil((2.76 * deviation / difference) ** 2))"), "0.8 is the power itself"),
        (_SEEDS.format(count="max(1, math.ceil((2.16 * deviation / difference) ** 2))"), "0.2 is the share"),
        (_SEEDS.format(count="max(1, math.ceil(((1.64 + 0.84) * deviation / difference) ** 2))"), "one-sided"),
        (_SEEDS.format(count="max(1, math.ceil((1.96 * 2 * deviation / difference) ** 2))"), "1.96 twice"),
        (_SEEDS.format(count="max(1, math.ceil((1.96 * 0.84 * deviation / difference) ** 2))"), "are added"),
        (_SEEDS.format(count="max(1, math.ceil(2.8**2 * deviation / abs(difference)))"), "covers the whole bracket"),
        (_SEEDS.format(count="max(1, math.ceil((2.8 * difference / deviation) ** 2)) if deviation else 1"), "are swapped"),
        (_SEEDS.format(count="max(1, math.ceil((2.8 * deviation / difference) ** 2)) if difference > 0 else 1"), "The sign"),
        (_SEEDS.format(count="max(1, math.ceil(2.8 * deviation / difference) ** 2)"), "round up at the very end"),
        (_SEEDS.format(count="max(1, math.ceil((1.96**2 + 0.84**2) * (deviation / difference) ** 2))"), "Add them first"),
    ],
    "09.4": [
        ("def my_holm(p_values):\n    return [min(1, len(p_values) * p) for p in p_values]", "Bonferroni"),
        (_holm("worst = max(worst, min(1, (rank + 1) * p_values[i])); corrected[i] = worst"), "the wrong way round"),
        (_holm("corrected[i] = min(1, (m - rank) * p_values[i])"), "must not be smaller than the one before"),
        (_holm("corrected[i] = (m - rank) * p_values[i]"), "must not be smaller than the one before"),
        (_holm("worst = min(worst or 1, (m - rank) * p_values[i]); corrected[i] = worst"), "not the smallest"),
        (_holm("corrected[rank] = min(1, (m - i) * p_values[rank])"), "np.argsort gives the place"),
        (_holm("worst = max(worst, min(1, (m - rank) * p_values[rank])); corrected[rank] = worst"), "Sort the p-values first"),
        (_holm("corrected[i] = p_values[i] / (m - rank)"), "You divided"),
        (_holm("worst = max(worst, 1 - (1 - p_values[i]) ** (m - rank)); corrected[i] = worst"), "Šidák"),
        (_holm("worst = max(worst, min(1, (m - rank) * p_values[i])); corrected[i] = worst", "[p < 0.05 for p in corrected]"),
         "Return the corrected p-values"),
        (_holm("worst = max(worst, (m - rank) * p_values[i]); corrected[i] = worst"), "cannot exceed 1"),
        (_holm("worst = max(worst, min(1, (m - rank) * p_values[i])); corrected[rank] = worst"), "in the order in which"),
        (_holm("worst = max(worst, min(1, (m - rank - 1) * p_values[i])); corrected[i] = worst"), "count ranks from 1"),
    ],
}  # fmt: skip
