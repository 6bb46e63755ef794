"""The tables of the front page, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.cli.install.hosts import HOSTS
from keyframe_mcp.cli.install.links import LINKS, config_of, for_the_web
from keyframe_mcp.cli.install.starting import PUBLISHED
from keyframe_mcp.task import Mode


@dataclass(frozen=True)
class Words:
    """What the tables say in one language."""

    modes_head: tuple[str, ...]
    modes: Mapping[Mode, str]
    providers_head: tuple[str, ...]
    no_key: str
    hosts_head: tuple[str, ...]
    add: str


ENGLISH = Words(
    modes_head=("Tool", "Makes a video from"),
    modes={mode: mode.meaning.replace(" to video", "") for mode in Mode},
    providers_head=("Provider", "Models", "For", "Key"),
    no_key="none: drawn on this machine, not AI",
    hosts_head=("Host", "Command", "Or"),
    add="add with a click",
)
CHINESE = Words(
    modes_head=("工具", "由什么生成视频"),
    modes={
        Mode.FLF2V: "首帧和尾帧",
        Mode.I2V: "一张图片",
        Mode.T2V: "一段文字",
        Mode.ANIMATION: "从一个提示词过渡到另一个提示词",
    },
    providers_head=("服务商", "模型数", "可做", "密钥变量"),
    no_key="不需要：在本机绘制，不是 AI 生成",
    hosts_head=("宿主", "命令", "或者"),
    add="一键添加",
)
LANGUAGES: Mapping[str, Words] = MappingProxyType({"": ENGLISH, "-zh": CHINESE})
"""By the end of a block's name."""


def blocks() -> Mapping[str, Callable[[], str]]:
    """Every block of the front page, in each language."""
    tables = {"modes": modes, "front-providers": providers, "front-hosts": hosts}
    return {f"{name}{end}": partial(make, words) for name, make in tables.items() for end, words in LANGUAGES.items()}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Rows of cells."""
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def modes(words: Words) -> str:
    """Every mode and its tool."""
    return table(words.modes_head, ([f"`generate_{mode}`", words.modes[mode]] for mode in Mode))


def providers(words: Words) -> str:
    """Every provider: how many models, for what, and the variable its key is in."""
    listed = catalogs.load().providers.items()
    return table(words.providers_head, (provider_row(name, each, words) for name, each in listed))


def provider_row(provider_id: str, provider: Provider, words: Words) -> list[str]:
    """One provider."""
    made = {mode for model in provider.models for mode in model.modes}
    key = f"`{provider.key}`" if provider.key else words.no_key
    where = f"[{key}]({provider.key_page})" if provider.key_page else key
    name = f"[{provider.name}](docs/providers.md#{provider_id})"
    return [name, str(len(provider.models)), ", ".join(mode for mode in Mode if mode in made), where]


def hosts(words: Words) -> str:
    """Every host: its page, its command, and a link where a page can carry one."""
    config = config_of(PUBLISHED, "")
    links = {host_id: for_the_web(host_id, make(config)) for host_id, make in LINKS.items()}
    https = {host_id: link for host_id, link in links.items() if link.startswith("https:")}
    return table(
        words.hosts_head,
        (
            [
                f"[{host.name}](docs/hosts/{host_id}.md)",
                f"`keyframe-mcp install {host_id}`",
                f"[{words.add}]({https[host_id]})" if host_id in https else "",
            ]
            for host_id, host in HOSTS.items()
        ),
    )
