"""The emulated providers as a program."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from emulators.calls import client_of

FOLDER = Path(__file__).parent.parent


async def text_until(found: str, stream: TextReceiveStream) -> str:
    """What was printed up to and with some text."""
    text = ""
    with anyio.fail_after(20):
        while found not in text:
            text += await stream.receive()
    return text


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
async def test_the_program_serves_all_five_says_how_and_ends_on_ctrl_c():
    command = [sys.executable, "-m", "emulators", "--port", "0"]
    environment = dict(os.environ) | {"PYTHONPATH": str(FOLDER), "PYTHONUNBUFFERED": "1"}
    process = await anyio.open_process(command, env=environment, stderr=None)
    try:
        assert process.stdout is not None
        output = TextReceiveStream(process.stdout)
        printed = await text_until("GATEWAY_API_KEY=emulated-key", output)
        addresses = dict(re.findall(r"KEYFRAME_(\w+)_BASE_URL=(\S+)", printed))
        assert list(addresses) == ["WAVESPEED", "SILICONFLOW", "BAICAI", "REPLICATE", "GATEWAY"]
        assert "KEYFRAME_ALLOW_LOOPBACK=1" in printed
        async with client_of() as client:
            balance = await client.get(addresses["WAVESPEED"] + "/api/v3/balance")
            assert balance.status_code == 200
            assert (await client.post(addresses["SILICONFLOW"] + "/video/submit", json={})).status_code == 400
        assert re.search(r"wavespeed +balance +200 +GET /api/v3/balance", await text_until("submit", output))
        process.send_signal(signal.SIGINT)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()
