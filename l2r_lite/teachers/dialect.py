"""How an endpoint wants to be asked: what it refuses or ignores of a request, and what it takes.

A teacher finds this out with its first questions and keeps it in the cache. It decides how a
request is worded, not what is asked: the cache's keys do not depend on it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from l2r_lite.teachers.heard import Heard

UNREADABLE = "reply without rationales"
LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
# Models that think before they write, in "vendor/model" too. Their thoughts count as output.
_THINKS = re.compile(
    r"(^|[^a-z0-9])(o[134]|gpt-5|gpt-oss|r1|qwq|magistral|reasoner|reasoning|thinking)([^a-z0-9]|$)",
    re.IGNORECASE)


def known_to_think(model: str) -> bool:
    """Whether a model's name says that it thinks before it writes."""
    return _THINKS.search(model) is not None


@dataclass(frozen=True)
class Dialect:
    """How one endpoint is asked."""

    form: str = "json"  # of the reply: "json" (with a JSON schema) or "tags"
    limit: str = "max_tokens"  # the token limit's name; OpenAI's newer models know another
    system: bool = True  # it takes a system message; else the rules go into the user's

    def instead(self, heard: Heard, tried: Sequence[Self]) -> Self | None:
        """What to try after a reply of no use; None if nothing is left to try."""
        if heard.fault == "" or heard.refuses == "length":
            return None
        plain = replace(self, form="tags")
        other = LIMITS[self.limit]
        named = {"schema": plain, "limit": replace(self, limit=other),
                 "system": replace(self, system=False)}
        choice = [named[heard.refuses]] if heard.refuses in named else []
        if heard.fault.startswith("request refused"):
            choice += [plain, replace(plain, limit=other), replace(plain, system=False),
                       replace(plain, limit=other, system=False)]
        elif heard.status >= 500 or heard.fault in (
            UNREADABLE, "empty reply", "tool call instead of text"):
            choice.append(plain)
        return next((dialect for dialect in choice if dialect not in tried), None)

    def words(
        self, messages: list[dict[str, str]], parameters: Mapping[str, Any]
    ) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Messages and parameters as this endpoint takes them."""
        if not self.system:
            text = "\n\nThe user message:\n".join(message["content"] for message in messages)
            messages = [{"role": "user", "content": text}]
        renamed = {self.limit if k in LIMITS else k: v for k, v in parameters.items()}
        return messages, renamed

    def to_json(self) -> dict[str, Any]:
        """What differs from the usual, and the form."""
        usual = asdict(type(self)())
        return {k: v for k, v in asdict(self).items() if k == "form" or v != usual[k]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], usual: Self) -> Self | None:
        """The dialect that a cache has; None if it makes no sense."""
        found = replace(usual, **{f.name: kept[f.name] for f in fields(cls) if f.name in kept})
        sane = found.form in ("json", "tags") and found.limit in LIMITS
        return found if sane and isinstance(found.system, bool) else None
