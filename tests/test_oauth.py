"""OAuth 2.1 access tokens: this server is the resource; who signs them is an issuer on a loopback port."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
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
from mcp.client.auth.utils import validate_metadata_issuer
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyframe_mcp.server.http import listen
from keyframe_mcp.server.http.access import OAuth
from keyframe_mcp.server.http.ending import QuietServer
from keyframe_mcp.server.http.keys import ASK_AGAIN_SECONDS, Keys
from keyframe_mcp.server.http.oauth import ALGORITHMS, SignedTokens
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
    says_algorithm: bool = True

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
                {"kid": name, "use": "sig", **({"alg": algorithm} if self.says_algorithm else {})}
                | WAYS[algorithm].to_jwk(key.public_key(), as_dict=True)
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


Work = Callable[[], Coroutine[Any, Any, None]]


def checker(
    issuer: Issuer, clock: Watch | None = None, beside: Callable[[Work], None] | None = None, **more: Any
) -> SignedTokens:
    asked = {"issuer": issuer.address, "audience": "https://mcp.example.com/mcp", "scopes": ()}
    keys = Keys(issuer.fetch, clock or Watch(), beside or list[Work]().append)
    return SignedTokens(OAuth(jwks_url="unused", **asked, **more), keys)


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
    later: list[Work] = []
    check = checker(issuer, clock, later.append)
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
    withdrawn = issuer.token("second")
    assert await check.verify_token(withdrawn)
    assert await check.verify_token(withdrawn)
    (work,) = later
    await work()
    assert issuer.asked == 3


async def test_an_issuer_that_does_not_answer_keeps_out_only_whom_nobody_can_tell():
    issuer, clock = Issuer(is_down=True), Watch()
    later: list[Work] = []
    check = checker(issuer, clock, later.append)
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
    await later[0]()
    assert await check.verify_token(issuer.token())


async def test_who_has_a_known_key_never_waits_for_the_issuer():
    issuer, clock, answer = Issuer(), Watch(), anyio.Event()
    asked: list[str] = []

    async def slow() -> Mapping[str, Any]:
        if asked:
            await answer.wait()
        asked.append("once")
        return issuer.published()

    async with anyio.create_task_group() as tasks:

        def beside(work: Work) -> None:
            tasks.start_soon(work)

        async def stranger() -> None:
            assert await check.verify_token(issuer.token(header={"kid": "made-up"})) is None

        asked_of = {"issuer": issuer.address, "audience": "https://mcp.example.com/mcp", "jwks_url": ""}
        check = SignedTokens(OAuth(scopes=(), **asked_of), Keys(slow, clock, beside))
        with anyio.fail_after(5):
            assert await check.verify_token(issuer.token())
            clock.now += ASK_AGAIN_SECONDS + 1
            tasks.start_soon(stranger)
            await anyio.wait_all_tasks_blocked()
            assert await check.verify_token(issuer.token())
            clock.now += HOUR + 1  # and the old keys do while new ones are fetched
            assert await check.verify_token(issuer.token())
        assert asked == ["once"]
        answer.set()
    assert asked == ["once"] * 3


async def test_an_issuer_that_cannot_be_reached_is_not_waited_for_again_and_again():
    issuer, clock = Issuer(), Watch()
    check = checker(issuer, clock)
    assert await check.verify_token(issuer.token())
    issuer.is_down = True
    clock.now += ASK_AGAIN_SECONDS + 1
    for _ in range(5):
        assert await check.verify_token(issuer.token(header={"kid": "made-up"})) is None
    assert issuer.asked == 2


async def test_a_key_for_one_algorithm_is_not_good_for_another():
    issuer = Issuer()
    check = checker(issuer)
    key = issuer.keys["first"][1]
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})

    assert await check.verify_token(jwt.encode(claims, key, "PS256", headers={"kid": "first"})) is None
    issuer.says_algorithm = False
    assert await checker(issuer).verify_token(jwt.encode(claims, key, "PS256", headers={"kid": "first"}))


@pytest.mark.parametrize("scope", [None, 5, {"a": 1}, [7, "\ud800"], ""])
async def test_scopes_that_are_none_give_none(scope: object):
    issuer = Issuer()
    found = await checker(issuer).verify_token(signed(issuer, scope=scope))

    assert found
    assert found.scopes == []


@pytest.mark.parametrize("sub", ["", "\ud800", "a\nb", "a\0b", "x" * 256, 7])
async def test_somebody_without_a_name_that_can_be_written_down_is_nobody(sub: object):
    issuer = Issuer()

    assert await checker(issuer).verify_token(signed(issuer, sub=sub)) is None
    assert await checker(issuer).verify_token(signed(issuer, client_id=sub))


ASKING = """
import anyio, sys
from keyframe_mcp.adapters.connection import Connection
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.server.http.jwks import fetch_keys

async def main(host):
    assert (await fetch_keys(host + "/keys"))["keys"]
    connection = Connection(host, {}, None)
    for send in (connection.ask, connection.pay):
        assert (await send(Call(method="GET", path="/keys"))).status == 200

anyio.run(main, sys.argv[1])
"""


async def test_proxies_of_the_environment_are_not_used(tmp_path: Path):
    issuer = Issuer()
    with anyio.fail_after(60):
        async with issuing(tmp_path, issuer) as opened:
            oauth = opened.access.oauth
            assert oauth
            host = oauth.jwks_url.removesuffix("/keys")
            nowhere = dict.fromkeys(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"], "http://127.0.0.1:1")
            kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SYSTEMROOT") if name in os.environ}
            await anyio.run_process([sys.executable, "-c", ASKING, host], env=kept | nowhere)
    assert issuer.asked == 3


def signed(issuer: Issuer, **claims: object) -> str:
    """A token with anything in it, as the issuer signs it."""
    usual = {"iss": issuer.address, "aud": "https://mcp.example.com/mcp", "sub": "carol", "exp": int(time.time()) + 60}
    body = json.dumps(usual | claims).encode()
    return jwt.api_jws.PyJWS().encode(body, issuer.keys["first"][1], "RS256", headers={"kid": "first"})


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
                    made = await client.call_tool("generate_t2v", {"prompt": "x", "duration": 1, "wait_seconds": 0})
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
            answers = [await anybody.get(opened.address + path) for path in (f"{where}/mcp", where)]
            page = {"Origin": "https://any.example", "Access-Control-Request-Method": "GET"}
            asked = {"Access-Control-Request-Headers": "mcp-protocol-version"}
            preflight = await anybody.options(f"{opened.address}{where}/mcp", headers=page | asked)
            foreign = await anybody.get(f"{opened.address}{where}", headers={"Origin": "https://any.example"})
            elsewhere = await anybody.get(f"{opened.address}{where}", headers={"Host": "evil.example"})
    found = [each.json() for each in answers]

    assert refused.status_code == 401
    assert f'resource_metadata="https://mcp.example.com{where}/mcp"' in refused.headers["www-authenticate"]
    assert found[0] == found[1]
    assert found[0]["resource"] == "https://mcp.example.com/mcp"
    assert found[0]["authorization_servers"] == ["https://login.example.com"]
    assert (preflight.status_code, foreign.status_code, elsewhere.status_code) == (200, 200, 421)
    assert preflight.headers["access-control-allow-origin"] == foreign.headers["access-control-allow-origin"] == "*"
    described = ProtectedResourceMetadata.model_validate_json(answers[0].content)
    about: Any = {"issuer": "https://login.example.com", "response_types_supported": ["code"]}
    about |= {f"{each}_endpoint": "https://login.example.com/a" for each in ("authorization", "token")}
    # as the SDK's own client compares them
    validate_metadata_issuer(OAuthMetadata.model_validate(about), str(described.authorization_servers[0]))
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
