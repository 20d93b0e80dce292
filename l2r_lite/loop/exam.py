"""The exam: the student answers questions in its own words; its wrong answers are its mistakes."""

from collections.abc import Callable, Sequence

from tqdm.auto import tqdm

from l2r_lite.loop.grading import one_answer_each, same_answer
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.protocols import Judge, Prompt, Writer
from l2r_lite.loop.records import ExamReport, Problem, Sample

# An exam is saved in parts of 4 × rows samples: a kill loses little, and all rows stay busy.
ROWS_PER_PART = 4


def take_exam(
    student: Writer, problems: Sequence[Problem], *, samples: int = 1, temperature: float = 0.0,
    seed: int = 0, max_new_tokens: int = 96, rows: int = 240, prompt: Prompt = student_prompt,
    judge: Judge | None = None, taken: Sequence[Sample] = (),
    on_samples: Callable[[list[Sample]], object] = lambda samples: None,
    on_token: Callable[[], object] = lambda: None, describe: str = "exam", progress: bool = True,
) -> ExamReport:
    """Let the student answer every problem `samples` times, and grade each sample.

    Args:
        temperature: 0 for greedy answers, above 0 for an exam that looks for mistakes.
        seed: determines each sample, together with the prompt and the sample's index.
        taken: samples of an interrupted exam; complete parts are reused.
        on_samples: called with the samples of each part once they are graded.
        on_token: called after each token; an exception from it ends the exam.
    """
    judge = judge or one_answer_each()
    # Questions of similar length are answered together. The order depends only on the problems,
    # so a resumed exam has the same parts as an uninterrupted one.
    order = sorted(problems, key=lambda p: (len(prompt(p)), p.id))
    size = max(1, ROWS_PER_PART * rows // samples)
    found: dict[str, list[Sample]] = {}
    for sample in taken:
        found.setdefault(sample.problem_id, []).append(sample)

    with tqdm(total=len(problems), desc=describe, unit="question", disable=not progress,
              leave=False) as bar:

        def token_written(answered: int) -> None:
            bar.update(answered)
            on_token()

        for start in range(0, len(order), size):
            part = order[start : start + size]
            if all(len(found.get(p.id, ())) == samples for p in part):
                bar.update(len(part))
                continue
            written = student.generate(
                [prompt(p) for p in part], samples=samples, temperature=temperature, seed=seed,
                max_new_tokens=max_new_tokens, rows=rows, progress=token_written)
            for problem, texts in zip(part, written, strict=True):
                found[problem.id] = grade(problem, texts, judge)
            on_samples([sample for problem in part for sample in found[problem.id]])
    return ExamReport(tuple(problems), tuple(s for p in problems for s in found[p.id]))


def grade(problem: Problem, texts: Sequence[str], judge: Judge) -> list[Sample]:
    """One problem's samples, each with its answer and its grade."""
    answers = judge(texts, problem)
    return [
        Sample(problem.id, index, text, answer, same_answer(answer, problem.answer, problem.kind))
        for index, (text, answer) in enumerate(zip(texts, answers, strict=True))]
