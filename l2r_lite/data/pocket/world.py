"""The pocket world: generated word problems with a solution program, of all three answer kinds.

A question is a short story made of clauses ("Tom has 12 apples." "Tom gets 7 more."). A *skill* is
an order of clauses; they decide the program that solves it. A *wording* is the choice of one phrase
for each clause. Train, validation and test use different wordings, so no test question repeats a
training question, even with numbers, names and objects masked.

Eight skills are *known*: the pocket student was pretrained on them. Nine are *withheld*: it never
saw one. We made these deficits to give an exam something to find: the pocket world is a teaching
model, not evidence for the method.
"""

import hashlib
import itertools
import random
from dataclasses import dataclass

from l2r_lite.loop.records import LETTERS, Kind, Problem, Step

NAMES = tuple(
    "Tom Mia Leo Ann Ben Zoe Sam Eva Max Ida Kim Roy Lia Jon Amy Dan Pia Tim Ada Gus Fay Hal Joy "
    "Ned".split())
OBJECTS = tuple(
    "apples pens books coins cards shells stamps beads balls cups eggs hats keys nuts rings toys "
    "cakes plums seeds stones boats flags lamps masks".split())

# Each clause in several phrasings. {P}, {Q}: persons, {O}: objects, {0}, {1}: its numbers.
CLAUSES: dict[str, tuple[str, ...]] = {
    "start": (
        "{P} has {0} {O}.", "{P} starts with {0} {O}.", "{P} owns {0} {O}.",
        "In the morning {P} has {0} {O}.", "There are {0} {O} in the bag of {P}."),
    "gain": (
        "{P} gets {0} more.", "{P} buys {0} more {O}.", "{P} finds {0} {O}.",
        "A friend gives {P} {0} {O}.", "Then {0} more {O} arrive."),
    "lose": (
        "{P} gives away {0}.", "{P} loses {0} {O}.", "{P} sells {0} {O}.", "Then {0} {O} break.",
        "A friend takes {0} {O}."),
    "groups": (
        "{P} has {0} boxes with {1} {O} in each.", "{P} buys {0} packs of {1} {O}.",
        "{P} fills {0} jars with {1} {O} each.", "For {P} there are {0} bags of {1} {O}.",
        "{P} makes {0} rows of {1} {O}."),
    "share": (
        "{P} shares them equally among {0} friends.", "{P} puts them into {0} equal boxes.",
        "They are split into {0} equal groups.", "Then {0} children take the same number each."),
    "other": (
        "{Q} has {0} {O}.", "{Q} owns {0} {O}.", "There are {0} {O} in the bag of {Q}.",
        "{Q} counts {0} {O}."),
    "need": (
        "{P} needs {0} {O}.", "A game takes {0} {O}.", "{P} wants to have {0} {O}.",
        "The plan is for {0} {O}."),
    "how-many": (
        "How many {O} does {P} have now?", "How many {O} are there in the end?",
        "Find the number of {O}.", "What is the number of {O} now?"),
    "how-many-each": (
        "How many {O} are in each part?", "How many {O} does each one get?",
        "Find the number of {O} in each part.", "What is the number of {O} for each?"),
    "is-more": (
        "Does {P} have more {O} than {Q}?", "Is it true that {P} has more {O} than {Q}?",
        "Are there more {O} with {P} than with {Q}?", "Does {Q} have fewer {O} than {P}?"),
    "is-enough": (
        "Are there enough {O}?", "Does {P} have enough {O}?", "Is that enough?",
        "Is the number of {O} enough?"),
    "who-more": (
        "Who has more {O}?", "Who owns the most {O}?", "Name the one with more {O}.",
        "Which of the two has more {O}?"),
}

# How a clause changes the running number.
OPERATIONS = {"gain": "+", "lose": "-", "share": "/"}

Numbers = list[tuple[int, ...]]  # one tuple per clause


@dataclass(frozen=True)
class Skill:
    """A named kind of problem: its clauses in order, and the kind of its answer.

    Attributes:
        role: "known": the pocket student was pretrained on it; "withheld": it was not;
            "unmastered": it was, but is still bad at it (in no split, since deficits here are of
            procedures); "transfer": no student was ever trained on it (in no split either), to
            see whether learning carries over.
        pick: for choices: "number" (the options are numbers) or "person" (they are the two names).
    """

    name: str
    clauses: tuple[str, ...]
    kind: Kind
    role: str
    pick: str = ""

    @property
    def wordings(self) -> list[tuple[int, ...]]:
        return list(itertools.product(*(range(len(CLAUSES[c])) for c in self.clauses)))

    def draw(self, rng: random.Random) -> tuple[Numbers, list[Step]]:
        """The clauses' numbers and the program; all in 1..99, as in the student's drills."""
        operators = [OPERATIONS[clause] for clause in self.clauses if clause in OPERATIONS]
        compared = {"other", "need"} & set(self.clauses)
        while True:
            drawn = _draw_chain(rng, self.clauses[0], operators)
            if drawn and compared:
                drawn = _compare(rng, *drawn)
            if drawn:
                return drawn


def _step(left: int, op: str, right: int) -> Step:
    value = {"+": left + right, "-": left - right, "*": left * right, "/": left // max(right, 1)}
    return Step(left, op, right, value.get(op, 1))


def _draw_chain(
    rng: random.Random, start: str, operators: list[str]
) -> tuple[Numbers, list[Step]] | None:
    """A story in which each clause changes one running number; None if a number is out of range."""
    numbers: Numbers = []
    steps: list[Step] = []
    if start == "groups":
        a, b = rng.randint(2, 9), rng.randint(2, 9)
        numbers.append((a, b))
        steps.append(_step(a, "*", b))
        value = a * b
    else:
        value = rng.randint(4, 81) if "/" in operators else rng.randint(5, 70)
        numbers.append((value,))
    for op in operators:
        right = rng.randint(2, 9) if op == "/" else rng.randint(2, 40)
        if op == "/" and (value % right or not 2 <= value // right <= 9):
            return None
        steps.append(_step(value, op, right))
        numbers.append((right,))
        value = steps[-1].result
        if not 1 <= value <= 99:
            return None
    return numbers, steps


def _compare(
    rng: random.Random, numbers: Numbers, steps: list[Step]
) -> tuple[Numbers, list[Step]] | None:
    """The result compared with a number near it, never equal, above or below with equal chance."""
    value = steps[-1].result if steps else numbers[0][0]
    other = value + rng.choice((-1, 1)) * rng.randint(1, 15)
    if not 1 <= other <= 99:
        return None
    relation = _step(value, ">" if value > other else "<", other)
    return [*numbers, (other,)], [*steps, relation]


def _skill(name: str, clauses: str, kind: Kind, role: str, pick: str = "") -> Skill:
    return Skill(name, tuple(clauses.split()), kind, role, pick)


_ALL = (
    # known: one step, and one skill of two, so that the student has seen longer rationales
    _skill("add", "start gain how-many", "number", "known"),
    _skill("subtract", "start lose how-many", "number", "known"),
    _skill("multiply", "groups how-many", "number", "known"),
    _skill("divide", "start share how-many-each", "number", "known"),
    _skill("more", "start other is-more", "yes-no", "known"),
    _skill("enough", "start need is-enough", "yes-no", "known"),
    _skill("who-has-more", "start other who-more", "choice", "known", "person"),
    _skill("pick-sum", "start gain how-many", "choice", "unmastered", "number"),
    _skill("add-subtract", "start gain lose how-many", "number", "known"),
    # withheld: two steps
    _skill("multiply-add", "groups gain how-many", "number", "withheld"),
    _skill("multiply-subtract", "groups lose how-many", "number", "withheld"),
    _skill("multiply-divide", "groups share how-many-each", "number", "withheld"),
    _skill("subtract-add", "start lose gain how-many", "number", "withheld"),
    _skill("subtract-divide", "start lose share how-many-each", "number", "withheld"),
    _skill("add-divide", "start gain share how-many-each", "number", "withheld"),
    _skill("more-after-gain", "start gain other is-more", "yes-no", "withheld"),
    # withheld: three steps
    _skill("gain-lose-share", "start gain lose share how-many-each", "number", "withheld"),
    _skill("multiply-add-subtract", "groups gain lose how-many", "number", "withheld"),
    # never trained on: known and withheld steps in new orders
    _skill("add-add", "start gain gain how-many", "number", "transfer"),
    _skill("subtract-subtract", "start lose lose how-many", "number", "transfer"),
    _skill("more-after-loss", "start lose other is-more", "yes-no", "transfer"),
    _skill("enough-after-gain", "start gain need is-enough", "yes-no", "transfer"),
    _skill("multiply-subtract-add", "groups lose gain how-many", "number", "transfer"),
    _skill("multiply-add-divide", "groups gain share how-many-each", "number", "transfer"),
)
SKILLS: dict[str, Skill] = {skill.name: skill for skill in _ALL}
KNOWN = tuple(s.name for s in SKILLS.values() if s.role == "known")
WITHHELD = tuple(s.name for s in SKILLS.values() if s.role == "withheld")
TRANSFER = tuple(s.name for s in SKILLS.values() if s.role == "transfer")
PRETRAINED = tuple(s.name for s in SKILLS.values() if s.role in ("known", "unmastered"))
SPLITS = {"train": range(0, 6), "validation": range(6, 8), "test": range(8, 10)}


def split_of(template: str) -> str:
    """The split of a wording: fixed by a hash of its name, the same on every machine.

    Two skills with the same clauses share it: answer kind and program are not part of the name.
    """
    bucket = int(hashlib.sha256(template.encode()).hexdigest(), 16) % 10
    return next(split for split, buckets in SPLITS.items() if bucket in buckets)


def template_name(clauses: tuple[str, ...], wording: tuple[int, ...]) -> str:
    return " ".join(f"{c}{i}" for c, i in zip(clauses, wording, strict=True))


def _choices(
    skill: Skill, people: tuple[str, str], steps: list[Step], rng: random.Random
) -> tuple[tuple[str, ...], str]:
    """The options, and the letter of the right one.

    Wrong numbers are near misses: an earlier step's result, or the right one off by a little.
    """
    last = steps[-1]
    if skill.pick == "person":
        options = list(people)
        right = people[0] if last.op == ">" else people[1]
    else:
        right = str(last.result)
        near = [last.result + d for d in (-10, -2, -1, 1, 2, 10)] + [s.result for s in steps[:-1]]
        wrong = sorted({n for n in near if 0 < n != last.result})
        options = [right, *(str(n) for n in rng.sample(wrong, 2))]
    rng.shuffle(options)
    return tuple(options), LETTERS[options.index(right)]


def make_problem(
    skill: Skill, wording: tuple[int, ...], rng: random.Random, problem_id: str
) -> Problem:
    """One problem of a skill in one wording; numbers, names and objects are drawn from `rng`."""
    first, second = rng.sample(NAMES, 2)
    things = rng.choice(OBJECTS)
    numbers, steps = skill.draw(rng)
    sentences = []
    for position, (clause, phrase) in enumerate(zip(skill.clauses, wording, strict=True)):
        values = numbers[position] if position < len(numbers) else ()
        sentences.append(CLAUSES[clause][phrase].format(*values, P=first, Q=second, O=things))
    choices: tuple[str, ...] = ()
    if skill.kind == "number":
        answer = str(steps[-1].result)
    elif skill.kind == "yes-no":
        answer = "yes" if steps[-1].op == ">" else "no"
    else:
        choices, answer = _choices(skill, (first, second), steps, rng)
    return Problem(
        id=problem_id, question=" ".join(sentences), answer=answer, kind=skill.kind,
        choices=choices, skill=skill.name, template=template_name(skill.clauses, wording),
        program=tuple(steps))


def make_problems(
    split: str, limit: int | None = None, seed: int = 0, skills: tuple[str, ...] | None = None
) -> list[Problem]:
    """Generate problems of one split, the skills in turn, no question twice.

    Args:
        split: "train", "validation" or "test"; decides which wordings are used.
        limit: how many problems (default: 850 train, 170 validation, 425 test).
        seed: draws wordings, numbers, names and objects. Same arguments, same problems.
        skills: names out of SKILLS (default: the known and the withheld ones).
    """
    count = limit if limit is not None else {"train": 850, "validation": 170, "test": 425}[split]
    chosen = [SKILLS[name] for name in (skills or KNOWN + WITHHELD)]
    wordings = {
        s.name: [w for w in s.wordings if split_of(template_name(s.clauses, w)) == split]
        for s in chosen
    }
    rng = random.Random(f"{seed}/{split}/pocket")  # noqa: S311 - reproducible problems, no secrets
    problems: list[Problem] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while len(problems) < count:
        skill = chosen[len(problems) % len(chosen)]
        wording = rng.choice(wordings[skill.name])
        problem = make_problem(skill, wording, rng, f"pocket-{split}-{len(problems)}")
        if (problem.question, problem.choices) not in seen:
            seen.add((problem.question, problem.choices))
            problems.append(problem)
    return problems
