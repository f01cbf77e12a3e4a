import pytest
import torch

from gesso.augment import OPERATIONS, Augment


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_pass_and_no_picture_touches_another(operation, channels):
    x = torch.randn(4, channels, 16, 24, dtype=torch.float64).clamp(-1, 1)
    augment = Augment((operation,))

    def first(picture):
        return augment(torch.cat([picture, x[1:]]), rng())

    jacobian = torch.autograd.functional.jacobian(lambda p: first(p).sum((1, 2, 3)), x[:1])
    assert jacobian[0].abs().sum() > 0
    assert jacobian[1:].abs().sum() == 0


def test_strength_zero_changes_nothing_and_one_changes_all():
    x = torch.rand(8, 3, 16, 16) * 2 - 1
    augment = Augment(OPERATIONS)
    assert (augment(x, rng()) != x).flatten(1).any(1).all()
    augment.strength.zero_()
    torch.testing.assert_close(augment(x, rng()), x)


def test_transparent_pixels_stay_dark():
    """Premultiplied: where alpha is zero, there is no light, whatever the colours do."""
    x = -torch.ones(16, 4, 8, 8)
    x[:, :, 2:6, 2:6] = 0.5
    y = Augment(("colour",))(x, rng())
    torch.testing.assert_close(y[:, :3, 0, 0], -torch.ones(16, 3))
    assert (y[:, 3:] == x[:, 3:]).all()


def test_translation_only_moves():
    x = torch.arange(64.0).reshape(1, 1, 8, 8).repeat(32, 1, 1, 1)
    y = Augment(("translation",))(x, rng())
    assert set(y.unique().tolist()) <= set(x.unique().tolist())
    assert len({tuple(p.flatten().tolist()) for p in y}) > 4


def test_strength_follows_a_critic_that_is_too_sure():
    augment = Augment(OPERATIONS, adaptive=True, pace=1000)
    assert augment.strength == 0
    for _ in range(10):
        augment.adapt(torch.full((20,), 3.0), torch.full((20,), -3.0))
    assert augment.strength.item() == pytest.approx(0.2)
    for _ in range(30):
        augment.adapt(torch.randn(20) * 0, torch.randn(20) * 0)
    assert augment.strength == 0
    fixed = Augment(OPERATIONS)
    fixed.adapt(torch.ones(4), -torch.ones(4))
    assert fixed.strength == 1
