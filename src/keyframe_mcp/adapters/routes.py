"""The path of a call without what is different each time, as metrics and spans may have it."""

from __future__ import annotations

import re
from urllib.parse import quote

WORD = re.compile(r"[a-z][a-z_.-]{0,24}|v\d{1,2}", re.IGNORECASE)
"""What paths are made of. Ids have digits, and what has none and is no id is short."""


def route_of(path: str, *, job: str | None = None, model: str | None = None) -> str:
    """`/api/v3/predictions/8f1c.../result` as `/api/v3/predictions/{job}/result`.

    `job` and `model` are as the call has them. What looks like no word is taken for an id, and a query is left out.
    """
    route = re.split(r"[?#]", path, maxsplit=1)[0]
    for name, value in (("{job}", job), ("{model}", model)):
        for spelled in (quote(value, safe=""), quote(value), value) if value else ():
            route = re.sub(rf"(?<=/){re.escape(spelled)}(?=/|$)", name, route)
    parts = route.split("/")
    return "/".join(part if not part or part.startswith("{") or WORD.fullmatch(part) else "{id}" for part in parts)
