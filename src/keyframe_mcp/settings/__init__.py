"""What whoever runs the server can set. The environment is read here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings.addresses import (
    PRINTABLE,
    hosts,
    listed,
    origins,
    public_url,
    url_problem,
    url_setting,
    without_secrets,
)
from keyframe_mcp.settings.tokens import Token, parse_tokens
from keyframe_mcp.settings.values import allowed, catalog_dir, dollars, folder, one_of, switch
from keyframe_mcp.settings.variables import (
    LIMITS,
    PREFIX,
    bad_limits,
    base_url_variable,
    is_set,
    limit_variable,
    strange,
    unknown_guards,
)

__all__ = [
    "LIMITS",
    "PREFIX",
    "Settings",
    "base_url_variable",
    "is_set",
    "limit_variable",
    "read_settings",
    "strangers",
]

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
TOOLSETS = ("full", "core")


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
    log_format: Annotated[
        str, Field(description="How log lines look: text, the default, or json, one object a line.")
    ] = "text"
    telemetry: Annotated[
        bool,
        Field(
            description="1 or true sends traces and metrics by OpenTelemetry, as its own OTEL_ variables say; "
            "needs the extra `telemetry`. Default: 0."
        ),
    ] = False
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
    public_url: Annotated[
        str | None,
        Field(
            description="Where others reach this server over HTTP, such as https://mcp.example.com: for links to "
            "results, and for providers to call back. Without it links are for this machine, and providers are asked."
        ),
    ] = None
    auth_tokens: Annotated[
        SecretStr | None,
        Field(
            description="Who may use the server over HTTP: owner:token, separated by commas. Each owner sees only "
            "their own tasks. Needed, or OAuth, as soon as others can reach it."
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...],
        Field(
            description="Names under which the server is reached over HTTP, separated by commas. This machine's own "
            "and that of the public URL are allowed already."
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        Field(
            description="Web pages that may call the server over HTTP, such as https://app.example.com, separated by "
            "commas. Those of this machine may while only it can reach the server."
        ),
    ] = ()
    oauth_issuer: Annotated[
        str | None,
        Field(description="Whose OAuth access tokens (JWT) are accepted over HTTP: the issuer's URL, as in `iss`."),
    ] = None
    oauth_audience: Annotated[
        str | None,
        Field(description="What those tokens must be made for, as in `aud`. Default: the public URL, with /mcp."),
    ] = None
    oauth_jwks_url: Annotated[
        str | None, Field(description="Where the issuer publishes the keys it signs with (JWKS).")
    ] = None
    oauth_scopes: Annotated[
        tuple[str, ...], Field(description="Scopes a token must have, separated by commas. Default: none.")
    ] = ()
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
        ours = set(own_variables())
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

    def tokens(self) -> tuple[Token, ...]:
        """Who may come in by token. Raises `InvalidSettings`."""
        return parse_tokens(self.auth_tokens)

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
            "log_format": one_of("LOG_FORMAT", LOG_FORMATS, given, problems, default="text"),
            "telemetry": switch("TELEMETRY", given, problems),
            "toolset": one_of("TOOLSET", TOOLSETS, given, problems, default="full"),
            "keep_results": switch("KEEP_RESULTS", given, problems, default="1"),
            **network(given, problems),
            "allow_loopback": switch("ALLOW_LOOPBACK", given, problems),
        },
        [*problems, *bad_limits(given), *unknown_guards(environment, own_variables())],
    )
    return settings.within(environment)


def network(given: Mapping[str, str], problems: list[str]) -> dict[str, object]:
    """How the server is reached over HTTP, and by whom."""
    return {
        "public_url": public_url(given, problems),
        "auth_tokens": given.get(PREFIX + "AUTH_TOKENS"),
        "allowed_hosts": hosts("ALLOWED_HOSTS", given, problems),
        "allowed_origins": origins("ALLOWED_ORIGINS", given, problems),
        "oauth_issuer": url_setting("OAUTH_ISSUER", given, problems, exact=True),
        "oauth_audience": given.get(PREFIX + "OAUTH_AUDIENCE"),
        "oauth_jwks_url": url_setting("OAUTH_JWKS_URL", given, problems),
        "oauth_scopes": tuple(listed("OAUTH_SCOPES", given)),
    }


def own_variables() -> list[str]:
    """The variables of settings."""
    return [PREFIX + name.upper() for name in Settings.model_fields]


def strangers(environment: Mapping[str, str], provider_ids: Iterable[str] = (), keys: Iterable[str] = ()) -> list[str]:
    """Variables with our prefix that mean nothing here, each with the one that may have been meant."""
    return strange(environment, own_variables(), provider_ids, keys)


def finish(values: Mapping[str, object], problems: list[str]) -> Settings:
    """The settings, or every problem with them at once."""
    if len(problems) == 1:
        raise InvalidSettings(problems[0])
    if problems:
        raise InvalidSettings("\n  ".join([f"{len(problems)} settings cannot be used:", *problems]))
    return Settings.model_validate(values)
