"""Points of a picture dragged to where they shall be: the codes are sought of a picture that shows them there.

Written from Pan et al. 2023, "Drag Your GAN: Interactive Point-based Manipulation on the Generative Image Manifold",
section 3.2: a step moves what a feature map shows around each handle a little towards its target (motion supervision,
eq. 1), then each handle is found again by its feature (point tracking, eq. 2). The map is one that a layer makes on the
way to the picture, at about half of its size, whatever family it is of.

Small models lose what they drag: so what was around a handle in the beginning is what shall come, more than what is
there now, and a handle is found again by all that was around it.
"""

from collections.abc import Generator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.contract.steer import Styled
from gesso.errors import GessoError
from gesso.explore.layers import layer_of
from gesso.explore.space import Points, Space

__all__ = ["Dragged", "Features", "dragged"]

PATCH, ACROSS = 0.16, 4  # of the shorter side: how far around a handle is looked, and how many places each way
SEARCH = 0.08  # of the shorter side: how far from where it was a handle is looked for
FIRM = 0.2  # how much more alike a place at the end of that must be than the one where the handle was
FIRST = 0.7  # weight of what was at the handle in the beginning, beside what is there now
THERE = 1.0  # pixels from its target, within which a handle has come
RATE = 0.03  # of Adam, in standard deviations of the codes
COARSE = 0.6  # of the layers, the first of which are moved
KEPT = 0.3  # weight of what shall stay beside what shall move
AWAY = 0.4  # of the shorter side: what is farther from all handles and their ways stays, where no mask says what does
SPREAD = 256  # seeds by which the codes' spread is known


class Dragged(NamedTuple):
    """The point of the picture that was found, and where its handles are, x and y in pixels."""

    point: Points
    places: Float[Tensor, "k 2"]


class Features:
    """The map behind a picture, of about half of its size.

    Raises GessoError for a family that has none: tokens, and what draws in many steps.
    """

    def __init__(self, space: Space, point: Points):
        self.space, self.layer = space, layer_of(space, point).module

    def drawn(self, points: Points) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n d h w"]]:
        """Pictures, and the maps behind them, enlarged to their size; with gradients."""
        seen = list[Tensor]()

        def look(module: nn.Module, given: tuple, out: Tensor) -> None:
            seen.append(out)

        hook = self.layer.register_forward_hook(look)
        try:
            *_, picture = self.space.stream(points)
        finally:
            hook.remove()
        return picture, F.interpolate(seen[-1].float(), picture.shape[2:], mode="bilinear", align_corners=False)


def dragged(
    space: Space,
    point: Points,
    handles: Float[Tensor, "k 2"],
    targets: Float[Tensor, "k 2"],
    keep: Float[Tensor, "h w"] | None = None,
    steps: int = 200,
) -> Generator[tuple[int, int], None, Dragged]:
    """One picture changed so that what is at each handle comes to its target; yields steps done, and of how many.

    handles, targets: x and y in pixels, from the middle of the pixel at the top left. keep: 1 where the picture shall
    stay as it is, as far as it can, 0 where it may change; if not given, what is far from all handles and their ways
    shall. It ends once all handles are within a pixel of their targets, and returns the nearest that it came. Codes are
    moved in their coarse layers alone, and latents keep their length.

    Raises GessoError for points outside of the picture, a mask of another size, and a family without maps of features.
    """
    point = Points(point.z.clone(), point.codes.clone(), point.label, point.text)
    height, width = space.family.facts.height, space.family.facts.width
    size = handles.new_tensor([width, height])
    for places in (handles, targets):
        outside = [row for row in places.tolist() if not (0 <= row[0] <= width - 1 and 0 <= row[1] <= height - 1)]
        if outside:
            raise GessoError(
                f"The point {outside[0][0]:g},{outside[0][1]:g} is outside of the picture.",
                f"It has {width}×{height} pixels: x is 0 to {width - 1}, y is 0 to {height - 1}.",
            )
    if keep is not None and keep.shape != (height, width):
        raise GessoError(
            f"The mask is {keep.shape[1]}×{keep.shape[0]}, the picture {width}×{height}.",
            "Make it as large as the picture.",
        )
    features, spread = Features(space, point), _spread(space)
    codes = point.codes
    with torch.no_grad():
        begun = features.drawn(point)[1]
    side = min(height, width)
    patch = _disc(max(PATCH * side, 2.0), ACROSS).to(begun)
    search = _disc(radius := max(SEARCH * side, 2.5), round(2 * radius)).to(begun)
    firm = 1 + FIRM * search.norm(dim=1) / radius
    stay = (_away(handles, targets, height, width) if keep is None else keep).to(begun)
    places, aims = handles.to(begun), targets.to(begun)
    known = _at(begun, places[:, None] + patch)  # k m d
    limit = size.to(begun) - 1
    move = torch.zeros_like(codes).requires_grad_()
    optimizer = torch.optim.Adam([move], RATE)
    best, least = Dragged(point, places), float("inf")
    for step in range(1, steps + 1):
        with torch.enable_grad():
            now = point.at(_moved(space, codes, move * spread))
            seen = features.drawn(now)[1]
        around = (places[:, None] + search).clamp(limit.new_zeros(2), limit)
        shown = _at(seen.detach(), (around[:, :, None] + patch).flatten(1, 2)).unflatten(1, (around.shape[1], -1))
        unlike = (shown - known[:, None]).abs().mean((2, 3)) * firm
        places = around[torch.arange(len(places)), unlike.argmin(1)]
        left = aims - places
        far = left.norm(dim=1, keepdim=True)
        if float(far.max()) < least:
            best, least = Dragged(now.at(now.codes.detach()), places), float(far.max())
        if least <= THERE:
            break
        way = left / far.clamp(min=1)
        with torch.enable_grad():
            here = places[:, None] + patch
            there = _at(seen, here + way[:, None])
            loss = torch.lerp((_at(seen, here).detach() - there).abs().mean(), (known - there).abs().mean(), FIRST)
            loss = loss + KEPT * ((seen - begun).abs() * stay).mean() / stay.mean().clamp(min=1e-6)
            (move.grad,) = torch.autograd.grad(loss, move)
        optimizer.step()
        yield step, steps
    return best


def _at(maps: Float[Tensor, "1 d h w"], places: Float[Tensor, "k m 2"]) -> Float[Tensor, "k m d"]:
    """What a map shows at places, x and y in pixels, between them bilinearly."""
    size = places.new_tensor([maps.shape[3], maps.shape[2]])
    grid = ((places + 0.5) / size * 2 - 1)[None]
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0)


def _away(handles: Tensor, targets: Tensor, height: int, width: int) -> Float[Tensor, "h w"]:
    """1 where it is far from the ways from handles to targets."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    here, way = torch.stack([x, y], -1).to(handles), targets - handles
    off = here[:, :, None] - handles  # h w k 2
    along = ((off * way).sum(3) / way.square().sum(1).clamp(min=1e-6)).clamp(0, 1)
    near = (off - along[..., None] * way).norm(dim=3).amin(2)
    return (near > AWAY * min(height, width)).float()


def _disc(radius: float, across: int) -> Float[Tensor, "m 2"]:
    """Ways to places that are not farther, on a grid of so many to each side."""
    line = torch.arange(-across, across + 1) * (radius / across)
    ways = torch.cartesian_prod(line, line)
    return ways[ways.norm(dim=1) <= radius * 1.001]


def _spread(space: Space) -> Float[Tensor, "1 l d"]:
    """How far codes differ by themselves; zero for the fine layers, which stay."""
    usual = space.points(range(SPREAD)).codes.std(0, keepdim=True).clone()
    layers = usual.shape[1]
    usual[:, max(round(COARSE * layers), 1) :] = 0
    return usual


def _moved(space: Space, codes: Tensor, by: Tensor) -> Tensor:
    """Codes elsewhere; latents, where there are no styles, as long as before."""
    out = codes + by
    if isinstance(space.family, Styled):
        return out
    return out * (codes.norm() / out.norm().clamp(min=1e-6))
