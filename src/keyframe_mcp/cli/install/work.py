"""The steps of `keyframe-mcp install`: which file, which entry, what changes, and what to tell the person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Literal

from keyframe_mcp.cli.install import claude, writing
from keyframe_mcp.cli.install.entries import Entry, Local, Remote, wanted
from keyframe_mcp.cli.install.hosts import HOSTS, Host
from keyframe_mcp.cli.install.jsontext import rows, table
from keyframe_mcp.cli.install.links import LINKS, config_of
from keyframe_mcp.cli.install.machines import Machine
from keyframe_mcp.cli.install.merging import Document, difference, installed, removed, snippet
from keyframe_mcp.cli.install.starting import Installation
from keyframe_mcp.cli.install.variables import HIDDEN, NAME, REFERENCE, left_behind, read_variables, shown
from keyframe_mcp.errors import InvalidSettings, UnusableHostFile
from keyframe_mcp.settings.addresses import url_problem

Scope = Literal["user", "project"]
FIRST_WORDS = "Then ask the agent: which video models can you use? It should call list_models."
OUR_PART = "Only keyframe's part is shown; the rest of the file stays."
COPIES = "Copies beside it ({}.bak-...) may hold keys that were in it: delete them when you need them no more."


@dataclass(frozen=True)
class Surroundings:
    """Where the command runs."""

    machine: Machine
    project: Path
    installation: Installation
    keys: tuple[str, ...]
    providers: tuple[str, ...]
    now: datetime

    def keys_here(self) -> Sequence[str]:
        """The providers' keys that are set in this shell."""
        return [name for name in self.keys if self.machine.environment.get(name, "").strip()]


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    host: str
    scope: Scope | None
    variables: tuple[str, ...] = ()
    command: str = ""
    url: str = ""
    bearer_variable: str = ""
    remove: bool = False
    dry_run: bool = False
    with_keys: bool = False


def carry_out(wish: Wish, around: Surroundings, way: Literal["print", "link", "write"]) -> str:
    """Do it, and say what was done. Raises `InvalidSettings` or `UnusableHostFile`; then nothing was."""
    host, scope = HOSTS[wish.host], scope_of(wish)
    if way == "link":
        return link(wish, around)
    if wish.remove:
        return (
            by_claude(claude.removing(), claude.removing(), wish, around) if asks_claude(wish) else remove(wish, around)
        )
    server = server_of(wish, around, scope, lasting=way == "write")
    if asks_claude(wish):
        return add_by_claude(host, server, wish, around, way)
    path = file_of(wish, around)
    if way == "print" or path is None or host.form == "yaml":
        return printed(host, wanted(host, server, {}), path)
    before = document(host, path)
    after = installed(before, wanted(host, server, before.entry() or {}))
    return written(before, after, path, wish, around)


def scope_of(wish: Wish) -> Scope:
    """The scope that was asked for, or the host's first."""
    host = HOSTS[wish.host]
    has_user, has_project = bool(host.user) or wish.host == "claude-code" or not host.project, bool(host.project)
    if wish.scope == "project" and not has_project:
        raise InvalidSettings(f"{host.name} has no file for one project; leave --scope out")
    if wish.scope == "user" and not has_user:
        raise InvalidSettings(f"{host.name} documents only a file for one project; use --scope project in its folder")
    return wish.scope or ("user" if has_user else "project")


def asks_claude(wish: Wish) -> bool:
    """Whether the host's own program does it."""
    return wish.host == "claude-code" and scope_of(wish) == "user"


def file_of(wish: Wish, around: Surroundings) -> Path | None:
    """The file of a host; None where none is documented."""
    host = HOSTS[wish.host]
    if scope_of(wish) == "project":
        return preferred(around.project / host.project)
    place = user_place(host, around.machine)
    return None if place is None else preferred(Path(place))


def user_place(host: Host, machine: Machine) -> PurePath | None:
    """Where a host keeps what is one person's, on a machine."""
    if host.override and (chosen := machine.set_to(host.override)):
        return chosen
    template = host.user.get(machine.platform) or host.user.get("*")
    return machine.place(template) if template else None


def preferred(path: Path) -> Path:
    """The file itself, or the one with comments that is used in its place."""
    other = path.with_suffix(".jsonc")
    return other if path.name == "opencode.json" and other.exists() and not path.exists() else path


def document(host: Host, path: Path) -> Document:
    """The file as it is; one that is not there is empty."""
    return Document(host, str(path), writing.read_text(path) or "")


def server_of(wish: Wish, around: Surroundings, scope: Scope, *, lasting: bool = True) -> Local | Remote:
    """What the entry is to start, or to reach. `lasting`: the command has to be there tomorrow."""
    host = HOSTS[wish.host]
    if wish.url:
        return remote_of(wish, host)
    if wish.bearer_variable:
        raise InvalidSettings("--token-env is for --transport http; a server the host starts needs no token")
    if wish.with_keys and (scope == "project" or asks_claude(wish)):
        raise InvalidSettings(
            "--with-keys writes keys into a file of yours alone: not into a project's, which is shared, and not on "
            f"Claude Code's command line. Leave it out: {instead(host, around)}"
        )
    variables = read_variables(
        wish.variables, around.machine.environment, around.keys, around.providers, with_keys=wish.with_keys
    )
    if variables.references and not (host.reference or host.shape.passes):
        key = variables.references[0]
        how = by_value(host, key) if scope == "project" else "use --with-keys, which writes them there"
        raise InvalidSettings(f"{host.name} cannot refer to {key}: it hands on only values that are in its file; {how}")
    command = around.installation.command(wish.command, shared=scope == "project", lasting=lasting)
    return Local(command, variables)


def instead(host: Host, around: Surroundings) -> str:
    """How a project's entry gets to a key."""
    if host.reference or host.shape.passes:
        return "the entry refers to the keys instead"
    return by_value(host, [*around.keys_here(), *around.keys][0])


def by_value(host: Host, key: str) -> str:
    """What to type where a project's file has to hold the key itself."""
    return f"give its value with --env {key}=VALUE, and keep {host.project} out of git"


def remote_of(wish: Wish, host: Host) -> Remote:
    """A server that runs somewhere. Keys and settings are its own, not the host's."""
    if wish.variables or wish.with_keys or wish.command:
        raise InvalidSettings("--env, --with-keys and --command are for a server the host starts, not for --url")
    if host.remote_note:
        raise InvalidSettings(f"{host.remote_note}: add {wish.url} there")
    if problem := url_problem(wish.url):
        raise InvalidSettings(f"--url {problem}")
    if wish.bearer_variable and not NAME.fullmatch(wish.bearer_variable):
        raise InvalidSettings("--token-env takes the name of a variable, never the token itself")
    if wish.bearer_variable and not (host.reference or host.shape.bearer):
        raise InvalidSettings(
            f"{host.name} cannot refer to a variable in a header; leave --token-env out, and add the header by hand, "
            'below the address: "headers": {"Authorization": "Bearer THE-TOKEN"}'
        )
    return Remote(wish.url, wish.bearer_variable)


def link(wish: Wish, around: Surroundings) -> str:
    """The link of a host that has one."""
    if wish.host not in LINKS:
        raise InvalidSettings(f"{HOSTS[wish.host].name} has no such links; these have: {', '.join(LINKS)}")
    command = () if wish.url else around.installation.command(wish.command, lasting=False)
    return LINKS[wish.host](config_of(command, wish.url))


def printed(host: Host, entry: Entry, path: Path | None) -> str:
    """What belongs where."""
    where = f"This belongs into {path}:" if path else f"{host.name} documents no file to write. What to paste:"
    text = snippet(host, entry)
    stars = f"\n{HIDDEN} stands for a value that is not shown here; put yours, such as your key, in its place." * (
        HIDDEN in text
    )
    return f"{where}\n\n{text}\n{stars}\n{host.after}"


def remove(wish: Wish, around: Surroundings) -> str:
    """Take the entry out."""
    host, path = HOSTS[wish.host], file_of(wish, around)
    if path is None or host.form == "yaml":
        return f"{host.name} is not changed from here: remove keyframe in its settings."
    before = document(host, path)
    return written(before, removed(before), path, wish, around)


def written(before: Document, after: Document, path: Path, wish: Wish, around: Surroundings) -> str:
    """Write what changed, if anything did and was not only to be shown."""
    if before.text == after.text:
        return f"{path} says so already; nothing was written." if not wish.remove else f"{path} has no keyframe in it."
    diff = difference(before, after)
    if before.text.strip():
        diff += f"\n\n{OUR_PART}"
    if wish.dry_run:
        return f"{diff}\n\nNothing was written: this was a dry run."
    shared = scope_of(wish) == "project"
    there = writing.read_text(path)
    copy = writing.replace(path, there, after.text, around.now, shared=shared)
    kept = f"Wrote {path}; as it was it is in {copy.name}." if copy else f"Wrote {path}."
    more = [COPIES.format(path.name)] if wish.remove else told(wish, after, path, around)
    return "\n".join([diff, "", kept, *more])


def told(wish: Wish, after: Document, path: Path, around: Surroundings) -> Sequence[str]:
    """What to do next, and what the person should know."""
    lines = [HOSTS[wish.host].after, FIRST_WORDS]
    if wish.scope is None and scope_of(wish) == "project":
        lines.insert(0, f"It holds for this folder only: {around.project}. {HOSTS[wish.host].name} has no other file.")
    if wish.with_keys and not writing.is_private(path):
        lines.append(f"Note: others on this machine may read {path}, and the keys in it; chmod 600 keeps them out.")
    if not wish.url:
        lines += notes(wish, after.entry() or {}, around)
    return lines


def notes(wish: Wish, entry: Entry, around: Surroundings) -> Sequence[str]:
    """What of this shell the server will not see, and what others who share the file cannot use."""
    host, here = HOSTS[wish.host], around.machine.environment
    env: dict[str, str] = entry.get(host.shape.env) or {}
    handed = {*env, *(entry.get(host.shape.passes) or ())}
    lines: list[str] = []
    if behind := left_behind(here, list(handed)):
        example = " ".join(f"--env {name}" for name in behind)
        lines.append(f"Note: set in this shell only, and not handed on: {', '.join(behind)}. To hand on: {example}")
    lines += key_notes(host, entry, around, scope_of(wish))
    command = entry.get(host.shape.command)
    first = str((rows(command) or [command])[0])
    if scope_of(wish) == "project" and Path(first).is_absolute():
        lines.append('Note: the command is a path of this machine. If others share the file: --command "uvx ...".')
    return lines


def key_notes(host: Host, entry: Entry, around: Surroundings, scope: Scope) -> Iterator[str]:
    """Which keys of this shell the server does not get, and which are in a file that is easily shared."""
    if keys := unhanded(host, entry, around):
        how = by_value(host, keys[0]) if scope == "project" else "--with-keys writes them into its file"
        yield f"Note: {host.name} does not hand on {', '.join(keys)}; {how}."
    if scope == "project" and (held := held_keys(table(entry.get(host.shape.env)), around)):
        yield f"Note: the file holds a key now, {', '.join(held)}: keep {host.project} and its copies out of git."


def unhanded(host: Host, entry: Entry, around: Surroundings) -> Sequence[str]:
    """The keys of this shell that a server started by that entry does not get."""
    handed = {*table(entry.get(host.shape.env)), *map(str, rows(entry.get(host.shape.passes)))}
    return [name for name in around.keys_here() if name not in handed]


def held_keys(env: Mapping[str, str], around: Surroundings) -> Sequence[str]:
    """The keys whose values an entry holds, and does not only refer to."""
    return [name for name in around.keys if name in env and not REFERENCE.fullmatch(env[name])]


def add_by_claude(host: Host, server: Local | Remote, wish: Wish, around: Surroundings, way: str) -> str:
    """Have Claude Code add it."""
    entry = wanted(host, server, {})
    safe = claude.adding(shown(entry))
    if way == "print":
        return f"Run this:\n\n{claude.line(safe)}\n\n{host.after}"
    return by_claude(claude.adding(entry), safe, wish, around)


def by_claude(command: Sequence[str], safe: Sequence[str], wish: Wish, around: Surroundings) -> str:
    """Run one of Claude Code's commands. `safe` is the same as it may be shown."""
    program = around.installation.found("claude")
    if wish.dry_run:
        return f"Would run: {claude.line(safe)}"
    if program is None:
        raise UnusableHostFile(
            f"claude is not in the PATH. Run this where it is:\n{claude.line(safe)}\n"
            "or use --scope project in a project's folder."
        )
    if not wish.remove and claude.has_it(program):
        claude.asked(program, claude.removing(), claude.removing())
    said = claude.asked(program, command, safe)
    return said if wish.remove else "\n".join([said, HOSTS[wish.host].after, FIRST_WORDS])


def survey(around: Surroundings) -> str:
    """Which hosts there are on this machine, and what to do."""
    lines = [
        f"{host_id:16} {HOSTS[host_id].name:20} {status}" for host_id in HOSTS if (status := status_of(host_id, around))
    ]
    others = [host_id for host_id in HOSTS if not status_of(host_id, around)]
    found = ["Found on this machine:", *lines] if lines else ["None of the hosts known here was found on this machine."]
    also = f"Also known: {', '.join(others)}." if others else ""
    return "\n".join([*found, also, "Add this server to one: keyframe-mcp install HOST", "First to look: --dry-run"])


def status_of(host_id: str, around: Surroundings) -> str:
    """What can be said of a host; empty when it is not here."""
    host = HOSTS[host_id]
    if host_id == "claude-code":
        return "claude is in the PATH" if around.installation.found("claude") else ""
    place = user_place(host, around.machine)
    if place is None or not Path(place).parent.is_dir():
        return ""
    if host.form == "yaml":
        return "is shown what to add, with --print"
    try:
        has_it = document(host, Path(place)).entry() is not None
    except UnusableHostFile as error:
        return f"! {error}"
    return "has keyframe" if has_it else "does not have keyframe yet"
