#!/usr/bin/env python3
"""Trains a GPT-2 on given batches of text in PyTorch, as train.ts --mode lm does, and writes the loss of each step.

Knows torch's own AdamW, clipping and the blocks of torch_reference.py; shares no code with the engine.

    python3 test/parity/lm_reference.py --model DIR --batches FILE.json --out FILE.json [--dtype F32]

DIR is a checkpoint: config.json, model.safetensors, and trainer.json, whose options say how to train. The batches are
[steps][rows][tokens]; every token but a row's first is predicted. Torch is the only package it needs.
"""
import argparse
import json
import os

import torch
import torch.nn.functional as F

from torch_reference import Gpt2, read_safetensors


def rate(options, step):
    """The learning rate of step `step`, from 0: a linear rise over the warm-up, then constant."""
    assert options["schedule"] == "constant", "only --schedule constant is compared"
    return options["lr"] * min(1.0, (step + 1) / max(1, options["warmup"]))


def loss_of(model, rows):
    """Mean cross-entropy over the predicted tokens of rows that may differ in length."""
    T = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (T - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (T - len(row)) for row in rows])
    x = model.w["transformer.wte.weight"][ids] + model.w["transformer.wpe.weight"][:T]
    hidden = model.columns(x, 0, mask, model.empty_store())
    logits = hidden[:, :-1] @ model.w["transformer.wte.weight"].T
    labels = torch.where(mask[:, 1:] == 1, ids[:, 1:], torch.tensor(-100))
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--batches", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--dtype", default="F64", choices=["F32", "F64"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    read = lambda path: json.load(open(path))
    config = read(os.path.join(args.model, "config.json"))
    options = read(os.path.join(args.model, "trainer.json"))["options"]
    dtype = {"F32": torch.float32, "F64": torch.float64}[args.dtype]
    stored = read_safetensors(os.path.join(args.model, "model.safetensors"))
    weights = {name: tensor.to(dtype).requires_grad_() for name, tensor in stored.items()}
    model = Gpt2(config, weights)
    # Matrices and embeddings decay, biases and gains do not.
    groups = [
        {"params": [w for w in weights.values() if w.dim() > 1], "weight_decay": options["weight-decay"]},
        {"params": [w for w in weights.values() if w.dim() == 1], "weight_decay": 0.0},
    ]
    betas = (options["beta1"], options["beta2"])
    optimizer = torch.optim.AdamW(groups, lr=options["lr"], betas=betas, eps=options["eps"])
    losses = []
    for step, rows in enumerate(read(args.batches)):
        for group in optimizer.param_groups:
            group["lr"] = rate(options, step)
        loss = loss_of(model, rows)
        optimizer.zero_grad()
        loss.backward()
        if options["clip"] > 0:
            torch.nn.utils.clip_grad_norm_(list(weights.values()), options["clip"])
        optimizer.step()
        losses.append(float(loss))
    with open(args.out, "w") as file:
        json.dump(losses, file)


if __name__ == "__main__":
    main()
