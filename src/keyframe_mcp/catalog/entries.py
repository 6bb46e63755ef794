"""A catalogue file: facts about a provider, with its models, and nothing that runs."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from keyframe_mcp.catalog.inputs import Confidence, Entry, Input, Value, is_a
from keyframe_mcp.catalog.models import NEEDS, UNIFIED, Model
from keyframe_mcp.task import ImageFormat

__all__ = ["NEEDS", "PROVIDER_ID", "UNIFIED", "Input", "Model", "Pictures", "Provider", "Value", "is_a"]

PROVIDER_ID = re.compile(r"^[a-z0-9][a-z0-9_-]*$")

# TLS, or this machine, where a test or a tunnel is; no query, no name and password, no slash at the end
Host = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https://[A-Za-z0-9.-]+(:\d+)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(/[\w.~-]+)*$"
    ),
]
Path = Annotated[str, StringConstraints(pattern=r"^/[^\s?#]*$")]
# `Authorization: Bearer {}`: a header, and a printable text with one place for the key
KeyHeader = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*: [ -z|~]*\{\}[ -z|~]*$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
Seconds = Annotated[int, Field(gt=0, strict=True)]
Many = Annotated[int, Field(gt=0, strict=True)]
Limit = Annotated[str, StringConstraints(pattern=r"^(at_once|submits_per_minute)$")]


class Pictures(Entry):
    """How pictures reach a provider."""

    by: Literal["upload", "inline", "url"] = "inline"
    """upload: they are left with the provider first. inline: they travel in the request, as `data:` URIs.
    url: they are not taken, only URLs of pictures are."""
    urls: bool = True
    """Whether public https URLs are passed on, for the provider to fetch."""
    formats: tuple[ImageFormat, ...] = ("png", "jpeg")
    """The formats it reads; others are converted first."""
    most_bytes: int = Field(default=10_000_000, gt=0)
    """The largest file it takes."""
    inline_under: int = Field(default=0, ge=0)
    """With upload: files up to this many bytes travel in the request all the same."""
    kept_seconds: Seconds | None = None
    """How long the provider keeps what was uploaded. None: not documented."""


class Provider(Entry):
    """One place videos can be made: how it is spoken to, where, and with which key."""

    name: str
    """What people call it."""
    dialect: str
    """The protocol: a name in `adapters/__init__.py`, or local."""
    base_url: Host | None = None
    """What comes before the paths of its documentation."""
    hosts: dict[str, Host] = Field(default_factory=dict[str, Host])
    """Other hosts of the same service, by a label: a key belongs to one of them."""
    docs: str
    """Its documentation."""
    key: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """The environment variable its key is in. None: it needs no key."""
    key_as: KeyHeader = "Authorization: Bearer {}"
    """The header the key travels in."""
    key_page: str | None = None
    """Where a person gets a key."""
    key_hosts: list[HostName] = Field(default_factory=list[HostName])
    """Hosts, with all below them, that hand out results only to those who show the key."""
    pictures: Pictures = Pictures()
    """How pictures reach it."""
    jobs_page: str | None = None
    """Where a person sees the jobs of an account."""
    results_seconds: Seconds | None = None
    """How long a result can be downloaded. None: not documented."""
    cancel: bool = False
    """Whether a running job can be stopped."""
    reconcile: bool = False
    """Whether it lists an account's jobs, so that one whose submission was uncertain can be found."""
    paths: dict[str, Path] = Field(default_factory=dict[str, Path])
    """Paths that differ from the dialect's own."""
    webhooks: bool = False
    """Whether it calls an address of ours when a job has ended, signed so that it can be told from others."""
    longest_seconds: Seconds | None = None
    """How long it lets a job run. None: not documented."""
    failures_are_free: bool = False
    """Whether a job that the provider could not finish costs nothing."""
    limits: dict[Limit, Many] = Field(default_factory=dict[Limit, Many])
    """What it allows an ordinary account: at_once, the jobs that it takes at the same time, and submits_per_minute."""
    confidence: Confidence | None = None
    """How sure these facts are, as with models."""
    experimental: str | None = None
    """Why to be careful. A warning on every task."""
    models: list[Model]
    """What it offers."""

    @model_validator(mode="after")
    def ids_are_unique(self) -> Self:
        """Two models with one id would hide each other."""
        ids = [model.id for model in self.models]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"two models have the id {min(twice)!r}")
        return self
