"""What a host's file says about this server: made from its shape, and brought together with what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyframe_mcp.cli.install.hosts import Host, Shape
from keyframe_mcp.cli.install.jsontext import rows, table
from keyframe_mcp.cli.install.variables import Variables

NAME = "keyframe"
Entry = dict[str, Any]


@dataclass(frozen=True)
class Local:
    """A server the host starts."""

    command: Sequence[str]
    variables: Variables


@dataclass(frozen=True)
class Remote:
    """A server that runs somewhere. The token is in a variable, or there is none."""

    url: str
    bearer_variable: str = ""


def wanted(host: Host, server: Local | Remote, old: Mapping[str, Any]) -> Entry:
    """The entry as it should be: ours where we say something, and everything else that was there."""
    made = local(host, server, old) if isinstance(server, Local) else remote(host, server)
    other = {name: each for name, each in old.items() if name not in said(host.shape)}
    ours = {name: each for name, each in made.items() if name not in host.shape.usual or name not in old}
    return in_order(old, other | ours)


def in_order(old: Iterable[str], entry: Entry) -> Entry:
    """What was there keeps its place."""
    return {name: entry[name] for name in [*(name for name in old if name in entry), *entry]}


def said(shape: Shape) -> set[str]:
    """The parts of an entry that are ours to say; one that is not said any more goes."""
    words = {shape.command, shape.args, shape.env, shape.passes, shape.url, shape.headers, shape.bearer}
    return (words | {"type"} if "type" in shape.local or "type" in shape.remote else words) - {""}


def local(host: Host, server: Local, old: Mapping[str, Any]) -> Entry:
    """An entry for a server the host starts."""
    shape, (command, *arguments) = host.shape, server.command
    parts: Entry = (
        {shape.command: command, shape.args: list(arguments)} if shape.args else {shape.command: [command, *arguments]}
    )
    entry: Entry = {**shape.local, **parts}
    if env := environment(host, server.variables, old.get(shape.env)):
        entry[shape.env] = env
    if shape.passes:
        passed = [*rows(old.get(shape.passes)), *server.variables.known, *server.variables.references]
        entry[shape.passes] = list(dict.fromkeys(name for name in passed if name not in env))
    return entry | dict(shape.usual)


def environment(host: Host, variables: Variables, old: object) -> dict[str, str]:
    """The variables of an entry. A reference nobody asked for replaces nothing."""
    before: dict[str, str] = table(old)
    offered = {name: refer(host, name) for name in variables.offered if host.reference and name not in before}
    asked = {name: refer(host, name) for name in variables.references if host.reference}
    env = before | offered | asked | dict(variables.values)
    return {name: each for name, each in env.items() if name not in variables.removed}


def remote(host: Host, server: Remote) -> Entry:
    """An entry for a server that runs somewhere."""
    shape = host.shape
    entry: Entry = {**shape.remote, shape.url: server.url}
    if server.bearer_variable and shape.bearer:
        entry[shape.bearer] = server.bearer_variable
    elif server.bearer_variable:
        entry[shape.headers] = {"Authorization": f"Bearer {refer(host, server.bearer_variable)}"}
    return entry | dict(shape.usual)


def refer(host: Host, variable: str) -> str:
    """How a value of the file refers to a variable."""
    return host.reference.format(question(variable) if host.asks else variable)


def question(variable: str) -> str:
    """The id of the question a host asks for a variable."""
    return f"{NAME}-{variable.lower().replace('_', '-')}"


def questions(host: Host, entry: Mapping[str, Any]) -> list[Entry]:
    """The questions the references of an entry need."""
    values = [*table(entry.get(host.shape.env)).items(), *table(entry.get(host.shape.headers)).items()]
    found = [(name, each) for name, each in values if isinstance(each, str) and "${input:" + NAME in each]
    return [
        {
            "type": "promptString",
            "id": each.partition("${input:")[2].rstrip("}"),
            "description": about(name),
            "password": True,
        }
        for name, each in found
    ]


def about(name: str) -> str:
    """What a question asks for."""
    return "Token for Keyframe" if name == "Authorization" else f"{name} for Keyframe; empty if you have none"
