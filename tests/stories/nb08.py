"""Sentences of notebook 08 about its own runs, each with a condition that must be true when all cells have run."""

_KNOWN = "forgetting.groups({run}['rounds'][{number}])[0]"
_WITHHELD = "forgetting.groups({run}['rounds'][{number}])[1]"


def known(run: str, number: int) -> str:
    return _KNOWN.format(run=run, number=number)


def withheld(run: str, number: int) -> str:
    return _WITHHELD.format(run=run, number=number)


def accuracy(run: str, number: int) -> str:
    return f"{run}['rounds'][{number}]['accuracy']"


_LOST = f"({known('plain', 0)} - {known('plain', 1)})"
_LOST_WITH_REPLAY = f"({known('replayed', 0)} - {known('replayed', 1)})"
_STEPS = "[x.rationale.count('=') for x in forgetting.read(forgetting.Path(folder) / 'round-1' / 'lessons.jsonl')]"
_ITEMS = "[list(map(int, row[2:5])) for row in forgetting.items_by_source({'r': 'runs/notebook-08-replay'}).rows]"
_WRONG = "[list(map(int, row[2:])) for row in forgetting.too_many_steps(folder).rows]"
_ON_KNOWN = (
    "[sum(not s.correct for s in exam.samples if {p.id: p.skill for p in exam.problems}[s.problem_id] in forgetting.KNOWN)"
    " for exam in read_exams(folder)]"
)
_LOWEST = "min(forgetting.groups(entry)[0] for entry in {run}['rounds'])"

STORIES = [
    ("In round 1 the withheld skills (below the line) gain on average, as they should.",
     f"{withheld('plain', 1)} > {withheld('plain', 0)}"),
    ("The known skills lose far more, so the student as a whole gets *worse*.",
     f"{_LOST} > 1.5 * ({withheld('plain', 1)} - {withheld('plain', 0)}) and {accuracy('plain', 1)} < {accuracy('plain', 0)}"),
    ("In round 2 the known skills recover: exam 2 asked about them again, found the mistakes, and the teacher wrote lessons "
     "for them.", f"{known('plain', 2)} > {known('plain', 1)} + {_LOST} / 2"),
    ("Most lessons of round 1 have two or three steps.", f"(lambda n: sum(x >= 2 for x in n) > 0.7 * len(n))({_STEPS})"),
    ("After round 1, most wrong answers to one-step questions have more than one step.",
     f"(lambda rows: rows[1][0] > 10 and rows[1][1] > rows[1][0] / 2)({_WRONG})"),
    ("With replay the known skills lose much less in round 1, although only answers were replayed that the student could "
     "already give: they show it where a rationale ends.", f"{_LOST_WITH_REPLAY} < {_LOST} / 2"),
    ("In round 1 there are fewer own answers than lessons, since the student has no more that pass the checks.",
     f"(lambda rows: 0 < rows[0][2] < rows[0][0])({_ITEMS})"),
    ("In round 2 only some of round 1's lessons are replayed.", f"(lambda rows: 0 < rows[1][1] < rows[0][0])({_ITEMS})"),
    ("Exam 1 finds hardly a mistake on known skills.", f"{_ON_KNOWN}[0] <= 12"),
    ("Exam 2 finds many: what round 1 broke.", f"(lambda n: n[1] > 3 * n[0])({_ON_KNOWN})"),
    ("Lessons are made for them, so exam 3 finds fewer;", f"(lambda n: n[2] < n[1])({_ON_KNOWN})"),
    ("Without replay the known skills swing, and some rounds lower the accuracy (last column).",
     "forgetting.runs_table({'r': plain}).rows[0][-1] != 'none'"),
    ("With replay the known skills stay far above their lowest point without it.",
     " and ".join(f"{_LOWEST.format(run=run)} > {_LOWEST.format(run='plain')} + 0.1" for run in ("replayed", "smaller"))),
    ("More are not always better, as round 1 of the first run showed.", f"{accuracy('plain', 1)} < {accuracy('plain', 0)}"),
    ("With patience 1 the run stops after round 1 and returns the untrained student:",
     "(lambda r: r[1]['validation_accuracy'] < r[0]['validation_accuracy'])(plain['rounds'])"),
]  # fmt: skip
