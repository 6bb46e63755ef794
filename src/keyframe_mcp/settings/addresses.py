"""Addresses in settings: of providers, and those under which others reach this server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from keyframe_mcp.settings.variables import PREFIX

PRINTABLE = re.compile(r"[!-~]+")
"""What a header or a URL can carry: an HTTP library would choke on anything else, long after the start."""
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
ENDPOINTS = ("mcp", "sse", "messages", "files", "uploads", "webhooks", "health", "ready")
SEPARATORS = re.compile(r"[\s,]+")


def listed(name: str, given: Mapping[str, str]) -> list[str]:
    """The parts of a setting that is a list."""
    return [part for part in SEPARATORS.split(given.get(PREFIX + name, "")) if part]


def hosts(name: str, given: Mapping[str, str], problems: list[str]) -> tuple[str, ...]:
    """Host names, in small letters, with a port where one was given."""
    found = listed(name, given)
    problems.extend(
        f"{PREFIX}{name}: {each} is not a host name; write mcp.example.com, or mcp.example.com:8443"
        for each in found
        if not HOST.fullmatch(each)
    )
    return tuple(dict.fromkeys(each.lower() for each in found))


def origins(name: str, given: Mapping[str, str], problems: list[str]) -> tuple[str, ...]:
    """Origins as browsers send them: scheme, host and port, nothing else."""
    found = listed(name, given)
    problems.extend(
        f"{PREFIX}{name}: {each} is not an origin; write https://app.example.com, without a path"
        for each in found
        if not re.fullmatch(rf"https?://{HOST.pattern}", each)
    )
    return tuple(dict.fromkeys(each.lower() for each in found))


def public_url(given: Mapping[str, str], problems: list[str]) -> str | None:
    """Where the server is reached: the address before /mcp."""
    url = url_setting("PUBLIC_URL", given, problems)
    last = (url or "").rpartition("/")[2]
    if url and last in ENDPOINTS:
        problems.append(f"{PREFIX}PUBLIC_URL={without_secrets(url)} ends in /{last}; leave that out")
    return url


def url_setting(name: str, given: Mapping[str, str], problems: list[str], *, exact: bool = False) -> str | None:
    """An address of https, or of this machine, if one is set; without an end slash unless it is compared exactly."""
    url = given.get(PREFIX + name, "").strip()
    url = url if exact else url.rstrip("/")
    if not url:
        return None
    if problem := url_problem(url, unencrypted="could be read on its way; use https"):
        problems.append(f"{PREFIX}{name}={without_secrets(url)} {problem}")
    return url


def url_problem(url: str, unencrypted: str = "would send the key unencrypted; use https") -> str:
    """What is wrong with a base URL, if anything is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL; write https://host"
    if parts.scheme not in ("https", "http") or not host or not PRINTABLE.fullmatch(url):
        return "is not a URL; write https://host"
    if parts.username is not None or "?" in url or "#" in url:
        return "must be an address alone, without user name, query or fragment; the key has a variable of its own"
    if parts.scheme == "http" and not is_this_machine(host):
        return unencrypted
    return ""


def without_secrets(url: str) -> str:
    """As much of a URL as may be shown: somebody may have put the key into it."""
    return re.sub(r"[?#].*", "?...", re.sub(r"//.*@", "//...@", url, flags=re.DOTALL), flags=re.DOTALL)


def is_this_machine(host: str) -> bool:
    """Whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
