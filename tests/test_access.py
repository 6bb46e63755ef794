"""Who may come in over HTTP: what the settings must say, the gate, and the sign-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.server.http.access import Access, access_of, is_loopback
from keyframe_mcp.settings import read_settings
from keyframe_mcp.settings.tokens import owner_of, parse_tokens
from sites import ANN, BEN, TOKENS, browser, open_site

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the tests are about
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"Accept": "application/json, text/event-stream"}
OAUTH = {
    "KEYFRAME_OAUTH_ISSUER": "https://login.example.com/",
    "KEYFRAME_OAUTH_JWKS_URL": "https://login.example.com/keys",
}


def access(host: str = "127.0.0.1", **variables: str) -> Access:
    return access_of(read_settings(variables, Path("/srv/project"), Path("/home/me")), host, 8765)


def refusal(host: str = "127.0.0.1", **variables: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        access(host, **variables)
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_needs_no_sign_in(host: str):
    found = access(host)

    assert found.is_open
    assert found.is_private
    assert found.base_url in ("http://127.0.0.1:8765", "http://localhost:8765", "http://[::1]:8765")


@pytest.mark.parametrize(
    ("host", "variables", "says"),
    [
        (
            EVERYWHERE,
            {},
            ["KEYFRAME_AUTH_TOKENS", "KEYFRAME_OAUTH_ISSUER", "KEYFRAME_ALLOWED_HOSTS", "--host 127.0.0.1"],
        ),
        ("::", {}, ["KEYFRAME_AUTH_TOKENS", "KEYFRAME_PUBLIC_URL"]),
        ("192.168.1.4", {"KEYFRAME_AUTH_TOKENS": TOKENS}, ["KEYFRAME_ALLOWED_HOSTS"]),
        (EVERYWHERE, {"KEYFRAME_ALLOWED_HOSTS": "mcp.example.com"}, ["KEYFRAME_AUTH_TOKENS"]),
        # a tunnel or a proxy on this machine makes it reachable, too
        ("127.0.0.1", {"KEYFRAME_PUBLIC_URL": "https://mcp.example.com"}, ["KEYFRAME_AUTH_TOKENS"]),
        ("127.0.0.1", {"KEYFRAME_ALLOWED_HOSTS": "mcp.example.com"}, ["KEYFRAME_AUTH_TOKENS"]),
        ("127.0.0.1", {"KEYFRAME_OAUTH_ISSUER": "https://a.example"}, ["half set up", "KEYFRAME_OAUTH_JWKS_URL"]),
        ("127.0.0.1", {"KEYFRAME_OAUTH_SCOPES": "video"}, ["half set up", "KEYFRAME_OAUTH_ISSUER"]),
        (EVERYWHERE, OAUTH, ["KEYFRAME_PUBLIC_URL"]),
    ],
)
def test_what_others_can_reach_does_not_start_without_a_sign_in_and_a_name(
    host: str, variables: dict[str, str], says: list[str]
):
    said = refusal(host, **variables)

    assert [each for each in says if each not in said] == []


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"KEYFRAME_ALLOWED_HOSTS": "*"}, "* is not a host name"),
        ({"KEYFRAME_ALLOWED_HOSTS": "https://mcp.example.com"}, "is not a host name"),
        ({"KEYFRAME_ALLOWED_ORIGINS": "*"}, "* is not an origin"),
        ({"KEYFRAME_ALLOWED_ORIGINS": "https://app.example.com/page"}, "is not an origin"),
        ({"KEYFRAME_ALLOWED_ORIGINS": "app.example.com"}, "is not an origin"),
        ({"KEYFRAME_PUBLIC_URL": "http://mcp.example.com"}, "could be read on its way; use https"),
        ({"KEYFRAME_PUBLIC_URL": "mcp.example.com"}, "is not a URL"),
        ({"KEYFRAME_PUBLIC_URL": "https://mcp.example.com/mcp"}, "ends in /mcp; leave that out"),
        ({"KEYFRAME_AUTH_TOKEN": "ann:x"}, "would keep nobody out; did you mean KEYFRAME_AUTH_TOKENS?"),
        ({"KEYFRAME_OAUTH_ISSUR": "https://a.example"}, "did you mean KEYFRAME_OAUTH_ISSUER?"),
        ({"KEYFRAME_ALLOW_HOSTS": "a.example"}, "did you mean KEYFRAME_ALLOWED_HOSTS?"),
        ({"KEYFRAME_OAUTH_JWKS_URL": "http://login.example.com/keys"}, "use https"),
    ],
)
def test_names_that_would_let_in_too_much_or_nobody_are_refused(variables: dict[str, str], says: str):
    with pytest.raises(InvalidSettings) as caught:
        read_settings(variables, Path("/srv/project"), Path("/home/me"))

    assert says in str(caught.value)


def test_a_refused_start_says_what_lets_others_in():
    assert "because others can reach it (KEYFRAME_PUBLIC_URL is set), and:" in refusal(
        KEYFRAME_PUBLIC_URL="https://mcp.example.com"
    )
    assert "(it listens on 0.0.0.0 and KEYFRAME_ALLOWED_HOSTS is set)" in refusal(
        EVERYWHERE, KEYFRAME_ALLOWED_HOSTS="mcp.example.com"
    )
    assert refusal(KEYFRAME_OAUTH_SCOPES="video").startswith("this server does not start:\n  OAuth is half set up")


def test_a_server_behind_a_name_knows_it_and_this_machine_and_no_other():
    found = access(
        EVERYWHERE, KEYFRAME_AUTH_TOKENS=TOKENS, KEYFRAME_PUBLIC_URL="https://mcp.example.com/",
        KEYFRAME_ALLOWED_HOSTS="inner.example:9000", KEYFRAME_ALLOWED_ORIGINS="https://App.example.com",
    )  # fmt: skip

    known = ("mcp.example.com", "MCP.example.com:443", "inner.example:9000", "127.0.0.1:8765", "localhost")
    unknown = (
        "", "evil.example", "mcp.example.com.evil.example", "evil.mcp.example.com", "inner.example:9001",
        "localhost:", "localhost:x", "localhost:\u00b2", "localhost:1:1", "localhost:-1",
    )  # fmt: skip
    assert [each for each in known if not found.knows(each)] == []
    assert [each for each in (*unknown, EVERYWHERE) if found.knows(each)] == []
    assert found.welcomes("https://app.example.com")
    assert found.welcomes("https://mcp.example.com")
    # with a name on the network, a page that somebody serves on this machine is a stranger's, too
    assert not found.welcomes("http://localhost:6274")
    assert not found.welcomes("null")
    assert found.base_url == "https://mcp.example.com"


def test_the_usual_port_is_the_same_said_or_not():
    found = access(
        EVERYWHERE, KEYFRAME_AUTH_TOKENS=TOKENS, KEYFRAME_PUBLIC_URL="https://mcp.example.com:443",
        KEYFRAME_ALLOWED_HOSTS="inner.example:443", KEYFRAME_ALLOWED_ORIGINS="https://a.example:443 http://b.example:80",
    )  # fmt: skip

    assert all(map(found.knows, ("mcp.example.com", "mcp.example.com:443", "inner.example", "inner.example:443")))
    assert not found.knows("inner.example:444")
    assert all(map(found.welcomes, ("https://mcp.example.com", "https://a.example", "http://b.example")))
    assert not any(map(found.welcomes, ("http://a.example", "https://b.example", "https://a.example:80")))
    assert "https://a.example" in found.origins


@pytest.mark.parametrize("host", ["::1:8765", "1::1", "fe80::1", "[::1]:80:80", "example.com:1", "127.0.0.1:1:1"])
def test_what_only_looks_like_this_machine_is_not_it(host: str):
    assert not is_loopback(host)


def test_this_machine_is_known_with_and_without_a_port():
    assert all(map(is_loopback, ("::1", "[::1]", "[::1]:80", "127.0.0.1", "127.0.0.2:80", "localhost:8765")))


def test_tokens_belong_to_owners_and_are_kept_as_digests():
    settings = read_settings({"KEYFRAME_AUTH_TOKENS": f"{TOKENS}, ann:{ANN}-second"}, Path("/srv"), Path("/home"))
    tokens = settings.tokens()

    assert [owner_of(each, tokens) for each in (ANN, BEN, f"{ANN}-second", "", ANN[:-1], ANN + " ", "no\u00e9")] == [
        "ann", "ben", "ann", None, None, None, None,
    ]  # fmt: skip
    assert ANN not in repr(tokens) + repr(settings) + settings.model_dump_json() + str(
        access(KEYFRAME_AUTH_TOKENS=TOKENS)
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("just-a-token-of-good-length", "entry 1 is not owner:token"),
        (f"ann:{ANN}, :{BEN}", "entry 2 is not owner:token"),
        ("ann:short-canary", "the token of ann must have 20 or more"),
        (f"ann:{ANN}, ben:{ANN}", "gives one token to both ann and ben"),
        (f"an n:{ANN}", "entry 1 is not owner:token"),
        (f"ann:caf\u00e9-canary-{ANN}", "the token of ann must have"),
    ],
)
def test_tokens_that_cannot_be_told_apart_or_guessed_are_refused_without_repeating_them(given: str, says: str):
    with pytest.raises(InvalidSettings) as caught:
        access(KEYFRAME_AUTH_TOKENS=given)

    assert says in str(caught.value)
    assert "canary" not in str(caught.value)
    assert ANN not in str(caught.value)


def test_no_tokens_at_all_are_none():
    assert parse_tokens(None) == ()


async def test_without_a_token_nothing_but_the_way_in_can_be_seen(tmp_path: Path):
    async with open_site(tmp_path, KEYFRAME_AUTH_TOKENS=TOKENS) as opened, browser() as anybody:
        assert (await anybody.get(f"{opened.address}/health")).json() == {"status": "ok"}
        assert (await anybody.get(f"{opened.address}/ready")).json()["status"] == "ready"
        for token in (None, "?", "wrong", ANN + "x", ANN.upper()):
            headers = ACCEPT | ({} if token is None else {"Authorization": f"Bearer {token}"})
            for method, path in (
                ("POST", "/mcp"),
                ("GET", "/mcp"),
                ("GET", "/sse"),
                ("POST", "/messages/"),
                ("GET", "/x"),
            ):
                answer = await anybody.request(method, opened.address + path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer ")
                assert ANN not in answer.text
        assert len(opened.site.rooms) == 0


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/?session_id=0", "/health", "/ready", "/nothing"])
async def test_the_gate_stands_before_every_path(tmp_path: Path, path: str):
    async with open_site(tmp_path) as opened, browser() as anybody:
        evil_host = await anybody.get(opened.address + path, headers={"Host": "evil.example"})
        evil_page = await anybody.get(opened.address + path, headers={"Origin": "http://evil.example"})
        no_page = await anybody.get(opened.address + path, headers={"Origin": "null"})

    assert (evil_host.status_code, evil_page.status_code, no_page.status_code) == (421, 403, 403)
    assert "KEYFRAME_ALLOWED_HOSTS" in evil_host.json()["error"]
    assert "KEYFRAME_ALLOWED_ORIGINS" in evil_page.json()["error"]
    assert not [name for name in evil_page.headers if name.startswith("access-control")]


async def test_a_page_that_is_named_may_call_and_read_and_no_other(tmp_path: Path):
    page = "https://app.example.com"
    async with open_site(
        tmp_path, KEYFRAME_AUTH_TOKENS=TOKENS, KEYFRAME_PUBLIC_URL="https://mcp.example.com",
        KEYFRAME_ALLOWED_ORIGINS=page,
    ) as opened, browser() as anybody:  # fmt: skip
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,mcp-method"}
        preflight = await anybody.options(f"{opened.address}/mcp", headers=asked | {"Origin": page})
        stranger = await anybody.options(f"{opened.address}/mcp", headers=asked | {"Origin": "http://localhost:6274"})
        odd = {"Access-Control-Request-Method": "PUT"}
        put = await anybody.options(f"{opened.address}/mcp", headers=odd | {"Origin": page})
        called = await anybody.post(f"{opened.address}/mcp", json=PING, headers=ACCEPT | {"Origin": page})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == page
    assert "access-control-allow-credentials" not in preflight.headers
    assert stranger.status_code == 403
    assert put.status_code == 400
    assert called.status_code == 401
    assert {"ETag", "Location", "Retry-After", "WWW-Authenticate"} <= set(
        called.headers["access-control-expose-headers"].split(", ")
    )
    assert {"If-None-Match", "If-Range", "Range"} <= set(preflight.headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize("said", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
async def test_a_proxy_before_a_server_without_a_sign_in_is_refused_with_what_to_set(tmp_path: Path, said: str):
    async with open_site(tmp_path) as opened, browser(**{said: "192.0.2.1"}) as anybody:
        refused = await anybody.post(f"{opened.address}/mcp", json=PING, headers=ACCEPT)
    async with open_site(tmp_path, KEYFRAME_AUTH_TOKENS=TOKENS) as opened, browser(**{said: "192.0.2.1"}) as anybody:
        asked = await anybody.post(f"{opened.address}/mcp", json=PING, headers=ACCEPT)

    assert refused.status_code == 403
    assert "KEYFRAME_AUTH_TOKENS" in refused.json()["error"]
    assert asked.status_code == 401


async def test_no_token_and_a_wrong_one_are_told_apart(tmp_path: Path):
    async with open_site(tmp_path, KEYFRAME_AUTH_TOKENS=TOKENS) as opened, browser(**ACCEPT) as anybody:
        none = await anybody.post(f"{opened.address}/mcp", json=PING)
        wrong = await anybody.post(f"{opened.address}/mcp", json=PING, headers={"Authorization": "Bearer wrong"})

    assert none.json()["error_description"] == "Authentication required"
    assert wrong.json()["error_description"] == "the token is not one this server knows, or it has ended"


async def test_ready_says_what_is_wrong_in_a_word_and_that_the_process_ends(tmp_path: Path):
    async with open_site(tmp_path) as opened, browser() as anybody:
        opened.site.health.is_ending = True
        ending = await anybody.get(f"{opened.address}/ready")
        opened.site.health.is_ending = False
        await opened.application.engine.store.aclose()
        broken = await anybody.get(f"{opened.address}/ready")

    assert (ending.status_code, ending.json()["status"]) == (503, "ending")
    assert broken.status_code == 503
    assert broken.json() == {"status": "not ready", "database": "failing"}


async def test_garbage_is_never_a_server_error(tmp_path: Path):
    odd: list[dict[str, Any]] = [
        {"content": b"\xff\xfe{"}, {"content": b""}, {"json": []}, {"json": {"jsonrpc": "2.0"}}, {"json": 7},
        {"content": b"{" * 5000}, {"content": b"x" * (5 * 2**20)},
    ]  # fmt: skip
    async with open_site(tmp_path) as opened, browser(**ACCEPT) as anybody:
        for each in odd:
            for path in ("/mcp", "/messages/", "/messages/?session_id=zz", f"/messages/?session_id={'0' * 32}"):
                headers = {"Content-Type": "application/json"}
                answer: httpx.Response = await anybody.post(opened.address + path, headers=headers, **each)
                assert 400 <= answer.status_code < 500, (path, each)
