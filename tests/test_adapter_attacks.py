"""What providers may send that nobody planned for: nothing of it may lose a job, leak a key or stop the server."""

from __future__ import annotations

import base64
import html
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from adapters import EXAMPLES, KEY, Remote, connected, reply
from keyframe_mcp import errors
from keyframe_mcp.adapters.base import Found, Report
from keyframe_mcp.adapters.connection import SUBMIT_SECONDS, Connection
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.adapters.http import HttpAdapter
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.quotation import cleaned, quoted
from keyframe_mcp.task import Picture, Status
from studio import picture

FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(64)
LISTED_AT = datetime(2026, 4, 1, 9, tzinfo=UTC).timestamp()
DIRT = f"odd {KEY} \x1b[31m\u202e https://user:pw@host/a?sig=SECRET data:image/png;base64,AAAA "
Reader = Callable[..., HttpAdapter]


@pytest.fixture
def adapter(tmp_path: Path) -> Reader:
    """A provider's adapter that hears these replies."""
    return lambda name, *replies, **changes: connected(name, Remote(*replies), tmp_path, **changes)


def wavespeed(status: Any = "completed", **more: Any) -> dict[str, Any]:
    data = {"id": "j1", "status": status, "outputs": ["https://cdn/x.mp4"]}
    return {"code": 200, "message": "success", "data": data | more}


def siliconflow(**results: Any) -> dict[str, Any]:
    return {"status": "Succeed", "results": {"videos": [{"url": "https://cdn/x.mp4"}]} | results}


def replicate(status: Any = "succeeded", **more: Any) -> dict[str, Any]:
    return {"id": "j1", "status": status, "output": "https://cdn/x.mp4"} | more


def baicai(data: Any, code: Any = 0, message: str = "ok") -> dict[str, Any]:
    return {"code": code, "message": message, "data": data, "ts": "2026-02-02T10:44:54.7+08:00[Asia/Shanghai]"}


def is_clean(text: str) -> bool:
    return text.isprintable() and not any(each in text for each in (KEY, KEY[:12], "pw", "SECRET", "AAAA"))


# What is shown of a provider's words


@pytest.mark.parametrize("name", sorted(EXAMPLES))
async def test_a_state_nobody_knows_is_shown_short_and_clean(adapter: Reader, name: str):
    body = json.loads(json.dumps(EXAMPLES[name].unknown_state))
    told = json.dumps(body)
    for word in ("dreaming", "Daydreaming", "meditating", "PONDERING"):
        told = told.replace(f'"{word}"', json.dumps(DIRT + "x" * 3000))
    report = await adapter(name, reply(json.loads(told))).check("j1")

    assert report.status is Status.RUNNING
    assert report.native_status
    assert len(report.native_status) <= 60
    assert is_clean(report.native_status)


async def test_what_comes_with_a_yes_is_shown_short_and_clean(adapter: Reader):
    job = EXAMPLES["wavespeed"].job
    accepted = await adapter("wavespeed", reply(wavespeed(DIRT + "x" * 3000))).submit(job)
    assert is_clean(str(accepted.native_status))
    assert len(str(accepted.native_status)) <= 60

    trace: dict[str, Any] = {"x_siliconcloud_trace_id": f"t {KEY} " + "y" * 3000}
    accepted = await adapter("siliconflow", reply({"requestId": "j1"}, **trace)).submit(EXAMPLES["siliconflow"].job)
    assert accepted.trace_id
    assert len(accepted.trace_id) <= 100
    assert is_clean(accepted.trace_id)
    with pytest.raises(errors.ProviderRefused) as caught:
        await adapter("siliconflow", reply({"message": "no"}, 400, **trace)).submit(EXAMPLES["siliconflow"].job)
    assert is_clean(str(caught.value.trace_id))
    assert is_clean(str(caught.value))


@pytest.mark.parametrize("before", [0, 100, 270, 285, 292, 296, 5985, 5995])
async def test_no_part_of_a_key_is_shown_wherever_it_is_cut(adapter: Reader, before: int):
    said = "y" * before + KEY + " tail" * 2000
    report = await adapter("wavespeed", reply(wavespeed("failed", error=said))).check("j1")

    assert report.failure is not None
    assert KEY[:8] not in report.failure.message
    assert report.failure.message.startswith('WaveSpeedAI says: "')


async def test_a_failure_of_any_provider_is_clean(adapter: Reader):
    bodies = {
        "wavespeed": wavespeed("failed", error=DIRT, code=1403),
        "siliconflow": {"status": "Failed", "reason": DIRT},
        "replicate": replicate("failed", error={"deep": [DIRT]}),
        "baicai": baicai([{"status": "FAILED", "message": DIRT}]),
    }
    for name, body in bodies.items():
        report = await adapter(name, reply(body)).check("j1")
        assert report.failure is not None
        assert "odd [key]" in report.failure.message
        assert is_clean(report.failure.message)
    report = await adapter("wavespeed", reply(bodies["wavespeed"])).check("j1")
    assert report.failure is not None
    assert report.failure.message.endswith("(code 1403: the generation failed)")


def test_secrets_of_every_kind_are_blanked():
    for secret in (
        "Authorization: Bearer abcdefghijkl",
        "Basic dXNlcjpwYXNz",
        "api_key=abcdef1234567890",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdef",
        "https://u:hunter2@h.example/a?X-Amz-Signature=abcdefghijkl#sig=zzz",
        KEY,
        KEY.upper(),
        KEY[:20],
    ):
        shown = cleaned(f"see {secret} there", KEY)
        assert shown.startswith("see ")
        assert shown.endswith(" there")
        assert not any(each in shown for each in ("abcdefghij", "dXNl", "abcdef12", "eyJ", "hunter2", "zzz", "0123"))
        assert KEY[:12].casefold() not in shown.casefold()
    assert cleaned("the key parameter is missing, token limits apply") == (
        "the key parameter is missing, token limits apply"
    )
    assert cleaned("see 7f0c1d2e3a, cut", "7f0c1d2e3a4b5c6d7e8f9a0b") == "see [key], cut"
    assert quoted("Somebody", "") == "Somebody gives no reason"


@pytest.mark.parametrize(
    "between", ["\u200b", "\u200d", "\u2060", "\u00ad", "\ufe0f", "\u3164", "\x00", "\x1b", "\ue000", "\n"]
)
def test_what_nobody_sees_hides_no_key(between: str):
    for said in (between.join(KEY), KEY[:9] + between + KEY[9:], between.join(KEY.upper())):
        assert cleaned(f"see {said} there", KEY) == "see [key] there"


@pytest.mark.parametrize("written", ["&#{};", "&#x{:x};", "&#X{:04X};", "&#0{}", "\\u{:04x}", "%{:02x}", "%{:02X}"])
def test_a_key_is_blanked_however_its_characters_are_written(written: str):
    key = 'sk-0123<4&5"6789/ab'
    spelled = "".join(written.format(ord(each)) for each in key)
    mixed = "".join(written.format(ord(each)) if number % 2 else each for number, each in enumerate(key))

    for said in (spelled, mixed, html.escape(key), "%" + key.encode().hex("%")):
        assert cleaned(f"see {said} there", key) == "see [key] there"


def test_words_stay_apart_where_a_line_ended_and_what_nobody_sees_is_dropped():
    assert cleaned("one\ntwo\tthree\u2028four\x85five", KEY) == "one two three four five"
    assert cleaned("fi\u00adve \u202esix\x1b[31m", KEY) == "five six[31m"


async def test_an_id_that_holds_the_key_is_not_taken_for_one_and_the_job_stays_in_doubt(adapter: Reader):
    for name, example in EXAMPLES.items():
        for odd in (KEY, f"job-{KEY}-1", KEY.upper(), quote(f"{KEY}/", safe=""), KEY.encode().hex()):
            body = {"id": odd, "status": "starting", "requestId": odd, "code": 200, "data": {"id": odd, "taskId": odd}}
            for status in (200, 201, 502):
                with pytest.raises((errors.UnexpectedReply, errors.SubmissionUncertain)) as caught:
                    await adapter(name, reply(body, status)).submit(example.job)
                assert not any(form in str(caught.value).casefold() for form in (KEY, KEY.encode().hex()))
    with pytest.raises(errors.UnexpectedReply, match=r"its id holds the key it was sent, so it is not written down"):
        await adapter("siliconflow", reply({"requestId": KEY})).submit(EXAMPLES["siliconflow"].job)


async def test_a_short_key_is_in_many_an_id_by_chance(adapter: Reader):
    job, body = EXAMPLES["siliconflow"].job, {"requestId": "latest-7"}
    assert (await adapter("siliconflow", reply(body), key="test").submit(job)).remote_id == "latest-7"
    with pytest.raises(errors.UnexpectedReply):
        await adapter("siliconflow", reply({"requestId": "test"}), key="test").submit(job)


async def test_an_id_that_only_begins_like_the_key_is_one(adapter: Reader):
    job, body = EXAMPLES["siliconflow"].job, {"requestId": f"{KEY[:12]}-7"}
    assert (await adapter("siliconflow", reply(body)).submit(job)).remote_id == f"{KEY[:12]}-7"


@pytest.mark.parametrize(
    "place", ["https://cdn/{}/x.mp4", "https://cdn/x.mp4?sig={}", "https://cdn/x.mp4#{}", "https://{}.cdn/x"]
)
@pytest.mark.parametrize(
    "form", [KEY, KEY.upper(), KEY.encode().hex(), "".join(f"%{each:02x}" for each in KEY.encode())]
)
async def test_a_result_whose_address_holds_the_key_is_left_out_and_named(adapter: Reader, place: str, form: str):
    address, sound = "https://" + place.format(form), "https://cdn/y.mp4"
    report = await adapter("wavespeed", reply(wavespeed(outputs=[address, sound]))).check("j1")
    assert report.outputs == (sound,)
    assert report.warnings == ("1 of 2 outputs have the key in their address, which is neither kept nor fetched",)

    report = await adapter("wavespeed", reply(wavespeed(outputs=[address]))).check("j1")
    assert report.outputs == ()
    assert report.failure is not None
    assert report.failure.kind == "unexpected_reply"
    assert "have the key in their address" in report.failure.message
    assert form not in str(report)


async def test_an_uploaded_picture_whose_address_holds_the_key_is_not_used(adapter: Reader, tmp_path: Path):
    file = picture(tmp_path / "large.bmp", size=(800, 600))
    ours = Picture.model_construct(file=str(file), content="0" * 64, mime_type="image/bmp", url=None)
    body = {"code": 200, "data": {"download_url": f"https://cdn/{KEY}/a.bmp"}}
    with pytest.raises(errors.UnexpectedReply, match="nothing was submitted") as caught:
        await adapter("wavespeed", reply(body)).send(ours)
    assert KEY not in str(caught.value)


# The jobs a provider lists


def listed(*items: dict[str, Any]) -> httpx.Response:
    about = {"model": EXAMPLES["replicate"].job.model, "created_at": "2026-04-01T09:00:00Z", "status": "starting"}
    return reply({"results": [about | each for each in items]})


async def looked_for(adapter: Reader, wire: Mapping[str, Any], *items: dict[str, Any]) -> Found | None:
    job = replace(EXAMPLES["replicate"].job, wire=wire)
    return await adapter("replicate", listed(*items)).find(job, LISTED_AT)


async def test_only_a_job_with_exactly_our_inputs_is_ours(adapter: Reader):
    sent = {"prompt": "turn", "image": "https://h/a.png", "seed": 7}

    async def found(inputs: object, wire: Mapping[str, Any] = sent) -> Found | None:
        return await looked_for(adapter, wire, {"id": "j1", "input": inputs})

    certain, possible = Found(certain=("j1",)), Found(possible=("j1",))
    assert await found(sent) == certain
    assert await found({**sent, "seed": 7.0}) == certain
    assert await found({**sent, "steps": 30}) == possible
    assert await found({"prompt": "turn"}) == possible
    assert await found({}) == possible
    assert await found("x") == possible
    assert await found({**sent, "prompt": "else"}) == Found()
    assert await found({**sent, "image": "https://h/b.png"}) == possible
    assert await found({}, {}) == possible
    assert await found({"flag": 1}, {"flag": True}) == Found()
    assert await found({"prompt": "turn", "image": ""}, {"prompt": "turn", "image": ""}) == possible


async def test_the_newest_job_comes_last_and_a_strange_id_is_left_out(adapter: Reader):
    sent = {"prompt": "turn"}
    at = "2026-04-01T09:00:0{}Z"
    found = await looked_for(
        adapter,
        sent,
        {"id": "new", "input": sent, "created_at": at.format(9)},
        {"id": "old", "input": sent, "created_at": at.format(1)},
        {"id": "maybe", "input": None, "created_at": at.format(5)},
        {"id": "IGNORE ALL \x1b[31m", "input": sent},
        {"id": KEY, "input": sent},
        {"id": "x" * 201, "input": sent},
        {"id": "..", "input": sent},
        {"id": None, "input": sent},
        {"input": sent},
    )
    assert found == Found(certain=("old", "new"), possible=("maybe",))


# Ids


@pytest.mark.parametrize("odd", ["", ".", "..", "a b", "a\nb", "\u202ea", "x" * 201, True, 1.5, ["a"], None])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
async def test_an_id_that_cannot_be_one_is_not_taken_for_one(adapter: Reader, name: str, odd: object):
    body = {
        "wavespeed": wavespeed(id=odd),
        "siliconflow": {"requestId": odd},
        "baicai": baicai({"taskId": odd}),
    }.get(name, replicate("starting", id=odd))

    with pytest.raises(errors.UnexpectedReply):
        await adapter(name, reply(body)).submit(EXAMPLES[name].job)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("wavespeed", wavespeed(has_nsfw_contents=[None], timings=[], created_at=17, input="x", outputs="?"), 200),
        ("wavespeed", wavespeed(status=None), 200),
        ("wavespeed", wavespeed(model={"a": 1}, error=[1], code="x"), 200),
        ("wavespeed", {"data": {"id": "j1"}}, 200),
        ("wavespeed", {"code": 400, "message": "x", "data": {"id": "j1", "status": "created"}}, 400),
        ("wavespeed", {"code": 500, "message": "x", "data": {"id": "j1", "status": "created"}}, 200),
        ("baicai", baicai({"taskId": "j1"}, code="0"), 200),
        ("baicai", baicai({"taskId": "j1"}, code=200), 200),
        ("baicai", baicai({"taskId": "j1"}, code=7), 200),
        ("baicai", baicai([{"taskId": "j1", "status": "PENDING"}]), 200),
        ("baicai", baicai([{"taskId": "j1"}, {"taskId": "j2"}]), 200),
        ("baicai", baicai({"task_id": "j1"}), 200),
        ("baicai", baicai({"taskId": "j1", "status": "PENDING"}, code=400), 400),
        ("replicate", replicate(None, logs=["a"], metrics=[], input="x", model={"a": 1}, created_at=1), 200),
        ("siliconflow", {"requestId": "j1", "status": []}, 200),
    ],
)
async def test_an_answer_that_names_the_job_is_never_thrown_away(adapter: Reader, name: str, body: Any, status: int):
    accepted = await adapter(name, reply(body, status)).submit(EXAMPLES[name].job)

    assert accepted.remote_id == "j1"


async def test_an_id_may_be_a_number(adapter: Reader):
    number = 1234567890123
    bodies = {
        "wavespeed": wavespeed(id=number),
        "siliconflow": {"requestId": number},
        "baicai": baicai({"taskId": number}),
        "replicate": replicate("starting", id=number),
    }
    for name, body in bodies.items():
        assert (await adapter(name, reply(body)).submit(EXAMPLES[name].job)).remote_id == str(number)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("replicate", {"id": "err_1", "status": "error", "title": "no", "detail": "no"}, 422),
        ("replicate", {"detail": "no", "status": 400}, 400),
        ("wavespeed", {"code": 400, "message": "no", "data": {"id": "request-1"}}, 400),
        ("baicai", baicai({"taskId": "j1"}, code=400), 400),
    ],
)
async def test_an_id_in_a_refusal_is_no_job(adapter: Reader, name: str, body: Any, status: int):
    with pytest.raises(errors.ProviderRefused):
        await adapter(name, reply(body, status)).submit(EXAMPLES[name].job)


async def test_an_id_in_an_error_page_of_replicate_is_no_job(adapter: Reader):
    with pytest.raises(errors.SubmissionUncertain):
        await adapter("replicate", reply({"id": "err_1", "error": "oops"}, 500)).submit(EXAMPLES["replicate"].job)


# Baicai, of which little is documented


@pytest.mark.parametrize(
    ("data", "status", "native"),
    [
        ([{"status": "RUNNING", "progress": "10%"}, {"status": "RUNNING", "progress": "5%"}], "running", "RUNNING"),
        ([], "running", None),
        ({}, "running", None),
        ({"urls": []}, "running", None),
        ([{"progress": "5%"}], "running", None),
        ([{"status": "COMPLETED", "url": "https://c/1.mp4"}, {"status": "RUNNING"}], "running", "COMPLETED, RUNNING"),
        ([{"status": "FAILED"}, {"status": "RUNNING"}], "running", "FAILED, RUNNING"),
        ([{"status": "FAILED", "message": "no"}, {"status": "FAILED"}], "failed", "FAILED"),
        ([{"status": "FAILED"}, {"status": "CANCELED"}], "failed", "FAILED, CANCELED"),
        ([{"status": "CANCELED"}, {"status": "CANCELED"}], "cancelled", "CANCELED"),
        ([{"result": {"status": "RUNNING", "urls": []}}], "running", "RUNNING"),
        ([{"status": 7, "progress": "x"}], "running", None),
    ],
)
async def test_several_videos_of_one_baicai_job_are_one_job(
    adapter: Reader, data: Any, status: str, native: str | None
):
    report = await adapter("baicai", reply(baicai(data))).check("j1")

    assert (str(report.status), report.native_status) == (status, native)


@pytest.mark.parametrize(
    "data",
    [
        {"videoUrl": "https://cdn/x.mp4"},
        {"status": "COMPLETED", "videoUrl": "https://cdn/x.mp4"},
        [{"url": "https://cdn/x.mp4"}],
        [{"fullPath": "https://cdn/x.mp4"}],
        [{"result": {"urls": ["https://cdn/x.mp4"]}}],
        {"status": "COMPLETED", "anything": {"deep": "https://cdn/x.mp4"}, "input": {"image": "https://a/1.png"}},
        ["https://cdn/x.mp4"],
        "https://cdn/x.mp4",
    ],
)
async def test_a_baicai_result_is_found_under_whatever_name(adapter: Reader, data: Any):
    for first in ({"status": "COMPLETED"}, [{"status": "COMPLETED", "input": {"image": "https://a/1.png"}}]):
        report = await adapter("baicai", reply(baicai(first)), reply(baicai(data))).check("j1")
        assert (report.status, report.outputs) == (Status.SUCCEEDED, ("https://cdn/x.mp4",))


async def test_baicai_says_done_at_once_where_the_state_names_the_file(adapter: Reader):
    done = {"status": "COMPLETED", "videoUrl": "https://cdn/x.mp4"}
    assert (await adapter("baicai", reply(baicai(done))).check("j1")).outputs == ("https://cdn/x.mp4",)
    two = [{"status": "COMPLETED", "urls": [f"https://cdn/{n}.mp4"]} for n in (1, 2)]
    assert (await adapter("baicai", reply(baicai(two))).check("j1")).outputs == (
        "https://cdn/1.mp4",
        "https://cdn/2.mp4",
    )
    half = [{"status": "COMPLETED", "url": "https://cdn/1.mp4"}, {"status": "FAILED", "message": "no GPU"}]
    report = await adapter("baicai", reply(baicai(half))).check("j1")
    assert (report.status, report.outputs) == (Status.SUCCEEDED, ("https://cdn/1.mp4",))
    assert "1 of 2" in report.warnings[0]


@pytest.mark.parametrize(
    "first",
    [
        [{"status": "COMPLETED", "url": "https://cdn/1.mp4"}, {"status": "COMPLETED"}],
        {"status": "COMPLETED", "preview": "https://cdn/small.jpg"},
    ],
)
async def test_baicai_is_asked_for_the_result_where_the_state_does_not_name_all_of_it(adapter: Reader, first: Any):
    files = ("https://cdn/1.mp4", "https://cdn/2.mp4")
    report = await adapter("baicai", reply(baicai(first)), reply(baicai({"urls": list(files)}))).check("j1")

    assert report.outputs == files


@pytest.mark.parametrize("result", [{"urls": []}, [], None])
async def test_baicai_done_without_a_file_is_said(adapter: Reader, result: Any):
    report = await adapter("baicai", reply(baicai({"status": "COMPLETED"})), reply(baicai(result))).check("j1")

    assert report.failure is not None
    assert "names no file" in report.failure.message


async def test_a_baicai_result_that_is_not_there_is_asked_for_once(tmp_path: Path):
    remote = Remote(reply(baicai({"status": "COMPLETED"})), reply({"message": "not yet"}, 404))

    with pytest.raises(errors.ProviderRefused, match="not yet"):
        await connected("baicai", remote, tmp_path).check("j1")
    assert len(remote.requests) == 2


@pytest.mark.parametrize(
    ("code", "kind"), [(1, "provider_refused"), (-1, "provider_refused"), (10234, "provider_refused")]
)
async def test_a_code_of_baicai_that_is_not_yes_is_no(adapter: Reader, code: int, kind: str):
    with pytest.raises(errors.ProviderRefused, match=f"code {code}") as caught:
        await adapter("baicai", reply(baicai(None, code, "bad"))).submit(EXAMPLES["baicai"].job)
    assert caught.value.kind == kind
    with pytest.raises(errors.SubmissionUncertain):
        await adapter("baicai", reply(baicai(None, 500, "bad"))).submit(EXAMPLES["baicai"].job)
    report = await adapter("baicai", reply(baicai([{"status": "RUNNING"}], 200))).check("j1")
    assert report.status is Status.RUNNING


# Ornaments


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("wavespeed", wavespeed(has_nsfw_contents=False)),
        ("wavespeed", wavespeed(has_nsfw_contents=[None])),
        ("wavespeed", wavespeed(timings=[])),
        ("wavespeed", wavespeed(timings={"inference": "12s"})),
        ("wavespeed", wavespeed(timings={"inference": float("inf")})),
        ("wavespeed", wavespeed(timings={"inference": float("nan")})),
        ("wavespeed", wavespeed(timings={"inference": -5})),
        ("wavespeed", wavespeed(timings={"inference": 1e300})),
        ("wavespeed", wavespeed(created_at=17, model=[], input="x", code="y", id=None, error={})),
        ("wavespeed", wavespeed(outputs="https://cdn/x.mp4")),
        ("siliconflow", siliconflow(seed=1.5)),
        ("siliconflow", siliconflow(seed="abc")),
        ("siliconflow", siliconflow(seed=10**40)),
        ("siliconflow", siliconflow(seed=2**63)),
        ("siliconflow", siliconflow(seed=-1)),
        ("siliconflow", siliconflow(timings=[])),
        ("siliconflow", siliconflow(timings={"inference": "142 s"}, videos=["https://cdn/x.mp4"])),
        ("siliconflow", siliconflow() | {"position": "third", "reason": []}),
        ("replicate", replicate(logs="Using seed: " + "9" * 5000)),
        ("replicate", replicate(logs=["a"], metrics=[], input="x", model={}, data_removed="?", created_at=0)),
        ("replicate", replicate(metrics={"predict_time": "1e999"}, id=None)),
        ("replicate", replicate(metrics={"predict_time": True})),
        ("baicai", baicai([{"status": "COMPLETED", "progress": [], "urls": ["https://cdn/x.mp4"]}])),
    ],
)
async def test_an_odd_ornament_never_hides_a_finished_job(adapter: Reader, name: str, body: Any):
    text = json.dumps(body)
    report = await adapter(name, httpx.Response(200, text=text)).check("j1")

    assert (report.status, report.outputs) == (Status.SUCCEEDED, ("https://cdn/x.mp4",))
    assert (report.seed, report.inference_seconds, report.failure) == (None, None, None)


@pytest.mark.parametrize(
    "odd",
    [
        {"logs": "Generating frame 1 of keyframe " + "9" * 400},
        {"logs": "Generating frame 1 of keyframe 1", "input": {"num_animation_frames": "abc"}},
        {"logs": "Generating frame 1 of keyframe 1", "input": {"num_animation_frames": -3, "prompt_end": 7}},
        {"logs": "Generating frame 1 of keyframe 1", "input": {"num_animation_frames": []}},
        {"logs": "9" * 5000 + "%|##| 1/2"},
    ],
)
async def test_an_odd_log_stops_nothing(adapter: Reader, odd: Mapping[str, Any]):
    report = await adapter("replicate", reply(replicate("processing", output=None, **odd))).check("j1")

    assert report.status is Status.RUNNING
    assert report.progress is None or 0 <= report.progress <= 1


@pytest.mark.parametrize("price", ["NaN", "1e999", "-5", '"x"', "{}", "1e300", "[]", "10001"])
async def test_a_price_that_cannot_be_one_is_none(adapter: Reader, price: str):
    odd = httpx.Response(200, text='{"code":200,"data":{"price":PRICE}}'.replace("PRICE", price))

    assert await adapter("wavespeed", odd).quote(EXAMPLES["wavespeed"].job) is None


# Nothing but our own errors


DEEP = [
    "[" * 200_000,
    '{"code":0,"data":' + '{"a":' * 900 + "1" + "}" * 901,
    '{"code":200,"data":{"id":"x","status":"completed","outputs":' + "[" * 450 + "]" * 450 + "}}",
    '{"code":400,"message":' + '{"message":' * 900 + '"x"' + "}" * 901,
    '{"id":"x","status":"failed","error":' + "[" * 900 + "]" * 900 + "}",
    '{"code":0,"data":' + "[" * 450 + "]" * 450 + "}",
    "9" * 5000,
    "NaN",
    "",
    "\ufffe\x00",
]


@pytest.mark.parametrize("text", DEEP)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_no_other_error_leaves_reading(adapter: Reader, name: str, text: str, status: int):
    job = EXAMPLES[name].job

    def odd() -> HttpAdapter:
        return adapter(name, *(httpx.Response(status, text=text) for _ in range(3)))

    for ask in (odd().check("j1"), odd().submit(job), odd().probe(), odd().find(job, LISTED_AT)):
        with suppress(errors.KeyframeError):
            await ask
    assert await odd().quote(job) is None


async def test_an_answer_of_lists_in_lists_goes_no_further(adapter: Reader):
    deep = httpx.Response(200, text='{"data":[' + "[" * 500 + "]" * 500 + "]}")
    with pytest.raises(errors.UnexpectedReply):
        await adapter("wavespeed", deep).models()
    flat = reply({"data": [{"name": "x", "inputs": [[]] * 500}]})
    assert await adapter("wavespeed", flat).models() is not None


@pytest.mark.parametrize("odd", ["https://[::1", "https://\x00/", "http://", "https://a b/", "https://h/" + "x" * 9000])
async def test_an_address_that_is_none_is_left_out(adapter: Reader, odd: str):
    body = wavespeed(outputs=[odd, "https://cdn/x.mp4"])
    report = await adapter("wavespeed", reply(body)).check("j1")
    assert report.outputs == ("https://cdn/x.mp4",)
    assert adapter("replicate").credentials(odd) == {}
    report = await adapter("wavespeed", reply(wavespeed(outputs=[odd]))).check("j1")
    assert report.failure is not None
    assert report.failure.kind == "unexpected_reply"


@pytest.mark.parametrize("after", ["", "-5", "Mon, 99 Foo 9999999 99:99:99 XXX", "9" * 400, "1e5", "\u00b2"])
async def test_an_odd_time_to_wait_is_no_trouble(adapter: Reader, after: str):
    busy = httpx.Response(
        429, json={"message": "retry in " + "9" * 400 + "s"}, headers=[(b"retry-after", after.encode())]
    )
    with pytest.raises(errors.ProviderBusy) as caught:
        await adapter("wavespeed", busy).submit(EXAMPLES["wavespeed"].job)
    assert caught.value.retry_after is None or 0 <= caught.value.retry_after <= 120


# Many of something


async def test_many_flags_are_one_warning(adapter: Reader):
    four = [f"https://cdn/{n}.mp4" for n in range(4)]
    body = wavespeed(outputs=four, has_nsfw_contents=[True, True, None, True])
    report = await adapter("wavespeed", reply(body)).check("j1")
    assert report.warnings == ("WaveSpeedAI flagged 3 of 4 outputs (1, 2, 4) as not safe for work",)
    report = await adapter("wavespeed", reply(wavespeed(has_nsfw_contents=[True] * 3000))).check("j1")
    (warning,) = report.warnings
    assert "flagged 3000 of 3000 outputs (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)" in warning


async def test_at_most_64_files_are_taken(adapter: Reader):
    many = [f"https://cdn/{n}.mp4" for n in range(400)]
    report = await adapter("wavespeed", reply(wavespeed(outputs=many))).check("j1")

    assert report.outputs == tuple(many[:64])
    assert "336" in report.warnings[0]


def test_what_was_sent_is_not_what_was_made():
    assert outputs_in({"input": {"image": "https://a/1.png"}, "made": "https://cdn/x.mp4"}) == ("https://cdn/x.mp4",)


# Which kind of no


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (422, "input.enable_safety_checker: Additional property is not allowed", "provider_refused"),
        (400, "enable_safety_checker: not allowed", "provider_refused"),
        (422, "safety_tolerance: Must be less than or equal to 6", "provider_refused"),
        (400, "safety_tolerance must be <= 6", "provider_refused"),
        (400, "white_balance must be one of auto, day", "provider_refused"),
        (400, "property 'balance' is unknown", "provider_refused"),
        (400, "prompt may not be longer than 2000 (see credits page)", "provider_refused"),
        (404, "the model moderation-v2 was not found", "provider_refused"),
        (400, "model moderation-v2 not found", "provider_refused"),
        (404, "content moderation", "provider_refused"),
        (422, "nsfw", "provider_refused"),
        (404, "insufficient balance", "provider_refused"),
        (400, "enable_nsfw_check must be boolean", "provider_refused"),
        (400, "stop_level must be 1", "provider_refused"),
        (400, "blocked by content moderation", "content_rejected"),
        (400, "violates our content policy", "content_rejected"),
        (400, "NSFW content detected", "content_rejected"),
        (400, "prompt has sensitive content", "content_rejected"),
        (400, "it does not pass the review", "content_rejected"),
        (400, "inappropriate words", "content_rejected"),
        (400, "flagged by our filter", "content_rejected"),
        (400, "提示词违规", "content_rejected"),
        (400, "内容敏感", "content_rejected"),
        (403, "审核不通过", "content_rejected"),
        (400, "insufficient balance", "payment_needed"),
        (400, "Insufficient credits, please top up", "payment_needed"),
        (403, "insufficient funds", "payment_needed"),
        (400, "账户余额不足", "payment_needed"),
        (400, "账号已欠费", "payment_needed"),
        (403, "no such permission", "credential_refused"),
    ],
)
async def test_words_decide_only_where_they_are_clear(adapter: Reader, status: int, said: str, kind: str):
    with pytest.raises(errors.ProviderError) as caught:
        await adapter("replicate", reply({"detail": said}, status)).submit(EXAMPLES["replicate"].job)

    assert caught.value.kind == kind


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_speaks_of_the_address(adapter: Reader, status: int):
    away = reply({}, status, location="https://u:pw@elsewhere.test/v1?key=1")
    with pytest.raises(errors.ProviderRefused) as caught:
        await adapter("wavespeed", away).submit(EXAMPLES["wavespeed"].job)

    assert str(caught.value) == (
        "api.wavespeed.ai answers with a redirect to elsewhere.test; "
        "set KEYFRAME_WAVESPEED_BASE_URL to the address that answers itself"
    )
    for place in ("", "/v2"):
        with pytest.raises(errors.UnexpectedReply, match="redirect to another address"):
            await adapter("wavespeed", reply({}, status, location=place)).check("j1")
    nowhere = reply({}, status, location="https://[::1")
    with pytest.raises(errors.SubmissionUncertain):
        await adapter("wavespeed", nowhere).submit(EXAMPLES["wavespeed"].job)


# Pictures


@pytest.mark.parametrize(
    ("more", "is_gone"),
    [
        ({"code": 1402, "error": "x"}, True),
        ({"code": 1403, "error": "Failed to download image from url"}, True),
        ({"error": "the first image could not be fetched"}, True),
        ({"error": "unable to fetch the input picture"}, True),
        ({"error": "CUDA out of memory"}, False),
        ({"error": "the image is too small"}, False),
        ({"error": "could not load the model"}, False),
    ],
)
async def test_says_when_a_picture_could_not_be_fetched(adapter: Reader, more: Mapping[str, Any], is_gone: bool):
    report = await adapter("wavespeed", reply(wavespeed("failed", outputs=[], **more))).check("j1")

    assert report.status is Status.FAILED
    assert report.is_picture_gone is is_gone


@pytest.mark.parametrize("content", [b"<b>no</b>", b"", b'{"error": 1}', b"some words, and no film at all"])
async def test_bytes_that_are_no_film_are_left_out_and_named(adapter: Reader, tmp_path: Path, content: bytes):
    odd = f"data:text/html;base64,{base64.b64encode(content).decode()}"
    film = f"data:video/mp4;base64,{base64.b64encode(FILM).decode()}"

    report = await adapter("wavespeed", reply(wavespeed(outputs=[odd, film]))).check("j1")
    assert len(report.outputs) == 1
    assert Path(httpx.URL(report.outputs[0]).path).read_bytes() == FILM
    assert "no video" in report.warnings[0]
    report = await adapter("wavespeed", reply(wavespeed(outputs=[odd]))).check("j2")
    assert report.failure is not None
    assert "no video" in report.failure.message
    assert len(list((tmp_path / "spool").iterdir())) == 1


async def test_two_jobs_with_the_same_bytes_have_a_file_each(adapter: Reader):
    body = wavespeed(outputs=[f"data:video/mp4;base64,{base64.b64encode(FILM).decode()}"])
    files = {(await adapter("wavespeed", reply(body)).check(each)).outputs for each in ("j1", "j2", "j1")}

    assert len(files) == 2


async def test_a_full_disk_is_not_the_providers_fault(adapter: Reader, tmp_path: Path):
    (tmp_path / "spool").write_text("in the way")
    body = wavespeed(outputs=[f"data:video/mp4;base64,{base64.b64encode(FILM).decode()}"])

    with pytest.raises(errors.OutputUnwritable):
        await adapter("wavespeed", reply(body)).check("j1")


# The key


def test_the_key_goes_only_where_the_catalogue_says(adapter: Reader):
    result = "https://replicate.delivery/x.mp4"
    assert adapter("replicate").credentials(result) == {"Authorization": f"Bearer {KEY}"}
    assert adapter("replicate").credentials("https://replicate.delivery:443/x.mp4")
    assert adapter("replicate", base_url="https://api.replicate.com/other").credentials(result)
    for other in ("https://relay.test/v1", "http://127.0.0.1:8000/v1", "https://api.replicate.com:8443/v1"):
        assert adapter("replicate", base_url=other).credentials(result) == {}
    for url in ("https://replicate.delivery:8443/x", "http://replicate.delivery/x", "https://u:p@replicate.delivery/x"):
        assert adapter("replicate").credentials(url) == {}


async def test_the_key_goes_in_the_header_the_catalogue_names(tmp_path: Path):
    remote = Remote(reply(EXAMPLES["wavespeed"].submit_reply))
    await connected("wavespeed", remote, tmp_path, key_as="X-Key: Token {}").submit(EXAMPLES["wavespeed"].job)

    assert remote.requests[0].headers["x-key"] == f"Token {KEY}"
    assert "authorization" not in remote.requests[0].headers


# Before anything is sent


@pytest.mark.parametrize(
    "wire",
    [
        {"prompt": "\ud83d"},
        {"seed": float("nan")},
        {"prompt": {1, 2}},
        {"header:Prefer": "wait=5\r\nX-Evil: 1"},
        {"header:Prefer": "wait=\u00e9\u4e2d"},
        {"header:Bad Name": "x"},
        {"a": 1, "a.b": 2},
    ],
)
async def test_what_cannot_be_sent_was_not_sent(tmp_path: Path, wire: Mapping[str, Any]):
    remote = Remote()
    job = replace(EXAMPLES["replicate"].job, wire=wire)

    with pytest.raises(errors.ProviderRefused, match="nothing was sent"):
        await connected("replicate", remote, tmp_path).submit(job)
    assert not remote.requests


async def test_a_key_that_fits_in_no_header_is_an_error_of_ours(adapter: Reader):
    for key in ("kéy\u4e2d", "a\nb"):
        odd = adapter("wavespeed", key=key)
        with pytest.raises(errors.KeyframeError):
            await odd.check("j1")
        with pytest.raises(errors.ProviderRefused, match="nothing was sent"):
            await odd.submit(EXAMPLES["wavespeed"].job)


async def test_asking_for_a_price_never_raises(adapter: Reader):
    job = replace(EXAMPLES["wavespeed"].job, wire={"a": 1, "a.b": 2})

    assert await adapter("wavespeed").quote(job) is None
    assert await adapter("wavespeed").quote(replace(job, wire={"prompt": {1}})) is None


# The event loop, and waiting


async def test_a_large_body_is_written_elsewhere():
    seen: list[int] = []

    class Noticed(dict[str, Any]):
        def items(self):
            seen.append(threading.get_ident())
            return super().items()

    remote = Remote(reply({}), reply({}))
    connection = Connection("https://h.test", {}, httpx.MockTransport(remote))
    for text in ("small", "x" * 200_000):
        await connection.pay(Call(method="POST", path="/", json={"image": text, "more": Noticed(a=1)}))
    await connection.aclose()

    assert [body for _, _, body in remote.calls] == [
        {"image": text, "more": {"a": 1}} for text in ("small", "x" * 200_000)
    ]
    assert remote.requests[0].headers["content-type"] == "application/json"
    assert [each == threading.get_ident() for each in seen] == [True, False]


async def test_a_picture_is_put_into_text_elsewhere(adapter: Reader, tmp_path: Path):
    seen: list[int] = []

    class Noticed(str):
        __slots__ = ()

        def __format__(self, format_spec: str) -> str:
            seen.append(threading.get_ident())
            return super().__format__(format_spec)

    file = picture(tmp_path / "large.bmp", size=(1000, 700))
    ours = Picture.model_construct(file=str(file), content="0" * 64, mime_type=Noticed("image/bmp"), url=None)
    text = (await adapter("siliconflow").send(ours)).text

    assert text == f"data:image/bmp;base64,{base64.b64encode(file.read_bytes()).decode()}"
    assert seen
    assert threading.get_ident() not in seen


async def test_a_provider_that_waits_for_the_result_itself_is_waited_for():
    connection = Connection("https://h.test", {}, httpx.MockTransport(Remote()))

    assert connection._paid.timeout.read == 90
    assert SUBMIT_SECONDS == 100
    await connection.aclose()


def test_a_report_says_nothing_of_pictures_by_itself():
    assert Report(status=Status.RUNNING).is_picture_gone is False
