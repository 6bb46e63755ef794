"""What the place of a host's file depends on. Pure, so that every platform can be looked at from any other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Self

LINUX, MACOS, WINDOWS = "linux", "darwin", "win32"
PLATFORMS: Mapping[str, str] = {LINUX: "Linux", MACOS: "macOS", WINDOWS: "Windows"}


@dataclass(frozen=True)
class Machine:
    """A platform, somebody's home folder, and the environment."""

    platform: str
    home: PurePath
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> Self:
        """The one this runs on. Anything that is neither macOS nor Windows keeps its files as Linux does."""
        platform = sys.platform if sys.platform in PLATFORMS else LINUX
        return cls(platform, Path.home(), dict(os.environ))

    def place(self, template: str) -> PurePath:
        """The path a template of `hosts.py` names: `{codex}/config.toml`."""
        base, _, rest = template.partition("/")
        folder = self.bases()[base]
        return folder.joinpath(*rest.split("/")) if rest else folder

    def bases(self) -> dict[str, PurePath]:
        """The folders that templates begin with."""
        return {
            "{home}": self.home,
            "{config}": self.config(),
            "{xdg}": self.set_to("XDG_CONFIG_HOME") or self.home / ".config",
            "{dotconfig}": self.home / ".config",
            "{codex}": self.set_to("CODEX_HOME") or self.home / ".codex",
            "{copilot}": self.set_to("COPILOT_HOME") or self.home / ".copilot",
        }

    def config(self) -> PurePath:
        """Where desktop programs keep what they are told."""
        if self.platform == WINDOWS:
            return self.set_to("APPDATA") or self.home / "AppData" / "Roaming"
        if self.platform == MACOS:
            return self.home / "Library" / "Application Support"
        return self.set_to("XDG_CONFIG_HOME") or self.home / ".config"

    def set_to(self, variable: str) -> PurePath | None:
        """The folder a variable names, if it names one."""
        value = self.environment.get(variable, "").strip()
        return type(self.home)(value) if value else None


SHOWN: Mapping[str, Machine] = {
    LINUX: Machine(LINUX, PurePosixPath("~"), {}),
    MACOS: Machine(MACOS, PurePosixPath("~"), {}),
    WINDOWS: Machine(WINDOWS, PureWindowsPath("%USERPROFILE%"), {"APPDATA": "%APPDATA%"}),
}
"""How the documentation writes paths."""
