"""A network of the user's own, from ONNX: computed as the reference of the format computes it, and differentiable."""

import numpy as np
import pytest
import torch

from gesso.contract.family import Batch, Clock, Turn
from gesso.errors import GessoError
from gesso.families.gan import GAN
from gesso.primer.critic import PrimerCritic
from gesso.primer.distance import differences
from gesso.primer.own import OwnNetwork

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper


def written(path, nodes, tensors, outputs=("last",)):
    """A file of these nodes, on pictures `x`."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "network",
        [value("x", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [value(name, onnx.TensorProto.FLOAT, list("abcd")[: 2 if name == "classes" else 4]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def weights(rng, *shape):
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


@pytest.fixture
def residual(tmp_path):
    """Stem, pooling, a residual block with a hard swish, a squeeze, a classifier's head."""
    rng = np.random.default_rng(0)
    tensors = {
        "w0": weights(rng, 8, 3, 7, 7), "gain": np.abs(weights(rng, 8)) + 0.5, "bias": weights(rng, 8),
        "mean": weights(rng, 8), "variance": np.abs(weights(rng, 8)) + 0.5, "w1": weights(rng, 12, 8, 3, 3),
        "b1": weights(rng, 12), "w2": weights(rng, 12, 1, 3, 3), "w3": weights(rng, 12, 8, 1, 1),
        "w4": weights(rng, 12, 12, 1, 1), "six": np.array(6, np.float32), "zero": np.array(0, np.float32),
        "w5": weights(rng, 5, 12),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0"], ["c0"], strides=[2, 2], pads=[3, 3, 3, 3]),
        node("BatchNormalization", ["c0", "gain", "bias", "mean", "variance"], ["n0"]),
        node("Relu", ["n0"], ["r0"]),
        node("MaxPool", ["r0"], ["p0"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["p0", "w1", "b1"], ["c1"], strides=[2, 2], auto_pad="SAME_UPPER"),
        node("HardSwish", ["c1"], ["h1"]),
        node("Conv", ["h1", "w2"], ["c2"], pads=[2, 2, 2, 2], dilations=[2, 2], group=12),
        node("AveragePool", ["p0"], ["a1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["a1", "w3"], ["s1"]),
        node("Add", ["c2", "s1"], ["sum"]),
        node("Clip", ["sum", "zero", "six"], ["clipped"]),
        node("GlobalAveragePool", ["clipped"], ["g"]),
        node("Conv", ["g", "w4"], ["squeezed"]),
        node("Sigmoid", ["squeezed"], ["gate"]),
        node("Mul", ["clipped", "gate"], ["last"]),
        node("GlobalAveragePool", ["last"], ["g2"]),
        node("Flatten", ["g2"], ["flat"]),
        node("Gemm", ["flat", "w5"], ["classes"], transB=1),
    ]
    return written(tmp_path / "residual.onnx", nodes, tensors, ("r0", "p0", "last", "classes"))


def test_as_the_reference_computes_it(residual):
    from onnx.reference import ReferenceEvaluator

    network = OwnNetwork(residual, mean=(0.1, 0.2, 0.3), spread=(0.5, 0.6, 0.7))
    assert network.strides == (2, 4, 8)
    assert network.widths == (8, 8, 12)
    x = torch.rand(2, 4, 48, 32) * 2 - 1
    x[:, 3] = 1
    seen = (x[:, :3].numpy() + 1) / 2
    seen = (seen - np.array([0.1, 0.2, 0.3])[:, None, None]) / np.array([0.5, 0.6, 0.7])[:, None, None]
    wanted = ReferenceEvaluator(str(residual)).run(["r0", "p0", "last"], {"x": seen.astype(np.float32)})
    for m, array in zip(network(x), wanted, strict=True):
        np.testing.assert_allclose(m.numpy(), array, atol=1e-4)
    assert network.features(x[:, :1]).shape == (2, 4 * (8 + 8 + 12))
    assert not network.state_dict()


def test_it_serves_where_the_primer_serves(residual):
    network = OwnNetwork(residual)
    critic = PrimerCritic(network, (32, 32), 3, 16, 8)
    x = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    torch.stack([y.mean() for y in critic(x, None)]).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert differences(network, x, -x).shape == (2, 28)


def test_what_it_cannot_be(tmp_path):
    with pytest.raises(GessoError, match="cannot be read"):
        OwnNetwork(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(GessoError, match="ONNX"):
        OwnNetwork(tmp_path / "bad.onnx")
    node = helper.make_node
    odd = written(tmp_path / "odd.onnx", [node("Det", ["x"], ["last"])], {})
    with pytest.raises(GessoError, match="does Det, which Gesso cannot follow"):
        OwnNetwork(odd)
    flat = written(tmp_path / "flat.onnx", [node("Relu", ["x"], ["last"])], {})
    with pytest.raises(GessoError, match="no maps"):
        OwnNetwork(flat)


def test_a_gan_learns_on_it_and_draws_without_it(residual, facts):
    """The path holds from any folder; once the file is gone the run still draws, and says why it cannot train on."""
    config = GAN.Config.of({"critic": "primer", "network": str(residual), "width": 8, "latent": 8, "batch": 4})
    assert config.network == str(residual.absolute())
    family = GAN(config, facts)
    batch = Batch(image=torch.rand(4, 3, 16, 16) * 2 - 1, label=torch.tensor([0, 1, 0, 1]))
    turn = Turn("both", ("generator", "critic"))
    losses = family.losses(turn, batch, Clock(0, 0, 100), torch.Generator().manual_seed(1))
    torch.stack(list(losses.values())).sum().backward()
    residual.unlink()
    alone = GAN(config, facts)
    alone.load_state_dict(family.state_dict())
    z, label = torch.randn(2, 8), torch.tensor([0, 1])
    torch.testing.assert_close(family.eval().parts["generator"](z, label), alone.eval().parts["generator"](z, label))
    with pytest.raises(GessoError, match="drawing needs no critic"):
        alone.losses(turn, batch, Clock(0, 0, 100), torch.Generator())
    with pytest.raises(GessoError, match="critic=primer"):
        GAN.Config.of({"network": "net.onnx"})
