"""Load the problems of a run.

`load_problems` takes the name of the pocket world or of a benchmark, or the path of your own JSON
Lines file:

    {"question": "Tom has 3 apples and buys 4. How many has he?", "answer": 7}
    {"question": "Where do books live?", "choices": ["library", "river"], "answer": "library"}

GSM8K's rows load unchanged: in an answer with "####", the text after it is the answer, and the text
before it the rationale. Your rows may also have: rationale, id, skill, kind ("number", "yes-no",
"choice"; default: read from the answer), and split ("train", "validation", "test"; default: 80 / 10
/ 10 by a hash of the question, so that a repeated question is never in two splits).
"""

import difflib
import hashlib
import json
import random
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2r_lite.data.answers import canonical_number
from l2r_lite.data.benchmarks import BENCHMARKS, SPLITS, ProblemError, load_benchmark
from l2r_lite.data.gold import gold_number, split_solution
from l2r_lite.data.text import fold, unreadable
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError, printable
from l2r_lite.loop.records import KINDS, LETTERS, Kind, Problem

PROBLEM_NAMES = ("pocket", *BENCHMARKS)
_FIELDS = ("question", "answer", "choices", "rationale", "id", "skill", "split", "kind")
_SPLIT_WORDS = {"train": "train", "test": "test"}
_SPLIT_WORDS |= dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
_YES_NO = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def load_problems(
    name: str | Path, split: str = "train", limit: int | None = None, seed: int = 0,
    data_dir: str | Path | None = None, skip_bad: bool = False,
) -> list[Problem]:
    """One split of the pocket world, of a benchmark, or of your own file.

    Args:
        name: one of PROBLEM_NAMES, or a path to a .jsonl file.
        split: "train", "validation" or "test".
        limit: size of a random subset that the seed fixes; a smaller limit gives a part of the
            larger subset. For the pocket world: how many problems to generate.
        seed: of that subset (or of the pocket world's generator); it never moves a question to
            another split.
        data_dir: folder with a benchmark's original files; None loads it from the hub.
        skip_bad: leave out bad lines of your own file and list them in one warning.

    Returns:
        At least one problem, in the order of the data set; the same for the same arguments.

    Raises:
        ProblemError: the name is unknown, or a file, line or field is wrong.
    """
    if split not in SPLITS:
        hint = _did_you_mean(str(split), SPLITS)
        raise ProblemError(f"no split {split!r}; there are {', '.join(SPLITS)}.{hint}")
    if limit is not None and limit < 1:
        raise ProblemError(
            f"limit is {limit}; it must be 1 or more (leave it out for all problems).")
    if str(name) == "pocket":
        from l2r_lite.data.pocket.world import make_problems

        problems = make_problems(split, limit, seed)
    elif str(name) in BENCHMARKS:
        problems = _subset(load_benchmark(str(name), split, data_dir), limit, seed)
    elif Path(name).suffix in (".jsonl", ".json", ".ndjson") or Path(name).is_file():
        problems = _subset(_own_file(Path(name), split, skip_bad), limit, seed)
    else:
        raise ProblemError(
            f"no problems named {str(name)!r}.{_did_you_mean(str(name), PROBLEM_NAMES)} Known: "
            f"{', '.join(PROBLEM_NAMES)}, or the path of a .jsonl file with the fields question "
            "and answer.")
    if not problems:
        raise ProblemError(
            f"{name}: the split {split!r} is empty. Choose another split or data set.")
    return problems


def load_split(config: LoopConfig, split: str) -> list[Problem]:
    """A split's problems for a new run."""
    limits = {
        "train": config.limit, "validation": config.validation_limit, "test": config.test_limit}
    # Validation and test do not depend on the seed: runs with other seeds take the same test.
    seed = config.seed if split == "train" else 0
    return load_problems(
        config.problems, split, limits[split] or None, seed, config.data_dir, config.skip_bad)


def question_key(text: str) -> str:
    """Equal for questions that count as the same: their words and numbers, ignoring case."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _subset(problems: list[Problem], limit: int | None, seed: int) -> list[Problem]:
    if limit is None or limit >= len(problems):
        return problems
    order = list(range(len(problems)))
    random.Random(seed).shuffle(order)
    return [problems[i] for i in sorted(order[:limit])]


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else ""


class _BadLine(UserError):
    """A fault in one line of a user's file."""


def _own_file(path: Path, split: str, skip_bad: bool) -> list[Problem]:
    rows: list[tuple[Problem, str | None]] = []
    bad: list[tuple[int, str]] = []
    ids: dict[str, int] = {}
    sides: dict[str, tuple[str, int]] = {}  # by question: the split a line asks for, and that line
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            problem, asked = _read_line(line, f"{path.stem}-{number}")
            key = question_key(problem.question)
            if problem.id in ids:
                raise _BadLine(f'the id "{problem.id}" is already used in line {ids[problem.id]}')
            if asked and sides.setdefault(key, (asked, number))[0] != asked:
                other, first = sides[key]
                raise _BadLine(
                    f"asks for split {asked}, but line {first} has the same question in split "
                    f"{other}")
        except _BadLine as error:
            bad.append((number, str(error)))
            continue
        ids[problem.id] = number
        rows.append((problem, asked))
    _report(path, bad, skip_bad)
    counts = dict.fromkeys(SPLITS, 0)
    chosen = []
    for problem, asked in rows:
        key = question_key(problem.question)
        if not asked:
            asked = sides[key][0] if key in sides else _split_by_hash(key)
        counts[asked] += 1
        if asked == split:
            chosen.append(problem)
    if not chosen:
        found = ", ".join(f"{n} {side}" for side, n in counts.items())
        raise ProblemError(
            f"{path}: no problem in split {split!r} (found: {found}). Add lines, or give lines the "
            f'field "split": "{split}".')
    return chosen


def _lines(path: Path) -> list[bytes]:
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise OSError(0, "it is not a file")
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except (OSError, ValueError) as error:  # a ValueError: a name with a NUL
        told = error.strerror if isinstance(error, OSError) else error
        raise ProblemError(
            f"{path}: cannot be read ({told}). Give the path of a .jsonl file.") from error


def _split_by_hash(key: str) -> str:
    bucket = hashlib.sha256(key.encode("utf-8")).digest()[0] % 10
    if bucket < 8:
        return "train"
    return "validation" if bucket == 8 else "test"


def _report(path: Path, bad: list[tuple[int, str]], skip_bad: bool) -> None:
    if not bad:
        return
    if skip_bad:
        listed = "\n".join(f"  line {number}: {reason}" for number, reason in bad[:20])
        more = f"\n  … and {len(bad) - 20} more" if len(bad) > 20 else ""
        told = f"{path}: left out {len(bad)} bad line(s):\n{listed}{more}"
        warnings.warn(printable(told), stacklevel=4)
        return
    number, reason = bad[0]
    if len(bad) > 1:
        others = ", ".join(str(n) for n, _ in bad[1:10])
        reason += f" ({len(bad) - 1} more bad lines: {others}…)"
    stop = "" if reason.endswith("?") else "."
    raise ProblemError(
        f"{path}, line {number}: {reason}{stop}\nNothing was loaded; fix the line, or leave out "
        "bad lines and list them with --skip-bad (in Python skip_bad=True).")


def _read_line(line: bytes, default_id: str) -> tuple[Problem, str | None]:
    """Parse a line of a user's file: the problem, and the split that it asks for."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadLine(f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from error
    except RecursionError as error:
        raise _BadLine("nested too deeply to be a problem") from error
    except ValueError as error:
        raise _BadLine(f"not JSON ({error})") from error
    if not isinstance(row, dict):
        raise _BadLine(f"expected one JSON object {{…}} per line, found {type(row).__name__}")
    for field in ("question", "answer"):
        if field not in row:
            unknown = [name for name in row if name not in _FIELDS][:50]
            close = difflib.get_close_matches(field, unknown, n=1, cutoff=0.6)
            hint = f'. Did you mean "{close[0]}" → "{field}"?' if close else ""
            found = fold(", ".join(row))[:200] or "none"
            raise _BadLine(f'no field "{field}" (found: {found}){hint}')
    question = fold(_text(row, "question"))
    if not question:
        raise _BadLine('the field "question" is empty')
    choices = _choices(row.get("choices"))
    rationale, gold = "", row["answer"]
    if isinstance(gold, str):
        rationale, gold = split_solution(gold)
    kind, answer = _answer(gold, row.get("kind"), choices)
    asked = row.get("split")
    if asked is not None and (not isinstance(asked, str) or asked.lower() not in _SPLIT_WORDS):
        raise _BadLine(
            f'the field "split" is {_short(asked)}; it must be one of {", ".join(SPLITS)}')
    if isinstance(row.get("id"), int):
        row["id"] = str(row["id"])
    problem = Problem(
        id=_text(row, "id", default_id), question=question, answer=answer, kind=kind,
        choices=choices, rationale=_text(row, "rationale", rationale).strip(),
        skill=_text(row, "skill", "").strip())
    return problem, _SPLIT_WORDS[asked.lower()] if asked else None


def _text(row: dict[str, Any], field: str, default: str | None = None) -> str:
    value = row.get(field)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _BadLine(f'the field "{field}" must be text, found {_short(value)}')
    _check_characters(value, field)
    return value


def _check_characters(value: str, field: str) -> None:
    if reason := unreadable(value):
        raise _BadLine(f'the field "{field}" {reason}')


def _choices(value: Any) -> tuple[str, ...]:
    if value is None or value == []:
        return ()
    if not isinstance(value, list) or not all(isinstance(c, str) and c.strip() for c in value):
        raise _BadLine(f'the field "choices" must be a list of texts, found {_short(value)}')
    if not 2 <= len(value) <= len(LETTERS):
        raise _BadLine(
            f'the field "choices" has {len(value)} options; it takes 2 to {len(LETTERS)}')
    for choice in value:
        _check_characters(choice, "choices")
    return tuple(fold(choice) for choice in value)


def _answer(value: Any, kind: Any, choices: tuple[str, ...]) -> tuple[Kind, str]:
    """The kind of a problem and its gold answer in canonical form."""
    if not isinstance(value, (str, int, float)):
        raise _BadLine(
            f'the field "answer" must be text, a number or true/false, found {_short(value)}')
    try:
        text = fold(str(value))
    except ValueError as error:  # an int of more than 4300 digits
        raise _BadLine('the field "answer" has too many digits') from error
    if kind is not None and kind not in KINDS:
        raise _BadLine(f'the field "kind" is {_short(kind)}; it must be one of {", ".join(KINDS)}')
    if kind == "choice" and not choices:
        raise _BadLine('kind "choice" needs the field "choices", a list of texts')
    if choices and kind not in (None, "choice"):
        raise _BadLine(f'it has choices, but kind "{kind}"')
    if choices:
        return "choice", _letter(text, choices)
    verdict = _YES_NO.get(text.casefold().strip("."))
    if kind == "yes-no" or (kind is None and verdict):
        if not verdict:
            raise _BadLine(f"the answer {_short(text)} is neither yes nor no")
        return "yes-no", verdict
    number = None if isinstance(value, bool) else gold_number(text)
    if number is None:
        hint = "" if kind else '; for an answer in words give "choices"'
        raise _BadLine(
            f"the answer {_short(text)} is neither one number (a currency and a unit are "
            f"allowed) nor yes or no{hint}")
    return "number", canonical_number(number)


def _letter(text: str, choices: tuple[str, ...]) -> str:
    """The letter of an answer that is an option's text, or a letter itself."""
    letters = LETTERS[: len(choices)]
    listed = list(zip(letters, choices, strict=True))
    same = [letter for letter, choice in listed if choice.casefold() == text.casefold()]
    if len(same) == 1:
        return same[0]
    bare = text.strip("() .").upper()
    if not same and len(bare) == 1 and bare in letters:
        return bare
    problem = "appears twice among" if same else "is not among"
    options = ", ".join(f"{letter} {choice}" for letter, choice in listed)[:200]
    raise _BadLine(f"the answer {_short(text)} {problem} the choices ({options})")


def _short(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "…"
