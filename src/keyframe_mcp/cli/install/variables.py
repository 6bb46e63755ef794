"""The variables an entry hands on: which were asked for, which are keys, and how they may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from keyframe_mcp.cli.install.jsontext import is_rows, is_table, rows, table
from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings import PREFIX, read_settings, strangers
from keyframe_mcp.settings.addresses import PRINTABLE, without_secrets

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|AUTH|CREDENTIAL", re.IGNORECASE)
REFERENCE = re.compile(r"(Bearer )?(\$\{[^}]*\}|\{env:[^}]*\}|\$[A-Za-z_]\w*)")
HIDDEN = "***"


@dataclass(frozen=True)
class Variables:
    """What an entry's environment is made of."""

    values: Mapping[str, str]
    references: tuple[str, ...] = ()
    """Keys that were named without a value."""
    offered: tuple[str, ...] = ()
    """Keys that are set here and were not named."""
    known: tuple[str, ...] = ()
    """Every provider's key."""
    removed: tuple[str, ...] = ()


def read_variables(
    given: Sequence[str], here: Mapping[str, str], keys: Sequence[str], providers: Iterable[str], *, with_keys: bool
) -> Variables:
    """The variables that were asked for: `NAME=VALUE`, `NAME` as it is here, `NAME=` to take it out.

    Raises `InvalidSettings` for a name that means nothing, and for a value the server would refuse.
    """
    pairs = [each.partition("=") for each in given]
    refuse_strangers([name for name, _, _ in pairs], keys, providers)
    values = {name: value for name, _, value in pairs if value}
    alone = [name for name, equals, _ in pairs if not equals]
    values |= {name: taken(name, here) for name in alone if name not in keys}
    offered = [name for name in keys if here.get(name, "").strip()]
    if with_keys:
        values = {name: here[name].strip() for name in offered} | values
    refuse_values(values, keys)
    references = tuple(name for name in alone if name in keys and name not in values)
    removed = tuple(name for name, equals, value in pairs if equals and not value)
    return Variables(values, references, tuple(offered), tuple(keys), removed)


def taken(name: str, here: Mapping[str, str]) -> str:
    """A variable as it is in this shell."""
    if not here.get(name, "").strip():
        raise InvalidSettings(f"--env {name}: it is not set here; write --env {name}=VALUE")
    return here[name]


def refuse_strangers(names: Sequence[str], keys: Sequence[str], providers: Iterable[str]) -> None:
    """Stop at a name that means nothing, before it is written somewhere."""
    if wrong := [name for name in names if not NAME.fullmatch(name)]:
        raise InvalidSettings(f"--env {wrong[0]}: that is no name of a variable; write --env NAME=VALUE")
    problems = strangers(dict.fromkeys(names, ""), providers, keys)
    for name in names:
        near = get_close_matches(name.upper(), keys, n=1, cutoff=0.85)
        if near and name not in keys and not name.startswith(PREFIX):
            problems.append(f"{name} means nothing; {near[0]} does")
    if problems:
        raise InvalidSettings(f"--env: {'; '.join(problems)}. Nothing was written.")


def refuse_values(values: Mapping[str, str], keys: Sequence[str]) -> None:
    """Stop at a value the server would not start with."""
    for name in keys:
        if name in values and not PRINTABLE.fullmatch(values[name]):
            raise InvalidSettings(f"{name} holds a character that no key has, such as a space; copy the key again")
    ours = {name: value for name, value in values.items() if name.startswith(PREFIX)}
    if ours:
        read_settings(ours, Path.cwd(), Path.home())


def left_behind(here: Mapping[str, str], asked: Sequence[str]) -> list[str]:
    """Our settings that are set in this shell, and that the host will not hand on."""
    return sorted(name for name in here if name.startswith(PREFIX) and here[name].strip() and name not in asked)


def shown(entry: Mapping[str, object]) -> dict[str, Any]:
    """An entry as it may be shown: no key, no token, nobody's secrets in an address."""
    return table(without_keys(dict(entry), ()))


def without_keys(value: object, names: tuple[str, ...]) -> object:
    """The same for any value; `names` are those that lead to it."""
    if is_table(value):
        return {name: without_keys(each, (*names, name)) for name, each in table(value).items()}
    if is_rows(value):
        return [without_keys(each, names) for each in rows(value)]
    return hidden(value, names) if isinstance(value, str) else value


def hidden(text: str, names: Sequence[str]) -> str:
    """One value, or stars. A variable is shown if it is ours and does not sound like a secret."""
    if REFERENCE.fullmatch(text):
        return text
    if len(names) > 1 and (not names[-1].startswith(PREFIX) or SECRET.search(names[-1].removeprefix(PREFIX))):
        return HIDDEN
    text = re.sub(r"Bearer\s+\S+", f"Bearer {HIDDEN}", text)
    text = re.sub(r"(?i)(\b[\w-]*(?:key|token|secret|password)[\w-]*\s*[=:]\s*)\S+", rf"\g<1>{HIDDEN}", text)
    return without_secrets(text) if "://" in text else text
