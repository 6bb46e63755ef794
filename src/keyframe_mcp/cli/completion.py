"""`keyframe-mcp completion`: what makes a shell complete commands, options, models and tasks."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from keyframe_mcp.cli import cli

PROGRAM, VARIABLE = "keyframe-mcp", "_KEYFRAME_MCP_COMPLETE"
"""click makes the variable's name of the program's."""

INTO = """\
  bash   echo 'eval "$(keyframe-mcp completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(keyframe-mcp completion zsh)"' >> ~/.zshrc     after compinit
  fish   keyframe-mcp completion fish > ~/.config/fish/completions/keyframe-mcp.fish
"""


@click.command(epilog=f"\b\nTo have it in every new shell:\n{INTO}")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, model ids and task ids in a shell.

    Bash must be 4.4 or newer; the one that comes with macOS is older.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click does not know {shell}; update it")
    click.echo(kind(cli, {}, PROGRAM, VARIABLE).source())
