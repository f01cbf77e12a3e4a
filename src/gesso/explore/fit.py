"""The part of a model that paints, fitted to one picture (pivotal tuning; Roich et al. 2022, section 3).

Where a picture is found, it is hardly ever drawn to the last detail. A little change of the weights mends that, while
what the codes around mean is held: pictures between that place and others stay what they were (there eq. 5 to 7), and
those beside it, whither sliders lead.
"""

import copy
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gesso.contract.family import Family
from gesso.explore.inversion import Likeness
from gesso.explore.space import Points, Space

__all__ = ["Painter", "fitted", "painter_of", "with_weights"]

OTHERS = 32  # points whose pictures are to stay
AROUND = (0.1, 0.7)  # how far half of them are on the way from the picture's own to a seed's
ASIDE = (0.06, 0.4)  # how far the other half are from it, as sliders would go, in lengths from seed to seed
HELD = 0.15  # what changing them costs, beside the picture's unlikeness
AT_ONCE = 3  # of them, a step
LR = 2e-3


@dataclass(frozen=True)
class Painter:
    """The part of which a picture comes out last. name: among the family's parts."""

    name: str
    part: nn.Module


def painter_of(space: Space, points: Points) -> Painter | None:
    """The part that paints what is drawn there; None where no part gives out the picture itself."""
    called, handles = list[tuple[str, Any]](), list[Any]()
    for name, part in space.family.parts.items():
        handles.append(part.register_forward_hook(lambda _, __, out, name=name: called.append((name, out))))
    try:
        image = space.pictures(points[[0]])
    finally:
        for handle in handles:
            handle.remove()
    for name, out in reversed(called):
        if isinstance(out, Tensor) and out.shape == image.shape:
            same = torch.allclose(out.float().clamp(-1, 1).cpu(), image, atol=1e-3)
            return Painter(name, space.family.parts[name]) if same else None
    return None


def with_weights(family: Family, name: str, weights: dict[str, Tensor]) -> Family:
    """The same family, but that one of its parts has other weights."""
    other = copy.deepcopy(family)
    part = other.parts[name]
    part.load_state_dict({key: value.to(next(part.parameters()).device) for key, value in weights.items()})
    return other


def fitted(
    space: Space, points: Points, painter: Painter, target: Float[Tensor, "1 c h w"], steps: int = 300, seed: int = 0
) -> Generator[tuple[int, int], None, dict[str, Tensor]]:
    """Weights of a part with which a point becomes a picture, in [-1, 1]; yields how many steps are done, of how many.

    The space is left as it is.
    """
    rng, likeness = torch.Generator(space.device).manual_seed(seed), Likeness(target.to(space.device))
    own = space.points(range(seed, seed + OTHERS))
    here = points[[0] * OTHERS]
    far, aside = (torch.linspace(*ends, OTHERS, device=own.codes.device)[:, None, None] for ends in (AROUND, ASIDE))
    towards = torch.lerp(here.codes, own.codes, far)
    beside = here.codes + aside * (own.codes - own.codes.roll(1, 0))
    others = here.at(torch.cat([towards[::2], beside[1::2]]))
    (asked, how), (around, _) = _asked(space, points, painter), _asked(space, others, painter)
    part = copy.deepcopy(painter.part).requires_grad_().eval()
    with torch.no_grad():
        before = painter.part(*around, **how)
    optimizer = torch.optim.Adam(part.parameters(), LR, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1.0, 2 * (1 - step / steps))
        some = torch.randint(OTHERS, (AT_ONCE,), generator=rng, device=rng.device)
        stay = (part(*_rows(around, some), **how) - before[some]).square().mean()
        cost = likeness(part(*asked, **how).float(), rng).sum() + HELD * stay
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        if (step + 1) % 10 == 0:
            yield step + 1, steps
    return {name: value.detach().cpu().clone() for name, value in part.state_dict().items()}


def _asked(space: Space, points: Points, painter: Painter) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the part is given when these are drawn; of the last call, where it is called several times."""
    calls = list[tuple[tuple[Any, ...], dict[str, Any]]]()
    handle = painter.part.register_forward_pre_hook(
        lambda _, given, named: calls.append((given, named)), with_kwargs=True
    )
    try:
        with torch.no_grad():
            *_, _last = space.stream(points)
    finally:
        handle.remove()
    given, named = calls[-1]
    return _rows(given, slice(None)), named


def _rows(given: Any, rows: Any) -> Any:
    """Rows of tensors, however deep in tuples and lists."""
    if isinstance(given, Tensor):
        return given[rows].clone()
    return type(given)(_rows(one, rows) for one in given) if isinstance(given, (tuple, list)) else given
