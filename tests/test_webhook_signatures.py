"""Whose call it is: both providers' signatures, checked against figures and code that are not ours."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from replicate.webhook import Webhooks as TheirWebhooks
from replicate.webhook import WebhookSigningSecret

from emulators.callbacks import by_replicate, by_wavespeed
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import dialect_of
from keyframe_mcp.adapters.dialect import Dialect, Reply
from keyframe_mcp.adapters.webhooks import NOTHING, Called, Signed, signed
from keyframe_mcp.engine.callbacks import Address, Callbacks, callable_url
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.engine.webhook_keys import WebhookKeys
from keyframe_mcp.errors import ProviderUnavailable
from studio import Clock

BODY = b'{"id":"abc"}'
RAW_SECRET, BASE64_SECRET = "whsec_raw-text-of-the-secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
# of `msg_1.1700000000.{"id":"abc"}`, by `openssl dgst -sha256 -mac HMAC`
HEX = "v3,2979844806abdf8e0d725dd61f7a308205dfe9a60285252d02a206c77e556b8b"
BASE64 = "v1,gJmlupZZzHBdX02ycpDRydrpmgz3Zz9ba6SEdVy6K/w="


def dialect(name: str) -> Dialect:
    return dialect_of(name)(catalogs.load().providers[name])


def key(name: str) -> bytes:
    body = {"code": 200, "data": {"secret": RAW_SECRET}} if name == "wavespeed" else {"key": BASE64_SECRET}
    return dialect(name).read_webhook_key(Reply(status=200, body=body))


def call(signature: str, *, body: bytes = BODY, call_id: str = "msg_1", timestamp: str = "1700000000") -> Signed:
    headers = {"webhook-id": call_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    made = signed(headers, body)
    assert made is not None
    return made


SCHEMES = pytest.mark.parametrize(("name", "signature"), [("wavespeed", HEX), ("replicate", BASE64)])


@SCHEMES
def test_a_signature_that_openssl_makes_is_accepted(name: str, signature: str):
    assert dialect(name).is_signed(call(signature), key(name))


@SCHEMES
def test_one_of_several_signatures_is_enough(name: str, signature: str):
    assert dialect(name).is_signed(call(f"v1,AAAA {signature} v3,00"), key(name))


@SCHEMES
def test_nothing_that_was_changed_is_accepted(name: str, signature: str):
    spoken, secret = dialect(name), key(name)
    others = [
        call(signature, body=BODY + b" "),
        call(signature, call_id="msg_2"),
        call(signature, timestamp="1700000001"),
        call(signature.replace("v", "V", 1)),
        call("v2" + signature[2:]),
        call(signature[:-1]),
        call(signature + ","),
        call(signature.upper()),
        call(BASE64 if signature == HEX else HEX),
    ]
    assert not any(spoken.is_signed(each, secret) for each in others)
    assert not spoken.is_signed(call(signature), secret + b"x")


@SCHEMES
def test_none_of_twenty_thousand_guesses_is_accepted(name: str, signature: str):
    spoken, secret, chance = dialect(name), key(name), random.Random(11)  # noqa: S311 - the same every time
    version, _, rest = signature.partition(",")
    accepted = 0
    for _ in range(10_000):
        guess = "".join(chance.choice("0123456789abcdefABCXYZ+/=, ") for _ in range(len(rest)))
        made = signed(
            {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": f"{version},{guess}"},
            chance.randbytes(chance.randrange(40)),
        )
        accepted += made is not None and spoken.is_signed(made, secret)
    assert accepted == 0


def test_replicate_s_own_client_accepts_what_we_accept():
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": BASE64}
    TheirWebhooks.validate(headers=headers, body=BODY.decode(), secret=WebhookSigningSecret(key=BASE64_SECRET))


def test_the_emulated_providers_sign_as_the_figures_say():
    text = b"msg_1.1700000000." + BODY
    assert (by_wavespeed(RAW_SECRET, text), by_replicate(BASE64_SECRET, text)) == (HEX, BASE64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", ""),
        ("webhook-id", "two words"),
        ("webhook-id", "x" * 201),
        ("webhook-timestamp", "-1700000000"),
        ("webhook-timestamp", "1e9"),
        ("webhook-timestamp", "١٧٠٠٠٠٠٠٠٠"),
        ("webhook-timestamp", "9" * 13),
        ("webhook-signature", ""),
        ("webhook-signature", "v3,\xff"),
        ("webhook-signature", "v" * 4097),
    ],
)
def test_headers_that_cannot_be_a_signature_are_none(name: str, value: str):
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": HEX}
    assert signed(headers, BODY) is not None
    assert signed({**headers, name: value}, BODY) is None
    assert signed({other: each for other, each in headers.items() if other != name}, BODY) is None


@pytest.mark.parametrize(
    "secret", ["whsec_", "raw-text-of-the-secret", "whsec_short", "", "whsec_" + "é" * 20, None, 7]
)
@pytest.mark.parametrize("name", ["wavespeed", "replicate"])
def test_a_secret_that_anybody_could_guess_is_none(name: str, secret: object):
    body = {"data": {"secret": secret}} if name == "wavespeed" else {"key": secret}
    with pytest.raises(ValueError, match=r"."):
        dialect(name).read_webhook_key(Reply(status=200, body=body))


# Keys, as long as they hold


@dataclass
class Signing:
    """A provider that signs with the key it has. `trouble` is raised instead of telling it."""

    key: bytes = b"first"
    trouble: ProviderUnavailable | None = None
    asked: int = 0
    calls_back: bool = True
    heard: list[bytes] = field(default_factory=list[bytes])

    async def webhook_key(self) -> bytes:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.key

    def is_signed(self, call: Signed, key: bytes) -> bool:
        return call.signatures == (key.decode(),)

    def read_called(self, body: bytes) -> Called:
        return NOTHING

    def may_be(self, job: object, called: Called) -> bool:
        return True


async def test_a_key_is_asked_for_once_and_again_after_a_minute_when_it_was_replaced():
    clock, provider = Clock(), Signing()
    keys = WebhookKeys(clock)
    assert await keys.is_signed("one", provider, call("first"))
    assert await keys.is_signed("one", provider, call("first"))
    assert provider.asked == 1
    provider.key = b"second"
    assert not await keys.is_signed("one", provider, call("second"))
    clock.now += 61
    assert await keys.is_signed("one", provider, call("second"))
    assert not await keys.is_signed("one", provider, call("first"))
    assert provider.asked == 2


async def test_strangers_make_us_ask_at_most_once_a_minute():
    clock, provider = Clock(), Signing()
    keys = WebhookKeys(clock)
    for _ in range(100):
        assert not await keys.is_signed("one", provider, call("forged"))
        clock.now += 3
    assert provider.asked <= 6


async def test_a_key_that_cannot_be_had_is_asked_for_again_soon():
    clock, provider = Clock(), Signing(trouble=ProviderUnavailable("down"))
    keys = WebhookKeys(clock)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await keys.is_signed("one", provider, call("first"))
    assert provider.asked == 1
    provider.trouble = None
    clock.now += 6
    assert await keys.is_signed("one", provider, call("first"))


# Addresses


def test_an_address_is_only_for_its_provider_task_and_attempt():
    callbacks = Callbacks(Seal(lambda: b"k" * 32), "https://mcp.example.com", {"one", "two"})
    address = callbacks.address("one", "kf_a", 2)
    assert address is not None
    *_, provider, task_id, attempt, signature = address.split("/")
    assert address.startswith("https://mcp.example.com/webhooks/one/kf_a/2/")
    assert callbacks.is_ours(Address(provider, task_id, attempt, signature))
    for other in (
        Address("two", task_id, attempt, signature),
        Address(provider, "kf_b", attempt, signature),
        Address(provider, task_id, "1", signature),
        Address(provider, task_id, "02", signature),
        Address(provider, task_id, attempt, signature[:-1]),
        Address(provider, task_id, attempt, signature.upper() + "é"),
    ):
        assert not callbacks.is_ours(other)
    assert signature not in repr(Address(provider, task_id, attempt, signature))


@pytest.mark.parametrize(
    ("url", "loopback", "called"),
    [
        (None, True, False),
        ("https://mcp.example.com", False, True),
        ("http://127.0.0.1:8765", False, False),
        ("https://localhost", False, False),
        ("http://127.0.0.1:8765", True, True),
    ],
)
def test_only_what_a_provider_can_reach_is_given_out(url: str | None, loopback: bool, called: bool):
    assert callable_url(url, loopback=loopback) == (url if called else None)


def test_gateways_are_given_no_address():
    providers = catalogs.load().providers
    assert {name for name, each in providers.items() if each.webhooks} == {"replicate", "wavespeed"}
