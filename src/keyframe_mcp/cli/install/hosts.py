"""The hosts this knows, as data: where each keeps its servers, in which form, and whose page says so.

Facts are from copies and excerpts of the page named, and of public configurations, read on the day named. `tried` is
the version of the host's own program that was seen to read what is written here; the others were not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from keyframe_mcp.cli.install.machines import LINUX, MACOS, WINDOWS

READ = "2026-11-21"


@dataclass(frozen=True)
class Shape:
    """The words a host has for a server's parts. An empty word is a part it does not have."""

    command: str = "command"
    args: str = "args"
    """Empty: `command` is a list that holds the arguments too."""
    env: str = "env"
    passes: str = ""
    """A list of variables that are handed on from the host's own environment."""
    url: str = "url"
    headers: str = "headers"
    bearer: str = ""
    """The name of a variable with the token, instead of a header."""
    local: Mapping[str, object] = field(default_factory=dict[str, object])
    """What every server started here has."""
    remote: Mapping[str, object] = field(default_factory=dict[str, object])
    usual: Mapping[str, object] = field(default_factory=dict[str, object])
    """What is written only where nothing is set yet, such as times to wait."""


@dataclass(frozen=True)
class Host:
    """One host."""

    name: str
    page: str
    after: str
    """What a person does after the file was written."""
    within: tuple[str, ...] = ("mcpServers",)
    """Under which names the file keeps its servers."""
    form: str = "json"
    """json, jsonc (with comments), toml, or yaml, which is shown and not written."""
    user: Mapping[str, str] = field(default_factory=dict[str, str])
    """The file for everything of one person, by platform; `*` is any other. None: there is no documented one."""
    project: str = ""
    """The file for one project, from its folder."""
    shape: Shape = field(default_factory=Shape)
    reference: str = ""
    """How a value refers to a variable of the host's environment; `{}` is its name. Empty: it cannot."""
    asks: bool = False
    """Whether references are questions to the user, which stand in a list of their own."""
    override: str = ""
    """A variable that names another file."""
    tried: str = ""
    """The version that was seen to read what we write, if one was."""
    header_page: str = ""
    """Who says that a header with a token may stand in the file, where it cannot be a reference."""
    remote_note: str = ""
    """Why a remote server cannot be written into the file, if it cannot."""


TYPED = Shape(local={"type": "stdio"}, remote={"type": "http"})
VSCODE_PAGE = "https://code.visualstudio.com/docs/agents/reference/mcp-configuration"

HOSTS: Mapping[str, Host] = MappingProxyType(
    {
        "claude-desktop": Host(
            name="Claude Desktop",
            page="https://modelcontextprotocol.io/docs/develop/connect-local-servers",
            after="Quit Claude Desktop wholly, from its menu or the tray, and start it again.",
            user={"*": "{config}/Claude/claude_desktop_config.json"},
            remote_note="Claude Desktop adds remote servers under Settings, Connectors, and reads none from this file",
        ),
        "claude-code": Host(
            name="Claude Code",
            tried="2.1.197",
            page="https://code.claude.com/docs/en/mcp",
            after="Start claude again and type /mcp; a server of a project's file is to be approved there once.",
            project=".mcp.json",
            shape=TYPED,
            reference="${{{}:-}}",
        ),
        "cursor": Host(
            name="Cursor",
            page="https://cursor.com/docs/mcp",
            after="Open Cursor Settings, MCP: keyframe is there, with a green dot.",
            form="jsonc",
            user={"*": "{home}/.cursor/mcp.json"},
            project=".cursor/mcp.json",
            reference="${{env:{}}}",
        ),
        "vscode": Host(
            name="VS Code",
            page=VSCODE_PAGE,
            after="Run MCP: List Servers from the command palette, choose keyframe, and start it.",
            within=("servers",),
            form="jsonc",
            user={"*": "{config}/Code/User/mcp.json"},
            project=".vscode/mcp.json",
            shape=TYPED,
            reference="${{input:{}}}",
            asks=True,
        ),
        "vscode-insiders": Host(
            name="VS Code Insiders",
            page=VSCODE_PAGE,
            after="Run MCP: List Servers from the command palette, choose keyframe, and start it.",
            within=("servers",),
            form="jsonc",
            user={"*": "{config}/Code - Insiders/User/mcp.json"},
            project=".vscode/mcp.json",
            shape=TYPED,
            reference="${{input:{}}}",
            asks=True,
        ),
        "windsurf": Host(
            name="Windsurf",
            page="https://docs.windsurf.com/windsurf/cascade/mcp",
            after="Press the refresh button among the MCP servers of the Cascade panel.",
            form="jsonc",
            user={"*": "{home}/.codeium/windsurf/mcp_config.json"},
            shape=Shape(url="serverUrl"),
            reference="${{env:{}}}",
        ),
        "codex": Host(
            name="Codex",
            tried="0.169.0",
            page="https://developers.openai.com/codex/mcp",
            after="Start codex again and type /mcp, or run: codex mcp list",
            within=("mcp_servers",),
            form="toml",
            user={"*": "{codex}/config.toml"},
            project=".codex/config.toml",
            shape=Shape(
                headers="",
                bearer="bearer_token_env_var",
                passes="env_vars",
                usual={"startup_timeout_sec": 30, "tool_timeout_sec": 120},
            ),
        ),
        "gemini-cli": Host(
            name="Gemini CLI",
            tried="0.61.0",
            page="https://github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md",
            after="Start gemini again and type /mcp, or run: gemini mcp list",
            form="jsonc",
            user={"*": "{home}/.gemini/settings.json"},
            project=".gemini/settings.json",
            shape=Shape(url="httpUrl"),
            reference="${{{}}}",
        ),
        "copilot-cli": Host(
            name="GitHub Copilot CLI",
            page=VSCODE_PAGE,
            after="Start copilot again and type /mcp show keyframe",
            user={"*": "{copilot}/mcp-config.json"},
            project=".mcp.json",
            shape=Shape(local={"type": "stdio"}, remote={"type": "http"}, usual={"tools": ["*"]}),
            reference="${{{}}}",
        ),
        "opencode": Host(
            name="opencode",
            tried="1.18.33",
            page="https://opencode.ai/docs/mcp-servers",
            after="Start opencode again, or run: opencode mcp list",
            within=("mcp",),
            form="jsonc",
            user={"*": "{xdg}/opencode/opencode.json"},
            project="opencode.json",
            shape=Shape(
                args="",
                env="environment",
                local={"type": "local"},
                remote={"type": "remote"},
                usual={"enabled": True, "timeout": 30_000},
            ),
            reference="{{env:{}}}",
        ),
        "zed": Host(
            name="Zed",
            page="https://zed.dev/docs/ai/mcp",
            header_page="https://zed.dev/docs/ai/mcp",
            after="Open the Agent Panel's settings: keyframe is there, with a green dot.",
            within=("context_servers",),
            form="jsonc",
            user={
                LINUX: "{xdg}/zed/settings.json",
                MACOS: "{dotconfig}/zed/settings.json",
                WINDOWS: "{config}/Zed/settings.json",
            },
        ),
        "kiro": Host(
            name="Kiro",
            page="https://kiro.dev/docs/mcp/configuration",
            after="Open the MCP servers of the Kiro panel: keyframe is there.",
            user={"*": "{home}/.kiro/settings/mcp.json"},
            project=".kiro/settings/mcp.json",
            reference="${{{}}}",
        ),
        "cline": Host(
            name="Cline",
            page="https://docs.cline.bot/mcp/mcp-overview",
            header_page="https://docs.cline.bot/mcp/adding-and-configuring-servers",
            after="Start cline again. The extension has its own file: MCP Servers, Configure; paste --print there.",
            user={"*": "{home}/.cline/data/settings/cline_mcp_settings.json"},
            shape=Shape(remote={"type": "streamableHttp"}, usual={"timeout": 120}),
            override="CLINE_MCP_SETTINGS_PATH",
        ),
        "trae": Host(
            name="Trae",
            page="https://www.volcengine.com/docs/86677/2137601",
            header_page="https://github.com/volcengine/OpenViking/blob/main/docs/images/agents/en/trae.md",
            after="Switch project MCP on in Trae's settings, under MCP.",
            project=".trae/mcp.json",
        ),
        "goose": Host(
            name="Goose",
            page="https://block.github.io/goose/docs/guides/config-files",
            after="Put it under extensions: in that file, or open what --link prints.",
            within=("extensions",),
            form="yaml",
            user={"*": "{xdg}/goose/config.yaml", WINDOWS: "{config}/Block/goose/config/config.yaml"},
            shape=Shape(
                command="cmd",
                env="envs",
                url="uri",
                local={"type": "stdio", "name": "keyframe", "enabled": True, "timeout": 300},
                remote={"type": "streamable_http", "name": "keyframe", "enabled": True, "timeout": 300},
            ),
            reference="${{{}}}",
        ),
        "lm-studio": Host(
            name="LM Studio",
            page="https://lmstudio.ai/docs/app/mcp",
            header_page="https://lmstudio.ai/docs/app/mcp",
            after="In LM Studio: Program, Install, Edit mcp.json, and put it there; or open what --link prints.",
        ),
    }
)
