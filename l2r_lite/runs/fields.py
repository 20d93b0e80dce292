"""Check JSON data against a type, and describe the type in Markdown.

A type is a TypedDict or a dataclass with fields of such types, list, tuple, dict with text as keys,
Literal, str, bool, int or float; each may be "or None", and Any fits everything. Annotated adds a
description (a text) and limits (a tuple); the fields of a dataclass may have both in their metadata
("help", "low", "high").
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterator
from functools import cache
from math import inf
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, cast, get_args, get_origin

# JSON as Python reads it has NaN, Infinity and ints of any length; sums and formats need others.
MOST = 1e15
ANY_NUMBER = (-inf, inf)  # limits of a number that may be NaN, too
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


class _Type(NamedTuple):
    """A type without what is around it."""

    kind: Any
    low: float
    high: float
    or_null: bool
    about: str


def fault(value: Any, hint: Any, name: str = "") -> str:
    """What is wrong with a value from JSON: "rounds[1].accuracy is null, and must be a number".

    Fields that the type does not have are ignored, because a newer version may write them.

    Args:
        name: of the value, for the message.

    Returns:
        The first fault, or "".
    """
    wanted = _plain(hint)
    if wanted.kind is Any or (value is None and wanted.or_null):
        return ""
    if not _fits(value, wanted):
        return f"{name} is {shown(value)}, and must be {words(hint)}".strip()
    return next(filter(None, _faults_within(value, wanted.kind, name)), "")


def _faults_within(value: Any, kind: Any, name: str) -> Iterator[str]:
    if _is_record(kind):
        for key, (hint, required) in fields(kind).items():
            if key in value:
                yield fault(value[key], hint, f"{name}.{key}".lstrip("."))
            elif required:
                yield f"{name} has no field {key}".strip()
    elif get_origin(kind) is dict:
        for key, part in value.items():
            yield fault(part, get_args(kind)[1], f"{name}[{json.dumps(key[:40])}]")
    elif get_origin(kind) in (list, tuple):
        hints = get_args(kind)
        for number, part in enumerate(value):
            hint = hints[number] if _length(kind) else hints[0]
            yield fault(part, hint, f"{name}[{number}]")


def _fits(value: Any, wanted: _Type) -> bool:
    """Whether a value is of a type, apart from what is in it."""
    kind, origin = wanted.kind, get_origin(wanted.kind)
    if _is_record(kind) or origin is dict:
        return isinstance(value, dict)
    if origin in (list, tuple):
        return isinstance(value, list) and len(value) == (_length(kind) or len(value))
    if origin is Literal:
        return value in get_args(kind)
    if type(value) is not kind and not (kind is float and type(value) is int):
        return False  # True is an int in Python
    if kind in (int, float):
        if isinstance(value, float) and (wanted.low, wanted.high) == ANY_NUMBER:
            return True
        return max(wanted.low, -MOST) <= value <= min(wanted.high, MOST)
    return True


def shown(value: Any) -> str:
    """A value for a message: in one line, and short."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def words(hint: Any) -> str:
    """What a value of a type must be."""
    kind, low, high, or_null, _ = _plain(hint)
    origin, limits = get_origin(kind), ""
    if _is_record(kind) or origin is dict:
        said = "an object"
    elif origin in (list, tuple):
        said = f"a list of {_length(kind)}" if _length(kind) else "a list"
    elif origin is Literal:
        said = f"one of {', '.join(map(str, get_args(kind)))}"
    else:
        said = _WORDS.get(kind, "anything")
    if kind in (int, float) and (low, high) != ANY_NUMBER:
        if high < MOST:
            limits = f" from {low:g} to {high:g}"
        elif low > -MOST:
            limits = f" of at least {low:g}"
    return f"{said}{limits}{' or null' if or_null else ''}"


@cache
def fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The fields of a record type: name → its type, and whether it is required."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if typing.is_typeddict(kind):
        return {name: (hint, name in kind.__required_keys__) for name, hint in hints.items()}
    found, annotated = {}, cast(Any, Annotated)
    for field in dataclasses.fields(kind):
        low, high = (field.metadata.get(name) for name in ("low", "high"))
        limits = -MOST if low is None else low, MOST if high is None else high
        hint = annotated[hints[field.name], limits, field.metadata.get("help", "")]
        needed = field.default is field.default_factory is dataclasses.MISSING
        found[field.name] = hint, needed
    return found


@cache
def _plain(hint: Any) -> _Type:
    low, high, or_null, about = -MOST, MOST, False, ""
    while True:
        origin, parts = get_origin(hint), get_args(hint)
        if origin in (types.UnionType, typing.Union):
            or_null = True
            (hint,) = (part for part in parts if part is not type(None))
        elif origin in (Annotated, NotRequired):
            hint = parts[0]
            for extra in parts[1:]:
                if isinstance(extra, tuple):
                    low, high = extra
                else:
                    about = about or extra
        else:
            return _Type(hint, low, high, or_null, about)


def _is_record(kind: Any) -> bool:
    return typing.is_typeddict(kind) or dataclasses.is_dataclass(kind)


def _length(kind: Any) -> int:
    """The length of a tuple type; 0 for lists and tuples of any length."""
    parts = get_args(kind)
    return len(parts) if get_origin(kind) is tuple and parts[-1] is not ... else 0


def table(kind: Any) -> str:
    """A record's fields as a table in Markdown, after the first line of its docstring."""
    rows = []
    for name, (hint, required) in fields(kind).items():
        missing = "" if required else "; may be missing"
        rows.append(f"| `{name}` | {described(hint)}{missing} | {_plain(hint).about} |")
    head = f"### {kind.__name__}\n\n{(kind.__doc__ or '').splitlines()[0]}\n\n"
    return "\n".join([f"{head}| field | is | meaning |", "|---|---|---|", *rows, ""])


def records_in(hint: Any) -> list[Any]:
    """The record types that a type is made of, itself first."""
    kind = _plain(hint).kind
    inner = [hint for hint, _ in fields(kind).values()] if _is_record(kind) else get_args(kind)
    found = [kind] if _is_record(kind) else []
    for part in inner:
        found += records_in(part)
    return list(dict.fromkeys(found))


def described(hint: Any) -> str:
    """As `words`, with what is in a list or an object."""
    kind, *_, or_null, _ = _plain(hint)
    null = " or null" if or_null else ""
    if _is_record(kind):
        return f"{kind.__name__}{null}"
    if get_origin(kind) is dict:
        return f"object; each value {described(get_args(kind)[1])}{null}"
    if get_origin(kind) in (list, tuple):
        inner = described(get_args(kind)[0])
        return f"{words(kind)}, each {inner}{null}"
    return words(hint)
