"""What a catalogue file may not leave out, or say, in one dialect or another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.models import Model

PATHS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "baicai": frozenset({"submit", "status", "result", "upload"}),
        "local": frozenset(),
        "replicate": frozenset({"prefix"}),
        "siliconflow": frozenset(),
        "wavespeed": frozenset(),
    }
)
"""The paths of each dialect that can be replaced."""

CALLING = frozenset({"replicate", "wavespeed"})
"""The dialects in which providers call back."""

OWN_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "baicai": frozenset({"selected_model"}),
        "replicate": frozenset({"version"}),
        "siliconflow": frozenset({"model"}),
    }
)
"""Names at the top of a request that the dialect fills in by itself."""

ANY_OWN_WORD = frozenset(word for words in OWN_WORDS.values() for word in words)

OWN_HEADERS = frozenset({"connection", "content-length", "content-type", "host", "transfer-encoding"})
"""Headers that belong to the call itself, besides the one the key travels in."""


def problems(provider: Provider) -> Iterator[str]:
    """What is wrong with a provider, given the dialect it speaks."""
    if provider.dialect != "local" and provider.base_url is None:
        yield f"key 'base_url': dialect {provider.dialect!r} needs it: the address its paths come after"
    known = PATHS.get(provider.dialect)
    if known is not None and (strange := provider.paths.keys() - known):
        there = ", ".join(sorted(known)) or "none"
        yield f"key 'paths.{min(strange)}': dialect {provider.dialect!r} has no such path; it has {there}"
    if provider.webhooks and provider.dialect not in CALLING:
        yield f"key 'webhooks': in dialect {provider.dialect!r} providers make no calls; leave it out"
    for model in provider.models:
        for name in sorted(taken(provider, model)):
            yield f"model {model.id!r}: {name!r} is what the dialect or the call itself sends; leave it out"


def taken(provider: Provider, model: Model) -> set[str]:
    """The wire names of a model that are not free."""
    own = OWN_WORDS.get(provider.dialect, frozenset())
    headers = OWN_HEADERS | {provider.key_as.partition(":")[0].lower()}
    return {
        name
        for name in model.wire_names
        if name in own or (name.startswith("header:") and name.removeprefix("header:").lower() in headers)
    }
