"""`python -m distribution`, from the folder of the tests: `package`, or `bundle`. Exit code 0 when all of it worked."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from distribution import bundles, combinations


@click.group()
def main() -> None:
    """Make what is handed out, and try it as whoever gets it would."""


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".package"), help="For the environments.")
@click.option("--only", multiple=True, metavar="3.12", help="Just this Python.")
def package(folder: Path, only: tuple[str, ...]) -> None:
    """Install the wheel with the newest and the oldest dependencies on every Python of this machine, and use it."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.exit(1 if combinations.package(folder.resolve(), only) else 0)


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".bundle"), help="For the tool and the stage.")
@click.option("--into", type=click.Path(path_type=Path), default=Path("dist"), help="For the bundle.")
def bundle(folder: Path, into: Path) -> None:
    """Pack the bundle for desktop hosts, unpack it, start it as a host would, and have it draw a video."""
    folder.mkdir(parents=True, exist_ok=True)
    bundles.bundle(folder.resolve(), into.resolve())


if __name__ == "__main__":
    main()
