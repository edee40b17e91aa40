"""First stages of IF at full size, with random weights: diffusers' own pipeline, and ours on the same files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from tools.memory import PROMPT, unet
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.paired import Case
from sfumato.app.jobs import Anagram, Generate, Reading
from sfumato.app.run import run
from sfumato.backends.conditions import Prompts
from sfumato.backends.diffusers_folder import Where, load_folder
from sfumato.backends.unet import UNetDenoiser
from sfumato.core.estimates import guided
from sfumato.core.plan import Plan

GUIDANCE = 7.0
ASKED = ("an oil painting of an old man", "an oil painting of people around a campfire")
SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "variance_type": "learned_range",
    "clip_sample": False,
    "thresholding": True,
    "dynamic_thresholding_ratio": 0.95,
    "sample_max_value": 1.5,
}
"""Of DeepFloyd's first stages."""


@dataclass(frozen=True)
class Vectors:
    """Random vectors in the place of T5's: speed knows no meaning."""

    sha256: str = ""

    def read(self, prompts: Sequence[str]) -> list[Float[Tensor, "l d"]]:
        """As many vectors as T5 gives."""
        return [torch.randn(PROMPT, generator=torch.Generator().manual_seed(len(prompt))) for prompt in prompts]


@dataclass(frozen=True)
class Large:
    """A first stage on a disk, as both sides load it."""

    name: str
    channels: int
    folder: Path
    device: str
    dtype: torch.dtype
    steps: int

    def write(self) -> None:
        """Random weights, in files."""
        if (self.folder / "model_index.json").is_file():
            return
        torch.manual_seed(0)
        with torch.device(self.device):
            network: Any = unet(self.channels).to(self.dtype)
        network.save_pretrained(self.folder / "unet")
        (self.folder / "scheduler").mkdir(exist_ok=True)
        (self.folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER), encoding="utf-8")
        index = {"_class_name": "IFPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
        index |= {"scheduler": ["diffusers", "DDPMScheduler"]}
        (self.folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")

    @cached_property
    def ours(self) -> UNetDenoiser:
        """Ours, with random vectors for prompts."""
        model = load_folder(self.folder, self.name, Where(torch.device(self.device), self.dtype))
        return replace(model, conditions=Prompts(Vectors(), PROMPT[1]))

    @cached_property
    def theirs(self) -> Any:
        """Their pipeline, around a UNet of its own from the same files."""
        from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel

        network: Any = UNet2DConditionModel.from_pretrained(self.folder / "unet", torch_dtype=self.dtype)
        pipeline: Any = IFPipeline(
            tokenizer=None,
            text_encoder=None,
            unet=network.to(self.device),
            scheduler=DDPMScheduler.from_config(SCHEDULER),
            safety_checker=None,
            feature_extractor=None,
            watermarker=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def vectors(self, prompt: str, count: int = 1) -> Float[Tensor, "b l d"]:
        """Of a prompt, as their pipeline takes them."""
        return Vectors().read([prompt])[0].expand(count, *PROMPT).to(self.device, self.dtype)

    @cached_property
    def operations(self) -> float:
        """Floating-point operations of a guided step of one picture."""
        x, level = torch.zeros(1, *self.ours.shape, device=self.device), self.ours.schedule.level(500)
        with FlopCounterMode(display=False) as counter:
            self.ours(x, [ASKED[0]], level)
        return 2.0 * counter.get_total_flops()

    def generate(self, count: int) -> Case:
        """So many guided pictures at once."""
        jobs = self._jobs(Generate, count, prompt=ASKED[0])

        def plain() -> None:
            self.theirs(
                prompt_embeds=self.vectors(ASKED[0], count),
                negative_prompt_embeds=self.vectors("", count),
                num_inference_steps=self.steps,
                guidance_scale=GUIDANCE,
                generator=torch.Generator(self.device).manual_seed(0),
                output_type="pt",
            )

        return Case(
            f"{self.name}, {self.steps} steps, batch {count}; plain: IFPipeline of diffusers",
            plain,
            partial(run, jobs, lambda _, __: self.ours),
            count,
            "pictures",
            self.steps * self.operations,
            f"predictions differ by {self.difference():.1e} of their size",
        )

    def anagram(self, count: int, peer: Path) -> Case:
        """So many guided anagrams of two views, against the public code of Visual Anagrams: one at a time."""
        sys.path.insert(0, str(peer))
        from visual_anagrams.samplers import sample_stage_1  # type: ignore[import-not-found]
        from visual_anagrams.views import get_views  # type: ignore[import-not-found]

        views = get_views(["identity", "rotate_180"])
        asked, nothing = (
            torch.cat(parts) for parts in zip(*((self.vectors(p), self.vectors("")) for p in ASKED), strict=True)
        )
        readings = [Reading(prompt=ASKED[0]), Reading(prompt=ASKED[1], view="rotate:180")]
        jobs = self._jobs(Anagram, count, readings=readings)

        def plain() -> None:
            for seed in range(count):
                generator = torch.Generator(self.device).manual_seed(seed)
                sample_stage_1(
                    self.theirs,
                    asked,
                    nothing,
                    views,
                    num_inference_steps=self.steps,
                    guidance_scale=GUIDANCE,
                    generator=generator,
                )

        return Case(
            f"{self.name}, {self.steps} steps, {count} anagrams of two views; plain: Visual Anagrams",
            plain,
            partial(run, jobs, lambda _, __: self.ours),
            count,
            "pictures",
            2 * self.steps * self.operations,
        )

    def _jobs(self, kind: type[Any], count: int, **what: Any) -> list[Any]:
        """One for each seed, walked as the pipeline walks."""
        walk = asdict(self.ours.defaults.loop.named("diffusers"))
        how = {"model": self.name, "steps": self.steps, "guidance": GUIDANCE, **walk}
        return [kind(seed=seed, **how, **what) for seed in range(count)]

    def difference(self) -> float:
        """Of guided noise predictions of both sides at three levels: root mean squares, as a share of theirs."""
        x = torch.randn(2, *self.ours.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        plan, worst = Plan([guided(ASKED[0], scale=GUIDANCE)] * 2), 0.0
        words = torch.cat([self.vectors("", 2), self.vectors(ASKED[0], 2)])
        self.ours.prepare([None, ASKED[0]])
        for t in (100, 500, 900):
            level = self.ours.schedule.level(t)
            mine = plan.estimate(self.ours, x, level, self.ours.row_limit()).eps
            with torch.no_grad():
                both = self.theirs.unet(torch.cat([x, x]).to(self.dtype), t, encoder_hidden_states=words).sample
            empty, asked = both[:, :3].float().chunk(2)
            reference = empty + GUIDANCE * (asked - empty)
            worst = max(worst, float((mine - reference).norm() / reference.norm()))
        return worst
