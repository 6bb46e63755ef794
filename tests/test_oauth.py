"""OAuth 2.1 access tokens: this server is the resource; who signs them is an issuer on a loopback port."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import jwt
import jwt.algorithms
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from mcp import Client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyframe_mcp.server.http import listen
from keyframe_mcp.server.http.access import OAuth
from keyframe_mcp.server.http.ending import QuietServer
from keyframe_mcp.server.http.oauth import ALGORITHMS, Keys, SignedTokens
from keyframe_mcp.server.http.signing_in import CannotTell
from sites import ANN, Served, browser, open_site, signed_in

HOUR = 3600
WAYS = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def new_key(algorithm: str) -> Any:
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        ec.generate_private_key(ec.SECP256R1()) if algorithm.startswith("ES") else ed25519.Ed25519PrivateKey.generate()
    )


@dataclass
class Issuer:
    """Signs tokens, and publishes what they are checked with."""

    address: str = "https://login.example.com"
    keys: dict[str, tuple[str, Any]] = field(default_factory=lambda: {"first": ("RS256", new_key("RS256"))})
    asked: int = 0
    is_down: bool = False

    def token(self, key_id: str = "first", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token that is good, but for what is given otherwise. A claim of None is left out."""
        algorithm, key = self.keys[key_id]
        usual = {
            "iss": self.address, "aud": "https://mcp.example.com/mcp", "sub": "carol", "exp": int(time.time()) + HOUR,
            "scope": "video read",
        }  # fmt: skip
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(said, key, algorithm, headers={"kid": key_id, **(header or {})})

    def published(self) -> dict[str, Any]:
        """The key set."""
        return {
            "keys": [
                {"kid": name, "use": "sig", "alg": algorithm} | WAYS[algorithm].to_jwk(key.public_key(), as_dict=True)
                for name, (algorithm, key) in self.keys.items()
            ]
        }

    async def fetch(self) -> Mapping[str, Any]:
        """The key set, as it is fetched."""
        self.asked += 1
        if self.is_down:
            raise CannotTell("down")
        return self.published()

    async def serve(self, request: Request) -> Response:
        """The key set, over HTTP."""
        del request
        self.asked += 1
        return JSONResponse(self.published(), 503 if self.is_down else 200)


@dataclass
class Watch:
    """A clock that is moved by hand, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def checker(issuer: Issuer, clock: Watch | None = None, **more: Any) -> SignedTokens:
    asked = {"issuer": issuer.address, "audience": "https://mcp.example.com/mcp", "scopes": ()}
    return SignedTokens(OAuth(jwks_url="unused", **asked, **more), Keys(issuer.fetch, clock or Watch()))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_what_the_issuer_signed_says_who_it_is(algorithm: str):
    issuer = Issuer(keys={"one": (algorithm, new_key(algorithm)), "two": ("ES256", new_key("ES256"))})

    found = await checker(issuer).verify_token(issuer.token("one", client_id="desktop"))

    assert found
    assert found.subject == "oauth:https://login.example.com#carol"
    assert found.client_id == "desktop"
    assert found.scopes == ["video", "read"]


def bad_tokens(issuer: Issuer) -> dict[str, str]:
    """Tokens nobody should get in with, by what is wrong."""
    other = Issuer()
    algorithm, key = issuer.keys["first"]
    public = issuer.published()["keys"][0]["n"]
    good = issuer.token()
    head, body, signature = good.split(".")
    return {
        "expired": issuer.token(exp=int(time.time()) - 60),
        "without an end": issuer.token(exp=None),
        "not yet": issuer.token(nbf=int(time.time()) + 600),
        "for another server": issuer.token(aud="https://other.example.com/mcp"),
        "for nobody": issuer.token(aud=None),
        "for the address with more": issuer.token(aud="https://mcp.example.com/mcp/more"),
        "of another issuer": issuer.token(iss="https://evil.example.com"),
        "of the issuer with a slash": issuer.token(iss=issuer.address + "/"),
        "of nobody": issuer.token(iss=None),
        "about nobody": issuer.token(sub=None),
        "signed by somebody else": other.token(),
        "with a key id there is not": jwt.encode({"sub": "carol"}, key, algorithm, headers={"kid": "missing"}),
        "unsigned": jwt.encode({"iss": issuer.address, "sub": "carol"}, "", "none", headers={"kid": "first"}),
        "signed with the public key as a secret": jwt.encode({"sub": "x"}, public, "HS256", headers={"kid": "first"}),
        "cut": good[:-2],
        "with another body": ".".join([head, other.token(sub="root").split(".")[1], signature]),
        "with its algorithm changed": issuer.token(header={"alg": "RS256"}).replace(
            head, other.token().split(".")[0] + "A"
        ),
        "without a signature": f"{head}.{body}.",
        "no token": "a.b.c",
        "empty": "",
        "strange": "\u00e9\u4e00",
    }


async def test_every_other_token_is_refused():
    issuer = Issuer()
    check = checker(issuer)
    assert await check.verify_token(issuer.token())

    let_in = [wrong for wrong, token in bad_tokens(issuer).items() if await check.verify_token(token)]

    assert let_in == []


async def test_a_key_that_is_not_for_the_algorithm_is_no_server_error():
    issuer = Issuer(keys={"first": ("ES256", new_key("ES256"))})
    check = checker(issuer)
    rsa_token = jwt.encode({"sub": "x"}, new_key("RS256"), "RS256", headers={"kid": "first"})

    assert await check.verify_token(rsa_token) is None
    assert "HS256" not in ALGORITHMS
    assert "none" not in ALGORITHMS


async def test_keys_are_fetched_once_and_again_when_a_new_one_is_used_but_not_for_every_made_up_one():
    issuer, clock = Issuer(), Watch()
    check = checker(issuer, clock)
    for _ in range(5):
        assert await check.verify_token(issuer.token())
    assert issuer.asked == 1

    clock.now += 31
    issuer.keys["second"] = ("ES256", new_key("ES256"))
    assert await check.verify_token(issuer.token("second"))
    assert issuer.asked == 2
    for number in range(20):
        made_up = jwt.encode({"sub": "x"}, issuer.keys["first"][1], "RS256", headers={"kid": f"made-up-{number}"})
        assert await check.verify_token(made_up) is None
    assert issuer.asked == 2

    del issuer.keys["first"]  # withdrawn: forgotten within the hour
    clock.now += HOUR + 1
    assert await check.verify_token(issuer.token("second"))
    assert issuer.asked == 3


async def test_an_issuer_that_does_not_answer_keeps_out_only_whom_nobody_can_tell():
    issuer, clock = Issuer(is_down=True), Watch()
    check = checker(issuer, clock)
    with pytest.raises(CannotTell):
        await check.verify_token(issuer.token())
    with pytest.raises(CannotTell):  # and it is not asked for every request
        await check.verify_token(issuer.token())
    assert issuer.asked == 1

    clock.now += 31
    issuer.is_down = False
    assert await check.verify_token(issuer.token())
    issuer.is_down = True
    clock.now += HOUR + 1
    assert await check.verify_token(issuer.token())  # with the keys from before


@asynccontextmanager
async def issuing(folder: Path, issuer: Issuer, **more: str) -> AsyncGenerator[Served]:
    """A site that trusts an issuer which really publishes its keys."""
    app = Starlette(routes=[Route("/keys", issuer.serve)])
    with listen("127.0.0.1", 0) as listening:
        server = QuietServer(uvicorn.Config(app, log_level="warning", access_log=False))
        oauth: dict[str, Any] = {
            "KEYFRAME_OAUTH_ISSUER": issuer.address,
            "KEYFRAME_OAUTH_JWKS_URL": f"http://127.0.0.1:{listening.getsockname()[1]}/keys",
            "KEYFRAME_PUBLIC_URL": "https://mcp.example.com",
        }
        variables: dict[str, Any] = oauth | more
        async with anyio.create_task_group() as tasks, open_site(folder, **variables) as opened:
            tasks.start_soon(server.serve, [listening])
            yield opened
            server.should_exit = True


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_client_with_an_access_token_is_an_owner_of_its_own(tmp_path: Path, era: str):
    issuer = Issuer()
    with anyio.fail_after(60):
        async with issuing(tmp_path, issuer, KEYFRAME_AUTH_TOKENS=f"ann:{ANN}") as opened:
            for token in (issuer.token(), issuer.token(sub="dave"), ANN):
                async with signed_in(opened.address, token, era) as client:
                    assert await task_count(client) == 0
                    made = await client.call_tool("generate_t2v", {"prompt": "x", "duration": 1, "wait_seconds": 20})
                    assert not made.is_error
            async with signed_in(opened.address, issuer.token(exp=int(time.time()) + 60), era) as client:
                assert await task_count(client) == 1


async def task_count(client: Client) -> int:
    listed = (await client.call_tool("list_tasks", {})).structured_content
    assert listed
    return len(listed["tasks"])


async def test_a_client_is_told_where_tokens_come_from(tmp_path: Path):
    with anyio.fail_after(30):
        async with issuing(tmp_path, Issuer(), KEYFRAME_OAUTH_SCOPES="video") as opened, browser() as anybody:
            refused = await anybody.post(f"{opened.address}/mcp", json={})
            where = "/.well-known/oauth-protected-resource"
            found = [(await anybody.get(opened.address + path)).json() for path in (f"{where}/mcp", where)]

    assert refused.status_code == 401
    assert f'resource_metadata="https://mcp.example.com{where}/mcp"' in refused.headers["www-authenticate"]
    assert found[0] == found[1]
    assert found[0]["resource"] == "https://mcp.example.com/mcp"
    assert found[0]["authorization_servers"] == ["https://login.example.com/"]
    assert found[0]["scopes_supported"] == ["video"]


async def test_a_scope_that_is_missing_is_named_and_an_issuer_that_is_down_is_not_the_client_s_fault(tmp_path: Path):
    issuer = Issuer(is_down=True)
    with anyio.fail_after(30):
        async with issuing(tmp_path, issuer, KEYFRAME_OAUTH_SCOPES="video") as opened, browser() as anybody:
            down = await anybody.post(f"{opened.address}/mcp", headers=bearer(issuer.token()), json={})
        issuer.is_down = False
        async with issuing(tmp_path, issuer, KEYFRAME_OAUTH_SCOPES="video") as opened, browser() as anybody:
            poor = await anybody.post(f"{opened.address}/mcp", headers=bearer(issuer.token(scope="read")), json={})
            listed = issuer.token(scope=None, scp=["video"])
            rich = await anybody.post(f"{opened.address}/mcp", headers=bearer(listed), json={})

    assert (down.status_code, down.headers["retry-after"]) == (503, "10")
    assert poor.status_code == 403
    assert "video" in poor.headers["www-authenticate"]
    assert rich.status_code not in (401, 403)


async def test_whoever_runs_the_server_reads_in_the_log_why_a_token_was_refused(caplog: pytest.LogCaptureFixture):
    issuer = Issuer()
    check = checker(issuer)
    with caplog.at_level("INFO", "keyframe_mcp.server.http.oauth"):
        refused = issuer.token(aud="https://mcp.example.com/mcp/")
        assert await check.verify_token(refused) is None
        assert await check.verify_token(issuer.token(exp=int(time.time()) - 60)) is None

    assert "https://mcp.example.com/mcp/" in caplog.messages[0]
    assert "wanted aud https://mcp.example.com/mcp, iss https://login.example.com" in caplog.messages[0]
    assert "expired" in caplog.messages[1]
    assert refused.rpartition(".")[2] not in caplog.text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
