"""The catalogue: which providers and models exist, read from TOML files beside this one and from the user's folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from keyframe_mcp.catalog.entries import PROVIDER_ID, Model, Provider
from keyframe_mcp.errors import InvalidCatalogue, UnknownModel
from keyframe_mcp.task import Cost, Mode


@dataclass(frozen=True)
class Listed:
    """A model with the id callers use, `provider/model`."""

    id: str
    provider_id: str
    provider: Provider
    model: Model

    def cost(self, duration: float | None) -> Cost:
        """The expected price. `duration` in seconds."""
        price = self.model.price
        if price is None:
            return Cost(estimated_usd=None, basis="no price is known for this model")
        if price.per == "video":
            return Cost(estimated_usd=price.usd, basis="free, drawn on this machine" if not price.usd else "per video")
        if duration is None:
            return Cost(estimated_usd=None, basis=f"${price.usd:g} a second, of a length the provider decides")
        return Cost(estimated_usd=round(price.usd * duration, 4), basis=f"${price.usd:g} a second")


@dataclass(frozen=True)
class Catalog:
    """Every provider by id, and every model by `provider/model`."""

    providers: Mapping[str, Provider]

    def models(self, mode: Mode | None = None) -> Iterator[Listed]:
        """Every model, or those that can do one mode."""
        for provider_id, provider in self.providers.items():
            for model in provider.models:
                if mode is None or mode in model.modes:
                    yield Listed(f"{provider_id}/{model.id}", provider_id, provider, model)

    def find(self, model_id: str) -> Listed:
        """The model with that id, or with the provider's own full name. Raises `UnknownModel` with near misses."""
        for listed in self.models():
            if model_id in (listed.id, listed.model.remote, f"{listed.provider_id}/{listed.model.remote}"):
                return listed
        ids = [listed.id for listed in self.models()]
        near = get_close_matches(model_id.lower(), ids, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(ids)}"
        raise UnknownModel(f"model: there is no {model_id!r}; {hint}")


def load(folder: Path | None = None, dialects: Iterable[str] = ()) -> Catalog:
    """Our own files, then those in `folder`, which may replace a provider of ours by using its file name.

    Raises `InvalidCatalogue` naming file, model and key. `dialects` are the ones this server speaks; none given
    means they are not checked.
    """
    files: dict[str, Traversable] = {}
    for place in (resources.files(__name__), folder):
        if place is not None:
            files |= {file.name: file for file in place.iterdir() if file.name.endswith(".toml")}
    known = frozenset(dialects)
    return Catalog({name.removesuffix(".toml"): read(file, known) for name, file in sorted(files.items())})


def read(file: Traversable, dialects: frozenset[str]) -> Provider:
    """One provider. Every problem of the file is in the one error."""
    if not PROVIDER_ID.match(file.name.removesuffix(".toml")):
        raise InvalidCatalogue(f"{file}: a file name is a provider id: small letters, digits, - and _")
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InvalidCatalogue(f"{file}: cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidCatalogue(f"{file}: not TOML: {error}") from None
    try:
        provider = Provider.model_validate(content)
    except ValidationError as error:
        raise InvalidCatalogue(f"{file}: " + "; ".join(explain(content, error))) from None
    if dialects and provider.dialect not in dialects:
        raise InvalidCatalogue(
            f"{file}: dialect: {provider.dialect!r} is not spoken here; use {', '.join(sorted(dialects))}"
        )
    return provider


def explain(content: Mapping[str, Any], error: ValidationError) -> Iterator[str]:
    """Each mistake as `model 'x', key 'a.b': what is wrong`."""
    for mistake in error.errors(include_url=False):
        where = list(mistake["loc"])
        at = ""
        if where[:1] == ["models"] and len(where) > 1 and isinstance(where[1], int):
            model = content["models"][where[1]]
            named = cast("Mapping[str, Any]", model if isinstance(model, dict) else {})
            at = f"model {named.get('id', where[1])!r}, "
            where = where[2:]
        key = ".".join(map(str, where)) or "the entry"
        yield f"{at}key {key!r}: {mistake['msg'].removeprefix('Value error, ')}"
