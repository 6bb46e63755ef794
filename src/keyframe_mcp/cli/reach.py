"""How others get to this server: over HTTP, and from the MCP hosts of this machine. And what it tells outwards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.cli.finding import Finding, checked
from keyframe_mcp.cli.install.hosts import HOSTS
from keyframe_mcp.cli.install.jsontext import table
from keyframe_mcp.cli.install.machines import Machine
from keyframe_mcp.cli.install.starting import Installation
from keyframe_mcp.cli.install.work import Surroundings, document, status_of, unhanded, user_place
from keyframe_mcp.engine.callbacks import callable_url
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.settings import Settings

LISTENS = ("127.0.0.1", 8765)
HAS_IT = "has keyframe"


def over_http(found: Settings, catalog: Catalog | None) -> Finding:
    """Whether it is set up to be reached by others, and by whom. No token is shown."""
    chosen = (found.public_url, found.auth_tokens, found.allowed_hosts, found.oauth_issuer, found.oauth_audience)
    if not any((*chosen, found.oauth_jwks_url, found.oauth_scopes)):
        return Finding("HTTP", "for this machine only, once started: keyframe-mcp serve --transport http")
    return checked("HTTP", lambda: entrance(found, catalog), "mend what is named, or unset these variables")


def entrance(found: Settings, catalog: Catalog | None) -> str:
    """Where the server is reached, and who is let in. Raises `InvalidSettings`."""
    from keyframe_mcp.server.http.access import access_of  # noqa: PLC0415 - it brings the whole HTTP server

    access = access_of(found, *LISTENS)
    owners = dict.fromkeys(token.owner for token in access.tokens)
    doors = [f"tokens of {', '.join(owners)}"] if owners else []
    doors += [f"OAuth tokens of {access.oauth.issuer} for {access.oauth.audience}"] if access.oauth else []
    return f"{access.base_url}; {' and '.join(doors) or 'without a sign-in'}; {calls(found, catalog)}"


def calls(found: Settings, catalog: Catalog | None) -> str:
    """Which providers call back when a job is done. Raises `InvalidSettings`."""
    if callable_url(found.public_url, loopback=found.allow_loopback) is None:
        return "no callbacks: they need a KEYFRAME_PUBLIC_URL with https"
    there = catalog.providers.items() if catalog else ()
    names = [name for name, each in there if each.webhooks and found.key(each.key) is not None]
    return f"callbacks from {', '.join(names)}" if names else "no callbacks: no provider with a key makes them"


def telemetry(found: Settings) -> Finding:
    """Whether traces and metrics are sent, and whether they can be."""
    if not found.telemetry:
        return Finding("telemetry", "off")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        advice = "pip install 'keyframe-mcp[telemetry]', or unset KEYFRAME_TELEMETRY"
        return Finding("telemetry", "on, and what sends it is not installed", ok=False, advice=advice)
    return Finding("telemetry", "on, to where the OTEL_ variables say", ok=True)


def surroundings(keys: Sequence[str]) -> Surroundings:
    """Where to look for hosts, and for which keys: this machine, and the folder this runs in."""
    return Surroundings(Machine.here(), Path.cwd(), Installation.here(), tuple(keys), (), datetime.now().astimezone())


def hosts(around: Surroundings) -> Finding:
    """Which MCP hosts of this machine start this server, and which are there and do not."""
    states = {host_id: status_of(host_id, around) for host_id in HOSTS}
    within = [host_id for host_id, state in states.items() if state == HAS_IT or in_project(host_id, around)]
    within += ["claude-code"] if "claude-code" not in within and claude_has_it(around) else []
    others = [
        host_id for host_id, state in states.items() if state and host_id not in within and not state.startswith("!")
    ]
    if within:
        also = f"; not in {', '.join(others)}" if others else ""
        lacking = "".join(f"; {each}" for each in without_keys(around))
        return Finding("hosts", f"keyframe is in {', '.join(names(within))}{also}{lacking}", ok=True)
    if others:
        return Finding(
            "hosts", f"found, without keyframe: {', '.join(others)}", advice=f"run: keyframe-mcp install {others[0]}"
        )
    return Finding("hosts", "none that is known was found on this machine", advice="keyframe-mcp install lists them")


def files(around: Surroundings) -> Iterator[tuple[str, Path]]:
    """Every file of a host that can be read here: the user's, and this folder's. Several hosts may share one."""
    for host_id, host in HOSTS.items():
        place = user_place(host, around.machine)
        if place is not None and host.form != "yaml":
            yield host_id, Path(place)
        if host.project:
            yield host_id, around.project / host.project


def broken_files(around: Surroundings) -> Iterator[Finding]:
    """The files of hosts that nobody can read, their hosts included."""
    said = dict[str, str]()
    for host_id, path in files(around):
        try:
            document(HOSTS[host_id], path).entry()
        except KeyframeError as error:
            said.setdefault(str(path), str(error).partition(". Nothing was changed")[0])
    for trouble in said.values():
        yield Finding("host file", trouble, ok=False, advice="mend it; its host cannot read it either")


def without_keys(around: Surroundings) -> Iterator[str]:
    """The hosts whose server does not get a key that this shell has. Only the names of keys are told."""
    for host_id, path in files(around):
        try:
            entry = document(HOSTS[host_id], path).entry()
        except KeyframeError:
            continue  # told by `broken_files`
        # Claude Code hands its whole environment on, and a server that runs somewhere has keys of its own
        if entry is None or host_id == "claude-code" or HOSTS[host_id].shape.url in entry:
            continue
        if lacking := unhanded(HOSTS[host_id], entry, around):
            yield f"{HOSTS[host_id].name} does not hand on {', '.join(lacking)}, which this shell has"


def names(host_ids: list[str]) -> Iterator[str]:
    """Hosts as people call them."""
    yield from (HOSTS[host_id].name for host_id in host_ids)


def in_project(host_id: str, around: Surroundings) -> bool:
    """Whether the file a host has for this folder names the server."""
    host = HOSTS[host_id]
    try:
        return bool(host.project) and document(host, around.project / host.project).entry() is not None
    except KeyframeError:
        return False


def claude_has_it(around: Surroundings) -> bool:
    """Whether Claude Code's own file names the server, for everything or for this folder. It is only read."""
    try:
        said: object = json.loads(Path(around.machine.home, ".claude.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    project = table(table(table(said).get("projects")).get(str(around.project)))
    return any("keyframe" in table(each.get("mcpServers")) for each in (table(said), project))
