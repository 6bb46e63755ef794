"""Files an agent names."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from keyframe_mcp.engine.sources import read as copied
from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.media.files import Folders, open_checked

MOST = 1000
SECRET = b"a secret from outside"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes and links without privileges")


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """An allowed folder with a picture in it, and a secret beside it."""
    folder = tmp_path / "inside"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "fox.png").write_bytes(b"a fox")
    (folder / "deep" / "deeper" / "owl.png").write_bytes(b"an owl")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(SECRET)
    (tmp_path / "inside-not").mkdir()
    (tmp_path / "inside-not" / "secret.png").write_bytes(SECRET)
    return folder


def read(name: str | Path, *allowed: Path, working_dir: Path | None = None, most: int = MOST) -> bytes:
    with Folders(allowed, working_dir or allowed[0]).open(str(name), most) as opened:
        return opened.read()


def refusal(name: str | Path, *allowed: Path, working_dir: Path | None = None, most: int = MOST) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(name, *allowed, working_dir=working_dir, most=most)
    return str(caught.value)


def test_a_file_is_read_by_its_full_path(inside: Path):
    assert read(inside / "fox.png", inside) == b"a fox"
    assert read(inside / "deep" / "deeper" / "owl.png", inside) == b"an owl"


def test_a_relative_path_starts_at_the_working_folder(inside: Path):
    assert read("fox.png", inside) == b"a fox"
    assert read("./deeper/owl.png", inside, working_dir=inside / "deep") == b"an owl"
    assert read("../fox.png", inside, working_dir=inside / "deep") == b"a fox"
    assert "outside the folders" in refusal("fox.png", inside, working_dir=inside.parent)


def test_every_allowed_folder_is_tried(inside: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()

    assert read(inside / "fox.png", other, inside) == b"a fox"


@posix_only
def test_an_allowed_folder_may_be_reached_under_either_of_its_names(inside: Path, tmp_path: Path):
    alias = tmp_path / "alias"
    alias.symlink_to(inside)

    assert read(alias / "fox.png", alias) == b"a fox"
    assert read(inside / "fox.png", alias) == b"a fox"
    assert read("fox.png", alias, working_dir=inside) == b"a fox"


OUTSIDE: dict[str, Callable[[Path], str]] = {
    "another folder": lambda inside: str(inside.parent / "outside" / "secret.png"),
    "a folder whose name begins the same": lambda inside: f"{inside}-not/secret.png",
    "up and out": lambda inside: "../outside/secret.png",
    "up and out in the middle": lambda inside: f"{inside}/deep/../../outside/secret.png",
    "far up": lambda inside: "../" * 40 + "etc/passwd",
    "up through a folder that is not there": lambda inside: "missing/../../outside/secret.png",
    "the system's": lambda inside: "/etc/passwd",
    "two slashes": lambda inside: "//etc/passwd",
    "the process's": lambda inside: "/proc/self/environ",
    "the process's way round": lambda inside: f"/proc/self/root{inside.parent}/outside/secret.png",
    "a device": lambda inside: "/dev/zero",
    "the home folder": lambda inside: "~/.ssh/id_rsa",
    "the folder above": lambda inside: "..",
}


@pytest.mark.parametrize("name", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_a_path_that_leads_outside_is_refused_and_the_allowed_folders_are_named(
    name: Callable[[Path], str], inside: Path
):
    message = refusal(name(inside), inside)

    assert f"is outside the folders this server may read: {inside}." in message
    assert "KEYFRAME_ALLOWED_DIRS" in message


def outside(inside: Path, *workspaces: str) -> str:
    """The refusal of a file outside, for a caller who says where it works."""
    with pytest.raises(InvalidInput) as caught:
        Folders((inside,), inside).open(str(inside.parent / "outside" / "secret.png"), MOST, workspaces)
    return str(caught.value)


def test_a_client_s_workspace_is_a_hint_for_whoever_runs_the_server(inside: Path):
    around = inside.parent / "outside"
    message = outside(inside, "/srv/clips", f"{around}/", str(around / "deeper"))

    assert f"have KEYFRAME_ALLOWED_DIRS changed: your client says its workspace is {around}/; " in message
    assert message.endswith("whoever runs the server can add it to that variable")


def test_a_client_s_workspace_opens_nothing(inside: Path):
    assert "is outside the folders" in outside(inside, str(inside.parent / "outside"), "/")


def test_a_workspace_that_is_allowed_already_is_no_hint(inside: Path):
    assert outside(inside, str(inside), str(inside / "deep")).endswith("have KEYFRAME_ALLOWED_DIRS changed")
    assert outside(inside).endswith("have KEYFRAME_ALLOWED_DIRS changed")


def test_a_workspace_that_the_file_is_not_in_is_not_named(inside: Path):
    assert outside(inside, "/home/me/film", f"{inside.parent}/out", "", "outside") == outside(inside)


def test_of_odd_or_many_workspaces_little_is_repeated(inside: Path):
    around = f"{inside.parent}/outside"
    message = outside(inside, f"{inside.parent}/a\nb\x1b[31m\u202e\0/../outside", "x" * 5000, *[f"{around}/"] * 100)

    assert message.isprintable()
    assert "/a?b?[31m" in message
    assert len(message) < len(outside(inside)) + 600 + 3 * len(around)


@posix_only
def test_a_link_to_a_file_outside_is_not_followed(inside: Path, tmp_path: Path):
    (inside / "link.png").symlink_to(tmp_path / "outside" / "secret.png")

    assert "links are not followed" in refusal("link.png", inside)


@posix_only
def test_a_link_to_a_folder_outside_is_not_followed(inside: Path, tmp_path: Path):
    (inside / "folder").symlink_to(tmp_path / "outside")

    assert "links are not followed" in refusal("folder/secret.png", inside)


@posix_only
def test_names_outside_are_not_offered_through_a_linked_folder(inside: Path, tmp_path: Path):
    (inside / "folder").symlink_to(tmp_path / "outside")

    assert "did you mean" not in refusal("folder/secre.png", inside)


@posix_only
def test_a_link_is_not_followed_even_when_it_stays_inside(inside: Path):
    (inside / "link.png").symlink_to("fox.png")

    assert "links are not followed" in refusal("link.png", inside)


@posix_only
def test_a_named_pipe_is_refused_at_once(inside: Path):
    """Opening one waits for somebody to write into it, unless it is opened with care."""
    os.mkfifo(inside / "pipe.png")
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(refusal("pipe.png", inside)))
    thread.start()
    thread.join(5)
    hangs = thread.is_alive()
    os.close(os.open(inside / "pipe.png", os.O_RDWR | os.O_NONBLOCK))  # lets go of whoever waits
    thread.join(5)

    assert not hangs
    assert messages == ["pipe.png is not a regular file"]


@posix_only
def test_a_socket_is_refused():
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket.png")  # the path of a socket must be short

        assert "socket.png cannot be opened" in refusal("socket.png", Path(folder))


@pytest.mark.parametrize("name", ["deep", "deep/deeper", "deep/", ".", "", "deep/.."])
def test_a_folder_is_not_a_file(name: str, inside: Path):
    assert "is a folder, not a file" in refusal(name, inside)


def test_a_file_used_as_a_folder_is_refused(inside: Path):
    assert "fox.png/x cannot be opened" in refusal("fox.png/x", inside)


@pytest.mark.parametrize("name", ["fox.png\0.txt", "\0", "../outside/secret.png\0fox.png"])
def test_a_zero_byte_is_refused(name: str, inside: Path):
    assert refusal(name, inside) == "the path has a zero byte in it"


@posix_only
def test_characters_no_file_name_has_are_refused(inside: Path):
    assert "has characters that no file name has" in refusal("fox\ud800.png", inside)


def test_a_name_too_long_for_any_file_is_refused(inside: Path):
    assert "cannot be opened" in refusal("x" * 5000, inside)


def test_the_home_of_a_user_there_is_not_is_only_a_name(inside: Path):
    assert "there is no file ~nobody-by-that-name/fox.png" in refusal("~nobody-by-that-name/fox.png", inside)


def test_a_file_of_the_most_bytes_is_read_and_one_more_is_too_many(inside: Path):
    assert read("fox.png", inside, most=5) == b"a fox"
    assert refusal("fox.png", inside, most=4) == "fox.png has 5 bytes; at most 4 work"


def test_a_missing_file_is_answered_with_names_that_are_close(inside: Path):
    (inside / "foks.py").write_text("no picture")
    assert refusal("foks.png", inside) == "there is no file foks.png; did you mean fox.png?"
    assert "did you mean owl.png?" in refusal("deep/deeper/owl.jpg", inside)
    assert refusal("deep/9", inside) == "there is no file deep/9"
    assert refusal("nowhere/fox.png", inside) == "there is no file nowhere/fox.png"


def raced(swap: Callable[[], None], name: str, inside: Path) -> Counter[bytes]:
    """What opening `name` came to, some 3000 times over, while another thread does nothing but swap."""
    stop = threading.Event()

    def swap_on() -> None:
        while not stop.is_set():
            swap()

    thread = threading.Thread(target=swap_on)
    thread.start()
    seen: Counter[bytes] = Counter()
    until = time.monotonic() + 10
    try:
        while (seen.total() < 3000 or len(seen) < 2) and time.monotonic() < until:
            seen[content_or_refusal(name, inside)] += 1
    finally:
        stop.set()
        thread.join(10)
    return seen


def content_or_refusal(name: str, inside: Path) -> bytes:
    try:
        return read(name, inside)
    except InvalidInput:
        return b"refused"


@posix_only
def test_a_link_swapped_in_while_a_file_is_opened_leaks_nothing(inside: Path, tmp_path: Path):
    link, fresh = inside / "x.png", inside / ".fresh"

    def swap() -> None:
        fresh.symlink_to(tmp_path / "outside" / "secret.png")
        fresh.replace(link)
        # made anew each time: renaming one name of a file over another name of it does nothing
        fresh.write_bytes(b"harmless")
        fresh.replace(link)

    assert raced(swap, "x.png", inside).keys() == {b"harmless", b"refused"}


@posix_only
def test_a_folder_swapped_for_a_link_while_a_file_is_opened_leaks_nothing(inside: Path, tmp_path: Path):
    good, folder = inside / "good", inside / "folder"
    good.mkdir()
    (good / "secret.png").write_bytes(b"harmless")

    def swap() -> None:
        good.rename(folder)
        folder.rename(good)
        folder.symlink_to(tmp_path / "outside")
        folder.unlink()

    assert raced(swap, "folder/secret.png", inside).keys() == {b"harmless", b"refused"}


SWAPPING = """
import os, sys
from pathlib import Path
from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.media.files import Folders

inside, outside, asked = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
swapped = []

def swap(event, arguments):
    if event == "open" and not swapped and str(arguments[0]).endswith("secret.png"):
        swapped.append(True)
        target = inside / asked.partition("/")[0]
        target.rename(inside / "away")
        target.symlink_to(outside if "/" in asked else outside / asked)

sys.addaudithook(swap)
try:
    with Folders((inside,), inside).open(asked, 1000) as opened:
        print(opened.read().decode(), bool(swapped))
except InvalidInput:
    print("refused", bool(swapped))
"""
"""A process that swaps a link in between the last look at a path and the moment its file is opened."""


@posix_only
@pytest.mark.parametrize(("asked", "content"), [("folder/secret.png", "harmless"), ("secret.png", "refused")])
def test_a_link_swapped_in_at_the_last_moment_leaks_nothing(inside: Path, tmp_path: Path, asked: str, content: str):
    """The races above meet that moment by chance; here it is met each time."""
    (inside / asked).parent.mkdir(exist_ok=True)
    (inside / asked).write_bytes(b"harmless")
    command = [sys.executable, "-c", SWAPPING, str(inside), str(tmp_path / "outside"), asked]

    ended = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)

    assert ended.stdout.split() == [content, "True"]


def test_systems_that_cannot_open_part_by_part_look_after_opening(inside: Path):
    with open_checked(inside, ["deep", "deeper", "owl.png"]) as opened:
        assert opened.read() == b"an owl"
    with pytest.raises(IsADirectoryError):
        open_checked(inside, ["deep"])
    with pytest.raises(FileNotFoundError):
        open_checked(inside, ["missing.png"])


@posix_only
def test_systems_that_cannot_open_part_by_part_refuse_links_to_the_outside(inside: Path, tmp_path: Path):
    (inside / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    (inside / "folder").symlink_to(tmp_path / "outside")

    for parts in (["link.png"], ["folder", "secret.png"]):
        with pytest.raises(PermissionError, match="outside the allowed folder"):
            open_checked(inside, parts)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has files that say they are empty")
def test_a_file_that_is_longer_than_it_says_is_read_no_further_than_the_most_bytes():
    into = io.BytesIO()

    with pytest.raises(InvalidInput, match="status has more than 100 bytes"):
        copied(Folders((Path("/proc/self"),), Path("/proc/self")), "status", into, 100)
    assert len(into.getvalue()) <= 100


def test_a_file_of_the_most_bytes_is_copied_whole(inside: Path):
    into = io.BytesIO()
    copied(Folders((inside,), inside), "fox.png", into, 5)

    assert into.getvalue() == b"a fox"
