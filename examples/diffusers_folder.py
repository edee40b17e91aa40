"""A pixel UNet in a folder as diffusers writes it. Needs the extra `if`: pip install 'sfumato[if]'.

python diffusers_folder.py [FOLDER]
"""

import sys

import sfumato as sf

if len(sys.argv) > 1:
    folder = sys.argv[1]
else:  # a tiny one with random weights, so that there is something to show: it makes noise
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    unet = UNet2DModel(sample_size=16, block_out_channels=(16, 16), norm_num_groups=4, layers_per_block=1, **blocks)
    folder = "tiny"
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder)  # type: ignore[attr-defined]

model = sf.load(folder)
print(f"{model.shape} pictures, {model.schedule.__class__.__name__} schedule, sampler {model.defaults.loop.sampler}")
views = [sf.view("identity"), sf.view("flip")]
pictures = sf.sample(model, sf.anagram([sf.guided(None, scale=1)] * 2, views), seeds=range(2), steps=4)
sf.sheet(pictures, columns=2).save("diffusers.png")
