"""The extractor `own`: a small network that learns from the very pictures that are measured by it, in about a minute.

It is built as the primer is (see `primer.network`), half as wide. The wide look is fitted to patches of the pictures.
The deep one learns that two views of a picture are one, each of its numbers telling something of its own (Barlow Twins;
Zbontar et al. 2021, eq. 1), and, where pictures have labels, which they have (Khosla et al. 2020 show that both
together tell more than either). Every feature is divided by its spread over the pictures, so that none drowns another.
"""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError
from torch import Tensor, nn

from gesso.augment import Augment
from gesso.errors import GessoError
from gesso.files import read_json, write_bytes, write_json
from gesso.measure.features import Extractor, extractor, floats
from gesso.primer.frozen import SMALLEST, Frozen, as_rgba
from gesso.primer.network import Primer, folded

__all__ = ["FEWEST", "Own", "extractor_for", "own", "own_of"]

VERSION = 1  # of the recipe: other networks are learned again
FEWEST = 30  # pictures to learn from
MOST = 20_000  # that are learned from; of more, so many, evenly spaced
SEEN = 64  # pixels of the shorter side that the deep look is shown at most
VIEW, BATCH = 32, 128  # pixels of a view; pictures a step, two views of each
FINE, DEEP = 64, ((32, 64), (48, 128), (64, 256))  # half of the primer's widths
NARROW = 128  # numbers that two views agree on
APART = 0.01  # how much it counts that numbers differ from each other (the paper's lambda, for fewer numbers)
STEPS = 150  # of learning, and one more for every twenty pictures up to 5000
PATCHES = 60_000  # that the wide look is fitted to
CHUNK = 250  # pictures that are read, or looked at, at a time
Images = UInt8[np.ndarray, "n h w c"]
Labels = Int[np.ndarray, " n"]


class Own(nn.Module):
    """Pictures → features, and features → how likely which label is.

    tensors: those of `primer.frozen.Frozen`, `spread` of every feature, and where there were labels, `label.weight` and
    `label.bias`.
    """

    def __init__(self, tensors: dict[str, Tensor]):
        super().__init__()
        head = {name: tensors[name] for name in ("label.weight", "label.bias") if name in tensors}
        self.frozen = Frozen({name: t for name, t in tensors.items() if name != "spread" and name not in head})
        self.register_buffer("spread", tensors["spread"].clone(), persistent=False)
        for name, tensor in head.items():
            self.register_buffer(name.replace(".", "_"), tensor.clone(), persistent=False)
        self.labels = len(tensors["label.bias"]) if head else 0

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Of pictures in [-1, 1], grey, RGB or RGB with premultiplied alpha, from 16 pixels.

        Raises GessoError for smaller ones, and for other channels.
        """
        return _pooled(self.frozen, x) / self.get_buffer("spread")

    def logits(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Of the labels, in the order of their numbers. Raises GessoError where it learned from none."""
        if not self.labels:
            raise GessoError("These pictures have no labels that a classifier could learn.", "Import them with labels.")
        weight = self.get_buffer("label_weight")
        wide = weight.shape[1]
        return F.linear(features[:, -wide:] * self.get_buffer("spread")[-wide:], weight, self.get_buffer("label_bias"))


def _pooled(frozen: Frozen, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Means of all maps: of the wide look at the picture as it is, of the deep one at it at most SEEN pixels high."""
    x = as_rgba(x)
    small, before = shrunk(x), []
    if small is not x:
        wide = F.conv2d(x, frozen.get_buffer("fine_weight"), frozen.get_buffer("fine_bias"), 2, 2)
        before = [F.relu_(wide).mean((2, 3))]
    maps = frozen.maps(small.contiguous(memory_format=torch.channels_last))
    return torch.cat([*before, *(m.mean((2, 3)) for m in maps[len(before) :])], 1)


def shrunk(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c H W"]:
    """Pictures whose shorter side is at most SEEN pixels; smaller ones as they are."""
    short = min(x.shape[2:])
    if short <= SEEN:
        return x
    size = [round(side * SEEN / short) for side in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def own(
    images: Images,
    labels: Labels | None,
    folder: Path,
    fingerprint: str,
    seed: int = 0,
    tell: Callable[[int, int], None] | None = None,
) -> Extractor:
    """The network that learned from these pictures: read from the folder where it lies there, else learned.

    images: may be mapped from a file. labels: numbers from zero, -1 where a picture has none. folder: where it is kept
    (the data set's, say). fingerprint: of the pictures and labels; another's network is not taken. tell: called with
    the steps that are done, and how many there are. The same pictures, seed, machine and threads give the same network.
    Raises GessoError for fewer than 30 pictures, for pictures below 16 pixels, and where all of them are of one colour.
    """
    path = folder / f"own-{fingerprint[:12]}-{seed}.safetensors"
    facts = {"version": VERSION, "fingerprint": fingerprint, "seed": seed}
    data = _kept(path, facts)
    if data is None:
        data = safetensors.torch.save(_learn(images, labels, seed, tell or (lambda done, of: None)))
        write_bytes(path, data)
        facts |= {"sha256": hashlib.sha256(data).hexdigest(), "pictures": len(images), "torch": torch.__version__}
        write_json(path.with_suffix(".json"), facts)
    return Extractor("own", hashlib.sha256(data).hexdigest(), Own(safetensors.torch.load(data)))


def extractor_for(choice: str, images: Images, labels: Labels | None, folder: Path, fingerprint: str) -> Extractor:
    """The one that a user asked for, `own` or one that `features.extractor` knows; the rest is as for `own_of`."""
    return own_of(images, labels, folder, fingerprint) if choice == "own" else extractor(choice)


def own_of(images: Images, labels: Labels | None, folder: Path, fingerprint: str) -> Extractor:
    """The network of pictures that a run learned from, at its size: kept with the data set, one for each size.

    labels: -1 for none. fingerprint: of the whole data set; the rest is as for `own`.
    """
    known = labels if labels is not None and bool((np.asarray(labels) >= 0).any()) else None
    mark = f"{fingerprint} {images.shape}"
    return own(images, known, folder, hashlib.sha256(mark.encode()).hexdigest())


def _kept(path: Path, facts: dict[str, int | str]) -> bytes | None:
    """The weights in the folder; none where they are missing, damaged, or of other pictures."""
    try:
        data, said = path.read_bytes(), read_json(path.with_suffix(".json"))
        right = all(said[name] == value for name, value in facts.items())
        right = right and said["sha256"] == hashlib.sha256(data).hexdigest()
        if right:
            safetensors.torch.load(data)
    except (OSError, GessoError, SafetensorError, KeyError, TypeError):
        return None
    return data if right else None


def _learn(images: Images, labels: Labels | None, seed: int, tell: Callable[[int, int], None]) -> dict[str, Tensor]:
    if len(images) < FEWEST:
        raise GessoError(
            f"A network of these pictures' own needs at least {FEWEST} of them; there are {len(images)}.",
            "Choose the extractor primer.",
        )
    if min(images.shape[1:3]) < SMALLEST:
        raise GessoError(f"Pictures below {SMALLEST} pixels are too small.", "Import them larger.")
    some = np.linspace(0, len(images) - 1, min(len(images), MOST)).round().astype(np.int64)
    pictures = torch.cat(
        [_bytes(shrunk(_floats(images[part]))) for part in np.array_split(some, -(-len(some) // CHUNK))]
    )
    if bool((pictures == pictures[:1, :, :1, :1]).all()):
        raise GessoError("All pictures are of one colour: there is nothing to learn from them.", "Choose primer.")
    known = torch.full((len(some),), -1) if labels is None else torch.from_numpy(np.asarray(labels)[some]).long()
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        school = School(int(known.max()) + 1)
        school.primer.fine.fit(_patches(images, rng), rng, patches=PATCHES)
        school.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        steps = STEPS + min(len(some), 5000) // 20
        _train(school, pictures, known, steps, rng, tell)
    return _finished(school.eval(), images, some)


class School(nn.Module):
    """The network while it learns, and what it learns with."""

    def __init__(self, labels: int):
        super().__init__()
        self.primer = Primer(FINE, DEEP, ((0, 4), (4, 8)))  # of the quick look as little as can be: it does not learn
        widths = self.primer.widths["deep"]
        self.project = nn.ModuleList(
            nn.Sequential(
                nn.Linear(c, 2 * NARROW), nn.BatchNorm1d(2 * NARROW), nn.ReLU(), nn.Linear(2 * NARROW, NARROW)
            )
            for c in widths
        )
        self.label = nn.Linear(widths[-1], labels) if labels else None

    def forward(self, x: Float[Tensor, "m 4 h w"], label: Int[Tensor, " m"]) -> Tensor:
        """The loss. x: views of the same pictures in both of its halves. label: -1 where there is none."""
        pooled = [m.mean((2, 3)) for m in self.primer(x, "deep")]
        loss = torch.stack([twins(head(p)) for head, p in zip(self.project, pooled, strict=True)]).mean()
        known = label >= 0
        if self.label is not None and bool(known.any()):
            loss = loss + F.cross_entropy(self.label(pooled[-1][known]), label[known], label_smoothing=0.1)
        return loss


def twins(z: Float[Tensor, "m d"]) -> Tensor:
    """How far the correlation of both halves is from one in each number and none between them, a number's share.

    Zbontar et al. 2021, eqs. 1 and 2.
    """
    a, b = ((half - half.mean(0)) / (half.std(0) + 1e-4) for half in z.chunk(2))
    c = a.T @ b / len(a)
    same = c.diagonal()
    return ((1 - same).square().sum() + APART * (c.square().sum() - same.square().sum())) / len(c)


def _train(
    school: School, pictures: Tensor, label: Tensor, steps: int, rng: torch.Generator, tell: Callable[[int, int], None]
) -> None:
    colour, batch = Augment(("colour",)), min(BATCH, len(pictures))
    colour.strength.fill_(0.4)  # where all views change, a network learns to ignore colour
    optimizer = torch.optim.AdamW([p for p in school.parameters() if p.requires_grad], 2e-3, (0.9, 0.98))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        pick = torch.randperm(len(pictures), generator=rng)[:batch]
        x = pictures[pick].float() / 127.5 - 1
        x = torch.cat([views(x, rng), views(x, rng)])
        x = colour(x, rng)
        x = torch.cat([x[:, :3].clamp(min=-1).minimum(x[:, 3:]), x[:, 3:]], 1)
        loss = school(x.contiguous(memory_format=torch.channels_last), label[pick].repeat(2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tell(step + 1, steps)


def views(x: Float[Tensor, "n 4 h w"], rng: torch.Generator) -> Float[Tensor, "n 4 s s"]:
    """A square of each, of half to all of its shorter side, mirrored or not; s: VIEW, or less for small pictures."""
    n, _, h, w = x.shape
    short = min(h, w)
    size = min(VIEW, short)
    side = short * (0.5 + 0.5 * torch.rand(n, generator=rng))
    flip = torch.randint(0, 2, (n,), generator=rng) * 2 - 1
    theta = torch.zeros(n, 2, 3)
    for axis, length in enumerate((w, h)):
        share = side / length
        theta[:, axis, axis] = share
        theta[:, axis, 2] = (1 - share) * (2 * torch.rand(n, generator=rng) - 1)
    theta[:, 0, 0] *= flip
    grid = F.affine_grid(theta, [n, 4, size, size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


@torch.no_grad()
def _finished(school: School, images: Images, some: np.ndarray) -> dict[str, Tensor]:
    """What is kept: folded weights, the spread of every feature over the pictures, the classifier."""
    tensors = folded(school.primer) | {"spreads": torch.ones(2)}
    frozen = Frozen(tensors)
    part = some[np.linspace(0, len(some) - 1, min(len(some), 2000)).round().astype(np.int64)]
    seen = torch.cat([_pooled(frozen, _floats(images[p])) for p in np.array_split(part, -(-len(part) // CHUNK))])
    spread = seen.std(0)
    tensors["spread"] = spread.clamp(min=float(spread.mean()) / 10)  # what hardly ever answers must not count for much
    if school.label is not None:
        tensors |= {"label.weight": school.label.weight, "label.bias": school.label.bias}
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _patches(images: Images, rng: torch.Generator) -> Float[Tensor, "m 4 s s"]:
    """Parts of some pictures as they are, at most SEEN pixels wide."""
    h, w = images.shape[1:3]
    size, parts = min(h, w, SEEN), []
    for i in torch.randint(len(images), (max(9 * PATCHES // size**2, 60),), generator=rng).sort().values.tolist():
        top, left = (int(torch.randint(side - size + 1, (), generator=rng)) for side in (h, w))
        parts.append(images[i, top : top + size, left : left + size])
    return _floats(np.stack(parts))


def _floats(images: Images) -> Float[Tensor, "n 4 h w"]:
    return as_rgba(floats(images))


def _bytes(x: Float[Tensor, "n 4 h w"]) -> Tensor:
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
