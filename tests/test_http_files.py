"""Links to kept results: whoever has one gets that file, in parts if asked, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from keyframe_mcp.engine.ownership import Ownership
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.media.orders import ProbeVideo
from keyframe_mcp.server.card import CARD_URI
from keyframe_mcp.server.http.ranges import OutOfRange, Span, span_of
from keyframe_mcp.server.links import LINK_SECONDS, STEP_SECONDS, Links
from sites import ANN, BEN, TOKENS, ask, open_site, refused
from studio import Clock, picture

NAME = f"kf_{'a' * 26}.mp4"
OTHER = f"kf_{'b' * 26}.mp4"
CONTENT = bytes(range(256)) * 4
QUICK = {"fps": 8}
PUBLIC = "https://mcp.example.com"
WITH_SIGN_IN = {"KEYFRAME_AUTH_TOKENS": TOKENS}
CLOSED = WITH_SIGN_IN | {"KEYFRAME_PUBLIC_URL": PUBLIC}


def put(folder: Path, name: str = NAME, content: bytes = CONTENT) -> Path:
    (folder / "out").mkdir(exist_ok=True)
    path = folder / "out" / name
    path.write_bytes(content)
    return path


def path_of(links: Links, name: str = NAME) -> str:
    link = links.link(name)
    assert link
    return urlsplit(link.url).path


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-5", Span(2, 6)),
        ("bytes=2-", Span(2, 10)),
        ("bytes=2-999", Span(2, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-999", Span(0, 10)),
        (" Bytes = 1 - 2 ", Span(1, 3)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("lines=0-1", None),
        ("bytes=\u0661-\u0662", None),
        (f"bytes={'9' * 5000}-", None),
    ],
)
def test_a_range_is_one_part_or_counts_for_nothing(header: str | None, span: Span | None):
    assert span_of(header, 10) == span


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_beyond_the_file_is_told_from_one_that_counts_for_nothing(header: str, size: int):
    with pytest.raises(OutOfRange):
        span_of(header, size)


def test_a_link_stays_the_same_for_an_hour_and_works_for_a_day():
    clock = Clock(now=1_000_000 * STEP_SECONDS)
    links = Links(Seal(lambda: bytes(32)), clock, Path("/out"), PUBLIC, shows_files=False)
    first = links.link(NAME)
    clock.now += STEP_SECONDS - 1
    same = links.link(NAME)
    clock.now += 1
    later = links.link(NAME)
    assert first
    assert first == same != later
    assert first.expires_at.timestamp() - clock.now >= LINK_SECONDS - STEP_SECONDS
    assert first.expires_at.tzinfo is UTC


@pytest.mark.parametrize("name", ["tasks.db", f"{NAME}.json", f"kf_{'a' * 26}.json", "../x.mp4", f".{NAME}.part", ""])
def test_only_what_tools_make_gets_a_link(name: str):
    links = Links(Seal(lambda: bytes(32)), Clock(), Path("/out"), PUBLIC, shows_files=False)
    assert links.link(name) is None
    assert not links.is_ours("1", links.seal.sign("file", "1", name), name)


def test_a_link_with_what_no_link_has_is_none_of_ours():
    links = Links(Seal(lambda: bytes(32)), Clock(), Path("/out"), PUBLIC, shows_files=False)
    name = f"kf_{'a' * 26}.mp4"

    for end, signature in (("\ud800", "0" * 32), ("1", "\udfff"), ("1" * 13, "0" * 32), ("\u0661", "0" * 32), ("", "")):
        assert not links.is_ours(end, signature, name)
    assert links.is_ours("17", links.seal.sign("file", "17", name), name)


async def test_a_linked_file_is_given_whole_in_part_and_not_again_to_who_has_it(tmp_path: Path):
    put(tmp_path)
    async with open_site(tmp_path) as site, site.client() as client:
        url = path_of(site.links)
        whole = await client.get(url)
        head = await client.head(url)
        tag = {"ETag": whole.headers["etag"], "Date": whole.headers["last-modified"]}
        part = await client.get(url, headers={"Range": "bytes=100-199"})
        tail = await client.get(url, headers={"Range": "bytes=-24", "If-Range": tag["ETag"]})
        dated = await client.get(url, headers={"Range": "bytes=-24", "If-Range": tag["Date"]})
        stale = await client.get(url, headers={"Range": "bytes=-24", "If-Range": '"another"'})
        beyond = await client.get(url, headers={"Range": "bytes=5000-"})
        known = await client.get(url, headers={"If-None-Match": f'"x", W/{tag["ETag"]}'})
        unchanged = await client.get(url, headers={"If-Modified-Since": tag["Date"]})
        nonsense = await client.get(url, headers={"If-Modified-Since": "some day"})

    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(CONTENT)))
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert part.headers["content-range"] == "bytes 100-199/1024"
    assert [(each.status_code, each.content) for each in (tail, dated)] == [(206, CONTENT[-24:])] * 2
    assert (stale.status_code, nonsense.status_code) == (200, 200)
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1024")
    assert [(each.status_code, each.content) for each in (known, unchanged)] == [(304, b"")] * 2


async def test_a_linked_file_says_what_it_is_and_can_run_nothing(tmp_path: Path):
    put(tmp_path, content=b"<script>alert(1)</script>")
    async with open_site(tmp_path) as site, site.client() as client:
        headers = (await client.get(path_of(site.links))).headers
        posted = await client.post(path_of(site.links))
        foreign = await client.get(path_of(site.links), headers={"Host": "evil.example"})
    assert headers["content-type"] == "video/mp4"
    assert headers["content-disposition"] == f"inline; filename*=UTF-8''{NAME}"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["accept-ranges"] == "bytes"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["vary"] == "Origin"  # what is kept for one page must not be given to another
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    age = int(headers["cache-control"].removeprefix("private, max-age="))
    assert LINK_SECONDS - 60 < age <= LINK_SECONDS + STEP_SECONDS
    assert (posted.status_code, foreign.status_code) == (405, 421)


ATTACKS = (
    "{end}/{signature}/{other}",  # the signature of another file
    "{later}/{signature}/{name}",
    "0{end}/{signature}/{name}",
    "{end}/{zeros}/{name}",
    "{end}//{name}",
    "{end}/{signature}",
    "{end}/{signature}/",
    "{end}/{signature}/{name}/",
    "{end}/{signature}/{name}%00",
    "{end}/{signature}/{name}.json",
    "{end}/{signature}/..%2f{name}",
    "{end}/{signature}/%2e%2e/%2e%2e/etc/passwd",
    "{end}/{signature}/..%5c{name}",
    "{end}/{signature}/%c3%a9.mp4",
    "{end}/%c3%a9/{name}",
    "{end}/%ff%fe/{name}",
    "-1/{signature}/{name}",
    "%d9%a1/{signature}/{name}",
    "",
    "{name}",
)


async def test_a_link_that_nobody_gave_out_leads_nowhere(tmp_path: Path):
    put(tmp_path)
    put(tmp_path, OTHER)
    async with open_site(tmp_path) as site, site.client() as client:
        _, _, end, signature, name = path_of(site.links).split("/")
        parts = {"end": end, "later": str(int(end) + 3600), "signature": signature, "zeros": "0" * 32}
        absent = await client.get(path_of(site.links, f"kf_{'c' * 26}.mp4"))
        for attack in ATTACKS:
            answer = await client.get("/files/" + attack.format(**parts, name=name, other=OTHER))
            assert (answer.status_code, answer.content) == (404, absent.content), attack
        assert (await client.get(path_of(site.links))).status_code == 200
    assert absent.status_code == 404


async def test_a_link_that_has_ended_says_how_to_get_another(tmp_path: Path):
    put(tmp_path)
    async with open_site(tmp_path) as site, site.client() as client:
        old = replace(site.links, clock=lambda: site.links.clock() - LINK_SECONDS - STEP_SECONDS)
        answer = await client.get(path_of(old))
    assert answer.status_code == 410
    assert "get_task" in answer.json()["error"]


async def test_neither_links_nor_folders_on_the_disk_are_followed(tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    put(tmp_path)
    (tmp_path / "out" / OTHER).symlink_to(tmp_path / "secret")
    third, pipe = f"kf_{'c' * 26}.mp4", f"kf_{'d' * 26}.mp4"
    (tmp_path / "out" / third).mkdir()
    os.mkfifo(tmp_path / "out" / pipe)
    async with open_site(tmp_path) as site, site.client() as client:
        answers = [await client.get(path_of(site.links, each)) for each in (OTHER, third, pipe)]
        (tmp_path / "out" / NAME).unlink()
        (tmp_path / "out" / NAME).symlink_to(tmp_path / "secret")
        swapped = await client.get(path_of(site.links))
    assert [each.status_code for each in (*answers, swapped)] == [404] * 4


async def test_a_client_that_leaves_lets_go_of_the_file(tmp_path: Path):
    """A large file, of which a few bytes are read from a socket that is then closed."""
    path = put(tmp_path)
    os.truncate(path, 200 << 20)
    async with open_site(tmp_path) as site:
        host, port = urlsplit(site.address).netloc.split(":")
        stream = await anyio.connect_tcp(host, int(port))
        request = f"GET {path_of(site.links)} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        await stream.send(request.encode())
        assert (await stream.receive(16)).startswith(b"HTTP/1.1 200")
        assert is_open(path)
        await stream.aclose()
        with anyio.fail_after(10):
            while is_open(path):
                await anyio.sleep(0.01)


def is_open(path: Path) -> bool:
    """Whether this process has a file open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not say which files are open")
    return any(os.path.realpath(each) == str(path) for each in descriptors.iterdir())


async def test_a_video_made_over_http_is_downloaded_by_its_link(tmp_path: Path):
    async with open_site(tmp_path, CLOSED) as site, site.agent(ANN) as ann:
        made = await ask(ann, "generate_t2v", prompt="a heron", duration=1, options=QUICK, wait_seconds=45)
        (output,) = made["outputs"]
        again = await ask(ann, "get_task", task_id=made["task_id"])
        (line,) = (await ask(ann, "list_tasks"))["tasks"]
        read = await ann.read_resource(f"keyframe://tasks/{made['task_id']}")
        async with site.client() as anybody:
            content = (await anybody.get(urlsplit(output["url"]).path)).content
        async with site.client(ANN) as raw:
            handled = await raw.post("/mcp", json=tasks_get(made["task_id"]), headers=modern(made["task_id"]))
        (tmp_path / "got.mp4").write_bytes(content)
        film = await site.application.engine.films.workshop.run(ProbeVideo(path=tmp_path / "got.mp4"))

    assert film.width == output["width"]
    assert output["url"].startswith(f"{PUBLIC}/files/")
    assert datetime.fromisoformat(output["expires_at"]).minute == 0
    assert output["reference"] == f"output:{made['task_id']}.mp4"
    assert again["outputs"] == made["outputs"]
    assert read_result(handled)["result"]["structuredContent"]["outputs"] == made["outputs"]
    assert line["url"] == output["url"]
    assert "outputs[0].url until" in made["next_step"]
    assert output["url"] in getattr(read.contents[0], "text", "")
    for told in (made, again, line, read.model_dump_json()):
        assert str(tmp_path) not in str(told)
        assert "not copied here" not in str(told)


async def test_frames_films_and_sheets_are_linked_too_and_name_no_path(tmp_path: Path):
    async with open_site(tmp_path, CLOSED) as site, site.agent(ANN) as ann, site.client() as anybody:
        made = await ask(ann, "generate_t2v", prompt="a heron", duration=1, options=QUICK, wait_seconds=45)
        source = made["outputs"][0]["url"]
        frame = await ann.call_tool("extract_frame", {"source": source, "at": "first"})
        film = await ann.call_tool("join_videos", {"sources": [source, f"task:{made['task_id']}"]})
        sheet = await ann.call_tool("view_video", {"source": source})
        said = next(text for each in sheet.content if (text := getattr(each, "text", "")))
        urls = [(each.structured_content or {})["url"] for each in (frame, film)]
        urls.append(said[said.index(PUBLIC) :].partition(": if")[0])
        answers = [await anybody.get(urlsplit(each).path) for each in urls]
        more = await ask(ann, "generate_i2v", image=urls[0], duration=1, dry_run=True)

    assert [each.headers["content-type"] for each in answers] == ["image/png", "video/mp4", "image/jpeg"]
    assert all(each.status_code == 200 for each in answers)
    assert more["status"] == "dry_run"
    for each in (frame, film, sheet):
        assert not each.is_error
        assert str(tmp_path) not in each.model_dump_json()


async def test_on_this_machine_alone_paths_are_told_beside_the_links(tmp_path: Path):
    path = put(tmp_path)
    async with open_site(tmp_path) as alone, alone.client() as client:
        place = alone.links.place(path)
        assert place.url
        assert place.file == str(path)
        assert (await client.get(place.url)).content == CONTENT
        assert alone.links.place(tmp_path / NAME).url is None  # it is not in the output folder
    async with open_site(tmp_path, CLOSED) as public:
        assert public.links.place(path).file is None
    async with open_site(tmp_path, WITH_SIGN_IN | {"KEYFRAME_ALLOWED_HOSTS": "mcp.example.com"}) as named:
        assert named.links.place(path).file is None


async def test_a_link_lets_another_owner_use_the_file_and_its_name_alone_does_not(tmp_path: Path):
    async with open_site(tmp_path, WITH_SIGN_IN) as site, site.agent(ANN) as ann, site.agent(BEN) as ben:
        name = Ownership(site.application.seal).marked(f"frame-{'0' * 16}.png", "ann")
        put(tmp_path, name)
        picture(tmp_path / "out" / name)
        link = site.links.link(name)
        assert link
        forged = link.url.replace("/files/1", "/files/2")
        given = await ask(ben, "generate_i2v", image=link.url, duration=1, dry_run=True)
        known = await ask(ann, "generate_i2v", image=forged, duration=1, dry_run=True)
        for stranger in (f"output:{name}", forged):
            assert "there is no file" in await refused(ben, "generate_i2v", image=stranger, duration=1)
        task = await ask(ben, "generate_i2v", image=link.url, duration=1)
        stored = await site.application.engine.store.get(task["task_id"])
    assert given["status"] == known["status"] == "dry_run"
    assert stored.request["image"] == f"output:{name}"  # no signature is written down


async def test_the_card_may_play_what_this_server_links_to(tmp_path: Path):
    public = {"KEYFRAME_PUBLIC_URL": f"{PUBLIC}/video", "KEYFRAME_AUTH_TOKENS": TOKENS}
    async with open_site(tmp_path, public) as site, site.agent(ANN) as ann:
        listed = await ann.list_resources()
        meta: dict[str, Any] = next(each.meta or {} for each in listed.resources if str(each.uri) == CARD_URI)
        told = ann.instructions or ""
    assert PUBLIC in meta["ui"]["csp"]["resourceDomains"]
    assert f"{PUBLIC}/video/uploads" in told
    assert len(told.encode()) <= 2048


def tasks_get(task_id: str) -> dict[str, Any]:
    capabilities = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "a host", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": task_id, "_meta": meta}}


def modern(task_id: str) -> dict[str, str]:
    return {
        "Accept": "application/json, text/event-stream",
        "Mcp-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tasks/get",
        "Mcp-Name": task_id,
    }


def read_result(answer: httpx.Response) -> dict[str, Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith(("data: {", "{"))]
    return httpx.Response(200, text=lines[-1]).json()["result"]
