"""Words: what captions are made of, and networks that read them.

The vocabulary is learned from the captions at hand (byte-pair encoding; Sennrich et al. 2016), and so is the small
transformer that reads its pieces (Vaswani et al. 2017). A pretrained text encoder from a local folder may stand in its
place. Either way a family writes

    ids = reader.ids(texts)
    tokens, sentence, mask = encoder(ids)

with `reader` and `encoder` from `reading`. Piece 0 is padding, which changes nothing; every text, the empty one too,
has at least one piece.
"""

import json
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from gesso.errors import GessoError, nearest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "AbsentText", "PretrainedReader", "PretrainedText", "Reader", "TextEncoder", "Vocabulary", "attend", "reading",
]  # fmt: skip

PAD, UNKNOWN, START = 0, 1, 2
SPECIAL = ("<pad>", "<unknown>", "<start>")
MOST_PIECES = 65_536  # that `of` reads
MOST_WORDS = 20_000
LONGEST = 64  # pieces of a caption, its start included
COVERED = 0.995  # share of the captions that are never cut
SPOKEN = ("L", "M", "N", "So")  # Unicode's categories of what makes a word: letters, marks, digits, pictographs
APART = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"  # letters written without spaces
SAFELY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}

Read = tuple[Float[Tensor, "n t width"], Float[Tensor, "n width"], Bool[Tensor, "n t"]]


@runtime_checkable
class Reader(Protocol):
    """What turns texts into numbers for an encoder."""

    def ids(self, texts: Sequence[str]) -> Int[Tensor, "n t"]:
        """Numbers of pieces, on the CPU, padded with 0 to a length t that is always the same."""
        ...

    def check(self, texts: Sequence[str]) -> None:
        """Raises GessoError for a text that cannot be drawn."""
        ...


class Vocabulary(BaseModel):
    """The pieces that captions are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1  # of what `dump` writes
    length: int = Field(ge=2, le=LONGEST)  # pieces that a caption is cut or padded to, its start included
    pieces: tuple[str, ...] = Field(max_length=MOST_PIECES)  # by number
    merges: tuple[tuple[str, str], ...] = Field(max_length=MOST_PIECES)  # which two become one, first things first
    words: tuple[str, ...] = Field(max_length=MOST_WORDS)  # of the captions, the most frequent first

    @model_validator(mode="after")
    def _sound(self) -> "Vocabulary":
        known = set(self.pieces)
        whole = all(known.issuperset((first, second, first + second)) for first, second in self.merges)
        if self.pieces[: len(SPECIAL)] != SPECIAL or len(known) < len(self.pieces) or not whole or "" in known:
            raise ValueError("pieces and merges do not fit")
        return self

    @classmethod
    def learn(cls, captions: Sequence[str], most: int = 2000) -> "Vocabulary":
        """The vocabulary of some captions, the same for the same captions; empty ones are passed over.

        most: pieces. Raises GessoError when no caption has a word.
        """
        from tokenizers import trainers

        texts = [_clean(caption) for caption in captions]
        blank = _tokenizer(SPECIAL, ())
        counts = Counter(word for text in texts for word in _words(blank, text))
        if not counts:
            raise GessoError("No caption of this data says a word.", "Import pictures that have captions.")
        how = {"vocab_size": most, "limit_alphabet": max(most // 2, 1), "special_tokens": [*SPECIAL]}
        blank.train_from_iterator(texts, trainers.BpeTrainer(**how, show_progress=False))
        model = json.loads(blank.to_str())["model"]
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        merges = tuple((first, second) for first, second in model["merges"])
        lengths = sorted(n for n in (len(e.ids) for e in _tokenizer(pieces, merges).encode_batch(texts)) if n)
        fits = lengths[math.ceil(COVERED * len(lengths)) - 1]
        words = sorted(counts, key=lambda word: (-counts[word], word))[:MOST_WORDS]
        return cls(length=min(fits + 1, LONGEST), pieces=tuple(pieces), merges=merges, words=tuple(words))

    @staticmethod
    @lru_cache(maxsize=8)
    def of(text: str) -> "Vocabulary":
        """The vocabulary that `dump` wrote; the text may come from anywhere. Raises GessoError when it is none."""
        try:
            return Vocabulary.model_validate_json(text)
        except ValueError:
            problem = "The vocabulary of this model is damaged, or of a newer Gesso."
            raise GessoError(problem, "Update Gesso, or train anew.") from None

    def dump(self) -> str:
        """Compact JSON, from which `of` makes an equal vocabulary."""
        return self.model_dump_json()

    @property
    def size(self) -> int:
        """How many pieces there are, padding, unknown and start included."""
        return len(self.pieces)

    def ids(self, texts: Sequence[str]) -> Int[Tensor, "n t"]:
        """Numbers of pieces, t = length: a start, the pieces of the text as far as they fit, and 0 for padding."""
        rows = torch.zeros(len(texts), self.length, dtype=torch.long)
        for row, encoding in zip(rows, self._tokens.encode_batch([_clean(text) for text in texts]), strict=True):
            found = [START, *encoding.ids][: self.length]
            row[: len(found)] = torch.tensor(found)
        return rows

    def check(self, texts: Sequence[str]) -> None:
        """Raises GessoError for a text without a word, and for the first word that no caption ever had.

        Where the captions had more words than are kept here, a rare one passes if its letters are known.
        """
        for text in texts:
            words = _words(self._tokens, _clean(text))
            if not words:
                raise GessoError(f"The text '{text[:80]}' says nothing.", "Write what is to be drawn.")
            for word in words:
                kept = len(self.words) == MOST_WORDS and UNKNOWN not in self._tokens.encode(word).ids
                if word not in self._known and not kept:
                    problem = f"The captions that this model learned from never say '{word[:80]}'."
                    raise GessoError(problem, nearest(word[:80], self.words))

    def unread(self, text: str) -> int:
        """How many pieces at the end of a text are beyond what is read."""
        return max(len(self._tokens.encode(_clean(text)).ids) - (self.length - 1), 0)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.words)

    @cached_property
    def _tokens(self) -> "Tokenizer":
        return _tokenizer(self.pieces, self.merges)


def _tokenizer(pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> "Tokenizer":
    """Lower-cased NFKC, words apart from punctuation, each begun by ▁, in pieces."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # threads of its own would hinder forks
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    numbers = {piece: number for number, piece in enumerate(pieces)}
    out = Tokenizer(models.BPE(numbers, [*merges], unk_token=SPECIAL[UNKNOWN], fuse_unk=True))
    out.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])  # pyright: ignore[reportAttributeAccessIssue]
    begun = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    out.pre_tokenizer = pre_tokenizers.Sequence([_parter(), begun])  # pyright: ignore[reportAttributeAccessIssue]
    return out


def _parter() -> Any:
    """Parts words at spaces and punctuation; where a script has no spaces, every letter is a word."""
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex(APART), "isolated")])


def _clean(text: str) -> str:
    """What UTF-8 can hold of a text: halves of surrogate pairs become question marks."""
    return text.encode("utf-8", "replace").decode()


def _words(tokens: "Tokenizer", text: str) -> list[str]:
    """The words of a text, as the tokenizer parts them; punctuation is none."""
    assert tokens.normalizer is not None
    parts = _parter().pre_tokenize_str(tokens.normalizer.normalize_str(text))
    return [part for part, _ in parts if any(unicodedata.category(letter).startswith(SPOKEN) for letter in part)]


def attend(
    q: Float[Tensor, "n h k d"], k: Float[Tensor, "n h t d"], v: Float[Tensor, "n h t d"], seen: Bool[Tensor, "n t"]
) -> Float[Tensor, "n h k d"]:
    """Mixtures of v, each by how well q fits the k that may be seen (Vaswani et al. 2017, eq. 1); h heads.

    In float32, whatever the rest is computed in: with so few pieces, bfloat16 is five times slower on a CPU.
    """
    with torch.autocast(q.device.type, enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), seen[:, None, None])


class Attention(nn.Module):
    """Every place looks at all places that hold a piece, through several heads (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.three, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "n t c"], seen: Bool[Tensor, "n t"]) -> Float[Tensor, "n t c"]:
        """seen: which places may be looked at."""
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in self.three(x).chunk(3, 2))  # n heads t d
        y = attend(q, k, v, seen)
        return self.out(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and a wide layer, each added to what came in, norms first (Xiong et al. 2020, figure 1b)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.before, self.look = nn.LayerNorm(width), Attention(width, heads)
        wider, narrower = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.think = nn.Sequential(nn.LayerNorm(width), wider, nn.GELU(), narrower)

    def forward(self, x: Float[Tensor, "n t c"], seen: Bool[Tensor, "n t"]) -> Float[Tensor, "n t c"]:
        """As many vectors as came in."""
        x = x + self.look(self.before(x), seen)
        return x + self.think(x)


class Pool(nn.Module):
    """The mean of the vectors that count, at the spread that networks like."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "n t c"], mask: Bool[Tensor, "n t"]) -> Float[Tensor, "n c"]:
        """mask: which count; of none, the vector is the same whatever x holds."""
        counts = mask[:, :, None].to(x.dtype)
        return self.norm((x * counts).sum(1) / counts.sum(1).clamp(min=1))


class TextEncoder(nn.Module):
    """A small transformer that reads the pieces of captions, learned with the model that it serves.

    size: pieces of the vocabulary; length: the most of a text; width: numbers a piece; heads: at most, as many as
    divide the width. It drops nothing out, so that the same text always reads the same.
    """

    def __init__(self, size: int, length: int, width: int = 128, depth: int = 2, heads: int = 4):
        super().__init__()
        self.embed, self.place = nn.Embedding(size, width), nn.Embedding(length, width)
        nn.init.normal_(self.place.weight, 0.0, 0.2)  # which piece it is says more than where it stands
        self.layers = nn.ModuleList(Layer(width, math.gcd(width, heads)) for _ in range(depth))
        self.norm, self.pool = nn.LayerNorm(width), Pool(width)

    def forward(self, ids: Int[Tensor, "n t"]) -> Read:
        """A vector a piece, one for the whole text, and which places hold a piece. t: at most `length`."""
        mask = ids != PAD
        seen = torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], 1)  # attention to nothing is not a number
        x = self.embed(ids) + self.place.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, seen)
        x = self.norm(x)
        return x, self.pool(x, mask), mask


class PretrainedReader:
    """The tokenizer of a pretrained text encoder. Its numbers are shifted by one, so that 0 is padding for all."""

    def __init__(self, folder: Path, length: int = LONGEST):
        """folder: as `PretrainedText` takes it, read when needed; length: pieces of a text, at most."""
        self.folder, self.length = folder, length

    def ids(self, texts: Sequence[str]) -> Int[Tensor, "n t"]:
        """Numbers of pieces. Raises GessoError as `PretrainedText` does."""
        tokens = self._tokens
        length = min(self.length, tokens.model_max_length)
        told = tokens([_clean(text) for text in texts], padding="max_length", truncation=True, max_length=length)
        ids, mask = torch.tensor(told["input_ids"]), torch.tensor(told["attention_mask"])
        return torch.where(mask.bool(), ids + 1, PAD)

    def check(self, texts: Sequence[str]) -> None:
        """Raises GessoError for a text of nothing but space; it knows any word."""
        for text in texts:
            if not text.strip():
                raise GessoError("The text is empty.", "Write what is to be drawn.")

    @cached_property
    def _tokens(self) -> Any:
        with _transformers(self.folder) as library:
            tokens = library.AutoTokenizer.from_pretrained(str(self.folder), **SAFELY)
            if tokens.pad_token is None:
                tokens.pad_token = tokens.eos_token
            tokens.padding_side = "right"
            return tokens


class _Held:
    """A frozen module that no state holds, no optimizer moves and no copy doubles."""

    def __init__(self, module: nn.Module):
        self.module = module.float().eval().requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Held":
        return self


class PretrainedText(nn.Module):
    """A pretrained text encoder, frozen, and a learned layer from its vectors to `width` numbers.

    folder: as Hugging Face's transformers writes it, with config.json, *.safetensors and the tokenizer's files. BERT
    and its kin, T5's encoder and CLIP's are known. Its weights stay in the folder: a run keeps the learned layer alone.

    Raises GessoError when transformers is not installed, and when the folder is not there, holds no safetensors, or
    cannot be read. Pickles are never loaded, code in the folder never runs, and nothing is downloaded.
    """

    def __init__(self, folder: Path, width: int = 128):
        super().__init__()
        with _transformers(folder) as library:
            name = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
            kind = library.CLIPTextModel if name.startswith("clip") else library.AutoModelForTextEncoding
            model = kind.from_pretrained(str(folder), use_safetensors=True, **SAFELY)
        self._held = _Held(model)
        self.project, self.pool = nn.Linear(model.config.hidden_size, width), Pool(width)

    def forward(self, ids: Int[Tensor, "n t"]) -> Read:
        """As `TextEncoder.forward`; ids come from a `PretrainedReader` of the same folder."""
        mask = ids != PAD
        with torch.no_grad():
            known = self._held.module(input_ids=(ids - 1).clamp(min=0), attention_mask=mask.long())
        x = self.project(known.last_hidden_state)
        return x, self.pool(x, mask), mask

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PretrainedText":
        """What moves this module to a device moves the frozen one too."""
        self._held.module._apply(fn)
        return super()._apply(fn, recurse)


class AbsentText(nn.Module):
    """Stands where a pretrained text encoder stood that is not there any more."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def forward(self, *_: object) -> Read:
        """Always raises GessoError."""
        raise _gone(self.folder)

    def _load_from_state_dict(self, *_: object, **__: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What was learned on top of it is passed over."""


def reading(vocabulary: str, folder: str = "", width: int = 128, depth: int = 2) -> tuple[Reader, nn.Module]:
    """What turns texts into numbers, and the network that reads these: ids → vectors, sentence, mask.

    vocabulary: of the facts. folder: of a pretrained encoder in the small transformer's place; when it has gone, the
    first use says so, and nothing before. Raises GessoError as `PretrainedText` does.
    """
    if not folder:
        known = Vocabulary.of(vocabulary)
        return known, TextEncoder(known.size, known.length, width, depth)
    path = Path(folder)
    return PretrainedReader(path), PretrainedText(path, width) if path.exists() else AbsentText(path)


def _gone(folder: Path) -> GessoError:
    return GessoError(f"The text encoder {folder}, on which this model stands, is not there.", "Put it back.")


@contextmanager
def _transformers(folder: Path):
    """The library, silent, for a folder that it may read; what it raises becomes a sentence."""
    if not folder.is_dir():
        raise _gone(folder)
    if not (folder / "config.json").is_file():
        raise GessoError(f"{folder} holds no config.json, so it is no text encoder.", "Name the folder that has one.")
    if not any(folder.glob("*.safetensors")):
        pickles = any(path.suffix in (".bin", ".pt", ".pth", ".ckpt") for path in folder.iterdir())
        why = "only pickles, which may run any code and are never loaded" if pickles else "no weights"
        raise GessoError(f"{folder} holds {why}.", "Give a folder with model.safetensors.")
    try:
        import transformers
    except ImportError:
        raise GessoError(
            "A pretrained text encoder needs transformers, which is not installed.",
            "Run: pip install -c constraints.txt 'gesso[text]'",
        ) from None
    log = transformers.logging
    said, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield transformers
    except Exception as error:  # the library raises whatever its parsers do
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise GessoError(f"{folder} cannot be read as a text encoder: {why}.", "Save it with transformers.") from None
    finally:
        log.set_verbosity(said)
        if bars:
            log.enable_progress_bar()
