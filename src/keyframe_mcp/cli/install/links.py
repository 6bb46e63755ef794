"""Links that make a host ask its user whether to add this server. They hold a command, and never a key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from keyframe_mcp.cli.install.entries import NAME
from keyframe_mcp.cli.install.jsontext import rows

ABOUT = "Video generation: first and last frame, image, text"

Config = Mapping[str, object]


def config_of(command: Sequence[str], url: str) -> Config:
    """A server as links describe it."""
    return {"url": url} if url else {"command": command[0], "args": list(command[1:])}


def packed(config: Config) -> str:
    """JSON in base64, for a query."""
    text = json.dumps(config, separators=(",", ":"))
    return quote(base64.b64encode(text.encode()).decode(), safe="")


def cursor(config: Config) -> str:
    """https://cursor.com/docs/mcp/install-links, read 2026-11-21."""
    return f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={packed(config)}"


def vscode(config: Config) -> str:
    """https://code.visualstudio.com/api/extension-guides/ai/mcp, read 2026-11-21."""
    kind = "http" if "url" in config else "stdio"
    return f"vscode:mcp/install?{quote(json.dumps({'name': NAME, 'type': kind, **config}), safe='')}"


def vscode_insiders(config: Config) -> str:
    """As VS Code."""
    return vscode(config).replace("vscode:", "vscode-insiders:", 1)


def kiro(config: Config) -> str:
    """https://kiro.dev/docs/mcp/share/, read 2026-11-21."""
    return f"https://kiro.dev/launch/mcp/add?name={NAME}&config={quote(json.dumps(config), safe='')}"


def lm_studio(config: Config) -> str:
    """https://lmstudio.ai/docs/app/mcp/deeplink, read 2026-11-21."""
    return f"lmstudio://add_mcp?name={NAME}&config={packed(config)}"


def goose(config: Config) -> str:
    """https://block.github.io/goose/docs/getting-started/using-extensions, read 2026-11-21."""
    if "url" in config:
        start = f"url={quote(str(config['url']), safe='')}&type=streamable_http"
    else:
        arguments = rows(config["args"])
        parts = [f"cmd={quote(str(config['command']), safe='')}"]
        start = "&".join([*parts, *(f"arg={quote(str(each), safe='')}" for each in arguments)])
    return f"goose://extension?{start}&id={NAME}&name=Keyframe&timeout=300&description={quote(ABOUT, safe='')}"


def trae(config: Config) -> str:
    """https://www.volcengine.com/docs/86677/2137600, read 2026-11-21."""
    kind = "http" if "url" in config else "stdio"
    return f"trae-cn://trae.ai-ide/mcp-import?type={kind}&name={NAME}&config={packed(config)}"


LINKS: Mapping[str, Callable[[Config], str]] = MappingProxyType(
    {
        "cursor": cursor,
        "vscode": vscode,
        "vscode-insiders": vscode_insiders,
        "kiro": kiro,
        "lm-studio": lm_studio,
        "goose": goose,
        "trae": trae,
    }
)


def for_the_web(host_id: str, link: str) -> str:
    """The same link as a page can carry it: some show no link that is not https."""
    if host_id in ("vscode", "vscode-insiders"):
        return f"https://insiders.vscode.dev/redirect?url={quote(link, safe='')}"
    if host_id == "cursor":
        return link.replace("cursor://anysphere.cursor-deeplink/mcp/install", "https://cursor.com/install-mcp", 1)
    if host_id == "lm-studio":
        return link.replace("lmstudio://add_mcp", "https://lmstudio.ai/install-mcp", 1)
    return link
