"""The frames of a film finished so that nothing flickers: with the same pictures, each begun where the last ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gesso.finish.choose import Chosen
from gesso.finish.collection import Collection
from gesso.finish.draw import Drawing, Manner, Plan, prepare
from gesso.patch.field import Places
from gesso.patch.frames import follow
from gesso.patch.level import Level

__all__ = ["chosen_for", "finish_frames"]

FILM = 16  # pictures that a film is drawn with
KEYS = 8  # frames that are looked at to choose pictures
NEAR = 0.5  # how strongly a frame is drawn towards the one before, where drafts are alike: 1 is half the way
STILL, SAME = 8.0, 0.97  # how strongly where nothing moves, and from how alike on that begins
ALIKE = 0.02  # mean difference of colours at which drafts count as alike by 1 / e
Picture = Float[np.ndarray, "h w c"]


@dataclass
class Before:
    """The frame before. draft: at the size of what was made; places: of the first level."""

    draft: Picture
    made: Picture
    places: Places


def chosen_for(
    collection: Collection, drafts: Sequence[Picture], height: int, width: int, count: int, turns: str = "none",
    seed: int = 0,
) -> list[Chosen]:  # fmt: skip
    """The pictures that a whole film is drawn with."""
    keys = np.unique(np.linspace(0, len(drafts) - 1, min(KEYS, len(drafts))).round().astype(int))
    return collection.choose([drafts[i] for i in keys], height, width, count, turns, seed=seed)


def finish_frames(
    collection: Collection, drafts: Sequence[Picture], height: int, width: int, manner: Manner, *,
    count: int | None = None, turns: str = "none", loop: bool = False, seed: int = 0,
) -> Iterator[Drawing]:  # fmt: skip
    """Draw the drafts of a film anew; yields the finished frames, in their order.

    loop: whether the last frame goes on with the first; the film is then gone through twice, and the second time kept.
    """
    chosen = chosen_for(collection, drafts, height, width, count or FILM, turns, seed)
    pictures = collection.pictures(chosen, collection.unit(height, width))
    numbers = [one.number for one in chosen]
    before: Before | None = None
    for turn in range(2 if loop else 1):
        for draft in drafts:
            plan = prepare(draft, pictures, height, width, manner, numbers)
            drawing, before = _frame(plan, before, seed)
            if turn or not loop:
                yield drawing


def _frame(plan: Plan, before: Before | None, seed: int) -> tuple[Drawing, Before]:
    rng = np.random.default_rng(seed)  # the same in every frame: luck must not flicker either
    draft = plan.target.begin
    assert draft is not None
    if before is not None:
        plan = _led(plan, before)
    level = Level(plan.source, plan.target, plan.how, plan.sizes[0], None, rng)
    if before is not None:
        level.places.places = before.places.copy()
    drawing = plan.work(level, 0, rng, soft=False)
    places = level.places.places
    for number, scale in enumerate(plan.sizes[1:], 1):
        level = Level(plan.source, plan.target, plan.how, scale, level, rng)
        drawing = plan.work(level, number, rng, soft=True)
    return drawing, Before(draft, level.picture, places)


def _led(plan: Plan, before: Before) -> Plan:
    """The plan of a frame that begins with the one before, moved to where its things are now."""
    draft = plan.target.begin
    assert draft is not None
    moved = follow(_seen(before.draft), _seen(draft), np.concatenate([before.made, before.draft], axis=2))
    channels = draft.shape[2]
    made, then = moved.picture[..., :channels], moved.picture[..., channels:]
    alike = np.exp(-np.abs(then - draft).mean(2) / ALIKE).astype(np.float32)
    if plan.target.fixed is not None:
        made = np.where(plan.target.fixed[..., None], draft, made)
    begin = alike[..., None] * made + (1 - alike[..., None]) * draft
    return replace(plan, target=replace(plan.target, begin=begin, pull=NEAR * alike + STILL * _beyond(alike)))


def _beyond(alike: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """From 0, where drafts differ, to 1, where they are the same."""
    return np.maximum(alike - SAME, 0) / (1 - SAME)


def _seen(picture: Picture) -> Float[np.ndarray, "h w 3"]:
    """Colours on grey, so that both dark and light things move."""
    if picture.shape[2] == 4:
        return picture[..., :3] + 0.5 * (1 - picture[..., 3:])
    return np.broadcast_to(picture, (*picture.shape[:2], 3)) if picture.shape[2] == 1 else picture
