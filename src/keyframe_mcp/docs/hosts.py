"""The pages about hosts, from the same facts that `keyframe-mcp install` works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from keyframe_mcp.cli.install import claude
from keyframe_mcp.cli.install.entries import Local, Remote, wanted
from keyframe_mcp.cli.install.hosts import HOSTS, READ, Host
from keyframe_mcp.cli.install.links import LINKS, config_of, for_the_web
from keyframe_mcp.cli.install.machines import PLATFORMS, SHOWN
from keyframe_mcp.cli.install.merging import snippet
from keyframe_mcp.cli.install.starting import IS_PUBLISHED, PUBLISHED
from keyframe_mcp.cli.install.variables import HIDDEN, Variables
from keyframe_mcp.cli.install.work import user_place

URL, TOKEN = "https://video.example.com/mcp", "VIDEO_TOKEN"
FENCES = {"json": "json", "jsonc": "json", "toml": "toml", "yaml": "yaml"}
EXAMPLE = Variables({"KEYFRAME_OUTPUT_DIR": "/home/you/Videos/Keyframe"})
UNPUBLISHED = (
    "Once the package is published; in a clone the command is its own path: "
    "`/path/to/keyframe-mcp/.venv/bin/keyframe-mcp`, without arguments."
)
UNPUBLISHED_PIP = (
    "`pip install 'keyframe-mcp[...]'` works once the package is published; in a clone it is\n"
    "`.venv/bin/python -m pip install -e '.[...]'`, and the command is `.venv/bin/keyframe-mcp`."
)


def blocks() -> Mapping[str, Callable[[], str]]:
    """Every block of these pages."""
    pages = {f"host-{host_id}": partial(page, host_id) for host_id in HOSTS}
    return {"hosts": index, "host-links": links, "unpublished-pip": partial(until_published, UNPUBLISHED_PIP), **pages}


def until_published(text: str) -> str:
    """What a page has to say until there is a package."""
    return "" if IS_PUBLISHED else text


def index() -> str:
    """Every host, with its page and what can be done for it."""
    rows = ["| Host | Command | For a project | One click | Keys by reference |", "|---|---|---|---|---|"]
    for host_id, host in HOSTS.items():
        does = [bool(host.project), host_id in LINKS, bool(host.reference or host.shape.passes)]
        cells = " | ".join("yes" if each else "" for each in does)
        rows.append(f"| [{host.name}]({host_id}.md) | `keyframe-mcp install {host_id}` | {cells} |")
    return "\n".join(rows)


def links() -> str:
    """The links a page can carry, for the published package, without a key."""
    config = config_of(PUBLISHED, "")
    found = {host_id: for_the_web(host_id, make(config)) for host_id, make in LINKS.items()}
    return " · ".join(
        f"[Add to {HOSTS[host_id].name}]({link})" for host_id, link in found.items() if link.startswith("https:")
    )


def page(host_id: str) -> str:
    """What repeats on a host's page: the command, the file, its content, and the form for a remote server."""
    host = HOSTS[host_id]
    parts = ["## With the command", commands(host_id), "## By hand", until_published(UNPUBLISHED), places(host_id)]
    parts += [fenced(host, local(host)), "## A server that runs somewhere", *somewhere(host_id)]
    parts += ["## Keys", keys(host_id), sources(host)]
    return "\n\n".join(part for part in parts if part)


def somewhere(host_id: str) -> Sequence[str]:
    """The form for a remote server, and how its token gets there."""
    host = HOSTS[host_id]
    if host.remote_note:
        return [f"{host.remote_note}."]
    if host.reference or host.shape.bearer:
        command = f"keyframe-mcp install {host_id} --transport http --url {URL} --token-env {TOKEN}"
        return [f"```sh\n{command}\n```", fenced(host, wanted(host, Remote(URL, TOKEN), {}))]
    header = {host.shape.headers: {"Authorization": HIDDEN}}
    return [
        f"```sh\nkeyframe-mcp install {host_id} --transport http --url {URL}\n```",
        "The command writes no token. Add the header by hand, with the token itself, and keep the file to yourself:",
        fenced(host, wanted(host, Remote(URL), {}) | header).replace(HIDDEN, "Bearer THE-TOKEN"),
        f"That a header may stand there is from <{host.header_page}>, read {READ}.",
    ]


def sources(host: Host) -> str:
    """Where the facts are from, and whether they were tried."""
    tried = f"Tried with {host.name} {host.tried}." if host.tried else f"{host.name} itself was not run for this page."
    return f"Facts are from a copy of <{host.page}>, read {READ}. {tried}"


def commands(host_id: str) -> str:
    """What to type."""
    lines = [
        f"keyframe-mcp install {host_id} --dry-run     # shows what would change",
        f"keyframe-mcp install {host_id}",
    ]
    if HOSTS[host_id].project and (HOSTS[host_id].user or host_id == "claude-code"):
        lines.append(f"keyframe-mcp install {host_id} --scope project")
    lines += [f"keyframe-mcp install {host_id} --link"] * (host_id in LINKS)
    text = "```sh\n" + "\n".join(lines) + "\n```"
    if host_id not in LINKS:
        return text
    link = for_the_web(host_id, LINKS[host_id](config_of(PUBLISHED, "")))
    way = f"[Add to {HOSTS[host_id].name}]({link})" if link.startswith("https:") else f"```text\n{link}\n```"
    return f"{text}\n\nOr open this link{until_published(', once the package is published')}:\n\n{way}"


def places(host_id: str) -> str:
    """Which file, on which platform."""
    host = HOSTS[host_id]
    rows = [
        f"| {PLATFORMS[platform]} | `{place}` |"
        for platform, machine in SHOWN.items()
        if (place := user_place(host, machine)) is not None
    ]
    table = ["| Platform | File |", "|---|---|", *rows] if rows else []
    project = [f"For one project: `{host.project}` in its folder."] if host.project else []
    if host_id == "claude-code":
        entry = wanted(host, Local(PUBLISHED, EXAMPLE), {})
        project.append(f"For you everywhere:\n\n```sh\n{claude.line(claude.adding(entry))}\n```\n\nThe project's file:")
    return "\n\n".join(["\n".join(table), *project] if table else project or [host.after])


def local(host: Host) -> dict[str, object]:
    """The entry of the published package."""
    return wanted(host, Local(PUBLISHED, EXAMPLE), {})


def fenced(host: Host, entry: Mapping[str, object]) -> str:
    """An entry as a block of code."""
    return f"```{FENCES[host.form]}\n{snippet(host, entry)}\n```"


def keys(host_id: str) -> str:
    """How a provider's key gets to the server."""
    host = HOSTS[host_id]
    if host.shape.passes:
        return f"Export the key where {host.name} starts: the entry names the variables, and they are handed on."
    if host.asks:
        example = host.reference.format("keyframe-wavespeed-api-key")
        return (
            f"`--env WAVESPEED_API_KEY` writes `{example}`: {host.name} asks for the key at the first start, "
            "and keeps it."
        )
    if host.reference:
        example = host.reference.format("WAVESPEED_API_KEY")
        return (
            f"`--env WAVESPEED_API_KEY` writes `{example}`: export the key where {host.name} starts. "
            + "Or `--with-keys` writes the keys of this shell into your own file." * bool(host.user)
        ).rstrip()
    if host.project and not host.user:
        return (
            f"{host.name}'s documentation names no way to refer to a variable: `--env WAVESPEED_API_KEY=VALUE` writes "
            f"the key itself into the project's file. Keep `{host.project}` out of git."
        )
    if not host.user:
        return (
            f"{host.name}'s documentation names no way to refer to a variable: with a key in this shell, "
            f"`keyframe-mcp install {host_id} --with-keys` shows where it stands in `env`; put it there in place of "
            f"`{HIDDEN}`."
        )
    return (
        f"{host.name}'s documentation names no way to refer to a variable: `--with-keys` writes the keys of this shell "
        "into the file. A new file is readable to you alone."
    )
