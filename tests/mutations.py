"""Remove one guard at a time, and see whether a test notices: a guard that no test misses is not defended.

    .venv/bin/python tests/mutations.py             # all, about 40 minutes
    .venv/bin/python tests/mutations.py gradient    # those whose name contains a word
    .venv/bin/python tests/mutations.py --json FILE # keep what was found

The package and the tests are copied; a mutation changes one text in the copy and runs the named test files until the first
failure. The table says which test noticed, or SURVIVED.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutation:
    """One guard, and the text that removes it.

    Attributes:
        old: stands exactly once in the file.
        tests: files in tests/ that must notice.
    """

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def m(guard: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    return Mutation(guard, f"l2r_lite/{file}", old, new, tests)


MUTATIONS = (
    # lessons
    m(
        "a lesson's answer is the gold answer",
        "data/verify.py",
        "if not same_answer(answer, problem.answer, problem.kind):",
        "if False:",
        "test_teacher",
        "test_steps",
    ),
    m(
        "a lesson's arithmetic is right",
        "data/verify.py",
        "if wrong_equations(version):",
        "if False:",
        "test_teacher",
        "test_steps",
    ),
    m(
        "a lesson's steps lead to its answer",
        "data/verify.py",
        "gap(problem, folded) if problem.program or check_steps else None",
        "None",
        "test_steps",
        "test_teacher",
    ),
    m(
        "a copy of the mistake is no lesson",
        "loop/lessons.py",
        "if text in context.mistakes:",
        "if False:",
        "test_teacher",
        "test_seams",
    ),
    m(
        "a lesson is accepted once",
        "loop/lessons.py",
        "if text in context.accepted:",
        "if False:",
        "test_teacher",
        "test_seams",
    ),
    m(
        "unreadable text is no lesson",
        "data/verify.py",
        "if unreadable(folded):",
        "if False:",
        "test_hostile_input",
        "test_teacher",
    ),
    m(
        "an answer is compared by value",
        "data/answers.py",
        "return left is not None and left == right",
        "return a == b",
        "test_grading",
    ),
    m(
        "no answer is never right",
        "data/answers.py",
        "if a is None or b is None:\n        return False",
        "if a is None or b is None:\n        return a == b",
        "test_grading",
    ),
    # training
    m(
        "the gradient's norm is limited",
        "loop/training.py",
        "clip_grad_norm_(weights, 1.0)",
        "clip_grad_norm_(weights, 1e9)",
        "test_training",
    ),
    m("the learning rate follows its schedule", "loop/training.py", "schedule.step()", "pass", "test_training", "test_recipes"),
    m(
        "later rounds take smaller steps",
        "loop/rounds.py",
        "c.learning_rate * c.rate_decay ** (number - 1)",
        "c.learning_rate",
        "test_rounds",
        "test_whole_loop",
    ),
    m("the triplet loss counts with λ", "loop/losses.py", "lm + config.reflection_weight * cl", "lm + cl", "test_losses"),
    m("the triplet loss has a margin", "loop/losses.py", "(margin - closer + farther)", "(farther - closer)", "test_losses"),
    m(
        "an item without a triplet does not count",
        "loop/losses.py",
        "torch.where(has_triplet, loss, torch.zeros_like(loss))",
        "loss",
        "test_losses",
    ),
    m(
        "the prompt weighs less than the rationale",
        "loop/losses.py",
        "[weight] * (len(prompt) - 1)",
        "[1.0] * (len(prompt) - 1)",
        "test_losses",
    ),
    m(
        "the positive is another rationale",
        "loop/items.py",
        "if text != anchor]",
        "]",
        "test_training",
        "test_rounds",
        "test_seams",
    ),
    m("own answers are replayed", "loop/items.py", "round(replay * len(items))", "0", "test_training", "test_rounds"),
    m(
        "an own answer teaches no question with a lesson",
        "loop/items.py",
        "if texts and key not in questions]",
        "if texts]",
        "test_training",
        "test_rounds",
    ),
    m(
        "earlier lessons are replayed",
        "loop/items.py",
        "(*now, *rng.sample(again, round(replay * len(again))))",
        "(*now,)",
        "test_training",
        "test_rounds",
    ),
    m(
        "the best round is kept, the earliest if tied",
        "loop/rounds.py",
        "self.validation.index(max(self.validation))",
        "len(self.validation) - 1",
        "test_rounds",
    ),
    m(
        "a seed decides the samples",
        "loop/rounds.py",
        "self.config.seed * 1009 + number",
        "number",
        "test_reproducible",
        "test_rounds",
    ),
    # students
    m(
        "bitsandbytes repacks no weights",
        "students/bitsandbytes_layout.py",
        "layer.support_avx512bf16_for_cpu = False",
        "pass",
        "test_patches",
        "test_student",
    ),
    m(
        "a layer that 4 bits cannot hold is refused",
        "students/four_bit.py",
        "if error > TOLERANCE:",
        "if False:",
        "test_nf4",
    ),
    m(
        "a model with an attention window is packed up to it",
        "students/trial.py",
        "min([w for w in windows if isinstance(w, int) and w > 0], default=math.inf)",
        "math.inf",
        "test_architectures",
    ),
    # runs
    m(
        "a file appears whole",
        "loop/runfolder.py",
        "scratch.replace(file)",
        "file.write_text(text, encoding='utf-8')",
        "test_links",
        "test_rounds",
        "test_trouble",
        "test_damage",
    ),
    m(
        "a file is on the disk before it has its name",
        "loop/runfolder.py",
        "        os.fsync(handle.fileno())\n    scratch.replace",
        "    scratch.replace",
        "test_rounds",
    ),
    m(
        "a growing file is on the disk",
        "loop/runfolder.py",
        "            handle.flush()\n            os.fsync(handle.fileno())",
        "            handle.flush()",
        "test_rounds",
    ),
    m(
        "no write follows a link",
        "loop/runfolder.py",
        "scratch.unlink(missing_ok=True)  # from",
        "pass  # from",
        "test_links",
        "test_rounds",
    ),
    m(
        "an interrupted exam resumes with whole parts",
        "loop/exam.py",
        "if all(len(found.get(p.id, ())) == samples for p in part):",
        "if False:",
        "test_exam",
        "test_rounds",
    ),
    m(
        "a torn line is no record",
        "loop/runfolder.py",
        "if may_be_torn and number == len(lines):",
        "if False:",
        "test_damage",
        "test_rounds",
    ),
    m(
        "a run with other settings is another run",
        "runs/same_run.py",
        'return there != asked and (name, asked) != ("prompt", "auto")',
        "return False",
        "test_rounds",
    ),
    # the teacher's money, and what it sends
    m(
        "a call is reserved at its worst",
        "teachers/cost.py",
        "self.spent + self.in_flight + worst > self.limit",
        "self.spent + self.in_flight > self.limit",
        "test_openai_teacher",
    ),
    m(
        "a bill that is unknown counts at its worst",
        "teachers/cost.py",
        "worst if cost is None else cost",
        "0.0 if cost is None else cost",
        "test_openai_teacher",
    ),
    m(
        "retries are reserved too",
        "teachers/endpoint.py",
        "self.price.of(most, limit) * (1 + RETRIES)",
        "self.price.of(most, limit)",
        "test_openai_teacher",
        "test_endpoints",
    ),
    m(
        "Retry-After is respected",
        "teachers/endpoint.py",
        "again = pause if pause <= LONGEST_PAUSE else None",
        "pass",
        "test_openai_teacher",
        "test_endpoints",
    ),
    m(
        "a reply is read up to a limit",
        "teachers/wire.py",
        "if max(sent, size) > LARGEST_REPLY:",
        "if False:",
        "test_endpoints",
    ),
    m(
        "the cache's key has the endpoint",
        "teachers/replies.py",
        "asked = [endpoint, model, list(messages), parameters]",
        "asked = [model, list(messages), parameters]",
        "test_openai_teacher",
        "test_teacher",
    ),
    m(
        "the cache's key has the parameters",
        "teachers/replies.py",
        "asked = [endpoint, model, list(messages), parameters]",
        "asked = [endpoint, model, list(messages)]",
        "test_openai_teacher",
        "test_teacher",
    ),
    # what outsiders say
    m(
        "text from outside has no markup",
        "runs/show.py",
        "return escape(printable(text)).replace",
        "return Markup(text).replace",
        "test_html",
        "test_security",
    ),
    m(
        "control characters are made visible",
        "loop/errors.py",
        '_UNPRINTABLE.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), str(text))',
        "str(text)",
        "test_hostile_input",
        "test_terminal",
    ),
    m(
        "a leak is a question with other numbers",
        "data/leaks.py",
        'return masked(" ".join(sentences[:-1]))',
        'return " ".join(sentences)',
        "test_leaks",
        "test_problems",
    ),
    m("an empty key matches nothing", "data/leaks.py", 'seen.pop("", None)', "pass", "test_leaks"),
    m(
        "a share's interval stays within 0 and 1",
        "runs/statistics.py",
        'proportion_ci(method="wilson")',
        'proportion_ci(method="exact")',
        "test_exam",
        "test_statistics",
    ),
    m("a mean's interval grows with few seeds", "runs/statistics.py", "t.ppf(0.975, count - 1)", "1.96", "test_statistics"),
    # what is learned from, and what decides
    m(
        "the negative ends in the student's own wrong answer",
        "loop/items.py",
        "wrong[mistake.problem.id].append(mistake.rationale)",
        'wrong[mistake.problem.id].append(f"{mistake.rationale} The answer is {mistake.problem.answer}.")',
        "test_training",
        "test_rounds",
        "test_losses",
    ),
    m(
        "a mistake counts once",
        "loop/records.py",
        "wrong = {(s.problem_id, s.rationale): s for",
        "wrong = {(s.problem_id, s.index): s for",
        "test_exam",
    ),
    m(
        "validation decides, never test",
        "loop/rounds.py",
        'self._take(number, "validation", "validation", number, 1, 0.0)',
        'self._take(number, "validation", "test", number, 1, 0.0)',
        "test_rounds",
        "test_exam",
    ),
    m(
        "the report's best round is validation's",
        "runs/report.py",
        'key=lambda r: r["validation_accuracy"]',
        'key=lambda r: r["accuracy"]',
        "test_rounds",
        "test_trouble",
    ),
    m(
        "the best round's adapter is handed out",
        "runs/run.py",
        'students.adapter(final["best_round"])',
        'students.adapter(final["rounds"][-1]["round"])',
        "test_rounds",
        "test_trouble",
        "test_export",
    ),
    m(
        "worked examples are no training questions",
        "runs/run.py",
        "remaining = [p for p in train if p.id not in shown]",
        "remaining = list(train)",
        "test_teacher",
        "test_rounds",
        "test_teacher_in_the_loop",
        "test_whole_loop",
    ),
    m(
        "an annotator sees no mistake",
        "loop/lessons.py",
        '[Mistake(problem, "", None) for problem in rng.sample(exam.problems, count)]',
        "exam.mistakes[:count]",
        "test_experiments",
    ),
    m(
        "a rationale is closed with its own answer",
        "loop/lessons.py",
        "line = answer_line(answer, problem.kind)",
        "line = answer_line(problem.answer, problem.kind)",
        "test_teacher",
        "test_steps",
    ),
    # the packed pass and the writers
    m(
        "a packed part sees its own tokens and the prompt only",
        "students/rows.py",
        "sees = causal & ((key == query) | ((key == 0) & (query > 0)))",
        "sees = causal",
        "test_losses",
        "test_student",
    ),
    m(
        "a packed part's positions continue the prompt's",
        "students/rows.py",
        "positions += range(len(prompt), len(prompt) + len(tokens))",
        "positions += range(len(ids), len(ids) + len(tokens))",
        "test_losses",
        "test_student",
    ),
    m(
        "only anchors are learned in a packed pass",
        "students/rows.py",
        "float(p <= anchors) for p in part]",
        "1.0 for p in part]",
        "test_losses",
    ),
    m(
        "padding is not learned",
        "students/rows.py",
        'weight=column("weight", 0.0)',
        'weight=column("weight", 1.0)',
        "test_losses",
    ),
    m(
        "λ counts in the packed pass",
        "students/packing.py",
        """                "loss": lm + config.reflection_weight * cl,
""",
        """                "loss": lm + cl,
""",
        "test_losses",
    ),
    m(
        "each sample has random numbers of its own",
        "students/fast_writer.py",
        'f"{seed}/{sample}/{prompts[prompt]}"',
        'f"{seed}/{prompts[prompt]}"',
        "test_student",
        "test_exam",
    ),
    m(
        "a question that leaves no room is refused",
        "students/context.py",
        "if not long:",
        "if True:",
        "test_context",
    ),
    m(
        "a merged model computes the same",
        "students/merging.py",
        "if not off < ",
        "if False and not off < ",
        "test_architectures",
        "test_export",
    ),
    # a stranger's model folder
    m(
        "code that a config names is not fetched",
        "students/sources.py",
        "        if ignored:",
        "        if False:",
        "test_model_folders",
    ),
    m(
        "missing weights are no random numbers",
        "students/loading.py",
        'if loaded["missing_keys"]:',
        "if False:",
        "test_model_folders",
    ),
    m(
        "a token without an embedding is refused",
        "students/loading.py",
        "    if beyond:",
        "    if False:",
        "test_model_folders",
        "test_architectures",
    ),
    m(
        "pickled weights are refused",
        "students/sources.py",
        'if not any(path.glob("*.safetensors")):',
        "if False:",
        "test_security",
    ),
    m(
        "an index names safetensors of its folder only",
        "students/sources.py",
        'one.endswith(".safetensors") and Path(one).name == one',
        "one",
        "test_security",
    ),
    # a stranger's run folder
    m("links are refused", "runs/guard.py", "if stat.S_ISLNK(mode):", "if False:", "test_links"),
    m("pipes are refused", "runs/guard.py", "if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):", "if False:", "test_links"),
    m(
        "links are looked for before the first write",
        "runs/guard.py",
        "            refuse_links(out)\n            write_json",
        "            write_json",
        "test_links",
        "test_security",
    ),
    m(
        "a growing file follows no link",
        "loop/runfolder.py",
        'flags | getattr(os, "O_NOFOLLOW", 0)',
        "flags",
        "test_links",
    ),
    m(
        "a figure follows no link",
        "app/figures/base.py",
        """    scratch.unlink(missing_ok=True)
    with scratch.open("xb") as handle:""",
        """    with scratch.open("wb") as handle:""",
        "test_links",
    ),
    m(
        "replies go to a plain file",
        "teachers/replies.py",
        "if self.file and os.path.lexists(self.file) and not plain:",
        "if False:",
        "test_links",
    ),
    m(
        "a file that is no cache is not appended to",
        "teachers/replies.py",
        "if data.strip() and not ours:",
        "if False:",
        "test_security",
    ),
    m(
        "a changed file is found",
        "runs/guard.py",
        "if self.digests.get(name, digest) != digest:",
        "if False:",
        "test_damage",
    ),
    m(
        "a folder is held by one process",
        "runs/guard.py",
        "            lock.acquire(blocking=False)",
        "            pass",
        "test_trouble",
        "test_damage",
        "test_rounds",
    ),
    # keys and addresses
    m(
        "an address holds no key",
        "loop/config.py",
        "if address is not None and not (found and 0 < int(found[3] or 80) < 65536):",
        "if False:",
        "test_security",
        "test_endpoints",
    ),
    m(
        "OpenAI's key goes to OpenAI",
        "teachers/openai_teacher.py",
        "variable = KEY if own else OTHER_KEY",
        "variable = KEY",
        "test_openai_teacher",
    ),
    m(
        "an endpoint's words hold no part of the key",
        "teachers/endpoint.py",
        'return "" if any(part in said for part in parts) else said[:200]',
        "return said[:200]",
        "test_endpoints",
    ),
    m(
        "a run of failures stops the run",
        "teachers/openai_teacher.py",
        "if self._failed >= max(FAILURES, 2 * self.concurrency):",
        "if False:",
        "test_endpoints",
    ),
    m(
        "the cache's key has the mistake",
        "teachers/prompt.py",
        'data |= {"wrong_rationale": mistake.rationale, "wrong_answer": mistake.answer}',
        "pass",
        "test_openai_teacher",
    ),
)


def stands_once(mutation: Mutation) -> bool:
    return (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1


def survives(mutation: Mutation, copy: Path) -> str:
    """Apply a mutation in the copy, run its tests, undo it. Returns the test that noticed, or ""."""
    file = copy / mutation.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    files = [str(copy / "tests" / f"{name}.py") for name in mutation.tests]
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files]
    env = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return f"{mutation.tests[0]}.py does not end"
    finally:
        file.write_text(text, encoding="utf-8")
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", done.stdout, re.M)
    if not found:
        raise RuntimeError(f"{mutation.guard}: pytest ended without a failed test:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found[1]


def make_copy(folder: Path) -> Path:
    """A copy of everything that tests need; l2r_lite and l2r_course are imported from it."""
    caches = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", "*.egg-info")

    def skip(place: str, names: list[str]) -> set[str]:
        top = (
            {".git", ".venv", "build", "runs"}
            if Path(place) == ROOT
            else {"runs"}
            if Path(place).name == "notebooks"
            else set()
        )
        return {*caches(place, names), *top.intersection(names)}

    copy = Path(shutil.copytree(ROOT, folder / "tree" / "main", ignore=skip))
    (copy / "l2r_course").symlink_to(copy / "notebooks" / "course")
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (folder / "tree" / "shared").symlink_to(shared)
    said = subprocess.run(
        [sys.executable, "-c", "import l2r_lite.runs, l2r_course; print(l2r_lite.runs.__file__, l2r_course.__file__)"],
        cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=True)  # fmt: skip
    if said.stdout.count(str(copy)) != 2:
        raise RuntimeError(f"the copy is not what is imported: {said.stdout}")
    return copy


def main(words: list[str]) -> int:
    kept = Path(words.pop(words.index("--json") + 1)) if "--json" in words else None
    words = [word for word in words if word != "--json"]
    chosen = [mutation for mutation in MUTATIONS if not words or any(word in mutation.guard for word in words)]
    gone = [mutation.guard for mutation in chosen if not stands_once(mutation)]
    if gone:
        print("The text of these guards has changed; update tests/mutations.py: " + "; ".join(gone), file=sys.stderr)
        return 2
    found: list[dict[str, str]] = []
    print("| guard | noticed by |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = make_copy(Path(folder))
        for mutation in tqdm(chosen, unit="mutation", disable=None):
            noticed = survives(mutation, copy)
            found.append({"guard": mutation.guard, "file": mutation.file, "noticed_by": noticed})
            print(f"| {mutation.guard} | {f'`{noticed}`' if noticed else '**SURVIVED**'} |", flush=True)
            if kept:
                kept.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(one["noticed_by"] for one in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
