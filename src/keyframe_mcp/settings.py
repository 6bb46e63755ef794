"""What whoever runs the server can set. The environment is read here and nowhere else."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from keyframe_mcp.errors import InvalidSettings

PREFIX = "KEYFRAME_"
BUDGET = f"{PREFIX}BUDGET"
PRINTABLE = re.compile(r"[!-~]+")
"""What a header or a URL can carry: an HTTP library would choke on anything else, long after the start."""
LOG_LEVELS = ("debug", "info", "warning", "error")
TOOLSETS = ("full", "core")
LIMITS: Mapping[str, str] = MappingProxyType({"at_once": "jobs at once", "submits_per_minute": "submissions a minute"})
"""How much a provider may be given, and in words: `KEYFRAME_WAVESPEED_AT_ONCE`, `..._SUBMITS_PER_MINUTE`."""


class Settings(BaseModel):
    """Every setting, with its default. A field `output_dir` is the variable `KEYFRAME_OUTPUT_DIR`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output_dir: Annotated[
        Path,
        Field(
            description="Where finished videos are kept. "
            "Default: the folder Keyframe in your videos folder, on Linux ~/Videos/Keyframe."
        ),
    ]
    state_dir: Annotated[
        Path,
        Field(
            description="Where the task database and working files live. "
            "Default: the platform's folder for such data, on Linux ~/.local/share/keyframe-mcp."
        ),
    ]
    allowed_dirs: Annotated[
        tuple[Path, ...],
        Field(
            description="Folders that images and videos may be read from, separated like PATH. "
            "Default: the output folder, and the working folder unless that is a root or home folder."
        ),
    ]
    catalog_dir: Annotated[
        Path | None, Field(description="A folder of further catalogue files, loaded like our own.")
    ] = None
    default_model: Annotated[
        str | None, Field(description="The model to use where a call names none and this one fits.")
    ] = None
    budget_usd_per_task: Annotated[
        float | None,
        Field(
            description="The most one video may cost, in US dollars: an amount such as 5, 0.5 or $5; "
            "0 allows only what is free. Default: no limit, as for the next two."
        ),
    ] = None
    budget_usd_per_day: Annotated[
        float | None, Field(description="The most all videos of a day (UTC) may cost together, in US dollars.")
    ] = None
    budget_usd_per_owner_per_day: Annotated[
        float | None, Field(description="The same for each owner of tasks. Everybody on this machine is one owner.")
    ] = None
    budget_unpriced_usd: Annotated[
        float | None,
        Field(
            description="What a video counts for whose price is not known, in US dollars. "
            "Unset, such videos are refused as soon as one of the three limits is set."
        ),
    ] = None
    log_level: Annotated[str, Field(description=f"How much to log: {', '.join(LOG_LEVELS)}. Default: warning.")] = (
        "warning"
    )
    toolset: Annotated[
        str,
        Field(
            description="Which tools agents are shown: full, the default, or core, the six that make and show "
            "videos, in less than half the tokens."
        ),
    ] = "full"
    keep_results: Annotated[
        bool,
        Field(
            description="Whether results are copied to the output folder: 1 or true, the default, or 0 or false. "
            "Without that they are only where the provider keeps them, and lost when it deletes them."
        ),
    ] = True
    allow_loopback: Annotated[
        bool,
        Field(
            description="For development: 1 or true lets images and results come from this machine over http. "
            "Default: 0."
        ),
    ] = False

    # Private, so that no dump, message or log of the settings holds a key.
    _environment: Mapping[str, str] = PrivateAttr(default_factory=dict[str, str])

    @property
    def database(self) -> Path:
        """The task database."""
        return self.state_dir / "tasks.db"

    @property
    def learned_models(self) -> Path:
        """Where `keyframe-mcp models --refresh` keeps what it learned."""
        return self.state_dir / "models"

    def within(self, environment: Mapping[str, str]) -> Self:
        """These settings, with the variables that providers' keys and hosts are in."""
        ours = {PREFIX + name.upper() for name in Settings.model_fields}
        self._environment = {name: each for name, each in environment.items() if name not in ours and is_set(each)}
        return self

    def key(self, variable: str | None) -> str | None:
        """A provider's key; None when it is not set. Raises `InvalidSettings` for what cannot be one."""
        value = self._environment.get(variable, "").strip() if variable else ""
        if value and not PRINTABLE.fullmatch(value):
            raise InvalidSettings(f"{variable} holds a character that no key has, such as a space; copy the key again")
        return value or None

    def base_url(self, provider_id: str, default: str | None) -> str:
        """Where a provider is. Raises `InvalidSettings` when a key could be read on the way there."""
        name = base_url_variable(provider_id)
        url = (self._environment.get(name) or default or "").strip().rstrip("/")
        if problem := url_problem(url):
            raise InvalidSettings(f"{name}={without_secrets(url) or '(not set)'} {problem}")
        return url

    def limit(self, provider_id: str, limit: str, default: int | None) -> int | None:
        """How much a provider may be given, by a name in `LIMITS`; None is any amount."""
        chosen = self._environment.get(limit_variable(provider_id, limit))
        return (default if chosen is None else int(chosen)) or None


def read_settings(environment: Mapping[str, str], working_dir: Path, home: Path) -> Settings:
    """The settings in `environment`, with platform defaults for the rest.

    Raises `InvalidSettings`, naming every variable that cannot be used. Hosts pass an unset option as an empty
    string or as `${...}`; both mean unset.
    """
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and is_set(value)}
    problems: list[str] = []
    output_dir = folder("OUTPUT_DIR", given, platformdirs.user_videos_path() / "Keyframe", problems)
    settings = finish(
        {
            "output_dir": output_dir,
            "state_dir": folder(
                "STATE_DIR", given, platformdirs.user_data_path("keyframe-mcp", appauthor=False), problems
            ),
            "allowed_dirs": allowed(given, output_dir, working_dir, home, problems),
            "catalog_dir": catalog_dir(given, problems),
            "default_model": given.get(PREFIX + "DEFAULT_MODEL"),
            "budget_usd_per_task": dollars("BUDGET_USD_PER_TASK", given, problems),
            "budget_usd_per_day": dollars("BUDGET_USD_PER_DAY", given, problems),
            "budget_usd_per_owner_per_day": dollars("BUDGET_USD_PER_OWNER_PER_DAY", given, problems),
            "budget_unpriced_usd": dollars("BUDGET_UNPRICED_USD", given, problems),
            "log_level": one_of("LOG_LEVEL", LOG_LEVELS, given, problems, default="warning"),
            "toolset": one_of("TOOLSET", TOOLSETS, given, problems, default="full"),
            "keep_results": switch("KEEP_RESULTS", given, problems, default="1"),
            "allow_loopback": switch("ALLOW_LOOPBACK", given, problems),
        },
        [*problems, *bad_limits(given), *unknown_budgets(environment)],
    )
    return settings.within(environment)


def finish(values: Mapping[str, object], problems: list[str]) -> Settings:
    """The settings, or every problem with them at once."""
    if len(problems) == 1:
        raise InvalidSettings(problems[0])
    if problems:
        raise InvalidSettings("\n  ".join([f"{len(problems)} settings cannot be used:", *problems]))
    return Settings.model_validate(values)


def base_url_variable(provider_id: str) -> str:
    """The variable that moves a provider to another host: `KEYFRAME_WAVESPEED_BASE_URL`."""
    return f"{PREFIX}{provider_id.upper().replace('-', '_')}_BASE_URL"


def limit_variable(provider_id: str, limit: str) -> str:
    """The variable that says how much a provider takes: `KEYFRAME_WAVESPEED_AT_ONCE`."""
    return f"{PREFIX}{provider_id.upper().replace('-', '_')}_{limit.upper()}"


def url_problem(url: str) -> str:
    """What is wrong with a base URL, if anything is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL; write https://host"
    if parts.scheme not in ("https", "http") or not host or not PRINTABLE.fullmatch(url):
        return "is not a URL; write https://host"
    if parts.username is not None or "?" in url or "#" in url:
        return "must be an address alone, without user name, query or fragment; the key has a variable of its own"
    if parts.scheme == "http" and not is_this_machine(host):
        return "would send the key unencrypted; use https"
    return ""


def without_secrets(url: str) -> str:
    """As much of a URL as may be shown: somebody may have put the key into it."""
    return re.sub(r"[?#].*", "?...", re.sub(r"//.*@", "//...@", url, flags=re.DOTALL), flags=re.DOTALL)


def is_this_machine(host: str) -> bool:
    """Whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def strangers(environment: Mapping[str, str], provider_ids: Iterable[str] = (), keys: Iterable[str] = ()) -> list[str]:
    """Variables with our prefix that mean nothing here, each with the one that may have been meant.

    `keys` are the variables of providers' keys, which do not have the prefix.
    """
    names = [PREFIX + name.upper() for name in Settings.model_fields]
    for provider_id in provider_ids:
        names += [base_url_variable(provider_id), *(limit_variable(provider_id, limit) for limit in LIMITS)]
    # compared without the prefix, which would make everything alike
    meant = {name.removeprefix(PREFIX): name for name in names} | {key: key for key in keys}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in names)
    near = {name: get_close_matches(name.removeprefix(PREFIX), meant, n=1) for name in unknown}
    return [f"{name} means nothing" + (f"; {meant[near[name][0]]} does" if near[name] else "") for name in unknown]


def is_set(value: str) -> bool:
    """Whether a host really gave a value."""
    stripped = value.strip()
    return bool(stripped) and not (stripped.startswith("${") and stripped.endswith("}"))


def folder(name: str, given: Mapping[str, str], default: Path, problems: list[str]) -> Path:
    """A folder setting. It must be absolute: a relative one would move with the host's working folder."""
    path = path_of(given.get(PREFIX + name, str(default)))
    if not path.is_absolute():
        problems.append(f"{PREFIX}{name}={path} is not an absolute path; write it from the root, or from ~")
    return path


def path_of(text: str) -> Path:
    """A path with `~` filled in. Nobody's home stays as written, and is then found not to be absolute."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for a user there is not


def allowed(
    given: Mapping[str, str], output_dir: Path, working_dir: Path, home: Path, problems: list[str]
) -> tuple[Path, ...]:
    """The folders that may be read. Some hosts start servers in / or in the home folder: those are too much."""
    name = PREFIX + "ALLOWED_DIRS"
    if name in given:
        folders = [path_of(part) for part in given[name].split(os.pathsep) if part.strip()]
        problems.extend(f"{name}: {path} is not an absolute path" for path in folders if not path.is_absolute())
        return tuple(dict.fromkeys([*folders, output_dir]))
    too_much = working_dir in (home, *home.parents) or working_dir == Path(working_dir.anchor)
    return (output_dir,) if too_much else tuple(dict.fromkeys([output_dir, working_dir]))


def catalog_dir(given: Mapping[str, str], problems: list[str]) -> Path | None:
    """The folder of further catalogue files, which must exist."""
    name = PREFIX + "CATALOG_DIR"
    if name not in given:
        return None
    path = path_of(given[name])
    if not path.is_dir():
        problems.append(f"{name}={path} is not a folder; create it, or unset the variable")
    return path


def one_of(name: str, choices: tuple[str, ...], given: Mapping[str, str], problems: list[str], *, default: str) -> str:
    """A setting that has a few values."""
    value = given.get(PREFIX + name, default).strip().lower()
    if value not in choices:
        problems.append(f"{PREFIX}{name}={value} is not one of {', '.join(choices)}")
    return value


def switch(name: str, given: Mapping[str, str], problems: list[str], default: str = "0") -> bool:
    """An on/off setting."""
    value = given.get(PREFIX + name, default).lower()
    if value not in ("0", "1", "true", "false"):
        problems.append(f"{PREFIX}{name}={value} is not one of 1, 0, true, false")
    return value in ("1", "true")


def dollars(name: str, given: Mapping[str, str], problems: list[str]) -> float | None:
    """An amount in US dollars, if one is set."""
    text = given.get(PREFIX + name)
    if text is None:
        return None
    try:
        amount = float(text.strip().removeprefix("$"))
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount < 0:
        problems.append(f"{PREFIX}{name}={text} is not an amount in US dollars, such as 2.50; 0 allows none")
    return amount


def bad_limits(given: Mapping[str, str]) -> list[str]:
    """What is wrong with what was set for providers, before it is known which there are."""
    problems: list[str] = []
    for name, text in given.items():
        if name.endswith(tuple(f"_{limit.upper()}" for limit in LIMITS)):
            whole(name, text, problems)
    return problems


def unknown_budgets(environment: Mapping[str, str]) -> list[str]:
    """Misspelt limits. Any other stranger is pointed out; to go on without a limit that was meant costs money."""
    known = [PREFIX + name.upper() for name in Settings.model_fields if name.startswith("budget")]
    others = tuple(f"_{name.upper()}" for name in ("base_url", *LIMITS))  # of a provider that may be called so
    unknown = [
        name
        for name, value in environment.items()
        if name.upper().startswith(BUDGET) and name not in known and not name.endswith(others) and is_set(value)
    ]
    near = {name: get_close_matches(name.upper(), known, n=1, cutoff=0.8) for name in unknown}
    meant = {
        name: f"did you mean {near[name][0]}?" if near[name] else f"there are {', '.join(known)}" for name in unknown
    }
    return [f"{name} is no setting, and would limit nothing; {meant[name]}" for name in sorted(unknown)]


def whole(name: str, text: str, problems: list[str]) -> int:
    """A number of jobs or submissions."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return int(text)
    problems.append(f"{name}={text} is not a whole number; write 1 or more, or 0 for no limit")
    return 0
