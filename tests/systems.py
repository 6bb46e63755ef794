"""All five emulated providers beside a server that has their keys, and the calls an agent makes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from mcp import Client

from emulators.baicai import Baicai
from emulators.gateway import Gateway
from emulators.replicate import Replicate
from emulators.siliconflow import SiliconFlow
from emulators.wavespeed import WaveSpeed
from keyframe_mcp.app import Application
from keyframe_mcp.server import build_server
from studio import ME, open_server_inside

KEY = "emulated-key"
LIMIT = 45


@dataclass(frozen=True)
class Systems:
    """The providers, and a client of a server that uses them."""

    wavespeed: WaveSpeed
    siliconflow: SiliconFlow
    baicai: Baicai
    replicate: Replicate
    gateway: Gateway
    application: Application
    client: Client
    folder: Path

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's structure, checked against the schema it advertises."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, said(result)
        (schema,) = [each.output_schema for each in (await self.client.list_tools()).tools if each.name == tool]
        assert schema is not None
        jsonschema.validate(result.structured_content, schema)
        return json.loads(json.dumps(result.structured_content))

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The text of a call that is refused."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        return said(result)

    async def made(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A task once it is settled."""
        started = await self.call(tool, **arguments)
        return await self.settled(started["task_id"])

    async def settled(self, task_id: str) -> dict[str, Any]:
        """A task, after waiting for its end."""
        return await self.call("get_task", task_id=task_id, wait_seconds=LIMIT)


def said(result: Any) -> str:
    return " ".join(block.text for block in result.content if block.type == "text")


@asynccontextmanager
async def open_systems(folder: Path, **more: str) -> AsyncGenerator[Systems]:
    """Everything running on loopback. `more` are further environment variables."""
    async with AsyncExitStack() as stack:
        wavespeed = await stack.enter_async_context(WaveSpeed())
        siliconflow = await stack.enter_async_context(SiliconFlow())
        baicai = await stack.enter_async_context(Baicai())
        replicate = await stack.enter_async_context(Replicate())
        gateway = await stack.enter_async_context(Gateway())
        environment = {
            "KEYFRAME_ALLOW_LOOPBACK": "1",
            "KEYFRAME_WAVESPEED_BASE_URL": wavespeed.base_url,
            "KEYFRAME_SILICONFLOW_BASE_URL": siliconflow.base_url,
            "KEYFRAME_BAICAI_BASE_URL": baicai.base_url,
            "KEYFRAME_REPLICATE_BASE_URL": replicate.base_url,
            "KEYFRAME_GATEWAY_BASE_URL": gateway.base_url,
            "WAVESPEED_API_KEY": KEY,
            "SILICONFLOW_API_KEY": KEY,
            "BAICAI_API_KEY": KEY,
            "REPLICATE_API_TOKEN": KEY,
            "GATEWAY_API_KEY": KEY,
        }
        application = await stack.enter_async_context(open_server_inside(folder, **(environment | more)))
        client = await stack.enter_async_context(Client(build_server(application, ME)))
        yield Systems(wavespeed, siliconflow, baicai, replicate, gateway, application, client, folder)
