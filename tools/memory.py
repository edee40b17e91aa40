"""What DeepFloyd IF takes of memory, from its sizes alone: nothing is downloaded, and on `meta` nothing is computed.

python tools/memory.py            # the table of docs/models.md
python tools/memory.py --forward  # also a forward of IF-I-M with random weights on this machine's CPU
"""

from __future__ import annotations

import argparse
import functools
import resource
import time
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.backends.activations import peak_bytes

UNETS = {"IF-I-XL": 704, "IF-I-L": 320, "IF-I-M": 192}
"""Channels at 64 pixels of the first stages. Everything else is in proportion; the counts of parameters are those of
the models' cards (4.3 B, 0.9 B, 0.4 B)."""
T5_XXL = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_layers": 24, "num_heads": 64, "vocab_size": 32128}
PROMPT = (77, 4096)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forward", action="store_true", help="run a forward of IF-I-M here")
    arguments = parser.parse_args()
    with torch.device("meta"):
        reader = text_encoder()
        text, eight_bit = weights(reader), weights(reader, bits=8)
        tokens, mask = torch.zeros(1, 77, dtype=torch.long), torch.zeros(1, 1, 77, 77)
        read = peak_bytes(lambda: reader(tokens, attention_mask=mask)) / 2
        rows = [figures(name, unet(channels), text + read, eight_bit + read) for name, channels in UNETS.items()]
    print(
        f"T5-XXL: {count(reader) / 1e9:.3f} B parameters, {gb(text)} in float16, for its `wo` layers stay in float32,"
    )
    print(f"{gb(eight_bit)} in 8 bits; a prompt takes {gb(read)} beside that.\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(row.values()) + " |")
    if arguments.forward:
        run_forward()


def figures(name: str, network: nn.Module, text: float, eight_bit: float) -> dict[str, str]:
    """A row of the table: in float16, on the device that computes, where nothing else is said."""
    held = weights(network)
    # Counted in float32, in which meta's operations run.
    two, eight = (held + peak_bytes(functools.partial(forward, network, rows)) / 2 for rows in (2, 8))
    return {
        "": name,
        "parameters": f"{count(network) / 1e9:.3f} B",
        "weights": gb(held),
        "with 2 rows": gb(two),
        "with 8 rows": gb(eight),
        "T5 kept beside": gb(text + two),
        "T5 freed first": gb(max(text, two)),
        "T5 in 8 bits, freed": gb(max(eight_bit, two)),
        "T5 on the CPU": gb(two),
        "layer by layer": gb(two - held + largest(network)),
    }


def run_forward() -> None:
    """A forward of IF-I-M with two rows in bfloat16, and what this process took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.device("meta"):
        network = unet(UNETS["IF-I-M"])
    network = network.to(torch.bfloat16).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.02)
        started = time.perf_counter()
        out = forward(network, 2, torch.bfloat16)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\nIF-I-M on this CPU, bfloat16, 2 rows: {seconds:.1f} s, {(after - before) / 1e6:.2f} GB more than before, ",
        end="",
    )
    print(f"output {tuple(out.shape)}, finite: {bool(out.isfinite().all())}")


def forward(network: nn.Module, rows: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """One forward at 64 pixels, with guidance half of the rows without a prompt."""
    prompts = torch.zeros(rows, *PROMPT, dtype=dtype)
    with torch.no_grad():
        x = torch.zeros(rows, 3, 64, 64, dtype=dtype)
        out: Tensor = network(x, torch.full((rows,), 500), encoder_hidden_states=prompts, return_dict=False)[0]
    return out


def unet(channels: int) -> nn.Module:
    """A first stage of IF, of so many channels."""
    from diffusers import UNet2DConditionModel

    attention = "SimpleCrossAttn{}Block2D"
    network: Any = UNet2DConditionModel(
        sample_size=64,
        in_channels=3,
        out_channels=6,
        block_out_channels=tuple(channels * i for i in (1, 2, 3, 4)),
        down_block_types=("ResnetDownsampleBlock2D", *[attention.format("Down")] * 3),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=(*[attention.format("Up")] * 3, "ResnetUpsampleBlock2D"),
        layers_per_block=3,
        attention_head_dim=64,
        cross_attention_dim=4 * channels,
        encoder_hid_dim=PROMPT[1],
        addition_embed_type="text",
        addition_embed_type_num_heads=64,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
    )
    return network.eval()


def text_encoder() -> nn.Module:
    """T5-XXL's encoder."""
    from transformers import T5Config, T5EncoderModel

    shape: dict[str, Any] = {**T5_XXL, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    config = T5Config(**shape)
    network: nn.Module = T5EncoderModel(config)
    return network.eval()


def count(network: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def weights(network: nn.Module, bits: int = 16) -> int:
    """Bytes of the weights in float16 as `backends/parts.py` holds them."""
    kept = tuple(getattr(network, "_keep_in_fp32_modules", None) or ())
    linear = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    total = 0
    for name, parameter in network.named_parameters():
        if any(part in kept for part in name.split(".")):
            total += 4 * parameter.numel()
        elif bits == 8 and name in linear:
            total += parameter.numel() + 4 * parameter.shape[0]
        else:
            total += 2 * parameter.numel()
    return total


def largest(network: nn.Module) -> int:
    """Bytes of the largest layer in 16 bits."""
    sizes = (sum(p.numel() for p in module.parameters(recurse=False)) for module in network.modules())
    return 2 * max(sizes)


def gb(size: float) -> str:
    """In gigabytes."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
