"""The command line. Every command goes through the same engine as the tools; there is no logic here."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

import click

from keyframe_mcp import __version__
from keyframe_mcp.errors import BudgetExceeded, CallerError, KeyframeError, OperatorError

EXIT_CODES = (
    "Exit codes: 0 done, 1 the video failed or was cancelled, 2 wrong arguments, 3 this installation is not set up "
    "for it, 4 the provider's trouble, 5 still running when the time was over, 6 more than may be spent, in a dry run "
    "too."
)
OVER_BUDGET = 6

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "serve": "keyframe_mcp.cli.serve:serve",
        "demo": "keyframe_mcp.cli.demo:demo",
        "install": "keyframe_mcp.cli.install:install",
        "generate": "keyframe_mcp.cli.generate:generate",
        "regenerate": "keyframe_mcp.cli.regenerate:regenerate",
        "task": "keyframe_mcp.cli.task:task",
        "models": "keyframe_mcp.cli.models:models",
        "doctor": "keyframe_mcp.cli.doctor:doctor",
        "completion": "keyframe_mcp.cli.completion:completion",
    }
)
"""Imported when used: a host that starts the server should not wait for the demo's imports."""


class Commands(click.Group):
    """The commands, loaded on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one, or for a shell that completes a line only its outline."""
        if cmd_name not in COMMANDS:
            return None
        if ctx.resilient_parsing:
            from keyframe_mcp.cli.outline import outlined  # noqa: PLC0415 - only a shell needs it

            return outlined(cmd_name) or load_command(cmd_name)
        return load_command(cmd_name)


def load_command(name: str) -> click.Command:
    """Import one command."""
    module, _, attribute = COMMANDS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="keyframe-mcp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Video generation for AI agents, over the Model Context Protocol.

    Without a command it serves MCP on standard input and output: that is what a host's configuration should start.
    To see it work, run `keyframe-mcp demo`. Nothing here needs a key; without one, videos are previews drawn on
    this machine.
    """
    if context.invoked_subcommand is None:
        from keyframe_mcp.cli.serve import serve  # noqa: PLC0415 - only the server needs what this imports

        context.invoke(serve, transport="stdio")


def main() -> None:
    """Run the command line; our own errors become a sentence and an exit code, never a traceback."""
    try:
        cli.main(standalone_mode=True)
    except KeyframeError as error:
        fail(error)
    except ExceptionGroup as group:
        ours, others = group.split(KeyframeError)
        if ours is None or others is not None:
            raise
        fail(first(ours))
    except Exception as error:
        # the MCP SDK imports OpenTelemetry, which reads its variables then and raises what it likes
        from keyframe_mcp.telemetry.standard import is_of_opentelemetry, unusable  # noqa: PLC0415 - seldom needed

        if not is_of_opentelemetry(error):
            raise
        fail(unusable(error, os.environ))


def fail(error: KeyframeError) -> None:
    """Say what happened, in the words of the command line, and leave."""
    click.echo(f"keyframe-mcp: {error}".replace("strict=false", "--no-strict"), err=True)
    if isinstance(error, BudgetExceeded):
        sys.exit(OVER_BUDGET)
    sys.exit(2 if isinstance(error, CallerError) else 3 if isinstance(error, OperatorError) else 4)


def first(group: ExceptionGroup[KeyframeError]) -> KeyframeError:
    """One of the errors of a group."""
    inner = group.exceptions[0]
    return first(inner) if isinstance(inner, ExceptionGroup) else inner
