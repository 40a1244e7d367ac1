"""Native streams, case by case: what the transducer saw, and when, however the bytes were cut.

A case is a pair of files under cases/streams: the upstream's bytes, and what they mean. ``opened_at`` and ``finished_at`` count the
blocks between blank lines.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from monorelay.dialects.interface import Hints, Transducer, Truncated
from monorelay.dialects.passthrough import NativeTransducer

FOLDER = Path(__file__).parent / "cases" / "streams"
HINTS = Hints("asked-model", 1_700_000_000, lambda prefix: f"{prefix}made", {}, False)
MARKERLESS = {"acme.ocr"}


@dataclass(frozen=True)
class Case:
    name: str
    stream: bytes
    means: dict[str, Any]

    @property
    def blocks(self) -> list[bytes]:
        return self.stream.removesuffix(b"\n\n").split(b"\n\n")

    def start(self) -> NativeTransducer:
        return NativeTransducer(self.means["capability"], HINTS)

    def end_of(self, block: int | None) -> int | None:
        """Where the data of a block ends, its line end not counted."""
        return None if block is None else sum(len(each) + 2 for each in self.blocks[: block + 1]) - 2


CASES = [
    Case(path.stem, path.read_bytes(), json.loads(path.with_suffix(".json").read_text())) for path in sorted(FOLDER.glob("*.sse"))
]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def judge(transducer: Transducer, case: Case) -> None:
    means = case.means
    assert transducer.opened == (means["opened_at"] is not None)
    assert (None if transducer.usage is None else asdict(transducer.usage)) == means["usage"]
    assert transducer.object_ids == tuple(means["object_ids"])
    if means["error"] is None:
        assert transducer.error is None
    else:
        assert transducer.error is not None
        body = transducer.error.body
        found = {"status": transducer.error.status, "type": body.type, "code": body.code, "message": body.message}
        assert found == means["error"]


@EVERY
def test_whole(case: Case) -> None:
    """A stream in one chunk means what its file says, and the chunk goes out as the same object."""
    transducer = case.start()
    assert transducer.feed(case.stream) is case.stream
    assert transducer.finished == (case.means["finished_at"] is not None)
    assert transducer.at_boundary
    assert transducer.close() == b""
    assert transducer.finished
    judge(transducer, case)


@EVERY
def test_bytewise(case: Case) -> None:
    """Fed byte by byte, it opens and finishes with the last byte of the very event that does it, not earlier and not later."""
    transducer = case.start()
    opened = finished = None
    for position in range(len(case.stream)):
        transducer.feed(case.stream[position : position + 1])
        opened = position if transducer.opened and opened is None else opened
        finished = position if transducer.finished and finished is None else finished
        assert transducer.at_boundary == (case.stream[: position + 1].endswith(b"\n\n"))
    for seen, block in ((opened, "opened_at"), (finished, "finished_at")):
        end = case.end_of(case.means[block])
        assert seen == (None if end is None else end + 1)
    assert transducer.close() == b""
    judge(transducer, case)


@EVERY
def test_split_at_every_boundary(case: Case) -> None:
    """Two chunks, cut anywhere, tell the same as one."""
    for cut in range(1, len(case.stream)):
        transducer = case.start()
        transducer.feed(case.stream[:cut])
        transducer.feed(case.stream[cut:])
        transducer.close()
        judge(transducer, case)


@EVERY
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_other_line_ends(case: Case, line_end: bytes, size: int) -> None:
    """CRLF and CR streams are read alike, also with a line end split in two."""
    stream = case.stream.replace(b"\n", line_end)
    transducer = case.start()
    out = b"".join(transducer.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert out == stream
    assert transducer.at_boundary
    transducer.close()
    judge(transducer, case)


@EVERY
def test_truncated_at_every_byte(case: Case) -> None:
    """A stream that ends before its terminal marker is whole raises Truncated; one whose dialect knows no marker does not."""
    end = case.end_of(case.means["finished_at"])
    for cut in range(len(case.stream)):
        transducer = case.start()
        transducer.feed(case.stream[:cut])
        if case.means["capability"] in MARKERLESS or (end is not None and cut >= end):
            assert transducer.close() == b""
        else:
            with pytest.raises(Truncated):
                transducer.close()


@EVERY
def test_one_block_per_chunk(case: Case) -> None:
    """Events that come one by one, as they mostly do, tell the same as all at once."""
    transducer = case.start()
    for block in case.blocks:
        chunk = block + b"\n\n"
        assert transducer.feed(chunk) is chunk
    transducer.close()
    judge(transducer, case)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.means["error"] is None and "quoted" in case.name], ids=lambda case: case.name
)
def test_quoted_markers_do_not_finish(case: Case) -> None:
    """Without its last event, a stream full of quoted markers is still a cut one."""
    transducer = case.start()
    for block in case.blocks[: case.means["finished_at"]]:
        transducer.feed(block + b"\n\n")
        assert not transducer.finished
        assert transducer.error is None
    with pytest.raises(Truncated):
        transducer.close()
