"""The emulated providers to try things by hand: `python -m emulators`, from the folder of the tests."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import anyio
import click

from emulators.baicai import Baicai
from emulators.gateway import Gateway
from emulators.jobs import Asked, by_the_clock
from emulators.provider import EMULATED_KEY, Emulator, Observer
from emulators.replicate import Replicate
from emulators.siliconflow import SiliconFlow
from emulators.wavespeed import WaveSpeed

PROVIDERS: tuple[tuple[type[Emulator], str], ...] = (
    (WaveSpeed, "WAVESPEED_API_KEY"),
    (SiliconFlow, "SILICONFLOW_API_KEY"),
    (Baicai, "BAICAI_API_KEY"),
    (Replicate, "REPLICATE_API_TOKEN"),
    (Gateway, "GATEWAY_API_KEY"),
)


@click.command()
@click.option("--port", default=8701, show_default=True, help="Of the first provider; the others follow it. 0: any.")
@click.option("--seconds", default=10.0, show_default=True, help="How long a job takes.")
@click.option("--any-model", is_flag=True, help="WaveSpeed: run models outside its list too, with whatever inputs.")
def main(port: int, seconds: float, *, any_model: bool) -> None:
    """Serve every emulated provider on this machine until Ctrl-C, and say what is asked of them."""
    try:
        anyio.run(serve, port, seconds, any_model)
    except KeyboardInterrupt:
        click.echo("")
    except OSError as error:
        taken = f"{error.strerror}; choose other ports with make emulators PORT=9000, or --port 9000"
        raise click.ClickException(taken) from None


async def serve(port: int, seconds: float, any_model: bool) -> None:
    """Open them all, and stay."""
    pace = by_the_clock(queued=seconds * 0.2, running=seconds * 0.8)
    async with AsyncExitStack() as stack:
        lines = ["export KEYFRAME_ALLOW_LOOPBACK=1"]
        for number, (kind, variable) in enumerate(PROVIDERS):
            provider = kind(port=port and port + number, pace=pace, observer=teller(kind.name), by_hand=True)
            if isinstance(provider, WaveSpeed):
                provider.any_model = any_model
            await stack.enter_async_context(provider)
            lines.append(f"export KEYFRAME_{kind.name.upper()}_BASE_URL={provider.base_url} {variable}={EMULATED_KEY}")
        click.echo("# paste this where the server is started; Ctrl-C ends the emulated providers")
        click.echo("\n".join([*lines, ""]))
        await anyio.sleep_forever()


def teller(name: str) -> Observer:
    """Says in a line what was asked of a provider, and what it answered."""

    def tell(asked: Asked, outcome: str) -> None:
        click.echo(f"{time.strftime('%H:%M:%S')}  {name:<12} {asked.kind:<9} {outcome:<5} {asked.method} {asked.path}")

    return tell


if __name__ == "__main__":
    main()
