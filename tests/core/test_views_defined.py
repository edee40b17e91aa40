"""Every view equals its definition, written out slowly for one pixel after the other, at 28, 64 and 256 pixels."""

import cmath
import itertools

import pytest
import torch

from sfumato.core.views import parse_view

SIZES = [28, 64, 256]


def seen_through(text: str, height: int, width: int) -> list[list[int]]:
    """Where each pixel comes from."""
    numbers = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
    return parse_view(text)(numbers)[0, 0].long().tolist()


def scattered(height: int, width: int, target) -> list[list[int]]:
    """Each pixel put where `target` says: the picture of where each comes from."""
    out = [[-1] * width for _ in range(height)]
    for row, column in itertools.product(range(height), range(width)):
        r, c = target(row, column)
        assert out[r][c] == -1, "two pixels at one place"
        out[r][c] = row * width + column
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("identity", lambda n, r, c: (r, c)),
        ("flip", lambda n, r, c: (n - 1 - r, c)),
        ("mirror", lambda n, r, c: (r, n - 1 - c)),
        ("rotate:90", lambda n, r, c: (n - 1 - c, r)),
        ("rotate:180", lambda n, r, c: (n - 1 - r, n - 1 - c)),
        ("rotate:270", lambda n, r, c: (c, n - 1 - r)),
        ("roll:dx=0.25:dy=-0.5", lambda n, r, c: ((r - n // 2) % n, (c + n // 4) % n)),
        ("skew:1.5", lambda n, r, c: ((r + int(1.5 * (c - n // 2))) % n, c)),
        ("skew:-0.3", lambda n, r, c: ((r + int(-0.3 * (c - n // 2))) % n, c)),
    ],
)
def test_moved_pixels(text, target, size):
    expected = scattered(size, size, lambda row, column: target(size, row, column))
    assert seen_through(text, size, size) == expected


@pytest.mark.parametrize("size", SIZES)
def test_negate(size):
    x = torch.rand(1, 1, size, size)
    assert torch.equal(parse_view("negate")(x), -x)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("n", "seed"), [(4, 3), (2, 0)])
def test_patches(n, seed, size):
    """Patch k of what is seen is patch order[k] of the picture."""
    order = torch.randperm(n * n, generator=torch.Generator().manual_seed(seed)).tolist()
    place, side = {patch: k for k, patch in enumerate(order)}, size // n

    def target(row, column):
        at = place[row // side * n + column // side]
        return at // n * side + row % side, at % n * side + column % side

    assert seen_through(f"permute:{n}:seed={seed}", size, size) == scattered(size, size, target)


@pytest.mark.parametrize("size", SIZES)
def test_every_pixel_is_a_patch(size):
    order = torch.randperm(size**2, generator=torch.Generator().manual_seed(5))
    assert seen_through(f"pixel-permute:{size}:seed=5", size, size) == order.view(size, size).tolist()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("degrees", "r"), [(180, 0.375), (90, 0.375), (270, 0.5), (90, 0.2)])
def test_circle(degrees, r, size):
    """In the plane of complex numbers, where a turn by 90° counter-clockwise is a product with i."""
    middle = (size - 1) / 2

    def target(row, column):
        z = complex(column - middle, middle - row)
        if abs(z) < r * size:
            z *= cmath.exp(1j * cmath.pi * degrees / 180)
        return round(middle - z.imag), round(z.real + middle)

    assert seen_through(f"circle:{degrees}:r={r}", size, size) == scattered(size, size, target)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [3, 2, 7])
def test_hinge(n, size):
    """The tile on the top left is turned clockwise, its neighbours counter-clockwise; what is left over stays."""
    side = size // n

    def target(row, column):
        i, j = row // side, column // side
        if i >= n or j >= n:
            return row, column
        y, x = row % side, column % side
        y, x = (x, side - 1 - y) if (i + j) % 2 == 0 else (side - 1 - x, y)
        return i * side + y, j * side + x

    assert seen_through(f"hinge:{n}", size, size) == scattered(size, size, target)


def test_parts_of_a_canvas_that_is_no_square():
    assert seen_through("hinge:2", 4, 7) == [
        [7, 0, 3, 10, 11, 4, 6],
        [8, 1, 2, 9, 12, 5, 13],
        [15, 22, 23, 16, 19, 26, 20],
        [14, 21, 24, 17, 18, 25, 27],
    ]
    assert seen_through("permute:1", 2, 3) == [[0, 1, 2], [3, 4, 5]]
    assert seen_through("circle:180:r=0.5", 2, 4) == [[0, 6, 5, 3], [4, 2, 1, 7]]


# The jigsaw


def pieces(size: int) -> dict[tuple[int, int], set[complex]]:
    """The pixels of each piece as complex numbers from the middle: a cell, its tabs added, its holes taken away."""
    cell, middle = size / 4, (size - 1) / 2
    cells = list(itertools.product(range(4), range(4)))
    centre = {(i, j): complex((j - 1.5) * cell, (1.5 - i) * cell) for i, j in cells}
    pixels = [complex(c - middle, middle - r) for r, c in itertools.product(range(size), range(size))]
    out = {
        at: {z for z in pixels if max(abs((z - centre[at]).real), abs((z - centre[at]).imag)) < cell / 2}
        for at in cells
    }
    tabs = []
    for i, j in cells:
        # On a white field of the chessboard a piece has its tabs above and below, on a black one left and right.
        for outward in (1j, -1j) if (i + j) % 2 == 0 else (1 + 0j, -1 + 0j):
            other = (i - round(outward.imag), j + round(outward.real))
            if other in out:
                middle_of_tab = centre[i, j] + (0.5 + 0.15) * cell * outward
                tabs.append(((i, j), other, {z for z in out[other] if abs(z - middle_of_tab) < 0.2 * cell - 1e-9}))
    for owner, other, tab in tabs:
        assert tab
        assert tab <= out[other], "tabs keep apart"
        out[owner] |= tab
        out[other] -= tab
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [4522, 0])
def test_jigsaw(seed, size):
    """Every piece is taken from its place and put, turned to fit, where the seed says."""
    middle = (size - 1) / 2
    shapes = pieces(size)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(4, generator=generator).tolist() for _ in range(4)]
    upside_down = torch.randint(2, (4,), generator=generator).tolist()

    def turned(cell: tuple[int, int], quarters: int) -> tuple[int, int]:
        for _ in range(quarters):
            cell = (3 - cell[1], cell[0])
        return cell

    target: dict[complex, complex] = {}
    for k, first in enumerate([(0, 0), (0, 1), (0, 2), (1, 1)]):
        for place in range(4):
            came_from, quarters = turned(first, orders[k][place]), place - orders[k][place]
            row, column = turned(first, place)
            about = complex((column - 1.5) * size / 4, (1.5 - row) * size / 4)
            for z in shapes[came_from]:
                there = z * 1j**quarters
                if k == 3 and upside_down[place]:
                    there = 2 * about - there
                target[z] = there

    def put(row: int, column: int) -> tuple[int, int]:
        there = target[complex(column - middle, middle - row)]
        return round(middle - there.imag), round(there.real + middle)

    assert seen_through(f"jigsaw:seed={seed}", size, size) == scattered(size, size, put)


@pytest.mark.parametrize("size", SIZES)
def test_pieces_of_a_jigsaw_stay_whole_and_fit(size):
    """What is seen at a piece's place is one whole piece of the same sort."""
    shapes = pieces(size)
    middle = (size - 1) / 2
    owner = {z: cell for cell, shape in shapes.items() for z in shape}
    assert len(owner) == size**2

    def piece(index: int) -> tuple[int, int]:
        return owner[complex(index % size - middle, middle - index // size)]

    seen = seen_through("jigsaw", size, size)
    edges = {(0, 1): 1, (2, 0): 1, (3, 2): 1, (1, 3): 1}
    moved = 0
    for cell, shape in shapes.items():
        sources = {piece(seen[round(middle - z.imag)][round(z.real + middle)]) for z in shape}
        assert len(sources) == 1
        (source,) = sources
        assert [sum(each in {0, 3} for each in at) for at in (cell, source)].count(
            sum(each in {0, 3} for each in cell)
        ) == 2, "a corner comes from a corner, an edge from an edge"
        assert edges.get(cell) == edges.get(source)
        moved += source != cell
    assert moved > 8


def test_jigsaws_of_different_seeds_differ():
    seen = {str(seen_through(f"jigsaw:seed={seed}", 8, 8)) for seed in range(50)}
    assert len(seen) == 50


@pytest.mark.parametrize("text", ["skew:1e308", "skew:-2000000", "roll:dx=1e308", "roll:dy=-1e30"])
def test_nothing_goes_around_the_canvas_a_million_times(text):
    with pytest.raises(ValueError, match=r"no (farther|steeper) than"):
        parse_view(text)
