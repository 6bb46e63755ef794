"""The one file of a form, as browsers and `curl -F` send it: passed on as it arrives, never put aside whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MOST_FIELDS = 8
MOST_HEADER_BYTES = 8 * 1024


class BadForm(Exception):
    """A form that cannot be read, or has not exactly one file. The text says what is wrong."""


class Form:
    """What has arrived of a form. Only the bytes of its file are kept, until they are `taken`."""

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadForm("it says no boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise BadForm("its boundary cannot be read") from None
        self._file = bytearray()
        self._is_file = self._is_whole = False
        self._files = self._fields = self._header_bytes = 0
        self._name, self._value, self._disposition = bytearray(), bytearray(), b""

    def feed(self, piece: bytes) -> None:
        """Take some more of it. Raises `BadForm`."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise BadForm("it is not written as forms are") from None

    def taken(self) -> bytes:
        """What has come of the file since the last time."""
        found = bytes(self._file)
        self._file.clear()
        return found

    def require_whole(self) -> None:
        """Raise `BadForm` unless it has ended, and had a file."""
        if not self._is_whole:
            raise BadForm("it breaks off")
        if not self._files:
            raise BadForm("it has no file in it")

    def _begin(self) -> None:
        self._is_file, self._header_bytes, self._disposition = False, 0, b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise BadForm("the headers of a part are too long")

    def _header_end(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._is_file = b"filename" in options
        self._files += self._is_file
        self._fields += not self._is_file
        if self._files > 1:
            raise BadForm("it has more than one file in it")
        if self._fields > MOST_FIELDS:
            raise BadForm(f"it has more than {MOST_FIELDS} fields beside the file")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._file += data[start:end]

    def _end(self) -> None:
        self._is_whole = True


async def file_of(content_type: str, pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The bytes of the one file in a form. Raises `BadForm`, at the end too: nothing is whole before that."""
    form = Form(content_type)
    async for piece in pieces:
        form.feed(piece)
        if found := form.taken():
            yield found
    form.require_whole()
