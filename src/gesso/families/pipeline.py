"""A pretrained text-to-image pipeline of Hugging Face's diffusers, behind the contract of a family.

It is drawn from and not trained, so the table of families does not list it: `gesso.load("diffusers:PLACE")` makes one.
Any class of pipeline will do that draws from text and takes its noise from outside: Gesso calls it as it is, and looks
inside for previews alone.
"""

import copy
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, ClassVar, NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import create_model
from torch import Tensor, nn

from gesso import pretrained
from gesso.conditioning import Guided
from gesso.contract.family import Adam, Batch, Clock, Condition, Facts, Family, Learning, Turn
from gesso.errors import GessoError
from gesso.options import Field

__all__ = ["Pipeline", "PipelineKnobs"]

SHOWN = 12  # latents of a side that a preview is decoded from, at most: a twentieth of the work of a step at 512 pixels
LONGEST = 1000  # characters of a text, as a recipe holds them
GUIDES = ("guidance_scale", "true_cfg_scale")  # what pipelines call guidance

Show = Callable[[Tensor], None]


class PipelineKnobs(Guided):
    """Choices when drawing. A pipeline that was loaded has the numbers of its own class in the place of these."""

    steps: int = Field(default=50, ge=1, le=1000, description="Steps from noise to picture.")
    guidance: float = Field(
        default=7.5, ge=0, le=20, description="How much more than learned it is to be what is asked; 1: as learned."
    )


class Pipeline(Family[Learning, PipelineKnobs]):
    """A pretrained pipeline that draws pictures from text."""

    name = "diffusers"
    Config = Learning
    Knobs = PipelineKnobs
    presets: ClassVar[dict[str, dict]] = {}
    takes = frozenset({"text"})
    ema = ()
    paper = "Rombach et al. 2022 (latent diffusion); Ho & Salimans 2022; what else, its makers say"

    def __init__(self, pipeline: Any):
        """pipeline: of diffusers, as `pretrained.read` reads it. Its networks are moved to float32.

        Raises GessoError where it cannot draw from text alone.
        """
        knows = inspect.signature(type(pipeline).__call__).parameters
        shape, height, width = _latents(pipeline, knows)
        super().__init__(Learning(), Facts.of({"channels": 3, "height": height, "width": width}))
        self.pipeline, self.knows, self.shape = pipeline, knows, shape
        modules = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
        self.parts = nn.ModuleDict(modules).float()
        guides = {name: self._default(name) for name in GUIDES if isinstance(self._default(name), int | float)}
        self.guide, guidance = next(iter(guides.items()), ("", 1.0))
        own = {"steps": self._default("num_inference_steps"), "guidance": guidance}
        fields: dict[str, Any] = {name: _defaulting(PipelineKnobs, name, value) for name, value in own.items()}
        self.Knobs = create_model("PipelineKnobs", __base__=PipelineKnobs, **fields)  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def asks(self) -> frozenset[str]:
        """A text."""
        return self.takes

    def turns(self, clock: Clock) -> NoReturn:
        """Raises GessoError."""
        raise _untrained()

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> NoReturn:
        """Raises GessoError."""
        raise _untrained()

    def adam(self, part: str) -> Adam:
        """Raises GessoError."""
        raise _untrained()

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Noise, in the shape of the pipeline's latents laid flat."""
        return torch.randn(n, *self.shape, generator=rng, device=rng.device).flatten(1)

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Nothing, since there is no core; raises GessoError for texts that are empty, damaged, or too long."""
        texts = asked.text or []
        if not all(text.strip() for text in texts):
            raise GessoError("The text is empty.", "Write what is to be drawn, or leave the text out.")
        if max(map(len, texts), default=0) > LONGEST:
            raise GessoError(
                f"A text has more than {LONGEST:,} characters.", "Shorten it, so that a picture can name it."
            )
        self._fit(texts)
        return ()

    def core(self, knobs: PipelineKnobs) -> NoReturn:
        """Raises GessoError."""
        raise GessoError("Pretrained pipelines are not exported.", "Other tools read the form that they are in.")

    def sample(self, z: Tensor, condition: Condition, knobs: PipelineKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """Draw one picture after the other, showing every step; those that are not begun are grey.

        What is asked for twice in a row, with the same noise, is drawn once. Closing the stream stops at the step that
        was shown. Raises GessoError for texts that are too long, and for guidance or a negative text without effect.
        """
        texts = condition.text or [""] * len(z)
        self._fit([*texts, knobs.negative])
        led, facts = self._led(knobs), self.facts
        pictures = torch.zeros(len(z), facts.channels, facts.height, facts.width, device=z.device)
        for i, text in enumerate(texts):
            if i and text == texts[i - 1] and torch.equal(z[i], z[i - 1]):
                pictures[i] = pictures[i - 1]
                continue
            for picture in _stream(self._drawing(z[i], text, knobs.steps, led)):
                pictures[i] = picture
                yield pictures.clone()
        yield pictures

    def _default(self, name: str) -> Any:
        """What the pipeline's class takes where one of its arguments is not given; None where it has no such one."""
        return self.knows[name].default if name in self.knows else None

    def _led(self, knobs: PipelineKnobs) -> dict[str, Any]:
        """The pipeline's arguments about guidance."""
        if knobs.negative and "negative_prompt" not in self.knows:
            raise GessoError("This pipeline knows no negative text.", "Leave the negative text out.")
        if knobs.negative and knobs.guidance <= 1:
            raise GessoError("A negative text needs guidance above 1.", "Add for example --guidance 5.")
        # Some have two kinds: one that the network learned as an input, and the true one, by a second look.
        guide = "true_cfg_scale" if knobs.negative and "true_cfg_scale" in self.knows else self.guide
        if not guide and knobs.guidance != 1:
            raise GessoError("This pipeline knows no guidance.", "Leave guidance at 1.")
        led: dict[str, Any] = {guide: knobs.guidance} if guide else {}
        if knobs.negative or guide == "true_cfg_scale":
            led["negative_prompt"] = knobs.negative
        return led

    def _drawing(
        self, z: Float[Tensor, " d"], text: str, steps: int, led: Mapping[str, Any]
    ) -> Callable[[Show], Float[Tensor, "c h w"]]:
        """What draws a picture in [-1, 1], and shows previews on its way."""
        facts = self.facts
        # What some schedulers draw at every step comes from the latents too.
        seed = int.from_bytes(hashlib.sha256(z.cpu().numpy().tobytes()).digest()[:7], "little")

        def draw(show: Show) -> Tensor:
            def step_end(_: Any, step: int, time: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
                show(self._preview(tensors["latents"]))
                return tensors

            def older(step: int, time: Any, latents: Tensor) -> None:
                show(self._preview(latents))

            newer = "callback_on_step_end" in self.knows
            told = {"callback_on_step_end": step_end} if newer else {"callback": older, "callback_steps": 1}
            out = _apart(self.pipeline)(
                prompt=text, height=facts.height, width=facts.width, num_inference_steps=steps,
                latents=z.reshape(1, *self.shape).clone(),
                generator=torch.Generator().manual_seed(seed), output_type="pt", **told, **led,
            )  # fmt: skip
            picture = out[0][0]
            if picture.shape != (facts.channels, facts.height, facts.width):
                raise GessoError("This pipeline draws something else than pictures.", "Give a text-to-image pipeline.")
            return picture.float() * 2 - 1

        return draw

    def _preview(self, latents: Tensor) -> Float[Tensor, "c h w"]:
        """What latents look like, roughly: few of them, decoded. Grey where they are of a kind unknown here."""
        facts, pipeline = self.facts, self.pipeline
        decoder = getattr(pipeline, "vae", None)
        config = getattr(decoder, "config", {})
        if latents.dim() == 3 and hasattr(pipeline, "_unpack_latents"):
            latents = pipeline._unpack_latents(latents, facts.height, facts.width, pipeline.vae_scale_factor)
        if decoder is None or latents.dim() != 4 or not config.get("scaling_factor"):
            return torch.zeros(facts.channels, facts.height, facts.width, device=latents.device)
        x = latents.float()
        if getattr(pipeline.scheduler, "init_noise_sigma", 1) > 1:  # the noise is large, instead of the picture faint
            x = x / x.std().clamp(min=1)
        less = max(x.shape[2:]) / SHOWN
        if less > 1:
            x = F.interpolate(x, [max(round(side / less), 1) for side in x.shape[2:]], mode="area")
        x = x / config["scaling_factor"] + (config.get("shift_factor") or 0.0)
        picture = decoder.decode(x, return_dict=False)[0]
        return F.interpolate(picture, [facts.height, facts.width], mode="bilinear")[0].clamp(-1, 1)

    def _fit(self, texts: Sequence[str]) -> None:
        """Raise GessoError for a text that none of the pipeline's readers reads whole, or that is damaged."""
        readers = [
            reader
            for name, reader in self.pipeline.components.items()
            if name.startswith("tokenizer") and hasattr(reader, "model_max_length")
            and getattr(self.pipeline, name.replace("tokenizer", "text_encoder"), None) is not None
        ]  # fmt: skip
        most = self._default("max_sequence_length") or float("inf")
        for text in dict.fromkeys(texts):
            if text != text.encode(errors="replace").decode():
                raise GessoError("The text is not UTF-8.", "Write it in a terminal, or a file, of UTF-8.")
            counts = [
                (pieces - none, min(reader.model_max_length, most) - none)
                for reader in readers
                for pieces, none in [[len(reader(said, verbose=False)["input_ids"]) for said in (text, "")]]
            ]
            if counts and all(pieces > fits for pieces, fits in counts):
                pieces, fits = max(counts, key=lambda count: count[1])
                said = text if len(text) <= 40 else text[:40] + "…"
                problem = f"The text '{said}' has {pieces} pieces, and the pipeline reads {fits}."
                raise GessoError(problem, "Shorten it: a piece is a word, or a part of a rare one.")


class _Closed(BaseException):
    """Nobody wants the rest."""


def _stream(draw: Callable[[Show], Tensor]) -> Iterator[Tensor]:
    """What a function shows on its way, and at last what it returns, as a stream.

    The function works in a thread of its own, in turns with whoever takes from the stream. Closing the stream stops it
    where it shows something.
    """
    seen: SimpleQueue[tuple[Tensor | BaseException, bool]] = SimpleQueue()
    turn, closed = threading.Semaphore(0), threading.Event()

    def show(picture: Tensor) -> None:
        seen.put((picture, False))
        turn.acquire()
        if closed.is_set():
            raise _Closed

    def whole() -> None:
        try:
            seen.put((draw(show), True))
        except BaseException as error:
            seen.put((error, True))

    thread = threading.Thread(target=whole, daemon=True)  # a stream that nobody closes must not keep Python from ending
    thread.start()
    try:
        last = False
        while not last:
            picture, last = seen.get()
            if isinstance(picture, BaseException):
                raise picture
            yield picture
            turn.release()
    finally:
        closed.set()
        turn.release()
        thread.join()


class _Found(Exception):
    """Ends a call as soon as it has told what latents it would begin with, for a picture of so many pixels."""

    def __init__(self, latents: Tensor, height: int, width: int):
        super().__init__()
        self.shape, self.height, self.width = tuple(latents.shape[1:]), height, width


def _latents(pipeline: Any, knows: Mapping[str, inspect.Parameter]) -> tuple[tuple[int, ...], int, int]:
    """The shape of a picture's latents, and height and width of the picture, as the pipeline has them by itself."""
    asking = _apart(pipeline)
    prepare = asking.prepare_latents
    told = inspect.signature(prepare)

    def found(*args: Any, **others: Any) -> NoReturn:
        given = told.bind(*args, **others).arguments
        out = prepare(*args, **others)
        height, width = (int(given.get(side) or knows[side].default) for side in ("height", "width"))
        raise _Found(out if isinstance(out, Tensor) else out[0], height, width)

    asking.prepare_latents = found
    with pretrained.explained(
        f"A {type(pipeline).__name__} cannot draw from a text alone", "Give a text-to-image pipeline."
    ):
        try:
            with torch.no_grad():
                asking(prompt="a", num_inference_steps=1, generator=torch.Generator().manual_seed(0))
        except _Found as end:
            return end.shape, end.height, end.width
        raise ValueError("it prepares no latents")


def _apart(pipeline: Any) -> Any:
    """The same networks under a scheduler of their own, so that drawings do not get into each other's way."""
    out = copy.copy(pipeline)
    out.scheduler = copy.deepcopy(pipeline.scheduler)
    return out


def _defaulting(options: type[PipelineKnobs], name: str, value: Any) -> tuple[Any, Any]:
    """A field of options, its type and the rest, with another default."""
    field = copy.copy(options.model_fields[name])
    field.default = value
    return field.annotation, field


def _untrained() -> GessoError:
    return GessoError(
        "Pretrained pipelines are drawn from, not trained.", "`gesso families` lists what can be trained."
    )
