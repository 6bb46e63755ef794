"""From what an agent names to a file we hold: pictures are copied in, videos are opened where they are safe to read.

A picture's copy is named after its content, so a request is what it shows, not what its path said at the time; and
the file may change or vanish once the call has been answered.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.finding import find_task
from keyframe_mcp.engine.keeper import FetchResult
from keyframe_mcp.engine.kept import said
from keyframe_mcp.engine.ownership import Ownership
from keyframe_mcp.engine.uploads import Uploads
from keyframe_mcp.errors import (
    CallerError,
    InDoubt,
    InvalidInput,
    NotReady,
    NoVideo,
    OutputUnwritable,
    UnfetchableUrl,
    UnknownTask,
)
from keyframe_mcp.media.files import Folders
from keyframe_mcp.media.orders import CheckImage, ExtractFrame, FitImage, ImageFacts, ProbeVideo
from keyframe_mcp.media.references import (
    At,
    DataReference,
    OutputReference,
    PathReference,
    Reference,
    TaskReference,
    UploadReference,
    UrlReference,
    parse,
)
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.store import Store
from keyframe_mcp.task import ImageFormat, Output, Picture, Status, Task

MOST_PICTURE_BYTES = 64 << 20
MOST_VIDEO_BYTES = 2 << 30
PICTURE_SECONDS = 20
SCRATCH = ".bringing-in-"
VIDEO_SECONDS = 20
PIECE = 1 << 20

VIDEOS = "an https URL, task:<id> or the `reference` of an earlier result"
PICTURES = f"a data: URI, {VIDEOS}"
"""What works over a network instead of a path."""

MADE_BY = re.compile(r"kf_[a-z2-7]{26}")

log = logging.getLogger(__name__)
"""The task in the name of a result."""

FileReference = PathReference | UrlReference | OutputReference


@dataclass(frozen=True)
class Wanted:
    """The pictures a provider takes. No formats: any that can be read."""

    formats: tuple[ImageFormat, ...] = ()
    most_bytes: int = MOST_PICTURE_BYTES


@dataclass(frozen=True)
class Original:
    """A picture as it came, in a folder for scratch; its URL, if it has one; and what is to be said about it."""

    copy: Path
    url: str | None = None
    notes: tuple[str, ...] = ()


class Sources:
    """Resolves references. `folder` holds the copies of pictures."""

    def __init__(
        self,
        store: Store,
        folders: Folders,
        fetch: FetchResult,
        workshop: Workshop,
        ownership: Ownership,
        *,
        folder: Path,
        outputs: Path,
        uploads: Uploads | None = None,
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._uploads = uploads
        self._outputs = Folders((outputs,), outputs, proposes=False)
        self._folders = folders
        self._fetch = fetch
        self._workshop = workshop
        self._folder = folder

    async def original(self, text: str, caller: Caller, scratch: Path, earlier: Picture | None = None) -> Original:
        """Bring a picture in, whatever it is. Raises `InvalidInput`.

        The `earlier` copy is taken for it, if there is one still. `scratch` is a folder for this one picture.
        """
        with self._writing():
            if earlier is not None:
                return await self._original_again(text, caller, scratch, earlier)
            reference = self._admit(text, caller)
            copy = await self._bring_in(reference, scratch, caller)
            return Original(copy, reference.url if isinstance(reference, UrlReference) else None)

    async def _original_again(self, text: str, caller: Caller, scratch: Path, earlier: Picture) -> Original:
        """The copy an earlier task has sent; or what the reference names now, which may be another picture."""
        copy = scratch / "earlier"
        if await anyio.to_thread.run_sync(is_copied, earlier, copy):
            return Original(copy)
        if text.lstrip().startswith("data:"):
            raise InvalidInput("the copy that was sent then is gone, and its bytes came in that call; give it again")
        found = await self.original(text, caller, scratch)
        return replace(found, notes=(f"the copy that was sent then is gone, so {text} was read as it is now",))

    async def picture(self, original: Original, wanted: Wanted) -> tuple[Picture, tuple[str, ...]]:
        """Our own copy of a picture, as it is wanted, and what was changed to make it so. Raises `UnreadableImage`."""
        with self._writing():
            facts, changes = await self._checked(original.copy, wanted), ()
            if wanted.formats:
                changes = facts.notes
            kind = facts.mime_type.partition("/")[2]
            kept, content = await anyio.to_thread.run_sync(self._adopt, original.copy, kind, bool(wanted.formats))
        picture = Picture(
            file=str(kept),
            content=content,
            mime_type=facts.mime_type,
            width=facts.width,
            height=facts.height,
            size_bytes=facts.size_bytes,
            url=None if changes else original.url,
        )
        return picture, (*changes, *original.notes)

    @asynccontextmanager
    async def video(self, text: str, caller: Caller, *, may_name_frame: bool = False) -> AsyncGenerator[Path]:
        """A video to read from, for as long as the block lasts."""
        reference = self._admit(text, caller, VIDEOS)
        if isinstance(reference, TaskReference) and reference.at is not None and not may_name_frame:
            raise InvalidInput(
                f"{text.strip()} names one frame, and a whole video is meant; write task:{reference.task_id}"
            )
        if isinstance(reference, DataReference):
            raise InvalidInput("a video cannot be given as a data: URI; give task:<id>, a path or an https URL")
        if isinstance(reference, UploadReference):
            raise InvalidInput(f"uploads are pictures, and a video is meant; give {VIDEOS}")
        made = await self._made(reference, caller) if isinstance(reference, TaskReference) else Output()
        if made.file is not None:
            yield Path(made.file)
            return
        with self.scratch() as scratch:
            if isinstance(reference, TaskReference):
                yield await self._from_provider(reference, made, scratch)
            else:
                yield await self._copy(reference, caller, scratch, MOST_VIDEO_BYTES, VIDEO_SECONDS)

    def moment(self, text: str) -> At | None:
        """The frame a reference names, if it names one."""
        reference = parse(text)
        return reference.at if isinstance(reference, TaskReference) else None

    async def task(self, text: str, caller: Caller) -> Task | None:
        """The earlier task a reference names, if it names one."""
        reference = self._admit(text, caller)
        return await find_task(self._store, reference.task_id, caller) if isinstance(reference, TaskReference) else None

    def _admit(self, text: str, caller: Caller, instead: str = PICTURES) -> Reference:
        reference = parse(text)
        if isinstance(reference, PathReference) and not caller.may_name_files:
            sending = f"; {caller.upload}" if caller.upload and instead is PICTURES else ""
            raise InvalidInput(f"paths work over stdio only{sending}; or give {instead}")
        return reference

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """A folder for what is being brought in, gone at the end."""
        with self._writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=SCRATCH) as scratch:
                yield Path(scratch)

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Raises `OutputUnwritable` where the folder is at fault."""
        try:
            yield
        except OSError as error:
            log.warning("%s cannot be written (%s)", self._folder, error.strerror)
            raise OutputUnwritable(f"the state folder cannot be written ({error.strerror})") from None

    async def _checked(self, copy: Path, wanted: Wanted) -> ImageFacts:
        """A picture that decodes whole, and beside it the same one as it is wanted."""
        if not wanted.formats:
            return await self._workshop.run(CheckImage(path=copy), time_limit=60)
        order = FitImage(path=copy, to=fitted(copy), formats=wanted.formats, most_bytes=wanted.most_bytes)
        return await self._workshop.run(order, time_limit=60)

    async def _bring_in(self, reference: Reference, scratch: Path, caller: Caller) -> Path:
        """A picture as it came, whatever it is."""
        if isinstance(reference, TaskReference):
            return await self._frame_of(reference, caller, scratch)
        if isinstance(reference, DataReference):
            copy = scratch / "picture"
            copy.write_bytes(reference.content)
            return copy
        if isinstance(reference, UploadReference):
            return await self._sent_in(reference, caller, scratch)
        return await self._copy(reference, caller, scratch, MOST_PICTURE_BYTES, PICTURE_SECONDS)

    async def _copy(
        self, reference: FileReference, caller: Caller, scratch: Path, most_bytes: int, seconds: float
    ) -> Path:
        """Bring the bytes in."""
        copy = scratch / plain_name(reference)
        with copy.open("wb") as into:
            if isinstance(reference, UrlReference):
                await self._fetch(reference.url, into, most_bytes, seconds, {}, idle=None)
            elif isinstance(reference, PathReference):
                near = caller.workspaces
                await anyio.to_thread.run_sync(read, self._folders, reference.path, into, most_bytes, near)
            else:
                await self._require_own(reference, caller)
                await anyio.to_thread.run_sync(read, self._outputs, reference.name, into, most_bytes)
        return copy

    async def _sent_in(self, reference: UploadReference, caller: Caller, scratch: Path) -> Path:
        """A picture that was sent in over HTTP."""
        if self._uploads is None:
            raise InvalidInput("nothing can be sent in here; give a path, an https URL or task:<id>")
        sent, copy = await self._uploads.find(reference.upload_id, caller.owner), scratch / "upload"
        await anyio.to_thread.run_sync(shutil.copyfile, sent.path, copy)
        return copy

    async def _require_own(self, reference: OutputReference, caller: Caller) -> None:
        """Raise `InvalidInput` for what is another caller's. Joined films and frames belong to no task."""
        if reference.name in caller.shown:
            return
        made_by, is_own = MADE_BY.match(reference.name), self._ownership.is_owned(reference.name, caller.owner)
        with suppress(UnknownTask):
            if made_by:
                is_own = (await self._store.get(made_by[0])).owner == caller.owner
        if not is_own:
            raise InvalidInput(f"there is no file {reference.name}")

    def _adopt(self, original: Path, kind: str, is_fitted: bool) -> tuple[Path, str]:  # noqa: FBT001 - for a thread
        """Give a checked copy the name of its content. The original stays for who wants it otherwise."""
        copy = fitted(original)
        if not is_fitted:
            shutil.copyfile(original, copy)
        with copy.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        kept = self._folder / f"{content}.{kind}"
        copy.replace(kept)
        return kept, content

    async def _frame_of(self, reference: TaskReference, caller: Caller, scratch: Path) -> Path:
        """A frame of an earlier task: its last one unless the reference says otherwise."""
        made = await self._made(reference, caller)
        video = Path(made.file) if made.file else await self._from_provider(reference, made, scratch)
        frame = scratch / "frame.png"
        at = "last" if reference.at is None else reference.at
        await self._workshop.run(ExtractFrame(path=video, at=at, to=frame), time_limit=60)
        return frame

    async def _made(self, reference: TaskReference, caller: Caller) -> Output:
        """The video of an earlier task: a file that is here, or what was left with the provider on purpose."""
        task = await find_task(self._store, reference.task_id, caller)
        if task.status is not Status.SUCCEEDED:
            raise unfinished(task)
        made = next((output for output in task.outputs if output.file or output.kept is False), Output())
        if made.kept is not False and (made.file is None or not await anyio.Path(made.file).exists()):
            named = made.file if caller.may_name_files or made.file is None else Path(made.file).name
            raise InvalidInput(f"the file of task {task.id} is gone ({named}); make the video again")
        return made

    async def _from_provider(self, reference: TaskReference, made: Output, scratch: Path) -> Path:
        """A whole copy of what was left with the provider, for the moment."""
        copy = scratch / reference.task_id
        try:
            with copy.open("wb") as into:
                await self._fetch(made.url or "", into, MOST_VIDEO_BYTES, VIDEO_SECONDS, {}, idle=None)
        except UnfetchableUrl as error:
            raise InvalidInput(left_text(reference.task_id, made, error)) from None
        await self._workshop.run(ProbeVideo(path=copy), time_limit=60)  # half of it has another last frame
        return copy


def is_copied(earlier: Picture, to: Path) -> bool:
    """Copy a picture that was kept, if it is there and still what it was."""
    try:
        shutil.copyfile(earlier.file, to)
    except OSError:
        return False
    with to.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == earlier.content


def fitted(copy: Path) -> Path:
    """Where a picture is put once it is as a provider wants it."""
    return copy.with_name(".fitted-picture")  # no copy is named so


def read(folders: Folders, name: str, into: IO[bytes], most_bytes: int, workspaces: Sequence[str] = ()) -> None:
    """Copy a file from a folder that may be read. Some grow meanwhile, and some do not say how long they are."""
    with folders.open(name, most_bytes, workspaces) as opened:
        left = most_bytes
        while piece := opened.read(min(PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise InvalidInput(f"{name} has more than {most_bytes:,} bytes, which is the most that works")
            into.write(piece)


def plain_name(reference: FileReference) -> str:
    """A harmless file name that a person still knows the file by; errors about it show it."""
    match reference:
        case PathReference(named) | OutputReference(named):
            pass
        case UrlReference(url):
            named = url.partition("?")[0]
    last = re.split(r"[/\\]", named.rstrip("/"))[-1]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-80:] or "file"


def left_text(task_id: str, made: Output, error: UnfetchableUrl) -> str:
    """Why a result that was left with the provider cannot be used, and what to do."""
    end = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "for a time it does not say"
    kept = f"the provider keeps it {end}, and results are not copied here (KEYFRAME_KEEP_RESULTS)"
    step = "try again in a moment" if error.passing else "if that is over, make the video again"
    return f"the video of task {task_id} cannot be fetched: {said(made.url or '', error)}; {kept}; {step}"


def unfinished(task: Task) -> CallerError:
    """Why an earlier task cannot be used, and what to do."""
    if not task.status.is_settled:
        return NotReady(f"task {task.id} is {task.status}; its video can be used once it has succeeded")
    kind = InDoubt if task.status is Status.UNKNOWN else NoVideo
    return kind(f"task {task.id} has no video: it is {task.status}; get_task says why")
