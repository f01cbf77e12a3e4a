"""Differentiable augmentation, and its adaptive strength for small sets.

Every critic sees only augmented pictures, real and made alike, so that it cannot learn the few real ones by
heart (Zhao et al. 2020, "Differentiable Augmentation"; Karras et al. 2020, "Training GANs with Limited Data").
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

OPERATIONS = ("colour", "translation", "cutout")


class Augment(nn.Module):
    """Random colour, shift and cut-out, each picture's own, each operation with probability `strength`.

    operations: which of OPERATIONS. adaptive: whether `adapt` moves the strength; it then starts at zero.
    Premultiplied pictures with alpha keep their outlines in the colour step.
    """

    strength: Tensor

    def __init__(self, operations: tuple[str, ...], adaptive: bool = False, target: float = 0.6, pace: int = 50_000):
        super().__init__()
        self.operations = operations
        self.adaptive = adaptive
        self.target = target  # the share of right judgements on real pictures, less the wrong, that is wished for
        self.pace = pace  # pictures over which the strength may go from 0 to 1
        self.register_buffer("strength", torch.tensor(0.0 if adaptive else 1.0))

    def forward(self, x: Float[Tensor, "n c h w"], rng: torch.Generator) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1], changed; gradients pass through."""
        for operation in self.operations:
            hit = self._uniform(x, rng) < self.strength
            x = getattr(self, "_" + operation)(x, hit, rng)
        return x

    @torch.no_grad()
    def adapt(self, real: Float[Tensor, " n"], fake: Float[Tensor, " n"]) -> None:
        """Move the strength by how surely the critic tells real from made (Karras et al. 2020, eq. 1, its r_t).

        The judgement of zero in the paper is here the middle between both means, which suits relativistic
        critics too, whose judgements float.
        """
        if self.adaptive:
            middle = (real.mean() + fake.mean()) / 2
            sure = (real - middle).sign().mean()
            self.strength += (sure - self.target).sign() * len(real) / self.pace
            self.strength.clamp_(0, 0.85)

    @staticmethod
    def _uniform(x: Tensor, rng: torch.Generator) -> Float[Tensor, "n 1 1 1"]:
        return torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device)

    def _colour(self, x: Tensor, hit: Tensor, rng: torch.Generator) -> Tensor:
        """Brightness ± 0.5, saturation × 0–2, contrast × 0.5–1.5."""
        brightness, saturation, contrast = (self._uniform(x, rng) for _ in range(3))
        colour = x[:, :3]
        cover = (x[:, 3:] + 1) / 2 if x.shape[1] == 4 else torch.ones_like(x[:, :1])  # no light where nothing is
        if x.shape[1] >= 3:
            grey = colour.mean(1, keepdim=True)
            colour = grey + (colour - grey) * torch.where(hit, 2 * saturation, 1.0)
        mean = colour.mean((1, 2, 3), keepdim=True)
        if x.shape[1] == 4:  # the mean of what is there, as light of a pixel fully covered
            mean = ((colour + 1).mean((1, 2, 3), keepdim=True) / (cover.mean((1, 2, 3), keepdim=True) + 1e-3)) - 1
        level = (mean + 1) * cover - 1
        colour = level + (colour - level) * torch.where(hit, 0.5 + contrast, 1.0)
        colour = colour + torch.where(hit, brightness - 0.5, 0.0) * cover
        return torch.cat([colour, x[:, 3:]], 1) if x.shape[1] == 4 else colour

    def _translation(self, x: Tensor, hit: Tensor, rng: torch.Generator) -> Tensor:
        """Up to an eighth of the side each way; the border is drawn on."""
        n, _, h, w = x.shape

        def places(side: int) -> Tensor:
            most = max(side // 8, 1)
            shift = torch.randint(-most, most + 1, (n, 1), generator=rng, device=x.device)
            return (torch.arange(side, device=x.device) + shift * hit.reshape(n, 1)).clamp(0, side - 1)

        rows, columns = places(h), places(w)
        picture = torch.arange(n, device=x.device)[:, None, None]
        return x.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _cutout(self, x: Tensor, hit: Tensor, rng: torch.Generator) -> Tensor:
        """A rectangle of half of each side becomes mid-grey, or transparent."""
        n, c, h, w = x.shape

        def inside(side: int) -> Tensor:
            centre = torch.randint(0, side + 1, (n, 1), generator=rng, device=x.device)
            return ((torch.arange(side, device=x.device) - centre + 0.5).abs() < side / 4).float()

        hole = inside(h).reshape(n, 1, h, 1) * inside(w).reshape(n, 1, 1, w) * hit
        keep = 1 - hole
        return x * keep - hole if c == 4 else x * keep
