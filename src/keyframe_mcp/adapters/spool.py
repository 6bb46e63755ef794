"""Bytes that came inside an answer, put into files for whoever keeps the results."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from keyframe_mcp.adapters.base import Report
from keyframe_mcp.adapters.outputs import decoded
from keyframe_mcp.errors import OutputUnwritable
from keyframe_mcp.media.looks import described

log = logging.getLogger(__name__)

FILMS = ("a video", "a picture", "a GIF")
OTHER_FILMS = (b"RIFF", b"OggS", b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x30\x26\xb2\x75", b"\x47\x40")
"""How AVI, Ogg, Flash, MPEG program and video streams, ASF and MPEG transport streams begin."""


@dataclass(frozen=True)
class Spool:
    """A folder. What is no film is left out, and named."""

    folder: Path

    def kept(self, report: Report, remote_id: str) -> Report:
        """The report with its bytes in files. Raises `OutputUnwritable`."""
        outputs: list[str] = []
        warnings = list(report.warnings)
        for number, output in enumerate(report.outputs, 1):
            address, noun = self._kept(output, remote_id) if output.startswith("data:") else (output, "")
            if address:
                outputs.append(address)
            else:
                warnings.append(f"output {number} is no video but {noun}, and was left out")
        return replace(report, outputs=tuple(outputs), warnings=tuple(warnings))

    def _kept(self, data_uri: str, remote_id: str) -> tuple[str | None, str]:
        """The address of a file of its own; None, and what it is instead, where it is no film."""
        content = decoded(data_uri)
        if content is None:
            return None, "damaged base64"
        # named after the job too: two jobs may make the same bytes, and each file is taken away once
        name = hashlib.sha256(f"{remote_id}\n".encode() + content).hexdigest()
        file = self.folder / f"{name}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            noun = described(file)
            if noun.startswith(FILMS) or content.startswith(OTHER_FILMS):
                return file.as_uri(), noun
            file.unlink()
        except OSError as error:
            log.warning("%s cannot be written (%s)", self.folder, error.strerror)
            raise OutputUnwritable(f"the state folder cannot be written ({error.strerror}); tried again soon") from None
        return None, noun
