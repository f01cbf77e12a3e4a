"""`gesso families`: what kinds of models there are, what each needs, costs and can be told."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso.contract.task import Event, Message, Result, Task
from gesso.options import Field, Options

if TYPE_CHECKING:
    from gesso.contract.family import Family

SIDES = (32, 64, 128, 256)  # pixels at which a family's cost is told
TIMED = 64  # pixels above which it is reckoned from the size below, in proportion to the pixels
SECONDS = 1.5  # that each timing takes
NEEDS = {
    "label": "labels",
    "text": "captions",
    "pair": "pairs of pictures (gesso import --pairs)",
    "source": "a second data set (--source)",
}


class FamiliesOptions(Options):
    """List the model families, or tell all about one: what it is, needs, costs here, and its choices."""

    name: str = Field(default="", description="The family to tell all about.")
    time: bool = Field(default=True, description="Time it on this machine, for some seconds.")


class Families(Task[FamiliesOptions]):
    """The task."""

    name = "families"
    Options = FamiliesOptions
    positional = ("name",)
    example = "gesso families stylegan"

    def run(self, options: FamiliesOptions, home: Path) -> Iterator[Event]:
        """The Result's text is the page; its facts are the same as plain values."""
        from gesso import tasks

        if not options.name:
            known = tasks.families().values()
            rows = [(family.name, summary(family), needs(family)) for family in known]
            facts = {"families": [{"name": name, "summary": said, "needs": need} for name, said, need in rows]}
            yield Result(_list(rows), facts=facts)
            return
        family = tasks.family(options.name)
        pace: dict[int, float] = {}
        if options.time:
            yield Message(f"Timing {family.name} on this machine …")
            pace = {side: rate(family, side) for side in SIDES if side <= TIMED}
        facts: dict[str, Any] = {
            "name": family.name, "summary": summary(family), "needs": needs(family), "paper": family.paper,
            "pictures_a_second": {str(side): round(each, 1) for side, each in pace.items()},
            "presets": {name or "default": values for name, values in family.presets.items()},
            "options": [list(row) for row in family.Config.document()],
            "knobs": [list(row) for row in family.Knobs.document()],
        }  # fmt: skip
        yield Result(_page(family, pace), facts=facts)


def summary(family: "type[Family]") -> str:
    """What a family is, in the first sentence of its docstring."""
    return " ".join((family.__doc__ or "").split("\n\n")[0].split())


def needs(family: "type[Family]") -> str:
    """What the data must have, in words."""
    wanted = [NEEDS[what] for what in NEEDS if what in family.needed(family.Config.of(family.presets[""]))]
    return " and ".join(wanted)


def rate(family: "type[Family]", side: int) -> float:
    """Pictures a second of its default preset on this machine's fastest engine, one thread on a CPU."""
    import numpy as np

    from gesso.contract.family import Facts
    from gesso.text import Vocabulary
    from gesso.train import candidates, launch, pick_device, rate
    from gesso.train.plan import View, suited

    fabric = launch(pick_device("auto"))
    config = suited(family, family.Config.of(family.presets[""]), fabric.device.type, (side, side))
    wants, said = family.needed(config), ["one red flower on a blue ground", "two blue birds on a red ground"]
    channels, count = 4 if "source" in wants else 3, 256
    pictures = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    captions = [said[i % 2] for i in range(count)] if "text" in wants else []
    sources = pictures[..., :3] if wants & {"pair", "source"} else None
    facts = Facts(
        channels=channels, height=side, width=side, count=count, source=3 if sources is not None else 0,
        vocabulary=Vocabulary.learn(captions).dump() if captions else "", captions=tuple(said) if captions else (),
    )  # fmt: skip
    engine = candidates(fabric.device.type, threads=1 if fabric.device.type == "cpu" else None)[0]
    return rate(family, config, facts, View(pictures, np.full(count, -1), captions, sources), fabric, engine, SECONDS)


def _list(rows: list[tuple[str, str, str]]) -> str:
    wide = max(len(name) for name, _, _ in rows)
    lines = [f"  {name.ljust(wide)}  {said}" + (f" Needs {need}." if need else "") for name, said, need in rows]
    return "\n".join(["Families", *lines, "", "All about one: gesso families NAME"])


def _page(family: "type[Family]", pace: dict[int, float]) -> str:
    """Everything about a family, for a person."""
    need = needs(family)
    takes = " and ".join(NEEDS[what] for what in NEEDS if what in family.takes)
    blocks = [
        f"{family.name}: {summary(family)}",
        f"Needs {need or 'nothing but pictures'}. Takes {takes or 'no labels or captions'}.",
        f"Follows {family.paper}.",
    ]
    if pace:
        blocks.append("\n".join(["Costs on this machine, with one thread on a CPU", *_costs(pace)]))
    presets = [f"  {name or '(default)'}  {_values(values)}".rstrip() for name, values in family.presets.items()]
    blocks.append("\n".join(["Presets (--preset)", *presets]))
    sizes = [f"  from {side} pixels  {_values(values)}" for side, values in family.sizes.items() if values]
    if sizes:
        blocks.append("\n".join(["Set by size, where not chosen", *sizes]))
    blocks.append("\n".join(["Choices when training (--set)", *_rows(family.Config)]))
    blocks.append("\n".join(["Choices when drawing (gesso sample RUN --set)", *_rows(family.Knobs)]))
    return "\n\n".join(blocks)


def _costs(pace: dict[int, float]) -> Iterator[str]:
    from gesso.train.plan import ENOUGH

    for side in SIDES:
        known = max(at for at in pace if at <= side)
        each = pace[known] * (known / side) ** 2
        about = "" if side == known else "about "
        minutes = ENOUGH / each / 60
        long = f"{minutes:,.0f} minutes" if minutes < 100 else f"{minutes / 60:,.0f} hours"
        yield f"  {side} pixels: {about}{each:,.0f} pictures/s; {ENOUGH:,} pictures take {long}"


def _values(values: dict[str, Any]) -> str:
    import json

    return " ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items())


def _rows(options: type[Options]) -> Iterator[str]:
    rows = options.document()
    wide = max((len(f"{name}={default}") for name, _, default, _ in rows), default=0)
    for name, _, default, sentence in rows:
        yield f"  {f'{name}={default}'.ljust(min(wide, 28))}  {sentence}"
