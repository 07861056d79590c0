#!/usr/bin/env python3
"""GPT-2 small with random weights, a batch with latents, and what PyTorch gives for them in float64.

    python3 test/parity/gpt2_small.py --out DIR
    node tools/parity.ts --model DIR --batch DIR/batch.json --expect DIR/full.safetensors --out DIR/got.safetensors

Its 124 million parameters are too many for the repository, so this writes them anew: 1 GB, and 5 GB of memory while it
runs. It needs torch and nothing else.
"""
import argparse
import json
import os
import random

import torch

from make_fixtures import make_batch, make_config, write_batch
from torch_reference import Gpt2, gradients, loss_by_passes, read_safetensors, write_safetensors

SHAPE = {"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024}
# (question words, latents, text words): with markers and <eos> the longer row has 64 columns.
ROWS = [(30, 6, 25), (21, 6, 19)]


def make_weights(config, generator):
    """GPT-2's shapes, drawn as it is before training; but no gain is 1 and no bias 0, so that a forgotten one shows.

    Not larger: twelve random blocks at the scale of trained ones are chaotic, and float32 is then far from float64 in
    PyTorch too (3e-3 of a gradient, with matrices drawn at 0.14).
    """
    C, V, P = config["n_embd"], config["vocab_size"], config["n_positions"]
    weights = {}

    def draw(name, shape, scale, mean=0.0):
        weights["transformer." + name] = mean + scale * torch.randn(shape, generator=generator)

    draw("wte.weight", [V, C], 0.02)
    draw("wpe.weight", [P, C], 0.02)
    for layer in range(config["n_layer"]):
        h = f"h.{layer}."
        for norm in ("ln_1", "ln_2"):
            draw(f"{h}{norm}.weight", [C], 0.1, 0.9)
            draw(f"{h}{norm}.bias", [C], 0.02)
        for name, shape in (
            ("attn.c_attn", [C, 3 * C]),
            ("attn.c_proj", [C, C]),
            ("mlp.c_fc", [C, 4 * C]),
            ("mlp.c_proj", [4 * C, C]),
        ):
            draw(f"{h}{name}.weight", shape, 0.02)
            draw(f"{h}{name}.bias", shape[1:], 0.02)
    draw("ln_f.weight", [C], 0.1, 0.9)
    draw("ln_f.bias", [C], 0.02)
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder for the model, the batch and the expectation")
    out = parser.parse_args().out
    os.makedirs(out, exist_ok=True)
    config = make_config(SHAPE, 1e-5)
    with open(os.path.join(out, "config.json"), "w") as file:
        file.write(json.dumps(config, indent=2) + "\n")
    path = os.path.join(out, "model.safetensors")
    write_safetensors(path, make_weights(config, torch.Generator().manual_seed(0)), "F32")
    batch = make_batch(ROWS, config["vocab_size"], random.Random(0))
    write_batch(os.path.join(out, "batch.json"), batch)

    # The weights as the file has them, rounded to F32.
    weights = {name: tensor.requires_grad_() for name, tensor in read_safetensors(path).items()}
    model = Gpt2(config, weights)
    loss = loss_by_passes(model, {key: torch.tensor(rows) for key, rows in batch.items()}, None)
    grads = gradients(model, loss)
    result = {"loss": loss.reshape(1), **{"grad." + name: grad for name, grad in grads.items()}}
    write_safetensors(os.path.join(out, "full.safetensors"), result, "F32")
    print(f"loss {float(loss)!r}, {len(grads)} gradients: {out}/full.safetensors")


if __name__ == "__main__":
    main()
