"""From a request to a task ready to be written down: the model chosen, everything checked, nothing sent."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio

from keyframe_mcp.catalog import Catalog, Listed
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.errors import CallerError, InvalidInput, KeyframeError, MissingCredential, Problem
from keyframe_mcp.task import Inputs, Mode, Task


@dataclass(frozen=True)
class Intake:
    """Checks requests. `configured` are the providers that can be used."""

    catalog: Catalog
    configured: Collection[str]
    sources: Sources
    default_model: str | None

    async def prepare(
        self, caller: Caller, request: Inputs, model: str | None, key: str | None, now: float, *, strict: bool
    ) -> Task:
        """A task with a new id. Raises every problem with the request at once; leaves nothing behind."""
        listed = self.choose(request.mode, model)
        checked = check(listed.id, listed.model, request, strict=strict)
        pictures, unusable = await self._pictures(caller, request, checked)
        if problems := [*checked.problems, *unusable]:
            raise InvalidInput(problems=problems)
        wire = checked.wire | {checked.pictures[name]: str(path) for name, path in pictures.items()}
        duration = wire.get("duration")
        return Task(
            id=new_id(),
            owner=caller.owner,
            mode=request.mode,
            model=listed.id,
            provider=listed.provider_id,
            request=request.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
            wire=wire,
            request_hash=digest([listed.id, request.mode, wire]),
            idempotency_key=key,
            generative=listed.model.generative,
            cost=listed.cost(float(duration) if isinstance(duration, int | float) else None),
            warnings=(*checked.warnings, *self._plain_words(listed, model)),
            created_at=now,
            updated_at=now,
        )

    def choose(self, mode: Mode, model: str | None) -> Listed:
        """The model that was named, or the one that fits best: a real generator before the embedded renderer."""
        if model is not None:
            listed = self.catalog.find(model)
            self._require_key(listed)
            return listed
        usable = [listed for listed in self.catalog.models(mode) if listed.provider_id in self.configured]
        preferred = [listed for listed in usable if listed.id == self.default_model]
        if ranked := preferred or sorted(usable, key=lambda listed: not listed.model.generative):
            return ranked[0]
        raise MissingCredential(f"no configured model does {mode}; keyframe-mcp doctor shows which key is missing")

    def _require_key(self, listed: Listed) -> None:
        if listed.provider_id not in self.configured:
            instead = [each.id for each in self.catalog.models() if each.provider.key is None]
            raise MissingCredential(
                f"{listed.id} needs {listed.provider.key} to be set; without a key there is {', '.join(instead)}"
            )

    def _plain_words(self, listed: Listed, model: str | None) -> tuple[str, ...]:
        """What a caller must not be left to believe."""
        if listed.model.generative:
            return ()
        chosen = "" if model else f"{listed.id} was used because no provider key is configured for this mode. "
        return (f"{chosen}This is a preview drawn on this machine, not AI video.",)

    async def _pictures(
        self, caller: Caller, request: Inputs, checked: Checked
    ) -> tuple[dict[str, Path], list[Problem]]:
        """Our copies of every picture of the request, fetched side by side, and what was wrong with the others."""
        found: dict[str, Path] = {}
        problems: list[Problem] = []
        trouble: list[KeyframeError] = []

        async def one(name: str) -> None:
            try:
                found[name] = await self.sources.picture(getattr(request, name), caller)
            except CallerError as error:
                problems.append(Problem(name, str(error)))
            except KeyframeError as error:
                trouble.append(error)

        async with anyio.create_task_group() as tasks:
            for name in checked.pictures:
                tasks.start_soon(one, name)
        if trouble:
            raise trouble[0]
        return found, sorted(problems, key=lambda problem: problem.argument)


def new_id() -> str:
    """An id nobody can guess: 128 random bits, in letters that survive any file system."""
    return "kf_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def digest(value: object) -> str:
    """The same for equal requests, whatever the order of their keys. Pictures are in it by content."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def plain(value: object) -> object:
    """A value with 5.0 written as 5: they ask for the same video."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [plain(each) for each in cast("list[object]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
