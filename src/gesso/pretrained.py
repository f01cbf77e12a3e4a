"""Pretrained pipelines of Hugging Face's diffusers: found, checked, read.

A pipeline is a folder as diffusers writes it, or the name of one on the Hub. Its weights are safetensors or are
refused; code that lies beside them never runs; from a folder nothing is asked of the network.
"""

import hashlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gesso.errors import GessoError
from gesso.files import read_json, sha256_of

__all__ = ["Pretrained", "explained", "read"]

NEEDED = {"prompt", "height", "width", "num_inference_steps", "latents", "generator", "output_type"}
FOREIGN = {"strength", "mask_image", "num_frames"}  # of pipelines that change pictures, or make films
TOLD = {"callback_on_step_end", "callback"}  # either way it tells of a step that is done
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
MATTER = {".safetensors", ".json", ".txt", ".model"}  # files on which pictures depend
HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SAFELY: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False}


class Pretrained(NamedTuple):
    """A pipeline that was read. pipeline: diffusers' own object; place: what finds it again; sha256: of all its files
    on which pictures depend.
    """

    pipeline: Any
    place: str
    sha256: str


def read(name: str, download: bool = True) -> Pretrained:
    """Read a pipeline that draws pictures from text.

    name: of a folder, or on the Hub ("owner/model"): such a one is taken as it was once downloaded, and downloaded
    where it was not and that may be. Raises GessoError when diffusers is not installed, and when there is no such
    pipeline, it draws from something else than text, its weights are pickles, it brings code, or it cannot be read.
    """
    library = _library()
    with _quiet(library):
        folder, place = _find(name)
        if folder is not None:
            return _whole(library, folder, place)
        try:
            return _whole(library, _from_hub(library, name, download=False), place)
        except GessoError:  # not here, or not all of it
            if not download:
                raise
        return _whole(library, _from_hub(library, name, download=True), place)


def _whole(library: Any, folder: Path, place: str) -> Pretrained:
    """Check a folder, and read the pipeline in it."""
    index = _index(folder)
    kind = _kind(library, index, place)
    parts = sorted(part for part, what in index.items() if part.isidentifier() and isinstance(what, list))
    _no_pickles(folder, parts)
    with explained(f"{place} cannot be read as a pipeline", "Save it anew with diffusers' save_pretrained."):
        pipeline = kind.from_pretrained(str(folder), local_files_only=True, **SAFELY)
    pipeline.set_progress_bar_config(disable=True)
    return Pretrained(pipeline, place, _sha256(folder, parts))


def _from_hub(library: Any, name: str, download: bool) -> Path:
    """The folder where a pipeline of the Hub lies on this machine. What it is, is looked at before it is fetched."""
    wanted = ("had from the Hugging Face Hub", "Check the name and the connection, or give a folder that holds it.")
    if not download:
        wanted = ("found among what was downloaded", f"Download it: gesso sample diffusers:{name}")
    with explained(f"{name} is no folder here, and cannot be {wanted[0]}", wanted[1]):
        local = {"local_files_only": not download}
        _kind(library, library.DiffusionPipeline.load_config(name, **local), name)
        return Path(library.DiffusionPipeline.download(name, **local, **SAFELY))


@contextmanager
def explained(problem: str, remedy: str) -> Iterator[None]:
    """What the libraries raise, which may be anything, as a GessoError that names the reason after the problem."""
    try:
        yield
    except GessoError:
        raise
    except Exception as error:
        why = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())[:300].rstrip(". ")
        raise GessoError(f"{problem}: {why}.", remedy) from None


def _library() -> Any:
    """The library; raises GessoError where it, or what it reads texts with, is not installed."""
    try:
        import transformers  # noqa: F401  # without it diffusers offers classes that cannot be made

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about libraries
            import diffusers
    except ImportError:
        raise GessoError(
            "A pretrained pipeline needs diffusers, which is not installed.",
            "Run: pip install -c constraints.txt 'gesso[diffusers]'",
        ) from None
    return diffusers


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """The libraries without notes and warnings for programmers, and without bars but those of downloads."""
    import huggingface_hub
    import transformers

    readers = [library.utils.logging, transformers.utils.logging]
    logs = [*readers, huggingface_hub.utils.logging]
    said, bars = [log.get_verbosity() for log in logs], [log.is_progress_bar_enabled() for log in readers]
    for log in logs:
        log.set_verbosity_error()
    for log in readers:
        log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, verbosity in zip(logs, said, strict=True):
            log.set_verbosity(verbosity)
        for log, shown in zip(readers, bars, strict=True):
            if shown:
                log.enable_progress_bar()


def _find(name: str) -> tuple[Path | None, str]:
    """The folder of a pipeline, None for one on the Hub, and the name by which it is found again from anywhere.

    A folder below the user's home is named without saying whose home it is: pictures carry that name.
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        whole, home = path.resolve(), Path.home()
        within = whole.is_relative_to(home) and whole != home
        return whole, f"~/{whole.relative_to(home).as_posix()}" if within else str(whole)
    if HUB.fullmatch(name):
        return None, name
    problem = f"There is no folder {name[:200]}." if name else "No pipeline is named."
    raise GessoError(problem, "Write diffusers:FOLDER, or diffusers:OWNER/NAME for one on the Hugging Face Hub.")


def _index(folder: Path) -> dict[str, Any]:
    """What a folder says of its pipeline."""
    place = folder / "model_index.json"
    if not place.is_file():
        remedy = "Name the folder that holds one, as diffusers' save_pretrained writes it."
        raise GessoError(f"{folder} is no pipeline: it has no model_index.json.", remedy)
    index = read_json(place)
    return index if isinstance(index, dict) else {}


def _kind(library: Any, index: Mapping[str, Any], place: str) -> Any:
    """The class of a pipeline; raises GessoError where it is none that draws from text, or is not diffusers' own."""
    name = index.get("_class_name")
    origins = [part[0] for key, part in index.items() if not key.startswith("_") and isinstance(part, list) and part]
    if isinstance(name, list) or not all(_own(library, origin) for origin in origins):
        problem = f"The pipeline {place} brings code of its own, which never runs here."
        raise GessoError(problem, "Give one that is made of diffusers' and transformers' own classes.")
    kind = getattr(library, name, None) if isinstance(name, str) and name.endswith("Pipeline") else None
    if not isinstance(kind, type) or not hasattr(kind, "from_pretrained"):
        problem = (
            f"{place} says that it is {str(name)[:80]!r}, which is no pipeline of diffusers {library.__version__}."
        )
        raise GessoError(problem, "Update diffusers, or give another pipeline.")
    knows = {*inspect.signature(getattr(kind, "__call__", kind)).parameters}  # noqa: B004  # a signature is looked at
    if not knows >= NEEDED or knows & FOREIGN or not knows & TOLD or not hasattr(kind, "prepare_latents"):
        problem = f"{place} is a {name}, which does not draw pictures from text and noise."
        raise GessoError(problem, "Give a text-to-image pipeline, such as one of Stable Diffusion, SDXL or Flux.")
    return kind


def _own(library: Any, origin: Any) -> bool:
    """Whether a part is of the libraries' own classes; the origin of a part that is left out is None."""
    own = isinstance(origin, str) and (origin in ("diffusers", "transformers") or hasattr(library.pipelines, origin))
    return origin is None or own


def _no_pickles(folder: Path, parts: list[str]) -> None:
    """Raise GessoError for a part whose weights are pickles alone."""
    for part in parts:
        kinds = {path.suffix for path in (folder / part).glob("*")}
        if kinds & PICKLES and ".safetensors" not in kinds:
            raise GessoError(
                f"The weights in {folder / part} are pickles, which may run any code and are never loaded.",
                "If you trust them, save the pipeline anew with diffusers' save_pretrained, which writes safetensors.",
            )


def _sha256(folder: Path, parts: list[str]) -> str:
    """Of names and contents of the parts' files, in the order of the names."""
    found = (path for part in parts for path in (folder / part).rglob("*"))
    files = sorted(path for path in found if path.suffix in MATTER and path.is_file())
    lines = [
        f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n" for path in (folder / "model_index.json", *files)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
