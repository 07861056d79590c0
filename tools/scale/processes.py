"""Many processes as one: who this is, what the first gives the others, and how gradients are exchanged.

Knows torch.distributed; knows no model, no rows and no files. In a single process nothing of it is used.
"""
import contextlib
import os

import torch
import torch.distributed as dist

from files import Fault

# As torchrun sets them.
RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def open_device(choice):
    """This process's device; under torchrun it joins the others."""
    cuda = torch.cuda.is_available() if choice == "auto" else choice == "cuda"
    if cuda and not torch.cuda.is_available():
        raise Fault("--device cuda: this build of PyTorch finds no GPU")
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if WORLD > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    return torch.device("cuda" if cuda else "cpu")


def close_processes():
    """Once all are done: a process that exits with gloo's threads still running can be aborted by them."""
    if WORLD > 1:
        dist.destroy_process_group()


class Share:
    """What the first process has, for all. Objects travel over gloo, which needs no GPU."""

    def __init__(self):
        self.group = dist.new_group(backend="gloo") if WORLD > 1 else None

    def same(self, make):
        """`make()` of the first process, in all; also its fault."""
        return self.split(lambda: [make()] * WORLD)

    def split(self, make):
        """Item r of the list `make()` of the first process, in process r."""
        items = [None] * WORLD
        if RANK == 0:
            try:
                items = make()
            except Fault as fault:
                items = [fault] * WORLD
        mine = [None]
        if WORLD > 1:
            dist.scatter_object_list(mine, items if RANK == 0 else None, src=0, group=self.group)
        else:
            mine = items
        if isinstance(mine[0], Fault):
            raise mine[0]
        return mine[0]


def find_fully_shard():
    """PyTorch's FullyShardedDataParallel, in the form that builds from 2.6 on have."""
    try:
        from torch.distributed.fsdp import fully_shard
    except Exception as error:  # Debian's 1.13.1 fails under Python 3.11 with a ValueError of a dataclass.
        raise Fault(
            f"--sharded: this build of PyTorch ({torch.__version__}) cannot import fully_shard, which is there from 2.6 on "
            f"({error}); leave --sharded out, and DistributedDataParallel is used"
        ) from None
    if WORLD == 1:
        raise Fault("--sharded needs several processes: start it with torchrun")
    return fully_shard


def parallel(model, sharded):
    """What is called in place of the model, and a context in which a backward does not exchange gradients."""
    if WORLD == 1:
        return model, contextlib.nullcontext
    if not sharded:
        model = torch.nn.parallel.DistributedDataParallel(model)
        return model, model.no_sync

    @contextlib.contextmanager
    def no_sync():
        for switch in (model.set_requires_gradient_sync, model.set_reshard_after_backward):
            switch(False)
        yield
        for switch in (model.set_requires_gradient_sync, model.set_reshard_after_backward):
            switch(True)

    return model, no_sync


def whole(tensor):
    """All of a tensor that may be sharded, on the CPU."""
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().float().cpu()


def like(parameter, value):
    """`value`, sharded as the parameter is."""
    if not hasattr(parameter, "full_tensor"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, parameter.device_mesh, parameter.placements)
