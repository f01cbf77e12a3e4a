"""How the server and its drawing process speak: a JSON object, then bytes, each after its length (uint32, little end).

To browsers go the same, but for the length of the bytes, which a WebSocket's frame tells itself.
"""

import json
import struct
from typing import IO, Any, NamedTuple

__all__ = ["LONGEST", "Answer", "framed", "read", "taken", "whole"]

LONGEST = 256 << 20  # bytes of a part of a frame; more is no frame of ours
LENGTH = struct.Struct("<I")
Bytes = bytes


class Answer(NamedTuple):
    """What the drawing process says: a JSON object and bytes, of a picture or none."""

    json: dict[str, Any]
    bytes: Bytes = b""


def framed(values: dict[str, Any], data: bytes = b"") -> bytes:
    """A frame for a WebSocket."""
    head = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return b"".join((LENGTH.pack(len(head)), head, data))


def whole(values: dict[str, Any], data: bytes = b"") -> bytes:
    """A frame for a pipe."""
    head = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return b"".join((LENGTH.pack(len(head)), head, LENGTH.pack(len(data)), data))


def taken(frame: bytes) -> Answer:
    """What a frame of `framed` holds; raises ValueError for what is none."""
    if len(frame) < LENGTH.size:
        raise ValueError("shorter than a length")
    (length,) = LENGTH.unpack_from(frame)
    return Answer(json.loads(frame[LENGTH.size : LENGTH.size + length]), frame[LENGTH.size + length :])


def read(stream: IO[bytes]) -> Answer:
    """The next frame of a pipe; raises EOFError when the other side is gone."""
    values = json.loads(_part(stream))
    return Answer(values, _part(stream))


def _part(stream: IO[bytes]) -> bytes:
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    if length > LONGEST:
        raise EOFError
    return _exactly(stream, length)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if data is None or len(data) < count:
        raise EOFError
    return data
