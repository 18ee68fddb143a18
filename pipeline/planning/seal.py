"""A JSON object that shows whether it was changed: digests of its fields, and one over all.

The seal proves nothing to somebody who holds only the file, since whoever changes it can seal it
again: publish the one hash (in a commit, a message, a paper) when the file is made. Standard
library only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"
FIELDS = "fields_sha256"


class SealError(ValueError):
    """A sealed object was changed; the message names the field."""


def canonical(value: Any) -> bytes:
    """JSON of one form only: keys sorted, no spaces, ASCII; raises ValueError on NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of a value, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its seal: a digest for each field (and item of a list), and one over all."""
    whole = {**value, FIELDS: _digests(value)}
    return {**whole, SEAL: digest(whole)}


def check(found: Mapping[str, Any], published: str | None = None) -> None:
    """Raise SealError, naming a changed field, where an object differs from what was sealed.

    ``published`` is the hash as it was told elsewhere; a whole new seal is then seen, too.
    """
    if not isinstance(found, dict):
        raise SealError("it is no JSON object: it is not sealed")
    if SEAL not in found or FIELDS not in found:
        raise SealError(f"it has no {SEAL if SEAL not in found else FIELDS}: it is not sealed")
    content = {name: value for name, value in found.items() if name not in (SEAL, FIELDS)}
    told, now = found[FIELDS], _digests(content)
    if not isinstance(told, dict):
        raise SealError(f"{FIELDS} is no object of digests: it is not sealed")
    for name in sorted({*told, *now}):
        if told.get(name) != now.get(name):
            what = "is missing" if name not in now else "was added" if name not in told else None
            raise SealError(f"{name} {what or 'was changed'} after it was sealed")
    if digest({**content, FIELDS: told}) != found[SEAL]:
        raise SealError(f"{SEAL} or {FIELDS} was changed after it was sealed")
    if published is not None and published != found[SEAL]:
        raise SealError(f"{SEAL} is {found[SEAL]}, but {published} was published")


def _digests(value: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in value.items():
        parts = (
            {f"{name}[{i}]": inner for i, inner in enumerate(item)}
            if isinstance(item, list)
            else {f"{name}.{key}": inner for key, inner in item.items()}
            if isinstance(item, dict)
            else {name: item}
        )
        found |= {key: digest(inner) for key, inner in parts.items()}
    return found
