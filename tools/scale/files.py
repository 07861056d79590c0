"""Checkpoints of train.ts, read and written: a model folder in Hugging Face's form, AdamW's moments and trainer.json.

Knows names and bytes; knows no device and no processes.
"""
import json
import os
import shutil
import struct

import numpy
import torch


class Fault(Exception):
    """What the user can mend: one line that names what is wrong."""


class Tensors:
    """A safetensors file of float32, read a tensor at a time. https://huggingface.co/docs/safetensors"""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length)) if length < os.path.getsize(path) else None
        except FileNotFoundError:
            raise Fault(f"{path}: no such file") from None
        except (struct.error, ValueError):
            header = None
        if not isinstance(header, dict):
            raise Fault(f"{path}: not a safetensors file, or truncated")
        header.pop("__metadata__", None)
        self.start, self.entries = 8 + length, header

    def check(self, shapes):
        """Throws Fault unless the file holds exactly these names and shapes, as float32."""
        for name in [*shapes, *self.entries]:
            entry = self.entries.get(name)
            if entry is None:
                raise Fault(f"{self.path}: lacks {name}")
            if name not in shapes:
                raise Fault(f"{self.path}: has {name}, which the trainer in PyTorch does not know")
            begin, end = entry["data_offsets"]
            if entry["dtype"] != "F32" or tuple(entry["shape"]) != shapes[name]:
                is_, want = f"{entry['dtype']} {entry['shape']}", f"F32 {list(shapes[name])}"
                raise Fault(f"{self.path}: {name} is {is_}, expected {want}")
            if self.start + end > os.path.getsize(self.path) or end - begin != 4 * numpy.prod(shapes[name]):
                raise Fault(f"{self.path}: truncated at {name}")

    def read(self, name):
        begin, end = self.entries[name]["data_offsets"]
        with open(self.path, "rb") as file:
            file.seek(self.start + begin)
            values = numpy.fromfile(file, "<f4", (end - begin) // 4)
        return torch.from_numpy(values).view(self.entries[name]["shape"])


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        raise Fault(f"{path}: no such file") from None
    except ValueError as error:
        raise Fault(f"{path}: not JSON ({error})") from None


def moment_names(shapes):
    """The names in optimizer.safetensors: all means, then all means of squares."""
    return {f"{moment}.{name}": shape for moment in "mv" for name, shape in shapes.items()}


def write_tensors(path, tensors, metadata=None):
    """`tensors`: pairs of name and float32 tensor, written in their order."""
    header, offset = ({"__metadata__": metadata} if metadata else {}), 0
    for name, tensor in tensors:
        size = 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in tensors:
            file.write(memoryview(numpy.ascontiguousarray(tensor.numpy(), "<f4")).cast("B"))
        sync(file)


def write_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        sync(file)


def sync(file):
    """Without this a power cut after the rename may leave the new name with no bytes behind it."""
    file.flush()
    os.fsync(file.fileno())


def write_checkpoint(folder, like, config, trainer, weights, moments):
    """Writes `folder` whole or not at all, with the tokenizer of the checkpoint `like`.

    config, trainer: texts; weights, moments: pairs of name and tensor."""
    partial, replaced = folder + ".partial", folder + ".replaced"  # the names that train.ts gives them
    try:
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        write_text(f"{partial}/config.json", config)
        shutil.copy(f"{like}/tokenizer.json", partial)
        # transformers refuses a file without this note on its origin.
        write_tensors(f"{partial}/model.safetensors", weights, {"format": "pt"})
        write_tensors(f"{partial}/optimizer.safetensors", moments)
        write_text(f"{partial}/trainer.json", trainer)
        shutil.rmtree(replaced, ignore_errors=True)
        if os.path.exists(folder):
            os.rename(folder, replaced)
        os.rename(partial, folder)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise Fault(f"{folder}: cannot be written ({error.strerror})") from None
