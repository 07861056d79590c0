"""GPT-2 that thinks in latents, in PyTorch: blocks in Hugging Face's names and shapes, and the recurrence over a row.

Knows tensors and one micro-batch; knows no processes, no optimizer and no files.

Letters: B batch rows, T columns, C width, H heads, D = C/H, V vocabulary, L0 the column of the first latent, n latents
of the row that has most. Tensors are [B, T, ...] here; the rows of tools/scale/rows.ts are time-major.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Map(nn.Module):
    """x·W + b with W [in, out], as GPT-2 keeps its matrices."""

    def __init__(self, ins, outs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(ins, outs))
        self.bias = nn.Parameter(torch.zeros(outs))

    def forward(self, x):
        return F.linear(x, self.weight.t(), self.bias)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        C = config["n_embd"]
        inner = config["n_inner"] or 4 * C
        self.heads = config["n_head"]
        self.ln_1 = nn.LayerNorm(C, config["layer_norm_epsilon"])
        self.attn = nn.ModuleDict({"c_attn": Map(C, 3 * C), "c_proj": Map(C, C)})
        self.ln_2 = nn.LayerNorm(C, config["layer_norm_epsilon"])
        self.mlp = nn.ModuleDict({"c_fc": Map(C, inner), "c_proj": Map(inner, C)})

    def forward(self, x, store, mask, skip):
        """Columns x [B, S, C] after those in `store`, which gets their keys and values. The first `skip` of them are keys
        and values only, and are not in the result [B, S - skip, C]. mask [B, 1, S, columns so far]: 0 where a column may
        read another, else -inf."""
        B, S, C = x.shape
        qkv = self.attn["c_attn"](self.ln_1(x)).split(C, dim=-1)
        q, k, v = (part.reshape(B, S, self.heads, C // self.heads).transpose(1, 2) for part in qkv)
        if skip > 0:
            q, mask, x = q[:, :, skip:], mask[:, :, skip:], x[:, skip:]
        y = attend(q, store.append(k, v), mask)
        x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(B, S - skip, C))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Store:
    """Keys and values [B, H, columns, D] of a layer: those of the first pass stay as they are, and the few columns of all
    later passes are joined anew in each. To join all would copy the question once a latent."""

    def __init__(self):
        self.first = self.rest = None

    def append(self, k, v):
        """The pieces, in the order of their columns, with the new one."""
        if self.first is None:
            # Else every product with them would copy them again.
            self.first = (k.contiguous(), v.contiguous())
            return [self.first]
        if self.rest is not None:
            k, v = torch.cat([self.rest[0], k], 2), torch.cat([self.rest[1], v], 2)
        self.rest = (k, v)
        return [self.first, self.rest]


def attend(q, pieces, mask):
    """softmax(q·Kᵀ/√D)·V over keys and values in pieces: one softmax over all of them."""
    if len(pieces) == 1 and hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, *pieces[0], attn_mask=mask.to(q.dtype))
    scores = torch.cat([q @ k.transpose(-1, -2) for k, _ in pieces], -1)
    shares = torch.add(mask, scores, alpha=1 / math.sqrt(q.shape[-1])).softmax(-1)
    weights = shares.split([k.shape[2] for k, _ in pieces], -1)
    y = [weight @ v for weight, (_, v) in zip(weights, pieces)]
    return y[0] + y[1] if len(y) == 2 else y[0]


class Batch:
    """A micro-batch, as `collate` in src/data/batch.ts makes it, on a device, and the passes that its rows run in.

    `window`: the last so many latents are recorded for the backward pass, with the question and the text."""

    def __init__(self, part, window, device):
        B, T, L0 = part["B"], part["T"], part["latentStart"]
        grid = lambda key: torch.tensor(part[key]).view(T, B).t()
        self.ids, self.positions = grid("ids").to(device), grid("positions").to(device)
        latents = torch.tensor(part["latents"])
        n = int(latents.max())
        # [n, B, 1]: whether the row takes a thought there, or reads its own token.
        self.thinks = (torch.arange(n)[:, None] < latents)[:, :, None].to(device)
        column = torch.arange(T)
        first = torch.tensor(part["first"])[:, None, None]
        # A pad before the row has nothing to read but itself; no real column reads a pad.
        reads = (column <= column[:, None]) & (column >= first) | (column == column[:, None])
        self.mask = torch.zeros(B, 1, T, T).masked_fill(~reads[:, None], -math.inf).to(device)
        edges = [0, *range(L0, L0 + n), T] if n else [0, T]
        # The label of column t is predicted at column t - 1.
        targets = F.pad(grid("labels")[:, 1:], (0, 1), value=-100)
        self.passes = [
            Pass(targets[:, t0:t1], t0, t1, i == 0 or window == "full" or i > n - window, t1 < T, device)
            for i, (t0, t1) in enumerate(zip(edges, edges[1:]))
        ]


class Pass:
    """Columns [t0, t1). Those before `skip` are keys and values only: no label and no latent reads their hidden state."""

    def __init__(self, targets, t0, t1, recorded, feeds, device):
        self.t0, self.t1, self.recorded = t0, t1, recorded
        labelled = targets >= 0
        columns = labelled.any(0).nonzero()
        self.skip = min(int(columns[0]) if len(columns) else t1 - t0, t1 - t0 - (1 if feeds else 0))
        rows = labelled[:, self.skip :].flatten().nonzero()[:, 0]
        self.rows = rows.to(device) if len(rows) else None
        self.targets = targets[labelled].to(device)


class Gpt2(nn.Module):
    """`config`: the JSON of config.json."""

    def __init__(self, config):
        super().__init__()
        V, C = config["vocab_size"], config["n_embd"]
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(V, C),
                "wpe": nn.Embedding(config["n_positions"], C),
                "h": nn.ModuleList([Block(config) for _ in range(config["n_layer"])]),
                "ln_f": nn.LayerNorm(C, config["layer_norm_epsilon"]),
            }
        )
        if not config.get("tie_word_embeddings", True):
            self.lm_head = nn.Linear(C, V, bias=False)

    def forward(self, batch):
        """The sum of the labelled columns' cross-entropy.

        A thought is the hidden state of the column before, after the last norm; it takes the place of the token's
        embedding, and the position is added as to any other."""
        wte, wpe = self.transformer["wte"], self.transformer["wpe"]
        stores = [Store() for _ in self.transformer["h"]]
        total = thought = None
        for i, at in enumerate(batch.passes):
            columns = slice(at.t0, at.t1)
            with torch.set_grad_enabled(at.recorded):
                x = wte(batch.ids[:, columns])
                if thought is not None:
                    fed = torch.where(batch.thinks[i - 1], thought, x[:, 0])
                    x = torch.cat([fed[:, None], x[:, 1:]], 1)
                hidden = self.columns(x + wpe(batch.positions[:, columns]), stores, batch.mask, at)
                thought = hidden[:, -1]
                if at.rows is not None:
                    loss = self.cross_entropy(hidden.flatten(0, 1)[at.rows], at.targets)
                    total = loss if total is None else total + loss
        return total

    def columns(self, x, stores, mask, at):
        """Hidden states [B, t1 - t0 - skip, C] of a pass; the last block computes no more than these."""
        blocks = self.transformer["h"]
        mask = mask[:, :, at.t0 : at.t1, : at.t1]
        for i, (block, store) in enumerate(zip(blocks, stores)):
            x = block(x, store, mask, at.skip if i == len(blocks) - 1 else 0)
        return self.transformer["ln_f"](x)

    def cross_entropy(self, hidden, targets):
        head = self.lm_head if hasattr(self, "lm_head") else self.transformer["wte"]
        return F.cross_entropy((hidden @ head.weight.t()).float(), targets, reduction="sum")
