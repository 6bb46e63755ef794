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

from keyframe_mcp.catalog import dialects as spoken
from keyframe_mcp.catalog import prices
from keyframe_mcp.catalog.entries import PROVIDER_ID, Provider
from keyframe_mcp.catalog.learned_files import with_learned
from keyframe_mcp.catalog.models import Model, number
from keyframe_mcp.errors import InvalidCatalogue, UnknownModel
from keyframe_mcp.task import Cost, ImageFormat, Mode

MANY = 12
"""More ids than this are not listed in an error: it would be longer than any answer."""


@dataclass(frozen=True)
class Listed:
    """A model with the id callers use, `provider/model`."""

    id: str
    provider_id: str
    provider: Provider
    model: Model

    @property
    def can_cancel(self) -> bool:
        """Whether a running job can be stopped."""
        return self.provider.cancel if self.model.cancel is None else self.model.cancel

    @property
    def picture_formats(self) -> tuple[ImageFormat, ...]:
        """The formats of pictures that may be sent, such as png and jpeg."""
        return tuple(self.model.picture_formats or self.provider.pictures.formats)

    def cost(self, wire: Mapping[str, object]) -> Cost:
        """The expected price of what `check` found to be sent."""
        count = self.model.inputs.get("num_outputs")
        in_effect = self.model.in_effect(wire)
        outputs = number(in_effect.get(self.model.wire("num_outputs", count))) if count else None
        return prices.estimate(self.model.prices, in_effect, self.model.measures(wire), outputs or 1)


@dataclass(frozen=True)
class Catalog:
    """Every provider by id, and every model by `provider/model`. `troubles`: learned files that could not be used."""

    providers: Mapping[str, Provider]
    troubles: tuple[str, ...] = ()

    def models(self, mode: Mode | None = None) -> Iterator[Listed]:
        """Every model, or those that can do one mode."""
        for provider_id, provider in self.providers.items():
            for model in provider.models:
                if mode is None or mode in model.modes:
                    yield Listed(f"{provider_id}/{model.id}", provider_id, provider, model)

    def find(self, model_id: str) -> Listed:
        """The model with that id, or with the provider's own full name. Raises `UnknownModel` with near misses."""
        names: dict[str, str] = {}
        for listed in self.models():
            known = (listed.id, listed.model.remote, f"{listed.provider_id}/{listed.model.remote}")
            if model_id in known:
                return listed
            names |= {name.lower(): listed.id for name in known}
        asked = model_id.lower()[:200]
        close = get_close_matches(asked, names, n=6, cutoff=0.6) or [
            name for name in names if len(asked) > 2 and asked in name
        ]
        close = close or get_close_matches(asked, names, n=6, cutoff=0.4)
        near = list(dict.fromkeys(names[name] for name in close))[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else there_is(dict.fromkeys(names.values()))
        raise UnknownModel(f"model: there is no {model_id!r}; {hint}")


def there_is(ids: Iterable[str]) -> str:
    """What there is, or how to see it."""
    listed = list(ids)
    more = f" and {len(listed) - MANY} more, which list_models shows" if len(listed) > MANY else ""
    return f"there are {', '.join(listed[:MANY])}{more}"


def load(folder: Path | None = None, dialects: Iterable[str] = (), learned: Path | None = None) -> Catalog:
    """Our own files, then those in `folder`, which may replace a provider of ours by using its file name.

    Raises `InvalidCatalogue` naming file, model and key. `dialects` are the ones this server speaks; none given
    means they are not checked. `learned` is a folder of `<provider>.json` with models that were fetched from the
    provider itself; a file there that cannot be used is a trouble and no error.
    """
    files: dict[str, Traversable] = {}
    for place in (resources.files(__name__), folder):
        if place is not None:
            files |= {file.name: file for file in place.iterdir() if file.name.endswith(".toml")}
    known = frozenset(dialects)
    providers = {name.removesuffix(".toml"): read(file, known) for name, file in sorted(files.items())}
    return Catalog(*with_learned(providers, learned)) if learned is not None else Catalog(providers)


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
    if dialects and (mistakes := list(spoken.problems(provider))):
        raise InvalidCatalogue(f"{file}: " + "; ".join(mistakes))
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
