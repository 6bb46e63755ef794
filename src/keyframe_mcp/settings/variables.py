"""The names of variables: those of providers, and those that mean nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

PREFIX = "KEYFRAME_"
BUDGET = f"{PREFIX}BUDGET"
GUARDS = (BUDGET, f"{PREFIX}AUTH", f"{PREFIX}OAUTH", f"{PREFIX}ALLOW")
"""What must not be misspelt: limits, and who and what is let in."""
LIMITS: Mapping[str, str] = MappingProxyType({"at_once": "jobs at once", "submits_per_minute": "submissions a minute"})
"""How much a provider may be given, and in words: `KEYFRAME_WAVESPEED_AT_ONCE`, `..._SUBMITS_PER_MINUTE`."""


def is_set(value: str) -> bool:
    """Whether a host really gave a value."""
    stripped = value.strip()
    return bool(stripped) and not (stripped.startswith("${") and stripped.endswith("}"))


def base_url_variable(provider_id: str) -> str:
    """The variable that moves a provider to another host: `KEYFRAME_WAVESPEED_BASE_URL`."""
    return f"{PREFIX}{provider_id.upper().replace('-', '_')}_BASE_URL"


def limit_variable(provider_id: str, limit: str) -> str:
    """The variable that says how much a provider takes: `KEYFRAME_WAVESPEED_AT_ONCE`."""
    return f"{PREFIX}{provider_id.upper().replace('-', '_')}_{limit.upper()}"


def strange(
    environment: Mapping[str, str], ours: Iterable[str], provider_ids: Iterable[str] = (), keys: Iterable[str] = ()
) -> list[str]:
    """Variables with our prefix that mean nothing here, each with the one that may have been meant.

    `ours` are those of settings; `keys` are those of providers' keys, which do not have the prefix.
    """
    names = list(ours)
    for provider_id in provider_ids:
        names += [base_url_variable(provider_id), *(limit_variable(provider_id, limit) for limit in LIMITS)]
    # compared without the prefix, which would make everything alike
    meant = {name.removeprefix(PREFIX): name for name in names} | {key: key for key in keys}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in names)
    near = {name: get_close_matches(name.removeprefix(PREFIX), meant, n=1) for name in unknown}
    return [f"{name} means nothing" + (f"; {meant[near[name][0]]} does" if near[name] else "") for name in unknown]


def bad_limits(given: Mapping[str, str]) -> list[str]:
    """What is wrong with what was set for providers, before it is known which there are."""
    problems: list[str] = []
    for name, text in given.items():
        if name.endswith(tuple(f"_{limit.upper()}" for limit in LIMITS)):
            whole(name, text, problems)
    return problems


def unknown_guards(environment: Mapping[str, str], ours: Collection[str]) -> list[str]:
    """Misspelt limits and locks. Any other stranger is pointed out; to go on without these costs money, or lets in."""
    known = [name for name in ours if name.startswith(GUARDS)]
    others = tuple(f"_{name.upper()}" for name in ("base_url", *LIMITS))  # of a provider that may be called so
    unknown = [
        name
        for name, value in environment.items()
        if name.upper().startswith(GUARDS) and name not in known and not name.endswith(others) and is_set(value)
    ]
    return [f"{name} is no setting, and would {guarding(name)}; {meant(name, known)}" for name in sorted(unknown)]


def guarding(name: str) -> str:
    """What a misspelt variable does."""
    return "limit nothing" if name.upper().startswith(BUDGET) else "keep nobody out"


def meant(name: str, known: Collection[str]) -> str:
    """Which variable it may have been, or those there are."""
    near = get_close_matches(name.upper(), known, n=1, cutoff=0.8)
    kind = [each for each in known if each[: len(PREFIX) + 4] == name.upper()[: len(PREFIX) + 4]]
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(kind)}"


def whole(name: str, text: str, problems: list[str]) -> int:
    """A number of jobs or submissions."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return int(text)
    problems.append(f"{name}={text} is not a whole number; write 1 or more, or 0 for no limit")
    return 0
