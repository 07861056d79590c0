#!/usr/bin/env python3
"""Writes test/fixtures/parity: small random models, batches, and their expected losses and gradients.

    python3 test/parity/make_fixtures.py

MODEL/config.json, MODEL/model.safetensors         a Hugging Face GPT-2 folder (F32 weights)
MODEL/BATCH/batch.json                             input_ids, labels, attention_mask, position_ids, all [B][T]
MODEL/BATCH/full.safetensors, K.safetensors        expected loss and gradients, by window

Nothing sits at its usual start: gains are not near 1 nor biases 0, epsilon differs between models, and `single`
has an MLP that is not 4C wide, so that a forgotten bias or a hard-wired constant shows. The large model's
expectations are F32 to keep the repository small; the others are F64, tight enough to test a float64
implementation.
"""
import json
import os
import random

import torch

from torch_reference import loss_and_grads, read_safetensors, write_safetensors

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "parity")
PAD, EOS, START, END, LATENT = 0, 1, 2, 3, 4
FIRST_WORD = 5

# A row is (question words, latents, text words): its columns are
# question <start> <latent>*n <end> text <eos>, `<end>` only after latents. `latents` None: a plain row without
# markers, which is not aligned with the others and may carry labels left of the first latent column.
MODELS = {
    "odd": {
        "config": {"n_layer": 2, "n_embd": 24, "n_head": 3, "vocab_size": 37, "n_positions": 32},
        "epsilon": 1e-5,
        "dtype": "F64",
        "batches": {
            "equal": {"rows": [(7, 4, 5), (4, 4, 9), (6, 4, 1)], "windows": [None, 1, 2, 3]},
            "mixed": {"rows": [(5, 2, 4), (8, 0, 7), (3, 3, 2), (6, 1, 8), (2, None, 11)], "windows": [None]},
            "none": {"rows": [(6, 0, 4), (3, 0, 8), (9, None, 3)], "windows": [None]},
        },
    },
    "single": {
        "config": {"n_layer": 1, "n_embd": 10, "n_head": 2, "n_inner": 27, "vocab_size": 29, "n_positions": 24},
        "epsilon": 1e-2,
        "dtype": "F64",
        "batches": {
            "row": {"rows": [(1, 1, 1)], "windows": [None]},
            "five": {"rows": [(4, 5, 3), (2, 5, 6)], "windows": [None, 1, 2, 3, 4]},
        },
    },
    "medium": {
        "config": {"n_layer": 3, "n_embd": 48, "n_head": 3, "vocab_size": 61, "n_positions": 48},
        "epsilon": 1e-5,
        "dtype": "F32",
        "batches": {
            "long": {
                "rows": [(17, 6, 14), (20, 6, 6), (9, 6, 11), (14, 6, 9), (19, 6, 2)],
                "windows": [None, 1, 2, 4],
            },
        },
    },
}


def make_config(shape, epsilon):
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_inner": None,
        **shape,
        "n_ctx": shape["n_positions"],
        "layer_norm_epsilon": epsilon,
        "initializer_range": 0.02,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "scale_attn_weights": True,
        "tie_word_embeddings": True,
        "bos_token_id": EOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "start_latent_id": START,
        "end_latent_id": END,
        "latent_token_id": LATENT,
    }


def make_weights(config, generator):
    C, V, P = config["n_embd"], config["vocab_size"], config["n_positions"]
    inner = config["n_inner"] or 4 * C
    shapes = {"wte.weight": [V, C], "wpe.weight": [P, C]}
    for layer in range(config["n_layer"]):
        h = f"h.{layer}."
        shapes |= {h + "ln_1.weight": [C], h + "ln_1.bias": [C]}
        shapes |= {h + "attn.c_attn.weight": [C, 3 * C], h + "attn.c_attn.bias": [3 * C]}
        shapes |= {h + "attn.c_proj.weight": [C, C], h + "attn.c_proj.bias": [C]}
        shapes |= {h + "ln_2.weight": [C], h + "ln_2.bias": [C]}
        shapes |= {h + "mlp.c_fc.weight": [C, inner], h + "mlp.c_fc.bias": [inner]}
        shapes |= {h + "mlp.c_proj.weight": [inner, C], h + "mlp.c_proj.bias": [C]}
    shapes |= {"ln_f.weight": [C], "ln_f.bias": [C]}
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        if "ln_" in name and name.endswith("weight"):
            weights["transformer." + name] = 0.9 + 0.3 * noise
        elif name.endswith("bias"):
            weights["transformer." + name] = 0.2 * noise
        elif name.startswith("w"):
            weights["transformer." + name] = 0.4 * noise
        else:
            weights["transformer." + name] = noise / shape[0] ** 0.5
    return weights


def make_batch(rows, vocab, draw):
    """Rows to [B][T] lists: left-padded to share the first latent's column, right-padded to a common T."""
    words = lambda count: [draw.randrange(FIRST_WORD, vocab) for _ in range(count)]
    aligned = max(question + 1 for question, latents, _ in rows if latents is not None)
    built = []
    for question, latents, text in rows:
        if latents is None:
            ids, unlabelled, left = words(question), question, 0
        else:
            ids = words(question) + [START] + [LATENT] * latents + ([END] if latents else [])
            unlabelled, left = len(ids), aligned - question - 1
        answer = words(text) + [EOS]
        built.append((ids + answer, [-100] * unlabelled + answer, left))
    T = max(left + len(ids) for ids, _, left in built)
    batch = {"input_ids": [], "labels": [], "attention_mask": [], "position_ids": []}
    for ids, labels, left in built:
        right = T - left - len(ids)
        pad = lambda values, fill: [fill] * left + list(values) + [fill] * right
        batch["input_ids"].append(pad(ids, PAD))
        batch["labels"].append(pad(labels, -100))
        batch["attention_mask"].append(pad([1] * len(ids), 0))
        batch["position_ids"].append(pad(range(len(ids)), 0))
    return batch


def write_batch(path, batch):
    """JSON with one row a line: readable, and a change is a readable diff."""
    lines = ["{"]
    for index, (key, rows) in enumerate(batch.items()):
        lines.append(f'"{key}": [')
        lines += ["  " + json.dumps(row, separators=(",", ":")) + ("," if row is not rows[-1] else "") for row in rows]
        lines.append("]" + ("," if index < len(batch) - 1 else ""))
    with open(path, "w") as file:
        file.write("\n".join([*lines, "}", ""]))


def main():
    torch.set_num_threads(1)
    for seed, (name, model) in enumerate(MODELS.items()):
        folder = os.path.join(ROOT, name)
        os.makedirs(folder, exist_ok=True)
        config = make_config(model["config"], model["epsilon"])
        with open(os.path.join(folder, "config.json"), "w") as file:
            file.write(json.dumps(config, indent=2) + "\n")
        file = os.path.join(folder, "model.safetensors")
        write_safetensors(file, make_weights(config, torch.Generator().manual_seed(seed)), "F32")
        weights = read_safetensors(file)
        draw = random.Random(seed)
        for batch_name, plan in model["batches"].items():
            batch = make_batch(plan["rows"], config["vocab_size"], draw)
            os.makedirs(os.path.join(folder, batch_name), exist_ok=True)
            write_batch(os.path.join(folder, batch_name, "batch.json"), batch)
            for window in plan["windows"]:
                label = "full" if window is None else str(window)
                result = loss_and_grads(config, weights, batch, window)
                write_safetensors(os.path.join(folder, batch_name, label + ".safetensors"), result, model["dtype"])
                print(f"{name}/{batch_name} bptt {label}: loss {float(result['loss']):.6f}")


if __name__ == "__main__":
    main()
