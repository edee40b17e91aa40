"""What the page shows of a view is what the view does, pixel for pixel; and so are grey and motion."""

import pytest
import torch

from sfumato.core.filters import Grey, MotionBlur
from sfumato.core.views import parse_view
from sfumato.core.views.signed import signed

ANY = torch.Generator().manual_seed(1)
ORDER = torch.randperm(784, generator=ANY) + 1
SIGNED = str(signed((ORDER * (1 - 2 * torch.randint(2, (784,), generator=ANY))).view(28, 28)))
VIEWS = [
    "identity",
    "flip",
    "mirror",
    "rotate:90",
    "rotate:180",
    "rotate:270",
    "negate",
    "roll",
    "roll:dx=0.375",
    "roll:dx=0.125:dy=-0.375",
    "skew:1.5",
    "skew:-0.7",
    "permute:4:seed=3",
    "permute:7",
    "permute:8:seed=3",
    "pixel-permute:28",
    "pixel-permute",
    "circle",
    "circle:90",
    "circle:270:r=0.3",
    "circle:180:r=0.5",
    "hinge:3",
    "hinge:4",
    "jigsaw",
    "jigsaw:seed=7",
    "jigsaw:seed=9223372036854775807",
    "rotate:90+negate",
    "jigsaw+negate+flip",
    "rotate:90+mirror+rotate:90",
]
TABLE = """(m, [view, side]) => {
  try { const {from, sign} = m.viewTable(view, side); return Array.from(from, (at, p) => (at + 1) * sign[p]); }
  catch (error) { if (error instanceof m.ViewError) return error.message; throw error; }
}"""


def test_every_view_moves_and_negates_the_same_pixels_as_in_python(modules):
    for view in [*VIEWS, SIGNED]:
        for side in (28, 64, 27):
            numbered = torch.arange(1.0, side * side + 1, dtype=torch.float64).view(1, 1, side, side)
            found = modules("views.js", TABLE, [view, side])
            try:
                expected = parse_view(view)(numbered).flatten().long().tolist()
            except ValueError:
                assert isinstance(found, str), f"{view} at {side} is refused in Python"
            else:
                assert found == expected, f"{view} at {side}"


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("flop", "unknown view “flop”; choose one of identity, flip"),
        ("rotate", "rotate wants its degrees; it is written rotate:degrees"),
        ("rotate:45", "rotate:45 is not offered"),
        ("circle:135", "circle:135 would mix pixels"),
        ("skew:fast", "skew: slope must be a number, not “fast”"),
        ("permute:8:speed=2", "“speed=2” does not fit; it is written permute[:n][:seed=…]"),
        ("permute:8", "28 pixels cannot be cut into 8 patches; choose one of 1, 2, 4, 7, 14, 28"),
        ("permute:0", "at least 1 patch"),
        ("roll:0.5", "“0.5” does not fit"),
        ("flip:1", "“1” does not fit; it is written flip"),
        ("hinge:40", "28 pixels cannot be cut into 40 tiles"),
        ("circle:90:r=2", "above 0 and at most 0.5"),
        ("signed:28:28:AAAA", "damaged or cut off"),
        ("flip+", "unknown view “”"),
    ],
)
def test_a_view_that_cannot_be_is_told_in_one_line(modules, view, says):
    assert says in modules("views.js", TABLE, [view, 28])


def test_looking_in_grey_and_in_motion_is_what_the_judge_does(modules):
    picture = torch.randint(256, (1, 3, 20, 24), generator=ANY)
    rgba = torch.cat([picture, torch.full((1, 1, 20, 24), 255)], 1)[0].permute(1, 2, 0).flatten().tolist()
    code = "(m, [data, call]) => Array.from(eval(call)(m)(new ImageData(new Uint8ClampedArray(data), 24)).data)"
    code = code.replace("eval(call)(m)", "((image) => call === null ? m.grey(image) : m.motionBlur(image, ...call))")
    for call, filtered in ((None, Grey()), ([7, -45], MotionBlur(7, -45)), ([9, 30], MotionBlur(9, 30))):
        found = torch.tensor(modules("looks.js", code, [rgba, call])).view(20, 24, 4)[..., :3]
        expected = filtered(picture.double())[0].permute(1, 2, 0)
        assert (found - expected).abs().max() <= 0.5 + 1e-6


def test_psnr_is_the_one_that_python_measures(modules):
    one, other = (torch.randint(256, (8, 8), generator=ANY) for _ in range(2))
    code = """(m, pictures) => m.psnr(...pictures.map((values) => {
      const data = new Uint8ClampedArray(4 * values.length).fill(255);
      values.forEach((value, p) => data.set([value, value, value], 4 * p));
      return new ImageData(data, 8);
    }))"""
    found = modules("pixels.js", code, [one.flatten().tolist(), other.flatten().tolist()])
    expected = -10 * torch.log10((((one - other) / 255.0) ** 2).mean())
    assert found == pytest.approx(float(expected), rel=1e-6)
