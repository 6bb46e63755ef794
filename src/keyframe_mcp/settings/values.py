"""One value of the environment each: what it may be, and what is said when it is not."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from keyframe_mcp.settings.variables import PREFIX


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
