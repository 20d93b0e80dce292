"""Tables of notebook 13: a case, many cases, predictions of errors, pairs and repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from l2r_course.labs.explanations.explainer import Case, Proposal
from l2r_course.labs.explanations.pairs import Effect
from l2r_course.labs.explanations.repair import Repair
from l2r_course.labs.explanations.sentences import table_of
from l2r_course.labs.explanations.validity import Drawn, Pools, p_values, validity
from l2r_course.research.statistics import holm
from l2r_lite.runs.show import Table
from l2r_lite.runs.statistics import wilson_interval


def _signed(value: float, digits: int = 2, sign: str = "+") -> str:
    """A number with a real minus sign, and none before zero."""
    return f"{round(value, digits) + 0:{sign}.{digits}f}".replace("-", "−")


def proposal_table(proposal: Proposal, case: Case, pools: Pools) -> Table:
    """Each proposed sentence: V in the case, V verified with Holm's p, V on future questions."""
    head = ["explanation", "V as seen", "V verified", "p (Holm)", "V on future questions"]
    columns, wrong = [], []
    for answers in ((*case.wrong, *case.right), pools.verification, pools.future):
        truth = table_of(proposal.sentences, answers)
        wrong.append(np.array([a.wrong for a in answers]))
        columns.append((truth, validity(truth, wrong[-1])))
    seen, verified, future = (values for _, values in columns)
    corrected = holm(list(p_values(columns[1][0], wrong[1])))
    return Table(head, [
        [sentence.text, _signed(seen[i]), _signed(verified[i]),
         "< 0.001" if corrected[i] < 0.001 else f"{corrected[i]:.3f}", _signed(future[i])]
        for i, sentence in enumerate(proposal.sentences)])


def draws_table(*drawn: Drawn) -> Table:
    """Means over many cases."""
    head = ["labels", "n", "V as seen", "V verified", "V on future questions",
            "re-ranked by verification", "a sentence is accepted"]
    return Table(head, [
        ["shuffled" if d.shuffled else "real", d.n,
         *(_signed(float(values.mean()), sign="")
           for values in (d.seen, d.verified, d.future, d.reranked)),
         f"{d.any_accepted:.0%} of cases"] for d in drawn])


def effects_table(effects: Mapping[str, Effect]) -> Table:
    """Differences in error rate, in points: observed, and in minimal pairs.

    Args:
        effects: the explanation → its effect.
    """
    head = ["explanation", "observed", "observed among questions with a twin", "minimal pairs",
            "in pairs, ± 95 % (t)"]
    return Table(head, [
        [h, _signed(100 * e.observed, 0), _signed(100 * e.within, 0), e.pairs,
         f"{_signed(100 * e.paired, 1)} ± {100 * e.half:.1f}"] for h, e in effects.items()])


def repairs_table(repairs: Sequence[tuple[Repair, bool, bool]]) -> Table:
    """Wrong answers solved with the named step repaired, and by rewriting without it."""
    rows = []
    for last in (False, True):
        group = [(repaired, rewritten) for r, repaired, rewritten in repairs if r.last == last]
        shares = [_share([pair[arm] for pair in group]) for arm in (0, 1)]
        which = "the last step (it contains the answer)" if last else "an earlier step"
        rows.append([which, len(group), *shares])
    head = ["first wrong step", "answers", "solved: repaired", "solved: rewritten"]
    return Table(head, rows)


def _share(found: Sequence[bool]) -> str:
    low, high = wilson_interval(sum(found), len(found))
    return f"{sum(found) / max(len(found), 1):.0%} ({100 * low:.0f} – {100 * high:.0f})"
