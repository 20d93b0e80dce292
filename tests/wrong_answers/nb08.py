"""Wrong answers to the exercises of notebook 08, as readers write them, and what each must be told."""

_BOOTSTRAP = """
def my_paired_bootstrap(first, second, draws, seed):
    rng = np.random.default_rng(seed)
    n, q = first.shape
    found = []
    for _ in range(draws):
        {draw}
    return {result}
"""
_RIGHT = "r, c = rng.integers(0, n, n), rng.integers(0, q, q); found.append((first - second)[np.ix_(r, c)].mean())"
_PERCENTILES = "tuple(np.percentile(found, [2.5, 97.5]))"


def _bootstrap(draw: str, result: str = _PERCENTILES) -> str:
    return _BOOTSTRAP.format(draw=draw, result=result)


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
    "08.1": [
        (_bootstrap("c = rng.choice(q, q); found.append((first[:, c] - second[:, c]).mean())"), "resampled the questions only"),
        (_bootstrap("r = rng.choice(n, n); found.append((first[r] - second[r]).mean())"), "resampled the seeds only"),
        (
            _bootstrap("a, b = (t[np.ix_(rng.integers(n, size=n), rng.integers(q, size=q))] for t in (first, second)); "
                       "found.append(a.mean() - b.mean())"),
            "They are pairs",
        ),
        (
            _bootstrap("c = rng.integers(q, size=q); a = first[rng.integers(n, size=n)][:, c]; "
                       "b = second[rng.integers(n, size=n)][:, c]; found.append(a.mean() - b.mean())"),
            "They are pairs",
        ),
        (
            _bootstrap("d = (first - second)[rng.choice(n, n)]; found.append(np.mean([rng.choice(row, q) for row in d]))"),
            "All seeds sat the same test",
        ),
        (_bootstrap(_RIGHT, "np.quantile(found, 0.05), np.quantile(found, 0.95)"), "that is a 90 % interval"),
        (_bootstrap(_RIGHT, "np.percentile(found, 0.025), np.percentile(found, 0.975)"), "np.percentile wants percent"),
        (_bootstrap(_RIGHT, "np.percentile(found, 97.5), np.percentile(found, 2.5)"), "the 2.5th percentile comes first"),
        (_bootstrap(_RIGHT.replace("first - second", "second - first")), "The sign is turned"),
        (_bootstrap(_RIGHT).replace("default_rng(seed)", "default_rng()"), "Make the generator inside the function"),
        (_bootstrap("r, c = rng.permutation(n), rng.permutation(q); found.append((first - second)[r][:, c].mean())"),
         "without repetition"),
    ],
    "08.2": [
        ("my_seeds = (6, 5)", "in the other order"), ("my_seeds = (1, 0)", "Both tell the same story"),
        ("my_seeds = (3, 7)", "more extreme pair"), ("my_seeds = 5", "a pair of seeds"),
    ],
    "08.3": [
        (_SEEDS.format(count="math.ceil((1.96 * deviation / difference) ** 2) or 1"), "You left the power out"),
        (_SEEDS.format(count="max(1, math.ceil(2.8 * deviation / abs(difference)))"), "The square is missing"),
        (_SEEDS.format(count="max(math.ceil(2 * 7.85 * (deviation / difference) ** 2), 1)"), "belongs to unpaired arms"),
        (_SEEDS.format(count="max(1, int(7.85 * deviation**2 / difference**2))"), "Round up"),
        (_SEEDS.format(count="math.ceil(7.85 * deviation**2 / difference**2)"), "one seed is enough, but none is not"),
        (_SEEDS.format(count="max(1, math.ceil((1.96**2 + 0.84**2) * (deviation / difference) ** 2))"), "they are added first"),
    ],
    "08.4": [
        ("def my_holm(p_values):\n    return [min(1, len(p_values) * p) for p in p_values]", "Bonferroni"),
        (_holm("worst = max(worst, min(1, (rank + 1) * p_values[i])); corrected[i] = worst"), "the wrong way round"),
        (_holm("corrected[i] = min(1, (m - rank) * p_values[i])"), "may not be smaller than the one before"),
        (_holm("worst = max(worst, (m - rank) * p_values[i]); corrected[i] = worst"), "cannot exceed 1"),
        (_holm("worst = max(worst, min(1, (m - rank) * p_values[i])); corrected[rank] = worst"), "in the order in which"),
        (_holm("worst = max(worst, min(1, (m - rank - 1) * p_values[i])); corrected[i] = worst"), "count ranks from 1"),
    ],
}  # fmt: skip
