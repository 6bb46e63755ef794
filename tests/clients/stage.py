"""What a client's program is given, and the one line of JSON it gives back."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clients.story import Story

VARIABLE = "KEYFRAME_TEST_STAGE"


@dataclass(frozen=True)
class Stage:
    """Where the server is. Without a URL the client starts the command itself."""

    folder: str
    command: list[str]
    environment: dict[str, str]
    images: tuple[str, str]
    installed: str
    url: str | None = None
    era: str = "auto"

    @classmethod
    def given(cls) -> Stage:
        """The one this process was started for."""
        known = json.loads(os.environ[VARIABLE])
        return cls(**known | {"images": tuple(known["images"])})

    def to_environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    def story(self) -> Story:
        return Story(self.images)

    @property
    def path(self) -> Path:
        return Path(self.folder)


@dataclass(frozen=True)
class Outcome:
    """What came of it. `remarks` are warnings while the tools were taken over."""

    version: str
    protocol: str
    tools: int
    shown: list[str]
    hidden: list[str]
    remarks: list[str] = field(default_factory=list[str])


def give(story: Story, **known: Any) -> None:
    """Say what came of a story, on the last line of standard output."""
    outcome = Outcome(shown=sorted(story.shown), hidden=story.hidden, **known)
    sys.stdout.write("\n" + json.dumps(asdict(outcome)) + "\n")


class Ear(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def listening() -> Generator[list[str]]:
    """The warnings raised and logged meanwhile."""
    ear = Ear()
    logging.getLogger().addHandler(ear)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        yield ear.heard
    ear.heard += [f"{each.category.__name__}: {each.message}" for each in raised]
    logging.getLogger().removeHandler(ear)
