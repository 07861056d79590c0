#!/usr/bin/env python3
"""Goes on with a run of train.ts in PyTorch, in one process or under torchrun in many (docs/scaling.md):

    python3 tools/scale/train.py --run DIR [--more STEPS]
    torchrun --nproc_per_node 8 tools/scale/train.py --run DIR [--sharded]

Rows, stages and rates come from tools/scale/rows.ts; the first process alone reads it and the run's folder, and gives
the others their part. Checkpoints are train.ts's own: node train.ts --resume DIR takes them back.
Needs torch and numpy. Knows flags and the loop: load, step, log, save; the recurrence is model.py's.
"""
import argparse
import contextlib
import json
import math
import os
import resource
import sys
import time

try:
    import numpy  # noqa: F401 (files.py)
    import torch
    import torch.distributed as dist
except ImportError as error:
    sys.exit(f"error: this Python ({sys.executable}) lacks numpy or torch: {error}")

from adamw import AdamW
from files import Fault, Tensors, moment_names, read_json, write_checkpoint
from model import Batch, Gpt2
from processes import RANK, WORLD, Share, close_processes, find_fully_shard, open_device, parallel, whole
from rows import Rows


def read_flags():
    parser = argparse.ArgumentParser(
        description="Goes on with a run of train.ts in PyTorch; under torchrun, in many processes.",
        allow_abbrev=False,
    )
    parser.error = lambda message: sys.exit(f"error: {message}" if RANK == 0 else 1)
    parser.add_argument("--run", required=True, metavar="DIR", help="folder of the run, with a checkpoint")
    parser.add_argument("--more", metavar="N", help="steps from here on; by default to the end of the arm")
    parser.add_argument("--micro-batch", metavar="N|all", help="rows at once in each process; by default the run's")
    parser.add_argument("--rows", metavar="FILE", help="what rows.ts wrote, where there is no Node beside this")
    parser.add_argument("--sharded", action="store_true", help="shard moments and weights over the processes (FSDP)")
    parser.add_argument("--tf32", action="store_true", help="matrix products on a GPU's TF32 units")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    return parser.parse_args()


def load(model, share, head, device):
    """Puts the checkpoint's weights into the model; returns AdamW's moments as {parameter: (m, v)} on `device`."""
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}

    def opened():
        weights, moments = (Tensors(f"{head['checkpoint']}/{name}.safetensors") for name in ("model", "optimizer"))
        weights.check(shapes)
        moments.check(moment_names(shapes))
        return weights, moments

    weights, moments = share.same(opened)  # Names and offsets; the first process alone reads the values.

    def spread(file, name, shape):
        value = (file.read(name) if RANK == 0 else torch.empty(shape)).to(device)
        if WORLD > 1:
            dist.broadcast(value, 0)
        return value

    start = {}
    for name, parameter in model.named_parameters():
        parameter.data.copy_(spread(weights, name, shapes[name]))
        start[name] = tuple(spread(moments, f"{moment}.{name}", shapes[name]) for moment in "mv")
    return start


class Clock:
    """Seconds that the arm has trained, and tokens since the last record."""

    def __init__(self, before):
        self.begun = self.last = time.monotonic()
        self.before, self.tokens = before, 0

    def seconds(self):
        return self.before + time.monotonic() - self.begun

    def rate(self):
        now = time.monotonic()
        rate, self.last, self.tokens = self.tokens / max(now - self.last, 1e-9), now, 0
        return rate


def memory(device):
    """Bytes (live, peak): of tensors on a GPU, else of the process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak, peak


def train(flags, share, rows, device, fully_shard):
    head = share.same(rows.head)
    config = share.same(lambda: read_json(f"{head['checkpoint']}/config.json"))
    if RANK == 0:
        where = f"{device.type}, {WORLD} process{'es' if WORLD > 1 else ''}"
        print(f"{head['run']}: going on with {head['arm']} at step {head['step']} in PyTorch {torch.__version__} ({where})")
        if head["note"]:
            print(head["note"])
    model = Gpt2(config).to(device)
    start = load(model, share, head, device)
    if fully_shard:
        # The whole model at once: its weights are gathered once a step, however many passes a row has.
        fully_shard(model, reshard_after_forward=False)
    adamw = AdamW(model, head["adamw"], start, head["optimizerStep"])
    del start
    run, no_sync = parallel(model, fully_shard)
    clock = Clock(head["seconds"])

    metrics = head["metrics"]["path"]
    if RANK == 0:
        os.truncate(metrics, head["metrics"]["bytes"])

    def log(kind, position, **values):
        record = {"kind": kind, "arm": head["arm"], **position, "seconds": clock.seconds(), **values}
        with open(metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def save(step, texts):
        # All take part in gathering what is sharded.
        if RANK > 0 and not fully_shard:
            return
        weights = [(name, whole(parameter)) for name, parameter in adamw.parameters.items()]
        moments = adamw.moments()
        if RANK == 0:
            trainer = json.dumps({**json.loads(texts["trainer"]), "seconds": clock.seconds()}, indent=2) + "\n"
            folder = f"{head['checkpoints']}/{step}"
            write_checkpoint(folder, head["checkpoint"], texts["config"], trainer, weights, moments)
            print(f"{folder} written")

    while True:
        step, parts = share.split(rows.step)
        if "end" in step:
            if RANK == 0:
                print(step["end"])
            return
        # Gradients are averaged over the processes, and so is the loss.
        scale = WORLD / step["labels"]
        loss = torch.zeros((), device=device)
        for i, part in enumerate(parts):
            with contextlib.nullcontext() if i == len(parts) - 1 else no_sync():
                mean = run(Batch(part, head["window"], device)) * scale
                mean.backward()
                loss += mean.detach()
        norm = adamw.step(step["lr"])
        clock.tokens += step["tokens"]
        position = {key: step[key] for key in ("step", "stage", "samples")}
        if step["logs"]:
            if WORLD > 1:
                dist.all_reduce(loss)
            value = float(loss) / WORLD
            if not math.isfinite(value):
                raise Fault(f"the loss is {value} at step {step['step']}: lower --lr, or go on with other data")
            if RANK == 0:
                rate, (live, peak) = clock.rate(), memory(device)
                log(
                    "step",
                    position,
                    loss=value,
                    gradNorm=norm if math.isfinite(norm) else None,  # JSON has no infinity.
                    lr=step["lr"],
                    tokensPerSecond=rate,
                    ceilingShare=None,
                    liveBytes=live,
                    peakBytes=peak,
                )
                print(f"{head['arm']} stage {step['stage']} · step {step['step']} · loss {value:.4g} · {rate:.0f} tok/s")
        if step["next"] is not None:
            if step["reset"]:
                adamw.reset()
            if RANK == 0:
                log("stage", {**position, "stage": step["next"]})
        if step["save"]:
            save(step["step"], step["save"])


def main():
    sys.stdout.reconfigure(line_buffering=True)
    flags = read_flags()
    rows = Rows(flags)
    try:
        fully_shard = find_fully_shard() if flags.sharded else None
        device = open_device(flags.device)
        torch.backends.cuda.matmul.allow_tf32 = flags.tf32
        train(flags, Share(), rows, device, fully_shard)
        close_processes()
    except Fault as fault:
        if RANK == 0 and str(fault):
            print(f"error: {fault}", file=sys.stderr)
        sys.exit(1)
    except torch.cuda.OutOfMemoryError:
        sys.exit(f"error: process {RANK} is out of GPU memory: give --micro-batch fewer rows")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        rows.close()


if __name__ == "__main__":
    main()
