"""What diffusers can have of a model: its noise schedule, as the configuration of a `DDPMScheduler`.

There is no folder of a pipeline. diffusers loads networks of its own classes only, and none of them is one of ours:
its UNets normalise by groups, where the course UNet normalises by batch and is multiplied by its class; the text UNet
has its own text encoder and works on patches. A folder could carry the network's code, but that is loaded under
`trust_remote_code` alone, and running code from a folder of weights is nothing to ask of anyone. The schedule is the
part that does fit: with it diffusers' sampler steps as ours does, for a network run by torch or ONNX Runtime.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from sfumato.app.export.source import Source
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Discrete
from sfumato.errors import UsageError
from sfumato.files import write_text

CONFIG = "scheduler_config.json"
NO_PIPELINE = (
    "no network of sfumato is one of diffusers' classes, so diffusers could only load it by running code from the "
    "folder; export it --to onnx or --to safetensors, and its schedule --to diffusers-scheduler"
)
PREDICTIONS = {Prediction.EPS: "epsilon", Prediction.X0: "sample", Prediction.V: "v_prediction"}
"""diffusers' names for what a network predicts."""


def scheduler_config(model: NetworkDenoiser) -> dict[str, Any]:
    """The configuration of the `DDPMScheduler` that steps as `DDPM()` does on the model's levels.

    Raises UsageError for a model that no DDPM scheduler describes.
    """
    if not isinstance(model.schedule, Discrete):
        raise UsageError(f"{model.name} has no discrete noise levels, as a DDPM scheduler wants; export it --to onnx")
    if model.prediction not in PREDICTIONS:
        raise UsageError(f"{model.name} predicts a velocity, which no DDPM scheduler knows; export it --to onnx")
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": len(model.schedule),
        # β of each time is what is left of ᾱ from the time before.
        "trained_betas": [1 - after / before for before, after in pairwise((1.0, *model.schedule.alphas_cumprod))],
        "prediction_type": PREDICTIONS[model.prediction],
        "variance_type": "fixed_small",
        # As we sample by default: x̂₀ is left as it is.
        "clip_sample": False,
        "thresholding": False,
        "timestep_spacing": "leading",
        "steps_offset": 0,
        "rescale_betas_zero_snr": False,
    }


def write_scheduler(source: Source, folder: Path) -> None:
    """Write the configuration. Raises UsageError as `scheduler_config` does."""
    write_text(folder / CONFIG, json.dumps(scheduler_config(source.model), indent=2) + "\n")
