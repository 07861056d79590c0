#!/usr/bin/env python3
"""Latent-recurrent GPT-2 in PyTorch float64: what the fixtures under test/fixtures/parity were made with.

Knows Hugging Face GPT-2 numerics (Conv1D weights [in, out], gelu_new, tied head, LayerNorm epsilon from the
config, learned positions) and the Coconut recurrence (arXiv 2412.06769) with a truncation window. Shares no
code with the engine or with test/reference/model.ts. It needs torch and nothing else, and no test runs it:

    python3 test/parity/torch_reference.py --model DIR --batch FILE.json --bptt K|full --out FILE.safetensors

writes `loss` (shape [1]) and `grad.<parameter name>` for every parameter, F64 (or F32 with --dtype F32).

Letters: B batch rows, T columns, C width, H heads, D = C/H, V vocabulary, L0 the column of the first latent,
n the largest number of latents of any row.
"""
import argparse
import json
import math
import os
import struct

import torch
import torch.nn.functional as F

NUMPY_TYPE = {"F32": "<f4", "F64": "<f8"}


def read_safetensors(path):
    """{name: float64 tensor} of an F32 or F64 file."""
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = {"F32": torch.float32, "F64": torch.float64}[entry["dtype"]]
        body = bytearray(raw[8 + length + begin : 8 + length + end])
        tensors[name] = torch.frombuffer(body, dtype=dtype).reshape(entry["shape"]).double()
    return tensors


def write_safetensors(path, tensors, dtype):
    """Writes {name: tensor} in order, all as `dtype` ("F32" or "F64"); the header is padded to 8 bytes."""
    header, bodies, offset = {}, [], 0
    for name, tensor in tensors.items():
        body = tensor.detach().numpy().astype(NUMPY_TYPE[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, offset + len(body)]}
        bodies.append(body)
        offset += len(body)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(bodies))


def gelu_new(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


class Gpt2:
    """GPT-2 over `weights` (a dict by Hugging Face name). It embeds nothing: callers pass input embeddings."""

    def __init__(self, config, weights):
        self.config = config
        self.w = weights

    def linear(self, name, x):
        return x @ self.w[name + ".weight"] + self.w[name + ".bias"]

    def norm(self, name, x):
        eps = self.config["layer_norm_epsilon"]
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], eps)

    def columns(self, x, t0, mask, store):
        """The columns [t0, t0+S) of every row: x [B, S, C] (token or fed-back embedding plus position).

        `mask` [B, T] is 1 at real tokens. `store` holds per layer a list of (K, V) segments, [B, H, S', D] each,
        of the columns before t0; this call appends its own. Returns the hidden state after ln_f, [B, S, C].
        """
        B, S, C = x.shape
        H = self.config["n_head"]
        t1 = t0 + S
        query = torch.arange(t0, t1)[:, None]
        key = torch.arange(t1)[None, :]
        # A pad has nothing before it to read: let every column read itself so that no softmax is empty. For real
        # columns that changes nothing, and no real column reads a pad.
        allowed = ((key <= query)[None] & (mask[:, None, :t1] == 1)) | (key == query)[None]
        for layer in range(self.config["n_layer"]):
            h = f"transformer.h.{layer}."
            qkv = self.linear(h + "attn.c_attn", self.norm(h + "ln_1", x))
            q, k, v = (part.reshape(B, S, H, C // H).transpose(1, 2) for part in qkv.split(C, dim=-1))
            store[layer].append((k, v))
            keys = torch.cat([segment[0] for segment in store[layer]], dim=2)
            values = torch.cat([segment[1] for segment in store[layer]], dim=2)
            scores = q @ keys.transpose(-1, -2) / math.sqrt(C // H)
            scores = scores.masked_fill(~allowed[:, None], float("-inf"))
            y = (scores.softmax(-1) @ values).transpose(1, 2).reshape(B, S, C)
            x = x + self.linear(h + "attn.c_proj", y)
            x = x + self.linear(h + "mlp.c_proj", gelu_new(self.linear(h + "mlp.c_fc", self.norm(h + "ln_2", x))))
        return self.norm("transformer.ln_f", x)

    def empty_store(self):
        return [[] for _ in range(self.config["n_layer"])]

    def loss(self, hidden, labels):
        """Mean cross-entropy of the labels that are not -100; the label of column t is predicted at t-1."""
        logits = hidden @ self.w["transformer.wte.weight"].T
        V = logits.shape[-1]
        return F.cross_entropy(logits[:, :-1].reshape(-1, V), labels[:, 1:].reshape(-1), ignore_index=-100)


class Latents:
    """Where a batch's latents are: [L0, L0 + counts[b]) in row b; L0 = T when there are none."""

    def __init__(self, config, ids):
        self.at = ids == config["latent_token_id"]
        self.counts = self.at.sum(1)
        self.n = int(self.counts.max())
        T = ids.shape[1]
        firsts = {int(row.nonzero()[0]) for row in self.at if row.any()}
        assert len(firsts) <= 1, "first latents must share a column"
        self.L0 = firsts.pop() if firsts else T
        column = torch.arange(T)[None]
        expected = (column >= self.L0) & (column < self.L0 + self.counts[:, None])
        assert torch.equal(self.at, expected), "a row's latents must be contiguous"


def loss_by_passes(model, batch, window):
    """The recurrence as n+1 passes over a K/V store. `window` None records everything.

    With window k the first n-k latent columns run without gradient: their K/V and their hidden states are
    constants to everything after them. The question pass is always recorded.
    """
    ids, mask, positions = batch["input_ids"], batch["attention_mask"], batch["position_ids"]
    latents = Latents(model.config, ids)
    L0, n, T = latents.L0, latents.n, ids.shape[1]
    if window is not None and len(set(latents.counts.tolist())) > 1:
        raise SystemExit("error: --bptt K needs equal latent counts in all rows of the batch")
    k = n if window is None else min(window, n)
    store = model.empty_store()
    edges = [0, *range(L0, L0 + n), T]
    hidden = []
    for t0, t1 in zip(edges, edges[1:]):
        with torch.set_grad_enabled(not L0 <= t0 < L0 + n - k):
            x = model.w["transformer.wte.weight"][ids[:, t0:t1]]
            if t0 >= L0:
                # Only the first column of a pass can be a latent; rows without one there keep their token.
                fed = torch.where(latents.at[:, t0, None], hidden[-1][:, -1], x[:, 0])
                x = torch.cat([fed[:, None], x[:, 1:]], dim=1)
            x = x + model.w["transformer.wpe.weight"][positions[:, t0:t1]]
            hidden.append(model.columns(x, t0, mask, store))
    return model.loss(torch.cat(hidden, dim=1), batch["labels"])


def loss_by_recomputing(model, batch):
    """The same loss without a store or passes: the whole prefix is recomputed for each latent in turn."""
    ids, mask, positions = batch["input_ids"], batch["attention_mask"], batch["position_ids"]
    latents = Latents(model.config, ids)
    embeddings = list(model.w["transformer.wte.weight"][ids].unbind(1))
    at_position = model.w["transformer.wpe.weight"][positions]
    for t in range(latents.L0, latents.L0 + latents.n):
        prefix = torch.stack(embeddings[:t], dim=1) + at_position[:, :t]
        hidden = model.columns(prefix, 0, mask, model.empty_store())
        embeddings[t] = torch.where(latents.at[:, t, None], hidden[:, -1], embeddings[t])
    hidden = model.columns(torch.stack(embeddings, dim=1) + at_position, 0, mask, model.empty_store())
    return model.loss(hidden, batch["labels"])


def gradients(model, loss):
    grads = torch.autograd.grad(loss, list(model.w.values()))
    return dict(zip(model.w, grads))


def loss_and_grads(config, weights, batch, window):
    """{"loss": [1], "grad.<name>": ...} of `weights` (float64 tensors by name); `window` None means full."""
    model = Gpt2(config, {name: tensor.clone().requires_grad_() for name, tensor in weights.items()})
    batch = {key: torch.tensor(rows) for key, rows in batch.items()}
    loss = loss_by_passes(model, batch, window)
    grads = gradients(model, loss)
    if window is None:
        naive = loss_by_recomputing(model, batch)
        assert abs(float(naive - loss)) <= 1e-12 * abs(float(naive)), "passes and recomputation disagree on the loss"
        for name, expected in gradients(model, naive).items():
            worst = float((grads[name] - expected).abs().max() / expected.abs().max())
            assert worst <= 1e-12, f"passes and recomputation disagree on the gradient of {name}: {worst:.1e}"
    return {"loss": loss.reshape(1), **{"grad." + name: grad for name, grad in grads.items()}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", required=True)
    parser.add_argument("--bptt", default="full")
    parser.add_argument("--out", required=True)
    parser.add_argument("--dtype", default="F64", choices=["F32", "F64"])
    args = parser.parse_args()
    window = None if args.bptt == "full" else int(args.bptt)
    assert window is None or window >= 1, "--bptt must be full or a whole number from 1"
    torch.set_num_threads(1)
    with open(os.path.join(args.model, "config.json")) as file:
        config = json.load(file)
    weights = read_safetensors(os.path.join(args.model, "model.safetensors"))
    with open(args.batch) as file:
        batch = json.load(file)
    result = loss_and_grads(config, weights, batch, window)
    write_safetensors(args.out, result, args.dtype)
    print(f"loss {float(result['loss'])!r}")


if __name__ == "__main__":
    main()
