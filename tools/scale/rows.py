"""The coming steps of a run, as tools/scale/rows.ts writes them: from a process of its own, or from a file.

Knows its lines; knows nothing of what is computed. Of many processes the first alone reads.
"""
import json
import os
import shutil
import subprocess

from files import Fault
from processes import WORLD

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = 1


class Rows:
    """The lines of rows.ts, from a file or from a process of its own."""

    def __init__(self, flags):
        self.flags, self.name = flags, flags.rows or "rows.ts"
        self.child = self.lines = None

    def open(self):
        flags = self.flags
        if flags.rows:
            for name in ("more", "micro_batch"):
                if getattr(flags, name) is not None:
                    raise Fault(f"--{name.replace('_', '-')} contradicts --rows: it is for rows.ts, which wrote them")
            try:
                return open(flags.rows, encoding="utf-8")
            except OSError as error:
                raise Fault(f"--rows {flags.rows}: {error.strerror}") from None
        own = os.path.join(HERE, "..", "..", "node_modules", ".bin", "node")
        node = own if os.path.exists(own) else shutil.which("node")
        if node is None:
            raise Fault("there is no Node here: run npm ci, or give --rows FILE as docs/scaling.md says")
        command = [node, os.path.join(HERE, "rows.ts"), f"--run={flags.run}", f"--ranks={WORLD}"]
        command += [f"--more={flags.more}"] if flags.more is not None else []
        command += [f"--micro-batch={flags.micro_batch}"] if flags.micro_batch is not None else []
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
        return self.child.stdout

    def next(self):
        line = self.lines.readline()
        if not line.endswith("\n"):
            if self.child and self.child.wait() != 0:
                raise Fault("")  # It has said why.
            raise Fault(f"{self.name}: ends before its last line")
        try:
            return json.loads(line)
        except ValueError:
            raise Fault(f"{self.name}: not the lines that tools/scale/rows.ts writes") from None

    def head(self):
        self.lines = self.open()
        head = self.next()
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise Fault(f"{self.name}: not the lines that tools/scale/rows.ts writes, of format {FORMAT}")
        if head["ranks"] != WORLD:
            raise Fault(f"{self.name}: was written for {head['ranks']} processes, here are {WORLD}")
        folder, run = head["checkpoints"], self.flags.run
        steps = [int(name) for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []
        if os.path.normpath(head["run"]) != os.path.normpath(run) or max(steps, default=None) != head["step"]:
            raise Fault(f"{self.name}: goes on from {head['checkpoint']}, not the newest of {run}: write it anew")
        return head

    def step(self):
        """A step for each process: what all know of it, and its micro-batches; at the end the last line for all."""
        line = self.next()
        return [(line, None if "end" in line else self.next()) for _ in range(WORLD)]

    def close(self):
        if self.lines:
            self.lines.close()
        if self.child:
            self.child.terminate()
