#!/usr/bin/env python3
"""The recurrence of tools/scale/model.py against the fixtures of test/fixtures/parity, in float64.

Prints JSON: for each fixture and window {"loss": relative error, "worst": that of the worst gradient, "name": which}.
Knows the fixtures' form; test/scale/scale.test.ts runs it and judges.
"""
import json
import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tools", "scale"), os.path.join(HERE, "..", "parity")]
from model import Batch, Gpt2
from torch_reference import read_safetensors


def part_of(batch, latent):
    """The batch as collate makes it: time-major."""
    ids, mask = torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"])
    B, T = ids.shape
    at = ids == latent
    flat = lambda key: torch.tensor(batch[key]).t().flatten().tolist()
    return {
        "B": B,
        "T": T,
        "ids": flat("input_ids"),
        "positions": flat("position_ids"),
        "labels": flat("labels"),
        "first": mask.argmax(1).tolist(),
        "latents": at.sum(1).tolist(),
        "latentStart": int(at.any(0).int().argmax()) if at.any() else T,
    }


def compare(folder, batch_folder, window):
    with open(f"{folder}/config.json") as file:
        config = json.load(file)
    with open(f"{batch_folder}/batch.json") as file:
        part = part_of(json.load(file), config["latent_token_id"])
    model = Gpt2({"n_inner": None, **config}).double()
    model.load_state_dict(read_safetensors(f"{folder}/model.safetensors"))
    labels = torch.tensor(part["labels"]).view(part["T"], part["B"])[1:]
    loss = model(Batch(part, window, torch.device("cpu"))) / (labels >= 0).sum()
    loss.backward()
    expected = read_safetensors(f"{batch_folder}/{window}.safetensors")
    relative = lambda a, b: float((a - b).abs().max() / b.abs().max())
    errors = {name: relative(p.grad, expected[f"grad.{name}"]) for name, p in model.named_parameters()}
    assert len(errors) == len(expected) - 1, "other parameters than the fixture's"
    name = max(errors, key=errors.get)
    return {"loss": relative(loss, expected["loss"]), "worst": errors[name], "name": name}


def main():
    root = os.path.join(HERE, "..", "fixtures", "parity")
    found = {}
    for folder, _, names in sorted(os.walk(root)):
        for name in names:
            window = name.partition(".")[0]
            if "batch.json" in names and name.endswith(".safetensors"):
                key = f"{os.path.relpath(folder, root)} {window}"
                found[key] = compare(os.path.dirname(folder), folder, window if window == "full" else int(window))
    print(json.dumps(found, indent=1))


torch.set_num_threads(1)
main()
