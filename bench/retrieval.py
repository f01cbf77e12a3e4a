"""Whether a stranger could tell what was asked for: retrieval of the prompt from drawn pictures.

    python -m bench.retrieval --data emoji|blossoms --home HOME RUN [RUN ...] [--guidance 1,3] [--count 400]

A matcher of pictures and texts (two encoders and a learned temperature, in the manner of CLIP: Radford et al. 2021,
section 2.3 and figure 3) learns the real pictures of the data set with their captions, once, and is kept in bench/out.
Then each run draws a picture a prompt, from seed 0 on. R@1 among 20 is the share of pictures that fit what they were
asked to be better than 19 other prompts, drawn at random but the same for every run; R@5, the share where at most four
others fit better. Chance is 5 % and 25 %.

Prompts of emoji, or of any captioned data set, are captions evenly chosen from those that were learned, and the ceiling
is the figure of their real pictures, which the matcher has learned too. Prompts of blossoms are captions of new
flowers whose species, both colours and ground no picture of the data set has together (all of them are of two colours:
every combination with one colour was learned); the ceiling is the figure of these flowers themselves, painted.

A line a run and guidance goes to bench/out/retrieval.jsonl, and a sheet of 12 prompts × 6 seeds, the prompts evenly
chosen, to bench/out/retrieval. Runs that know labels alone are asked for the labels of the prompts.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count as count_up
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import gesso
from bench.data import OUT
from bench.judge import Block, to_float
from gesso.augment import Augment
from gesso.data import Pack, open_pack
from gesso.data.blossoms import Blossom
from gesso.data.reading import at_size
from gesso.marks.picture import write_sheet
from gesso.options import Options
from gesso.sample import Model, draw
from gesso.text import TextEncoder, Vocabulary

BATCH, WIDTH = 128, 128  # pictures a step of learning; numbers of the space where pictures and texts meet
HELD = 0.1  # share of blossoms that the matcher is tried on and does not learn; of other sets it learns all
AMONG, SEED = 20, 104  # prompts to choose from; of the new flowers, which no other benchmark paints
COMBINED = ("species", "colour", "second", "ground")
SIDES = {"left", "right", "leftwards", "rightwards", "clockwise", "counterclockwise"}
ROWS, COLUMNS = 12, 6  # of a sheet


@dataclass
class Prompts:
    """What is asked for. texts: a caption a picture; labels: where there are some; images: real ones, n h w c bytes.

    others: numbers of different captions in `pool`, n 19.
    """

    texts: list[str]
    labels: list[str | None]
    images: np.ndarray
    pool: list[str]
    others: np.ndarray

    @classmethod
    def of(cls, texts: list[str], labels: list[str | None], images: np.ndarray, among: Sequence[str]) -> "Prompts":
        """Others come from `among`, which holds all texts, by a fixed seed."""
        rng, pool = np.random.default_rng(0), sorted({*among})
        place = {text: number for number, text in enumerate(pool)}
        others = np.stack([rng.choice(len(pool) - 1, AMONG - 1, replace=False) for _ in texts])
        others += others >= np.array([[place[text]] for text in texts])  # passes over the prompt itself
        return cls(texts, labels, images, pool, others)


class Matcher(nn.Module):
    """Pictures and texts as vectors of length one, near each other where they belong together."""

    def __init__(self, vocabulary: Vocabulary):
        super().__init__()
        self.vocabulary = vocabulary
        self.body = nn.Sequential(
            nn.Conv2d(3, 48, 4, 2, 1), Block(48, 96), Block(96, 192), nn.BatchNorm2d(192), nn.ReLU()
        )
        self.see = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(192 * 16, WIDTH))
        self.text, self.read = TextEncoder(vocabulary.size, vocabulary.length, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # of similarities, as a logarithm

    def pictures(self, x: Tensor) -> Tensor:
        """n c h w in [-1, 1] to n WIDTH."""
        return F.normalize(self.see(self.body(x)).float(), dim=1)

    def texts(self, ids: Tensor) -> Tensor:
        """Numbers of pieces, n t, to n WIDTH."""
        return F.normalize(self.read(self.text(ids)[1]).float(), dim=1)

    def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of pictures and of texts."""
        return self.pictures(x), self.texts(ids)

    @torch.inference_mode()
    def ranks(self, images: np.ndarray, asked: Prompts) -> Tensor:
        """How many of the other prompts fit each picture (n h w c bytes) at least as well as what was asked."""
        seen = torch.cat([self.pictures(to_float(on_white(part))) for part in parts(images)])
        own, pool = (
            torch.cat([self.texts(self.vocabulary.ids(part)) for part in parts(texts)])
            for texts in (asked.texts, asked.pool)
        )
        others = (seen[:, None] * pool[torch.from_numpy(asked.others)]).sum(2)
        return (others >= (seen * own).sum(1, keepdim=True)).sum(1)


def contrast(seen: Tensor, said: Tensor, scale: Tensor, ids: Tensor) -> Tensor:
    """Symmetric cross-entropy of a batch; where texts are equal, each belongs to all their pictures."""
    fit = scale.clamp(max=math.log(100)).exp() * seen @ said.T
    same = (ids[:, None] == ids[None]).all(2).float()
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(fit, target) + F.cross_entropy(fit.T, target)) / 2


def parts(whole: Any, most: int = 200) -> list[Any]:
    """Stretches of at most so many."""
    return [whole[i : i + most] for i in range(0, len(whole), most)]


def on_white(images: np.ndarray) -> np.ndarray:
    """Bytes n h w 3 of grey, coloured or premultiplied transparent ones."""
    if images.shape[3] == 4:
        return images[..., :3] + (255 - images[..., 3:])
    return np.broadcast_to(images, (*images.shape[:3], 3))


def matcher(pack: Pack, steps: int) -> Matcher:
    """The matcher of a data set, trained from a fixed seed (some minutes), or read from bench/out."""
    torch.manual_seed(0)
    captions, kept = pack.captions, OUT / f"matcher-{pack.name}-{pack.fingerprint[:8]}.safetensors"
    net = Matcher(Vocabulary.learn(captions)).to(memory_format=torch.channels_last)
    if kept.exists():
        net.load_state_dict(load_file(kept))
        return net.eval()
    images, ids = on_white(np.asarray(pack.images)), net.vocabulary.ids(captions)
    learned, held = ([i for i in rows if captions[i]] for rows in pack.split(HELD if painted(pack) else 0.0))
    turned = not any(SIDES & {*caption.lower().replace("-", " ").split()} for caption in captions)
    rng, shifted = torch.Generator().manual_seed(0), Augment(("translation",))
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.15)
    order, began = torch.empty(0, dtype=torch.long), time.process_time()
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = torch.tensor(learned)[torch.randperm(len(learned), generator=rng)]
        pick, order = order[:BATCH], order[BATCH:]
        x = shifted(to_float(images[pick.numpy()]), rng)
        if turned:
            x = torch.where(torch.rand(len(x), 1, 1, 1, generator=rng) < 0.5, x.flip(3), x)
        light, tint = (torch.randn(len(x), n, 1, 1, generator=rng) * 0.04 for n in (1, 3))
        x = (x * (1 + light) + tint).clamp(-1, 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            seen, said = net(x, ids[pick])
        loss = contrast(seen, said, net.scale, ids[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"matcher, step {step} of {steps}, {time.process_time() - began:.0f} s: {loss:.3f}", flush=True)
    net.eval()
    if held:
        texts = [captions[i] for i in held]
        print("matcher on held-out pictures:", recalls(net.ranks(images[held], Prompts.of(texts, [], images, texts))))
    OUT.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, kept)
    return net


def painted(pack: Pack) -> bool:
    """Whether the pictures are blossoms, whose factors are known."""
    return {"species", "colour", "ground"} <= {*pack.items[0]}


def combination(factors: dict[str, Any]) -> tuple[str, ...]:
    """What has to be new together; items of data sets leave out what is empty."""
    return tuple(factors.get(name) or "" for name in COMBINED)


def prompts(pack: Pack, count: int) -> Prompts:
    """Of blossoms, captions of new combinations; of other sets, captions evenly chosen."""
    if not painted(pack):
        rows = np.flatnonzero([bool(caption) for caption in pack.captions])
        chosen = rows[evenly(len(rows), count)]
        texts, labels = [pack.captions[i] for i in chosen], [pack.items[i].get("label") for i in chosen]
        return Prompts.of(texts, labels, pack.images[chosen], [pack.captions[i] for i in rows])
    learned = {combination(item) for item in pack.items}
    found: list[dict[str, Any]] = []
    images: list[np.ndarray] = []
    for index in count_up():
        if len(found) == count:
            break
        factors = Blossom(index, SEED, 8, 8).paint()[1]  # so small a picture costs next to nothing
        if combination(factors) not in learned:
            found.append(factors)
            images.append(Blossom(index, SEED, pack.width, pack.height).paint()[0])
    texts = [one["text"] for one in found]
    return Prompts.of(texts, [one["label"] for one in found], np.stack(images), texts)


def evenly(whole: int, count: int) -> list[int]:
    """Numbers below `whole`, from the first to the last, as many as are wanted and are there."""
    return np.linspace(0, whole - 1, min(count, whole)).round().astype(int).tolist()


def recalls(ranks: Tensor) -> dict[str, float]:
    """R@1 and R@5, in [0, 1]."""
    return {f"R@{k}": round(float((ranks < k).float().mean()), 4) for k in (1, 5)}


def made(model: Model, asked: Prompts, knobs: Options, rows: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
    """A picture for each of some prompts, n h w c bytes."""
    if "text" in model.family.asks:
        pictures = draw(model.family, seeds, knobs=knobs, texts=[asked.texts[i] for i in rows])
    elif "label" in model.family.asks and all(asked.labels):
        pictures = draw(model.family, seeds, [asked.labels[i] for i in rows], knobs)
    else:
        raise gesso.GessoError(f"Run {model.run} can be asked for none of these prompts.", "Name runs that take texts.")
    return np.stack([one.image for one in pictures])


def main() -> None:
    """Measure, print and keep."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("runs", nargs="+")
    words.add_argument("--data", required=True, help="a data set of HOME that has captions")
    words.add_argument("--home", type=Path, required=True)
    words.add_argument("--guidance", default="1", help="where the family has it; several with commas")
    words.add_argument("--count", type=int, default=400, help="of prompts")
    words.add_argument("--steps", type=int, default=1600, help="of the matcher's learning, where it is not there yet")
    options = words.parse_args()
    if options.count < AMONG:
        words.error(f"--count has to be at least {AMONG}")
    torch.set_num_threads(1)
    pack = open_pack(options.data, options.home)
    net, asked = matcher(pack, options.steps), prompts(pack, options.count)
    number, real = len(asked.texts), recalls(net.ranks(asked.images, asked))
    print(f"real pictures: {real}; chance: R@1 {1 / AMONG}, R@5 {5 / AMONG}", flush=True)
    for ref in options.runs:
        model = gesso.load(ref, home=options.home)
        guided = "guidance" in model.family.Knobs.model_fields
        for strength in options.guidance.split(",") if guided else ("",):
            knobs = model.family.Knobs.of({"guidance": float(strength)} if strength else {})
            images = at_size(made(model, asked, knobs, range(number), range(number)), pack.height, pack.width)
            found = recalls(net.ranks(images, asked))
            line = {"run": model.run, "step": model.step, "data": pack.name, "guidance": strength, "count": number}
            line |= found | {"error": round(math.sqrt(found["R@1"] * (1 - found["R@1"]) / number), 4), "real": real}
            print(json.dumps(line), flush=True)
            with (OUT / "retrieval.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            some, led = evenly(number, ROWS), f"-guidance-{strength}" if strength else ""
            rows = [[*made(model, asked, knobs, [i] * COLUMNS, range(COLUMNS))] for i in some]
            title = f"{model.title}{led.replace('-', ' ')}: R@1 {found['R@1']:.0%}"
            sheets = OUT / "retrieval"
            sheets.mkdir(exist_ok=True)
            write_sheet(sheets / f"{model.run}{led}.png", rows, title=title, captions=[asked.texts[i] for i in some])


if __name__ == "__main__":
    main()
