"""The maps that a family's layers make on the way to a picture, found by drawing one and watching."""

from dataclasses import dataclass

from torch import Tensor, nn

from gesso.errors import GessoError
from gesso.explore.space import Points, Space

__all__ = ["HALF", "Layer", "layer_of"]

HALF = 0.5  # of the picture's sides
LEAST, SMALLEST = 4, 4  # channels that a map has at least, and places each way
OFTEN = 2  # a map that is made more often belongs to a family that draws in many steps


@dataclass(frozen=True)
class Layer:
    """A module whose output, n u h w, is a map on the way to a picture."""

    name: str
    module: nn.Module
    units: int
    size: tuple[int, int]


def layer_of(space: Space, points: Points, size: float = HALF) -> Layer:
    """The last map of about `size` of the picture's sides that is made on the way to it. points: the first is drawn.

    Raises GessoError for a family that draws in many steps, or without maps.
    """
    made = dict[str, tuple[nn.Module, Tensor, int]]()
    trouble = GessoError(
        f"The family {space.family.name} draws in many steps, or without maps of features that could be looked into.",
        "Take a run of gan, progan, stylegan, stackgan, vae or regions.",
    )

    def watch(name: str, module: nn.Module) -> object:
        def see(_: nn.Module, __: tuple, out: object) -> None:
            if isinstance(out, Tensor) and out.ndim == 4:
                count = made[name][2] + 1 if name in made else 1
                if count > OFTEN:
                    raise trouble
                made[name] = module, out, count

        return module.register_forward_hook(see)

    handles = [watch(name, module) for name, module in space.family.parts.named_modules() if name]
    try:
        picture = space.pictures(points[[0]])
    finally:
        for handle in handles:
            handle.remove()  # pyright: ignore[reportAttributeAccessIssue]
    wanted, best = size * picture.shape[2], None
    for number, (name, (module, out, _)) in enumerate(made.items()):
        if out.shape[1] < LEAST or min(out.shape[2:]) < SMALLEST:
            continue
        key = (abs(out.shape[2] - wanted), -number)
        if best is None or key < best[0]:
            best = key, Layer(name, module, out.shape[1], (out.shape[2], out.shape[3]))
    if best is None:
        raise trouble
    return best[1]
