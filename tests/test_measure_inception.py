"""The Inception network: what torch-fidelity computes with the same weights, both ways to 299 pixels, wrong files."""

import math

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from gesso.errors import GessoError
from gesso.measure.features import extractor
from gesso.measure.inception import Inception, _shapes, load_inception, resized


def drawn():
    """Weights of its layout, from a fixed seed, of a size at which numbers neither vanish nor explode."""
    rng, tensors = torch.Generator().manual_seed(0), {}
    for name, shape in sorted(_shapes()):
        if len(shape) > 1:
            tensors[name] = torch.randn(shape, generator=rng) * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith(("running_var", "bn.weight")):
            tensors[name] = 0.7 + 0.6 * torch.rand(shape, generator=rng)
        else:
            tensors[name] = 0.2 * torch.randn(shape, generator=rng)
    return tensors


@pytest.fixture(scope="module")
def tensors():
    return drawn()


def pictures(channels=3):
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, channels, 40, 64), generator=rng).float() / 127.5 - 1


# Features 0, 100, 500, 1000 and 2047, and the mean of all, that torch-fidelity 0.4.0 gives of these pictures with these
# weights (bench/measures.py computes them again where it is there).
GOLDEN = [[1.88181, 0.00601976, 1.55031, 0.0, 2.87733, 0.790781], [1.9193, 0.00819514, 1.56205, 0.0, 2.82269, 0.795679]]


def test_as_torch_fidelity_has_it(tensors):
    with torch.inference_mode():
        seen = Inception(tensors).features(pictures())
    found = torch.cat([seen[:, [0, 100, 500, 1000, 2047]], seen.mean(1, keepdim=True)], 1)
    torch.testing.assert_close(found, torch.tensor(GOLDEN), rtol=1e-4, atol=1e-5)


def test_its_two_forms_differ(tensors):
    x = pictures()
    with torch.inference_mode():
        bilinear, bicubic = (Inception(tensors, form).features(x) for form in ("torch-fidelity", "clean-fid"))
    assert (bilinear - bicubic).norm() > 0.01 * bilinear.norm()


def test_as_tensorflow_enlarges():
    x = torch.randint(0, 256, (1, 3, 7, 400), generator=torch.Generator().manual_seed(2)).float()
    found = resized(x, "torch-fidelity")[0, 1].numpy()
    rows, columns = 7 / 299, 400 / 299
    for i, j in ((0, 0), (13, 200), (150, 77), (298, 298)):
        top, left = math.floor(i * rows), math.floor(j * columns)
        down, right = i * rows - top, j * columns - left
        a, b = (x[0, 1, min(top + k, 6)].numpy() for k in (0, 1))
        line = (1 - down) * a + down * b
        expected = (1 - right) * line[left] + right * line[min(left + 1, 399)]
        assert found[i, j] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("size", [(40, 64), (350, 420)], ids=["larger", "smaller"])
def test_as_pillow_enlarges(size):
    x = torch.randint(0, 256, (1, 3, *size), generator=torch.Generator().manual_seed(3)).float()
    lines = [Image.fromarray(x[0, i].numpy()).resize((299, 299), Image.Resampling.BICUBIC) for i in range(3)]
    expected = np.stack([np.asarray(line) for line in lines]).clip(0, 255)
    np.testing.assert_allclose(resized(x, "clean-fid")[0].numpy(), expected, atol=0.01)


def test_grey_and_transparent_pictures(tensors):
    see, x = Inception(tensors), pictures(1)
    clear = torch.cat([torch.zeros_like(pictures()) - 1, torch.full((2, 1, 40, 64), -1.0)], 1)
    with torch.inference_mode():
        assert torch.equal(see.features(x), see.features(x.expand(-1, 3, -1, -1)))
        torch.testing.assert_close(see.features(clear), see.features(torch.zeros(2, 3, 40, 64)))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_file(tensors, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    torch.save(tensors, path) if suffix == "pth" else safetensors.torch.save_file(tensors, path)
    see = extractor(f"inception:{path}")
    assert see.name == "inception"
    with torch.inference_mode():
        assert torch.equal(see(pictures()), Inception(tensors).features(pictures()))
    other = extractor(f"clean:{path}")
    assert other.name == "inception-clean"
    assert other.sha256 == see.sha256


class Trap:
    def __reduce__(self):
        return (print, ("a file of weights ran code",))


def test_wrong_files(tensors, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    with pytest.raises(GessoError, match="no file"):
        load_inception(path)
    path.write_bytes(b"no weights at all")
    with pytest.raises(GessoError, match="cannot be read as weights"):
        load_inception(path)
    torch.save(Trap(), path)
    with pytest.raises(GessoError, match="cannot be read as weights"):
        load_inception(path)
    assert "ran code" not in capsys.readouterr().out
    torch.save([torch.zeros(3)], path)
    with pytest.raises(GessoError, match="does not hold weights by name"):
        load_inception(path)
    torch.save({"layer": torch.zeros(3)}, path)
    with pytest.raises(GessoError, match=r"Conv2d_1a_3x3\.conv\.weight is missing"):
        load_inception(path)
    with pytest.raises(GessoError, match=r"fc\.weight is 1000×2048, not 1008×2048"):
        Inception({**tensors, "fc.weight": torch.zeros(1000, 2048)})
    with pytest.raises(GessoError, match="Choose the file of its weights"):
        extractor("inception")
    with pytest.raises(GessoError, match="2 channels"):
        Inception(tensors).features(torch.zeros(1, 2, 32, 32))
