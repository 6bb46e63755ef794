"""`keyframe-mcp install`: tells a host how to start this server, in the host's own file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.cli.install.hosts import HOSTS
from keyframe_mcp.cli.install.machines import Machine
from keyframe_mcp.cli.install.starting import Installation
from keyframe_mcp.cli.install.work import Surroundings, Wish, carry_out, survey


@click.command()
@click.argument("host", required=False, type=click.Choice(list(HOSTS)), metavar="[HOST]")
@click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    help="For you everywhere, or for the project in this folder. Default: user, where the host has it.",
)
@click.option("--print", "only_print", is_flag=True, help="Show what belongs where, and write nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--remove", is_flag=True, help="Take this server out of the host again.")
@click.option("--link", is_flag=True, help="Show the link that makes the host ask whether to add it.")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A variable the server is to get: NAME=VALUE, or NAME as it is in this shell; a provider's key by NAME "
    "is written as a reference. NAME= takes it out. Repeatable.",
)
@click.option(
    "--with-keys", is_flag=True, help="Write the values of the providers' keys that are set here into the file."
)
@click.option(
    "--command", "command_line", default="", help="How the host starts this server, instead of what is found."
)
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http"]),
    default="stdio",
    show_default=True,
    help="http for a server that runs somewhere already, at --url.",
)
@click.option("--url", default="", help="The address of that server, with its path: https://host/mcp.")
@click.option("--token-env", default="", metavar="NAME", help="The variable its token is in, where the host runs.")
def install(  # noqa: PLR0917 - click passes options by name
    host: str | None,
    scope: Literal["user", "project"] | None,
    only_print: bool,  # noqa: FBT001 - click passes options by name
    dry_run: bool,  # noqa: FBT001 - as above
    remove: bool,  # noqa: FBT001 - as above
    link: bool,  # noqa: FBT001 - as above
    variables: tuple[str, ...],
    with_keys: bool,  # noqa: FBT001 - as above
    command_line: str,
    transport: Literal["stdio", "http"],
    url: str,
    token_env: str,
) -> None:
    """Add this server to an MCP host's configuration, keeping everything else in it.

    Without a HOST it says which are on this machine. A copy of the file as it was is kept beside it.
    """
    if (transport == "http") is not bool(url):
        raise click.UsageError("--transport http and --url go together")
    if sum((only_print, dry_run and not remove, link)) > 1 or (remove and (link or only_print)):
        raise click.UsageError("choose one of --print, --dry-run, --link; of them only --dry-run goes with --remove")
    if link and (variables or with_keys or token_env or scope):
        raise click.UsageError(
            "a link carries a command or an address, and nothing else: leave --env, --with-keys, --token-env and "
            "--scope out, or install without --link"
        )
    around = surroundings()
    if host is None:
        if only_print or dry_run or remove or link:
            raise click.UsageError(f"name a host: {', '.join(HOSTS)}")
        click.echo(survey(around))
        return
    if with_keys and not around.keys_here():
        raise click.UsageError(
            f"--with-keys writes the keys that are set in this shell, and none of {', '.join(around.keys)} is; "
            "export one first, or leave --with-keys out"
        )
    if (only_print or link) and not url and not command_line and (doubt := around.installation.passing()):
        click.echo(f"Note: {doubt}", err=True)
    wish = Wish(
        host, scope, variables, command_line, url, token_env, remove=remove, dry_run=dry_run, with_keys=with_keys
    )
    click.echo(carry_out(wish, around, "print" if only_print else "link" if link else "write"))


def surroundings() -> Surroundings:
    """The machine, the shell and the moment."""
    catalog = catalogs.load()
    return Surroundings(
        machine=Machine.here(),
        project=Path.cwd(),
        installation=Installation.here(),
        keys=tuple(provider.key for provider in catalog.providers.values() if provider.key),
        providers=tuple(catalog.providers),
        now=datetime.now().astimezone(),
    )
