"""How a run verifies a teacher's rationale before it becomes a lesson."""

from l2r_lite.data.answers import read, same_answer
from l2r_lite.data.arithmetic import wrong_equations
from l2r_lite.data.steps import gap
from l2r_lite.data.text import unreadable
from l2r_lite.loop.lessons import not_new
from l2r_lite.loop.protocols import Context
from l2r_lite.loop.records import Problem


def verify(
    problem: Problem, text: str, context: Context, *, check_steps: bool = False
) -> str | None:
    """The reason to reject a rationale; None to accept it.

    Its own final answer must be the gold answer, every equation in it must hold when recomputed,
    and it must be neither one of the student's wrong rationales nor a lesson already. In the pocket
    world its steps must lead to its answer (steps.py).

    Args:
        check_steps: require that of free text too, where some steps cannot be read.
    """
    folded = " ".join(text.split())
    if not folded:
        return "empty"
    if unreadable(folded):
        return "unreadable characters"
    for version in {text, folded}:  # folding line breaks must not change what is read
        answer = read(version, problem)
        if answer is None:
            return "no answer"
        if not same_answer(answer, problem.answer, problem.kind):
            return "wrong answer"
        if wrong_equations(version):
            return "wrong arithmetic"
    broken = gap(problem, folded) if problem.program or check_steps else None
    return broken or not_new(folded, context)
