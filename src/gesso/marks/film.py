"""Films: GIF, WebP and APNG by Pillow, MP4 and WebM by PyAV where that is installed, all with their mark and recipe."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin

from gesso import __version__
from gesso.errors import GessoError, nearest
from gesso.marks.imprint import imprint
from gesso.marks.label import dump
from gesso.marks.picture import as_pil, on_ground
from gesso.marks.recipe import Recipe, Source, Work, as_json
from gesso.marks.sound import Sound

__all__ = ["FILMS", "SOUNDING", "Film", "check_film", "encode_film"]

Film = Literal["mp4", "webm", "webp", "gif", "apng"]
FILMS: tuple[str, ...] = get_args(Film)
CODECS = {"mp4": "libx264", "webm": "libvpx-vp9"}
SOUNDING = {"mp4": "aac", "webm": "libopus"}  # films that can carry a sound, and how
SAMPLES = 48_000  # of a film's sound a second: what Opus takes
BITS = 160_000  # of a film's sound a second
WHITE = np.uint8(255)


def encode_film(
    frames: Sequence[UInt8[np.ndarray, "h w c"]],
    suffix: str,
    fps: float,
    recipe: Recipe | Work | None = None,
    scale: int = 1,
    sound: Sound | None = None,
    *,
    tell: bool = True,
    source: Source | None = "trainedAlgorithmicMedia",
    parents: Sequence[Path] = (),
) -> bytes:
    """Pictures as the bytes of a film that begins anew at its end.

    frames: `h w c`, premultiplied where c = 4. fps: pictures a second, of GIF at most 50. scale: pixels of a side for
    each pixel. sound: from its beginning, as long as the film, in MP4 (AAC, whose encoder now and then gives other
    bytes) and WebM (Opus); others are silent. tell, source, parents: as of `picture.encode`. WebM cannot be signed;
    films have no watermark. WebP and APNG keep colours and transparency as they are; GIF, MP4 and WebM have a white
    ground. Raises GessoError for another suffix, and where PyAV or its codec is missing.
    """
    suffix = check_film(suffix, sound is not None)
    stamp = imprint().stamp(recipe, source, parents)
    large = stamp.on_frames([frame.repeat(scale, 0).repeat(scale, 1) for frame in frames] if scale > 1 else [*frames])
    written = stamp.written()
    recipe = written if tell else None
    if suffix in CODECS:
        label = stamp.label()
        return stamp.seal(_video(large, suffix, fps, recipe, sound, source, label and dump(label)), suffix)
    packet, out = stamp.packet(recipe), io.BytesIO()
    ends = [round(1000 * (number + 1) / fps) for number in range(len(large))]
    options: dict[str, Any] = {"save_all": True, "loop": 0}
    if suffix == "gif":
        large = [on_ground(frame, WHITE) if frame.shape[2] == 4 else frame for frame in large]
        ends = [max(round(end / 10), 2 * (number + 1)) * 10 for number, end in enumerate(ends)]
        options |= {"disposal": 1}
    elif suffix == "webp":
        options |= {"lossless": True, "xmp": packet, "exact": True}
    else:
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        if recipe is not None:
            texts.add_text("gesso", as_json(recipe))
        options |= {"pnginfo": texts, "disposal": 0, "blend": 0}
    options["duration"] = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    first, *rest = _palettes(large) if suffix == "gif" else [as_pil(frame) for frame in large]
    first.save(out, "PNG" if suffix == "apng" else suffix.upper(), append_images=rest, **options)
    data = out.getvalue()
    return stamp.seal(_with_xmp(data, packet) if suffix == "gif" else data, suffix)


def _with_xmp(gif: bytes, packet: bytes) -> bytes:
    """A GIF with XMP before its frames, in the application extension that Adobe's specification gives it (part 3)."""
    trailer = bytes([1, *range(255, -1, -1), 0])  # readers that go by blocks get out of the packet by it
    begin = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 128 else 0)  # after the header and the global palette
    return gif[:begin] + b"!\xff\x0bXMP DataXMP" + packet + trailer + gif[begin:]


def check_film(suffix: str, sound: bool = False) -> str:
    """The kind of film that a suffix names; raises GessoError where it is none, or cannot be written here.

    sound: whether it is to carry one, where it can.
    """
    suffix = suffix.lower().lstrip(".")
    if suffix not in FILMS:
        raise GessoError(f"Films cannot be written as '.{suffix}'.", nearest(suffix or "?", FILMS))
    if suffix not in CODECS:
        return suffix
    try:
        import av
    except ImportError:
        raise GessoError(
            f"Films as .{suffix} need PyAV, which is not installed.",
            "Install it (pip install 'gesso[video]'), or choose webp, gif or apng.",
        ) from None
    for codec in (CODECS[suffix], SOUNDING[suffix])[: 1 + sound]:
        if codec not in av.codecs_available:
            raise GessoError(f"This PyAV has no {codec}.", "Choose webp, gif or apng, or another build of PyAV.")
    return suffix


def _palettes(frames: Sequence[UInt8[np.ndarray, "h w c"]]) -> list[Image.Image]:
    """All of them in the 256 colours that suit them together, so that grounds do not flicker."""
    pictures = [as_pil(frame).convert("RGB") for frame in frames]
    step = max(len(pictures) // 16, 1)
    some = np.concatenate([np.asarray(picture) for picture in pictures[::step]])
    palette = Image.fromarray(some).quantize(256, Image.Quantize.MEDIANCUT)
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _video(
    frames: Sequence[UInt8[np.ndarray, "h w c"]],
    suffix: str,
    fps: float,
    recipe: Recipe | Work | None,
    sound: Sound | None,
    source: Source | None,
    aigc: str | None,
) -> bytes:
    from fractions import Fraction

    import av

    out, (high, wide) = io.BytesIO(), frames[0].shape[:2]
    options = {"fflags": "+bitexact"} | ({"movflags": "use_metadata_tags"} if suffix == "mp4" else {})
    with av.open(out, "w", format=suffix, options=options) as film:
        film.metadata["comment"] = f"{source}; made by Gesso {__version__}" if source else f"Gesso {__version__}"
        if aigc is not None:
            film.metadata["AIGC"] = aigc
        if recipe is not None:
            film.metadata["gesso"] = as_json(recipe)
        stream: Any = film.add_stream(CODECS[suffix], rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = wide + wide % 2, high + high % 2, "yuv420p"
        stream.options = {"crf": "16", "preset": "medium"} if suffix == "mp4" else {"crf": "20", "b": "0"}
        heard = None if sound is None else _Heard(film, suffix, sound, len(frames) / fps)
        for number, frame in enumerate(frames):
            rgb = on_ground(frame, WHITE) if frame.shape[2] == 4 else frame.repeat(3 if frame.shape[2] == 1 else 1, 2)
            even = np.pad(rgb, ((0, high % 2), (0, wide % 2), (0, 0)), mode="edge")
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                film.mux(packet)
            if heard is not None:
                heard.until((number + 1) / fps)
        for packet in stream.encode():
            film.mux(packet)
        if heard is not None:
            heard.end()
    return out.getvalue()


class _Heard:
    """A film's sound, written beside its pictures."""

    def __init__(self, film: Any, suffix: str, sound: Sound, seconds: float):
        self.film, self.sound, self.done = film, sound, 0
        self.samples = sound.lasting(seconds)
        self.layout = "mono" if self.samples.shape[1] == 1 else "stereo"
        self.stream = film.add_stream(SOUNDING[suffix], rate=SAMPLES, layout=self.layout)
        self.stream.bit_rate = BITS

    def until(self, seconds: float) -> None:
        """Write up to there."""
        import av

        end = min(round(seconds * self.sound.rate), len(self.samples))
        if end == self.done:
            return
        some = np.ascontiguousarray(self.samples[self.done : end].T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(some, format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts, self.done = self.sound.rate, self.done, end
        self.film.mux(self.stream.encode(frame))

    def end(self) -> None:
        """Write what is left."""
        self.film.mux(self.stream.encode(None))
