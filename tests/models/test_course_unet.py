import pytest
import torch
from torch import nn

from sfumato.errors import SfumatoError, UsageError
from sfumato.models.course_unet import (
    Conv,
    CourseUNet,
    CourseUNetConfig,
    PictureGELU,
    Unflatten,
    UpConv,
    in_blocks,
    normalised_gelu,
)
from sfumato.models.weights import load_weights, save_weights

DIGITS = tuple("0123456789")


def parameters_by_hand(d: int, time: bool, classes: int) -> int:
    """The parameters of spec's drawing, counted layer by layer: weights, biases, scale and shift of the norms."""

    def conv(i, o, k=3):
        return i * o * k * k + o + 2 * o

    def block(i, o):
        return conv(i, o) + conv(o, o)

    def fc(i, o):
        return i * o + o + o * o + o

    total = block(1, d)
    total += conv(d, d) + block(d, d)  # DownBlock to 14 px
    total += conv(d, 2 * d) + block(2 * d, 2 * d)  # DownBlock to 7 px
    total += conv(2 * d, 2 * d, k=7)  # Unflatten
    total += conv(4 * d, d, k=4) + block(d, d)  # UpBlock
    total += conv(2 * d, d, k=4) + block(d, d)  # UpBlock
    total += block(2 * d, d) + d * 9 + 1
    if time:
        total += fc(1, 2 * d) + fc(1, d)
    if classes:
        total += fc(classes, 2 * d) + fc(classes, d)
    return total


@pytest.mark.parametrize(
    ("width", "time", "classes"), [(64, True, DIGITS), (64, True, ()), (128, False, ()), (4, True, ("a", "b"))]
)
def test_it_has_the_parameters_of_the_drawing(width, time, classes):
    network = CourseUNet(CourseUNetConfig(width=width, time=time, classes=classes))
    assert sum(p.numel() for p in network.parameters()) == parameters_by_hand(width, time, len(classes))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-5), (torch.bfloat16, 0.01)])
def test_gelu_of_pictures_is_gelu_in_either_layout(layout, dtype, rounding):
    x = (torch.arange(-480, 480, dtype=torch.float64) / 80).view(2, 16, 5, 6).to(dtype, memory_format=layout)
    x.requires_grad_()
    out = PictureGELU()(x)
    assert out.is_contiguous(memory_format=layout)
    out.sum().backward()
    exact = x.detach().double().requires_grad_()
    expected = 0.5 * exact * (1 + torch.erf(exact / 2**0.5))
    expected.sum().backward()
    torch.testing.assert_close(out.detach().double(), expected.detach(), rtol=rounding, atol=rounding)
    torch.testing.assert_close(x.grad.double(), exact.grad, rtol=rounding, atol=rounding)


def norm_of(channels, dtype=torch.float32):
    norm = nn.BatchNorm2d(channels).to(dtype)
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    return norm


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("dtype", "parameters", "rounding"),
    [
        (torch.float64, torch.float64, 1e-10),
        (torch.float32, torch.float32, 1e-5),
        (torch.bfloat16, torch.float32, 0.02),
    ],
)
def test_what_is_not_kept_for_the_way_back_is_the_same_when_computed_again(layout, dtype, parameters, rounding):
    generator = torch.Generator().manual_seed(0)
    pictures = (3 * torch.randn(8, 16, 5, 6, generator=generator, dtype=torch.float64) + 1).to(dtype)
    above = torch.randn(8, 16, 5, 6, generator=generator, dtype=torch.float64).to(dtype)
    found = []
    for way in (normalised_gelu, lambda x, norm: PictureGELU()(norm(x))):
        x = pictures.to(memory_format=layout, copy=True).requires_grad_()
        norm = norm_of(16, parameters)
        out = way(x, norm)
        assert out.is_contiguous(memory_format=layout)
        out.backward(above)
        forwards = [out, norm.running_mean, norm.running_var, norm.num_batches_tracked]
        found.append((forwards, [x.grad, norm.weight.grad, norm.bias.grad]))
    (ours, ours_back), (plain, plain_back) = found
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    for a, b in zip(ours_back, plain_back, strict=True):
        torch.testing.assert_close(a, b, rtol=rounding, atol=rounding)


def test_a_normalisation_in_training_keeps_its_input_alone():
    kept = []
    norm, x = norm_of(4), torch.randn(2, 4, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t.numel()), t)[1], lambda t: t):
        normalised_gelu(x, norm)
    assert sum(kept) == x.numel() + 4 * 4  # and the weight, the bias, the mean and the deviation of each channel


UNITS = [lambda: Conv(3, 5), lambda: Conv(3, 5, stride=2), lambda: UpConv(3, 5), lambda: Unflatten(3, 4)]


@pytest.mark.parametrize("make", UNITS)
def test_a_bias_before_the_normalisation_of_a_batch_has_no_gradient_and_no_effect(make):
    torch.manual_seed(0)
    unit = make().double()
    at = 1 if isinstance(unit, Unflatten) else 8
    x = torch.randn(6, 3, at, at, dtype=torch.float64)
    out = unit(x)
    above = torch.randn_like(out)
    (out * above).sum().backward()
    # By the modules one after the other, which compute the gradient of the bias.
    plain = make().double()
    plain.load_state_dict(unit.state_dict())
    expected = nn.Sequential(*plain)(x)
    (expected * above).sum().backward()
    assert unit.convolution.bias.grad is None
    assert plain.convolution.bias.grad.abs().max() < 1e-12
    assert (out - expected).abs().max() < 1e-12
    assert (unit.convolution.weight.grad - plain.convolution.weight.grad).abs().max() < 1e-11
    with torch.no_grad():
        unit.convolution.bias += 3
        assert (unit(x) - out).abs().max() < 1e-12
    unit.eval()(x).sum().backward()  # of other batches it does not take the bias away
    assert unit.convolution.bias.grad is not None


@pytest.mark.parametrize(("channels", "k"), [(1, 4), (3, 2), (4, 2), (5, 1), (16, 1), (17, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_in_blocks_is_the_convolution(channels, k, bias):
    torch.manual_seed(0)
    convolution = nn.Conv2d(6, channels, 3, padding=1, bias=bias).double()
    state = torch.get_rng_state()
    blocks = in_blocks(convolution)
    assert torch.equal(torch.get_rng_state(), state)
    if k > 1:
        assert blocks[0].out_channels == channels * k * k
    else:
        assert blocks is convolution
    x = torch.randn(2, 6, 8, 12, dtype=torch.float64)
    assert (blocks(x) - convolution(x)).abs().max() < 1e-12


def test_the_stages_have_the_sizes_of_the_drawing():
    network = CourseUNet(CourseUNetConfig(width=4, classes=DIGITS)).eval()
    seen = {}
    for name in ("init", "down1", "down2", "flatten", "unflatten", "up1", "up2", "out", "final"):
        getattr(network, name).register_forward_hook(lambda m, i, o, name=name: seen.update({name: tuple(o.shape[1:])}))
    network(torch.rand(2, 1, 28, 28), torch.rand(2, 1), network.encode(torch.zeros(2, 10)))
    assert seen == {
        "init": (4, 28, 28),
        "down1": (4, 14, 14),
        "down2": (8, 7, 7),
        "flatten": (8, 1, 1),
        "unflatten": (8, 7, 7),
        "up1": (4, 14, 14),
        "up2": (4, 28, 28),
        "out": (4, 28, 28),
        "final": (1, 28, 28),
    }


def test_conditions_enter_as_in_the_drawing():
    """u ← c₁·u + t₁ after unflatten, v ← c₂·v + t₂ after the first UpBlock: the forward pass written out."""
    network = CourseUNet(CourseUNetConfig(width=4, classes=DIGITS)).eval()
    x, t, c = torch.rand(3, 1, 28, 28), torch.rand(3, 1), torch.eye(10)[:3]
    a = network.init(x)
    b = network.down1(a)
    d = network.down2(b)
    u = network.class1(c) * network.unflatten(network.flatten(d)) + network.time1(t)
    v = network.class2(c) * network.up1(torch.cat([u, d], 1)) + network.time2(t)
    expected = network.final(network.out(torch.cat([network.up2(torch.cat([v, b], 1)), a], 1)))
    assert (network(x, t, network.encode(c)) - expected).abs().max() < 1e-6


def test_unflatten_as_a_linear_layer_is_the_transposed_convolution():
    torch.manual_seed(0)
    ours = Unflatten(6, 7).eval()
    x = torch.randn(3, 6, 1, 1, requires_grad=True)
    y, expected = ours(x), nn.Sequential(*ours)(x)
    assert (y - expected).abs().max() < 1e-5
    weights = torch.randn(y.shape)
    (grad,) = torch.autograd.grad((y * weights).sum(), x)
    (expected_grad,) = torch.autograd.grad((expected * weights).sum(), x)
    assert (grad - expected_grad).abs().max() < 1e-4


def test_a_row_does_not_depend_on_its_neighbours():
    torch.manual_seed(0)
    network = CourseUNet(CourseUNetConfig(width=8, classes=DIGITS)).eval()
    x, t, c = torch.rand(5, 1, 28, 28), torch.rand(5, 1), torch.eye(10)[:5]
    together = network(x, t, network.encode(c))
    for k in range(5):
        alone = network(x[k : k + 1], t[k : k + 1], network.encode(c[k : k + 1]))
        assert (together[k : k + 1] - alone).abs().max() <= 1e-5


@pytest.mark.parametrize("config", [{"size": 30}, {"width": 0}, {"time": False, "classes": ("a",)}])
def test_impossible_configurations_are_refused(config):
    with pytest.raises(ValueError, match=r"multiple of 4|time-conditioned"):
        CourseUNetConfig(**config)


def test_conditions_must_be_those_of_the_network():
    network = CourseUNet(CourseUNetConfig(width=4))
    with pytest.raises(ValueError, match="called otherwise"):
        network(torch.rand(2, 1, 28, 28))
    with pytest.raises(ValueError, match="called otherwise"):
        network(torch.rand(2, 1, 28, 28), torch.rand(2, 1), (torch.ones(2, 8, 1, 1), torch.ones(2, 4, 1, 1)))


def test_class_names_are_read_as_one_hot_rows_and_nothing_as_zeros():
    network = CourseUNet(CourseUNetConfig(width=4, classes=DIGITS))
    assert torch.equal(network.read(["3", None]), torch.stack([torch.eye(10)[3], torch.zeros(10)]))
    assert CourseUNet(CourseUNetConfig(width=4)).encode(torch.zeros(2, 0)) == ()


@pytest.mark.parametrize("size", [28, 32, 64])
def test_other_sizes_and_colours(size):
    network = CourseUNet(CourseUNetConfig(width=4, size=size, channels=3)).eval()
    assert network(torch.rand(2, 3, size, size), torch.rand(2, 1)).shape == (2, 3, size, size)


def test_weights_read_back(tmp_path):
    network = CourseUNet(CourseUNetConfig(width=4, classes=DIGITS)).eval()
    save_weights(tmp_path / "w.safetensors", network.config, network.state_dict(), {"step": 3})
    again = load_weights(tmp_path / "w.safetensors")
    assert again.facts == {"step": 3}
    assert again.network.config == network.config
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)


def test_foreign_and_damaged_weights_are_told(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(UsageError, match="no such file"):
        load_weights(path)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(UsageError, match="not a whole safetensors file"):
        load_weights(path)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UsageError, match="holds no course-unet or text-unet"):
        load_weights(path)
    config = CourseUNetConfig(width=4)
    save_weights(path, config, {"x": torch.zeros(1)}, {})
    with pytest.raises(SfumatoError, match="damaged"):
        load_weights(path)


@pytest.mark.parametrize("classes", [DIGITS, ()])
def test_what_is_seen_in_a_picture_is_computed_once_for_all_conditions(classes):
    torch.manual_seed(0)
    network = CourseUNet(CourseUNetConfig(width=8, classes=classes)).eval()
    x, t, of = torch.rand(3, 1, 28, 28), torch.rand(3, 1), torch.tensor([0, 0, 1, 2, 2, 2])
    conditions = network.encode(torch.eye(len(classes))[:6]) if classes else ()
    seen = []
    network.init.register_forward_hook(lambda module, given, out: seen.append(len(out)))
    together = network(x, t, conditions, of)
    apart = network(x[of], t[of], conditions)
    assert (together - apart).abs().max() < 1e-5
    assert seen == [3, 6]


@pytest.mark.parametrize(("time", "classes"), [(True, DIGITS), (True, ()), (False, ())])
def test_ready_for_sampling_it_is_the_same_function(time, classes):
    """Without batch normalisations, which have become part of the convolutions before them."""
    torch.manual_seed(0)
    network = CourseUNet(CourseUNetConfig(width=8, time=time, classes=classes))
    x, t = torch.rand(16, 1, 28, 28), torch.rand(16, 1) if time else None
    rows = torch.eye(16)[:, : len(classes)]
    for _ in range(20):  # so that the normalisations know other means and variances than 0 and 1
        network.train()(x + torch.rand_like(x), t, network.encode(rows))
    ready = network.eval().ready(torch.float32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())
    difference = network(x, t, network.encode(rows)) - ready(x, t, ready.encode(rows))
    assert 0 < difference.abs().max() < 1e-5
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_network_goes_on_from_one_of_other_classes():
    torch.manual_seed(0)
    old = CourseUNet(CourseUNetConfig(4, classes=("cat", "dog")))
    new = CourseUNet(CourseUNetConfig(4, classes=("ant", "dog", "cat")))
    ant = new.class1[0].weight[:, 0].clone()
    new.adopt(old)
    assert torch.equal(new.class1[0].weight[:, [2, 1]], old.class1[0].weight)
    assert torch.equal(new.class1[0].weight[:, 0], ant)
    assert torch.equal(new.final.weight, old.final.weight)
    with pytest.raises(ValueError, match="other layers"):
        new.adopt(CourseUNet(CourseUNetConfig(4)))
