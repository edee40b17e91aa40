"""DeepFloyd IF: the pictures of diffusers' pipelines from the same seeds, and every known way to miss them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from sfumato.app.jobs import Anagram, AnyJob, Edit, Generate, Hybrid, Reading
from sfumato.app.jobs import Inpaint as InpaintJob
from sfumato.app.pictures import Picture
from sfumato.app.run import run
from sfumato.backends.conditions import Prompts, Reader
from sfumato.backends.parts import Part
from sfumato.backends.registry import load
from sfumato.backends.text_reader import TextEncoder
from sfumato.backends.unet import UNetDenoiser
from sfumato.core.cascade import Guide
from sfumato.core.constraints import Constraint, Inpaint
from sfumato.core.estimates import DynamicallyThresholded, Guided, Node, guided
from sfumato.core.loop import Canvas, FromImage, sample, steps
from sfumato.core.loops import Loop
from sfumato.core.noise import ImageNoise
from sfumato.core.samplers import DDPM, Sampler
from sfumato.core.schedules import cosine, linear
from sfumato.core.views import parse_view

pytestmark = pytest.mark.usefixtures("offline")

CLOSE = 1e-4
"""Further than this from diffusers is another picture."""
APART = 1e-3
"""What a mistake costs at least."""
LION, COAST = "An Oil Painting of a LION ", "a photo of the amalfi coast at dawn"
NEGATIVES = ("blurry", None)
SEEDS = (5, 6)
SENTENCE = "an oil painting of a snowy mountain village and people around a bright campfire"
SCALE = 7.0
IF, IF2 = "IFPipeline", "IFSuperResolutionPipeline"
EDIT, INPAINT = "IFImg2ImgPipeline", "IFInpaintingPipeline"


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def generators(seeds: Sequence[int] = SEEDS) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(streams: Sequence[torch.Generator], size: int = 16) -> torch.Tensor:
    return torch.stack([torch.randn(3, size, size, generator=stream) for stream in streams])


@cache
def picture(seed: int) -> torch.Tensor:
    """16 × 16, values in [−1, 1], smooth but for a little."""
    generator = torch.Generator().manual_seed(1000 + seed)
    smooth = F.interpolate(torch.rand(1, 3, 4, 4, generator=generator), (16, 16), mode="bilinear")[0] * 2 - 1
    return (0.9 * smooth + 0.1 * torch.randn(3, 16, 16, generator=generator)).clamp(-1, 1)


PICTURES = torch.stack([picture(seed) for seed in SEEDS])


@pytest.fixture(scope="module")
def folders(offline, tiny) -> tuple[Path, Path]:
    """Stages of 16 and of 64 pixels."""
    return tiny("if_stage_one"), tiny("if_stage_two", size=64)


@pytest.fixture(scope="module")
def one(folders) -> UNetDenoiser:
    return load(str(folders[0]))


@pytest.fixture(scope="module")
def two(folders) -> UNetDenoiser:
    return load(str(folders[1]))


@pytest.fixture(scope="module")
def pipelines(folders) -> dict[str, Any]:
    import diffusers

    options = {"dtype": torch.float32, "local_files_only": True}
    named = zip((IF, IF2), folders, strict=True)
    out = {name: getattr(diffusers, name).from_pretrained(folder, **options) for name, folder in named}
    parts = {**out[IF].components, "requires_safety_checker": False}
    out |= {name: getattr(diffusers, name)(**parts) for name in (EDIT, INPAINT)}
    for pipeline in out.values():
        pipeline.set_progress_bar_config(disable=True)
    return out


@pytest.fixture(scope="module")
def theirs(pipelines) -> Callable[..., torch.Tensor]:
    """What a pipeline of diffusers makes of SEEDS, or of the first of them, in [−1, 1]."""

    @cache
    def draw(
        name: str, steps: int, *, count: int = 2, negative: bool = True, same: bool = False, **options: Any
    ) -> torch.Tensor:
        if name != IF:
            options = {"image": PICTURES[:count], **options}
        prompts, negatives = [LION, LION if same else COAST], ["blurry", "blurry" if same else ""]
        options = {"generator": generators()[:count], "output_type": "pt", "clean_caption": False, **options}
        options["negative_prompt"] = negatives[:count] if negative else None
        return pipelines[name](prompts[:count], guidance_scale=SCALE, num_inference_steps=steps, **options).images

    return draw


@dataclass(frozen=True)
class Run:
    """How SEEDS are sampled with sfumato, as many as there are trees. A mistake is one that has one thing changed."""

    model: UNetDenoiser
    steps: int
    loop: Loop
    trees: tuple[Node, ...]
    threshold: type[DynamicallyThresholded] | None = None
    """In the loop's place."""
    sampler: Sampler | None = None
    """In the loop's place."""
    noise: type[ImageNoise] = ImageNoise
    start: int | None = None
    """The entry of the path at which an edit begins."""
    guides: tuple[Guide | None, ...] = (None, None)
    constraints: tuple[Constraint | None, ...] = (None, None)

    def canvases(self) -> Iterator[Canvas]:
        path, said = self.loop.path(self.model.schedule, self.steps), self.loop
        for tree, seed, guide, kept in zip(self.trees, SEEDS, self.guides, self.constraints, strict=False):
            if self.threshold is None:
                estimate = said.thresholded(tree, self.model.pixel_range)
            else:
                estimate = self.threshold(tree, *self.model.pixel_range, said.quantile, said.largest)
            start = None if self.start is None else FromImage(picture(seed), path[self.start])
            yield Canvas(estimate, seed, start, kept, guide)

    def __call__(self) -> torch.Tensor:
        path, sampler = self.loop.path(self.model.schedule, self.steps), self.sampler or self.loop.solver()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sfumato.core.loop.ImageNoise", self.noise)
            return sample(self.model, list(self.canvases()), path, sampler)


def right(
    model: UNetDenoiser, steps: int, *, count: int = 2, negative: bool = True, same: bool = False, **more: Any
) -> Run:
    """As diffusers does it."""
    trees = [
        guided(prompt, scale=SCALE, negative=what if negative else None)
        for prompt, what in zip((LION, COAST), NEGATIVES, strict=True)
    ]
    if model.low_res is not None:
        more["guides"] = tuple(Guide(small, model.low_res) for small in PICTURES)
    loop = model.defaults.loop.named("diffusers")
    return Run(model, steps, loop, (trees[0], trees[0]) if same else tuple(trees[:count]), **more)


# The same pictures.


@pytest.mark.parametrize(("steps", "negative"), [(10, True), (10, False), (34, True), (100, True)])
def test_stage_one(one, theirs, steps, negative):
    assert apart(right(one, steps, negative=negative)(), theirs(IF, steps, negative=negative)) < CLOSE


@pytest.mark.parametrize(("steps", "strength", "start"), [(10, 0.5, 5), (34, 0.7, 11), (100, 0.25, 75)])
def test_an_edit(one, theirs, steps, strength, start):
    expected = theirs(EDIT, steps, strength=strength)
    assert apart(right(one, steps, start=start)(), expected) < CLOSE
    assert apart(right(one, steps, start=start - 1)(), expected) > APART


@pytest.mark.parametrize(
    ("steps", "level"), [(10, 250), (10, 50), (34, 250), pytest.param(100, 250, marks=pytest.mark.slow)]
)
def test_stage_two(two, theirs, steps, level):
    expected = theirs(IF2, steps, noise_level=level, count=1)
    assert apart(right(two.guided_at(level), steps, count=1)(), expected) < CLOSE


def by_hand(
    pipeline: Any,
    scheduler: Any,
    streams: list[torch.Generator],
    start: int = 0,
    keep: Callable[[torch.Tensor, Any], torch.Tensor] = lambda x, to: x,
) -> Iterator[torch.Tensor]:
    """IFPipeline's loop with any scheduler, and something done to the canvas after each step; every canvas.

    From a start above 0 it is an edit of PICTURES.
    """
    negatives = [what or "" for what in NEGATIVES]
    c, u = pipeline.encode_prompt([LION, COAST], negative_prompt=negatives, device=torch.device("cpu"))
    times, x = scheduler.timesteps[start:], draw(streams)
    if start:
        x = scheduler.add_noise(PICTURES, x, times[:1])
    for t, to in itertools.pairwise([*times, None]):
        with torch.no_grad():
            said = pipeline.unet(torch.cat([x, x]), t, torch.cat([u, c]), return_dict=False)[0]
        (away, _), (eps, variance) = (half.split(3, dim=1) for half in said.chunk(2))
        output = torch.cat([away + SCALE * (eps - away), variance], dim=1)
        x = keep(scheduler.step(output, t, x, streams).prev_sample, to)
        yield x


@pytest.mark.parametrize(
    ("steps", "start"),
    [(10, 0), (34, 0), (34, 10)],
)
def test_the_loop_of_the_course(one, pipelines, steps, start):
    """diffusers without thresholding and clipping, up to its last step: the course has none."""
    import diffusers

    options = {"thresholding": False, "clip_sample": False}
    scheduler = diffusers.DDPMScheduler.from_config(pipelines[IF].scheduler.config, **options)
    scheduler.set_timesteps(timesteps=[999 // (steps - 1) * i for i in reversed(range(steps))])
    *_, expected, last = by_hand(pipelines[IF], scheduler, generators(), start)
    as_diffusers = right(one, steps, start=start or None)
    course = replace(as_diffusers, loop=one.defaults.loop.named("course"))()
    # From the start the tiny network gets far out of [−1, 1].
    rounding = CLOSE * max(1, expected.abs().max().item())
    assert apart(course, expected) < rounding
    assert apart(course, as_diffusers()) > APART
    if start:
        assert apart(course, last) > APART


def test_inpainting_noises_what_is_kept_anew_for_every_level(one, pipelines, theirs):
    """Pitfall 6: as the course does; IFInpaintingPipeline keeps it clean."""
    import diffusers

    scheduler = diffusers.DDPMScheduler.from_config(pipelines[IF].scheduler.config)
    scheduler.set_timesteps(10)
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:12, 2:9] = 1
    streams = generators()

    def keep(x: torch.Tensor, to: Any) -> torch.Tensor:
        kept = PICTURES if to is None else scheduler.add_noise(PICTURES, draw(streams), to[None])
        return mask * x + (1 - mask) * kept

    *_, expected = by_hand(pipelines[IF], scheduler, streams, keep=keep)
    got = right(one, 10, constraints=tuple(Inpaint(kept, mask) for kept in PICTURES))()
    assert apart(got, expected) < CLOSE
    outside = mask.expand_as(got) == 0
    clean = theirs(INPAINT, 10, mask_image=mask[None], strength=1.0)
    assert torch.equal(got[outside], clean[outside])
    assert apart(got, clean) > APART


def test_the_cascade(one, two, loader, theirs):
    """Each stage draws from the image's seed anew, and each makes pictures in [−1, 1]."""
    assert apart(right(two, 3)(), theirs(IF2, 3, noise_level=250)) < CLOSE
    small = theirs(IF, 3)
    large = theirs(IF2, 3, image=small, noise_level=250)
    jobs = [
        Generate(prompt=prompt, negative=negative, seed=seed, larger=(two.name,), **shared(one))
        for prompt, negative, seed in zip((LION, COAST), NEGATIVES, SEEDS, strict=True)
    ]
    for result, expected in zip(run(jobs, loader), large / 2 + 0.5, strict=True):
        assert apart(result.picture, expected.clamp(0, 1)) < CLOSE


# The pitfalls, by their numbers in what is known of DeepFloyd IF: each mistake would be seen.


class OverTheBatch(DynamicallyThresholded):
    """One threshold for all pictures."""

    def threshold(self, x0):
        s = torch.quantile(x0.abs().flatten(), self.quantile).clamp(1, self.largest)
        return x0.clamp(-s, s) / s


class GuidedVariance(Guided):
    """Guidance that is not of ε alone."""

    def combine(self, x, level, answers):
        c, u = (node.combine(x, level, answers).variance for node in (self.conditional, self.unconditional))
        return replace(super().combine(x, level, answers), variance=u + self.scale * (c - u))


class OtherVariance(Guided):
    """The variance of the wrong branch."""

    def combine(self, x, level, answers):
        other = self.unconditional.combine(x, level, answers)
        return replace(super().combine(x, level, answers), variance=other.variance)


class LinearVariance(DDPM):
    """Between β̃ and β, not between their logarithms."""

    def _sigma(self, now, posterior, beta):
        share = now.estimate.variance
        return (share * beta + (1 - share) * posterior).sqrt()


class UnscaledVariance(DDPM):
    """v ∈ [−1, 1] for the share that is (v + 1)/2."""

    def _sigma(self, now, posterior, beta):
        v = 2 * now.estimate.variance - 1
        return super()._sigma(replace(now, estimate=replace(now.estimate, variance=v)), posterior, beta)


class UnstridedVariance(DDPM):
    """β̃ and β of the step from t to t − 1."""

    def _sigma(self, now, posterior, beta):
        bar, before = (cosine().alphas_cumprod[int(now.level.t) - k] for k in (0, 1))
        beta = 1 - bar / before
        return super()._sigma(now, beta * (1 - before) / (1 - bar), beta)


class NextTime(DDPM):
    """A step to t − 1, where the next entry of the list is meant."""

    def step(self, now):
        return super().step(replace(now, to=cosine().level(now.level.t - 1)) if now.to.sigma else now)


class NoiseAtTheEnd(DDPM):
    """Noise in the last step too."""

    def step(self, now):
        x, memory = super().step(now)
        return (x if now.to.sigma else x + now.level.sigma * now.draw()), memory


@dataclass(frozen=True)
class Rounded(DDPM):
    """A canvas that is as precise as the network."""

    dtype: torch.dtype = torch.float16

    def step(self, now):
        x, memory = super().step(now)
        return x.to(self.dtype).float(), memory


class OneStream(ImageNoise):
    """All images draw from the generator of the first."""

    def draw(self, rows, channels=None):
        return torch.cat([super(OneStream, self).draw([0], channels) for _ in rows])


class GuideFirst(ImageNoise):
    """The noise of a guide before that of the canvas."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.swapped = {}

    def draw(self, rows, channels=None):
        (row,) = rows if len(rows) == 1 else (None,)
        if row is not None and row not in self.swapped:
            self.swapped[row] = super().draw([row], channels)
            return super().draw([row], channels)
        if row is not None and self.swapped[row] is not None:
            first, self.swapped[row] = self.swapped[row], None
            return first
        return super().draw(rows, channels)


class Unmasked(TextEncoder):
    """Every token is looked at, padding too."""

    def _tokens(self, texts):
        tokens, mask = super()._tokens(texts)
        return tokens, torch.ones_like(mask)


@dataclass(frozen=True)
class ZeroForNothing:
    """The empty prompt as zeros."""

    reader: Reader
    sha256: str = ""

    def read(self, prompts):
        return [vectors * bool(prompt) for prompt, vectors in zip(prompts, self.reader.read(prompts), strict=True)]


Mistake = Callable[[Run], Run]


def walking(**changes: Any) -> Mistake:
    """Another loop."""
    return lambda run: replace(run, loop=replace(run.loop, **changes))


def stepping(sampler: Sampler) -> Mistake:
    return lambda run: replace(run, sampler=sampler)


def guiding(kind: type[Guided]) -> Mistake:
    """Another kind of guidance."""
    return lambda run: replace(run, trees=tuple(kind(t.conditional, t.unconditional, t.scale) for t in run.trees))


def reading(change: Callable[[TextEncoder], Reader]) -> Mistake:
    """Another reader of prompts."""

    def mistake(run: Run) -> Run:
        said = run.model.conditions
        return replace(run, model=replace(run.model, conditions=Prompts(change(said.reader), said.width)))

    return mistake


def unmasked(reader: TextEncoder) -> Unmasked:
    return Unmasked(reader.tokenizer, reader.encoder, reader.device, reader.dtype, "resident", 77, lower=True)


def showing(**changes: Any) -> Mistake:
    """Another guide than the network is told of."""

    def mistake(run: Run) -> Run:
        changed = tuple(replace(guide, low_res=replace(guide.low_res, **changes)) for guide in run.guides)
        return replace(run, guides=changed)

    return mistake


def telling(t: float) -> Mistake:
    """Another level of the guide than it has."""
    return lambda run: replace(run, model=run.model.guided_at(t))


MISTAKES: dict[str, Mistake] = {
    "2: static thresholding": walking(threshold="static"),
    "2: no thresholding": walking(threshold="none"),
    "2: diffusers' usual quantile": walking(quantile=0.995),
    "2: stage II's largest": walking(largest=1.0),
    "3: guidance of the variance": guiding(GuidedVariance),
    "3: the negative prompt's variance": guiding(OtherVariance),
    "3: between the variances": stepping(LinearVariance("learned")),
    "3: v for (v+1)/2": stepping(UnscaledVariance("learned")),
    "3: variances of single steps": stepping(UnstridedVariance("learned")),
    "3: the small variance": walking(variance="posterior"),
    "3: the large variance": walking(variance="forward"),
    "4: no last step": walking(last_step=False),
    "4: noise in the last step": stepping(NoiseAtTheEnd("learned")),
    "5: strided": walking(spacing="strided"),
    "5: trailing": walking(spacing="trailing"),
    "5: linspace": walking(spacing="linspace"),
    "5: a step to t - 1": stepping(NextTime("learned")),
    "7: the canvas in bfloat16": stepping(Rounded("learned", torch.bfloat16)),
    "8: capitals": reading(lambda reader: replace(reader, lower=False)),
    "8: no attention mask": reading(unmasked),
    "8: less padding": reading(lambda reader: replace(reader, length=40)),
    "8: zeros for the empty prompt": reading(ZeroForNothing),
    "12: one generator for all": lambda run: replace(run, noise=OneStream),
}
MISTAKES_OF_STAGE_TWO: dict[str, Mistake] = {
    "2: stage I's largest": walking(largest=1.5),
    "9: a guide in [0, 1]": lambda run: replace(
        run, guides=tuple(replace(guide, small=guide.small / 2 + 0.5) for guide in run.guides)
    ),
    "10: edges on edges": showing(align_corners=False),
    "10: a guide without noise": showing(t=0.0),
    "10: a guide with less noise than told": showing(t=50.0),
    "10: another schedule for the guide": showing(schedule=linear()),
    "10: the level not told": telling(0.0),
    "10: another level told": telling(50.0),
    "10: another level": lambda run: right(run.model.guided_at(50.0), run.steps),
    "10: the guide's noise first": lambda run: replace(run, noise=GuideFirst),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_stage_one_is_seen(one, theirs, mistake):
    assert apart(MISTAKES[mistake](right(one, 10))(), theirs(IF, 10)) > APART


def test_a_canvas_in_float16_is_seen(one, theirs):
    """Rounding adds up, so that it takes some steps."""
    canvas_in_half = replace(right(one, 34), sampler=Rounded("learned"))
    assert apart(canvas_in_half(), theirs(IF, 34)) > APART


@pytest.mark.parametrize("mistake", MISTAKES_OF_STAGE_TWO)
def test_a_mistake_in_stage_two_is_seen(two, theirs, mistake):
    """Three steps are enough for that; the cascade has them as well."""
    assert apart(MISTAKES_OF_STAGE_TWO[mistake](right(two, 3))(), theirs(IF2, 3, noise_level=250)) > APART


def test_each_picture_has_its_threshold(one, theirs):
    """Pitfall 2. Pictures of one estimate are combined together."""
    alike, expected = right(one, 10, same=True), theirs(IF, 10, same=True)
    assert apart(alike(), expected) < CLOSE
    assert apart(replace(alike, threshold=OverTheBatch)(), expected) > APART


def test_the_dtype_is_what_is_asked_for_whatever_the_text_encoder_says(one, tiny):
    """Pitfall 1: a pipeline whose text encoder's config.json says float16 cannot run."""
    import diffusers

    folder = tiny("if_stage_one", text_dtype="float16")
    got = right(load(str(folder)), 3)()
    assert torch.equal(got, right(one, 3)())
    careless = diffusers.IFPipeline.from_pretrained(folder, local_files_only=True)
    careless.set_progress_bar_config(disable=True)
    with pytest.raises(RuntimeError, match="dtype"):
        careless(LION, num_inference_steps=1, clean_caption=False)


def test_pictures_have_values_from_0_to_1(one, pipelines, theirs):
    """Pitfall 9: what IF's pipelines call "pt" has not."""
    got = one.pictures(right(one, 10)())
    as_numpy = torch.from_numpy(theirs(IF, 10, output_type="np")).permute(0, 3, 1, 2)
    assert apart(got, as_numpy) < CLOSE
    assert apart(theirs(IF, 10).clamp(0, 1), as_numpy) > APART


# Batches.


@pytest.fixture(scope="module")
def loader(one, two) -> Callable[[str, str], UNetDenoiser]:
    """The stages by their names; the second takes three steps."""
    models = {one.name: one, two.name: replace(two, defaults=replace(two.defaults, steps=3))}
    return lambda name, dtype: models[name]


def shared(model: UNetDenoiser, steps: int = 3) -> dict[str, Any]:
    """What all jobs here have."""
    return {"model": model.name, "steps": steps, "guidance": SCALE, **asdict(model.defaults.loop)}


def in_unit(x: torch.Tensor, name: str = "it") -> Picture:
    return Picture.of(x / 2 + 0.5, name)


@pytest.mark.parametrize(("stage", "steps"), [("if_stage_one", 10), ("if_stage_two", 3)])
def test_eight_at_once_are_eight_times_one(tiny, stage, steps):
    """Of prompts of all lengths, one of them empty, away from nothing and from two other prompts."""
    model = load(str(tiny(stage)))
    loop, path = model.defaults.loop, model.defaults.loop.path(model.schedule, steps)
    canvases = []
    for seed, (words, scale) in enumerate(zip((0, 1, 3, 5, 7, 9, 11, 14), range(2, 10), strict=True)):
        prompt = " ".join(SENTENCE.split()[:words])
        tree = guided(prompt, scale=scale, negative=(None, "blurry", LION)[seed % 3])
        guide = None if model.low_res is None else Guide(picture(seed)[:, :8, :8], model.low_res)
        canvases.append(Canvas(loop.thresholded(tree, (-1, 1)), seed, guide=guide))
    together = sample(model, canvases, path, loop.solver())
    for canvas, x in zip(canvases, together, strict=True):
        assert apart(sample(model, [canvas], path, loop.solver()), x[None]) < CLOSE
    assert apart(sample(model, canvases, path, loop.solver(), row_limit=5), together) < CLOSE


def test_edits_from_many_starts_are_one_batch_and_each_as_alone(one, loader):
    image = in_unit(picture(1))
    jobs = [Edit(image=image, begin=k, prompt=LION, seed=k, **shared(one, 10)) for k in (0, 1, 3, 5, 7, 9)]
    with rows_of(one) as rows:
        together = [result.picture for result in run(jobs, loader)]
    assert rows == [2, 4, 4, 6, 6, 8, 8, 10, 10, 12]
    for job, made in zip(jobs, together, strict=True):
        (alone,) = run([job], loader)
        assert apart(alone.picture, made) < CLOSE


# Half precision.


class Recorded(ImageNoise):
    drawn: list[torch.Tensor]

    def draw(self, rows, channels=None):
        noise = super().draw(rows, channels)
        self.drawn.append(noise)
        return noise


@pytest.mark.parametrize(("dtype", "mean", "largest"), [("float16", 0.005, 0.05), ("bfloat16", 0.04, 1.0)])
def test_a_network_in_half_precision_has_its_canvas_in_float32(one, folders, monkeypatch, dtype, mean, largest):
    model = load(str(folders[0]), dtype=dtype)
    monkeypatch.setattr("sfumato.core.loop.ImageNoise", Recorded)
    noises, ends = [], []
    for which in (one, model):
        monkeypatch.setattr(Recorded, "drawn", [], raising=False)
        how = right(which, 5)
        told = list(steps(which, list(how.canvases()), how.loop.path(which.schedule, 5), how.loop.solver()))
        assert {step.x.dtype for step in told} == {torch.float32}
        noises.append(Recorded.drawn)
        ends.append(told[-1].x)
    assert {weight.dtype for weight in model.part.network.parameters()} == {getattr(torch, dtype)}
    assert len(noises[0]) == 2 + 4
    assert all(torch.equal(a, b) for a, b in zip(*noises, strict=True))
    assert {noise.dtype for noise in noises[1]} == {torch.float32}
    assert 1e-5 < (ends[0] - ends[1]).abs().mean() < mean
    assert apart(*ends) < largest


# Every kind of picture, in one forward a step.


@contextmanager
def rows_of(model: UNetDenoiser, seen: list[torch.Tensor] | None = None) -> Iterator[list[int]]:
    """The rows of each forward; `seen` is given what the network sees."""
    model.row_limit()  # measured, which asks the network
    rows: list[int] = []

    def note(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        rows.append(len(arguments[0]))
        if seen is not None:
            seen.append(arguments[0])

    with model.part.network.register_forward_pre_hook(note):
        yield rows


ANAGRAMS = ("flip", "rotate:90", "negate")


def jobs_of(kind: str, model: UNetDenoiser, **more: Any) -> list[AnyJob]:
    """Two that differ in their seeds."""
    image = in_unit(picture(1))
    mask = Picture.of(torch.eye(16)[None], "mask")
    readings = (Reading(prompt=LION), Reading(prompt=COAST, view=kind if kind in ANAGRAMS else "flip"))
    kinds: dict[str, Callable[..., AnyJob]] = {
        "hybrid": lambda **options: Hybrid(far=LION, near=COAST, sigma=1.0, **options),
        "inpaint": lambda **options: InpaintJob(image=image, mask=mask, prompt=LION, **options),
        "edit": lambda **options: Edit(image=image, begin=1, prompt=LION, **options),
    }
    make = kinds.get(kind, lambda **options: Anagram(readings=readings, **options))
    return [make(seed=seed, **shared(model), **more) for seed in SEEDS]


@pytest.mark.parametrize(
    ("kind", "rows", "count"),
    [*((view, 8, 3) for view in ANAGRAMS), ("hybrid", 6, 3), ("inpaint", 4, 3), ("edit", 4, 2)],
)
def test_each_step_is_one_forward(one, loader, kind, rows, count):
    with rows_of(one) as seen:
        first, second = (result.picture for result in run(jobs_of(kind, one), loader))
    assert seen == [rows] * count
    assert first.isfinite().all()
    assert first.std() > 0.05
    assert apart(first, second) > 0.05
    if kind == "inpaint":
        kept = torch.eye(16).expand(3, 16, 16) == 0
        assert torch.equal(Picture.of(first, "").tensor()[kept], in_unit(picture(1)).tensor()[kept])


@pytest.mark.parametrize("view", ANAGRAMS)
def test_an_anagram_through_stage_two_turns_the_guide_as_well(one, two, loader, view):
    seen: list[torch.Tensor] = []
    with rows_of(two, seen) as rows:
        first, second = (result.picture for result in run(jobs_of(view, one, larger=(two.name,)), loader))
    assert [count for count in rows if count > 1] == [8] * 3  # one row is a measurement
    assert first.shape == (3, 64, 64)
    assert first.isfinite().all()
    assert apart(first, second) > 0.05
    turn = parse_view(view)
    for step in seen[-3:]:
        upright, turned = step.chunk(2)
        assert torch.equal(turned, turn(upright))
        assert torch.equal(upright[0::2], upright[1::2])  # with the prompt and without, of the same canvas


# The text encoder.


@pytest.fixture
def story(monkeypatch) -> list[str]:
    """What is loaded and freed."""
    told: list[str] = []
    network, release = Part.network.fget, Part.release

    def loading(part: Part) -> torch.nn.Module:
        new, found = part._network is None, network(part)
        if new:
            told.append(f"load {type(found).__name__}")
        return found

    def releasing(part: Part) -> None:
        if part._network is not None:
            told.append(f"free {type(part._network).__name__}")
        release(part)

    monkeypatch.setattr(Part, "network", property(loading))
    monkeypatch.setattr(Part, "release", releasing)
    return told


@pytest.mark.parametrize(
    ("memory", "negative"),
    [
        ("auto", None),
        ("low", None),
        ("lowest", None),
        ("auto", "blurry"),
    ],
)
def test_the_text_encoder_is_loaded_once_and_freed_before_any_network(folders, tiny, story, memory, negative):
    """And where memory is short, a stage is freed before the next one loads."""

    @cache
    def loader(name: str, dtype: str) -> UNetDenoiser:
        model = load(name, "cpu", dtype, memory=memory)
        return replace(model, defaults=replace(model.defaults, steps=2))

    small, large = str(folders[0]), str(tiny("if_stage_two"))
    options = {"model": small, "larger": (large,), "steps": 2, "guidance": SCALE, "negative": negative}
    jobs = [Generate(prompt=prompt, **options) for prompt in (LION, COAST)]
    results = run(jobs, loader)
    unet, free = "load UNet2DConditionModel", ["free UNet2DConditionModel"] * (memory != "auto")
    assert story == ["load T5EncoderModel", "free T5EncoderModel", unet, *free, unet, *free]
    assert results[0].models[1].conditions is results[0].models[0].conditions
