"""AdamW with the moments of a checkpoint. Knows parameters, sharded or not; knows no files and no schedule."""
import math

import torch

from processes import like, whole


class AdamW:
    """torch.optim.AdamW with train.ts's rules: matrices and embeddings decay, moments are forgotten at a reset, and a
    gradient that is not finite changes nothing but the count of steps."""

    def __init__(self, model, settings, start, steps):
        self.parameters = dict(model.named_parameters())
        self.clip = settings["clip"] or math.inf
        decays = [p for p in self.parameters.values() if p.dim() > 1]
        others = [p for p in self.parameters.values() if p.dim() <= 1]
        groups = [{"params": decays, "weight_decay": settings["weightDecay"]}, {"params": others, "weight_decay": 0.0}]
        betas = (settings["beta1"], settings["beta2"])
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=settings["eps"])
        for name, parameter in self.parameters.items():
            self.set(parameter, *(like(parameter, moment) for moment in start[name]), steps)

    def set(self, parameter, m, v, steps):
        self.optimizer.state[parameter] = {"step": torch.tensor(float(steps)), "exp_avg": m, "exp_avg_sq": v}

    def reset(self):
        for parameter in self.parameters.values():
            self.set(parameter, torch.zeros_like(parameter), torch.zeros_like(parameter), 0)

    def step(self, lr):
        """Returns the norm of all gradients before clipping."""
        norm = float(whole(torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.clip)))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if math.isfinite(norm):
            self.optimizer.step()
        else:
            for state in self.optimizer.state.values():
                state["step"] += 1
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def moments(self):
        """As optimizer.safetensors has them."""
        keys = {"m": "exp_avg", "v": "exp_avg_sq"}
        state = self.optimizer.state
        return [(f"{m}.{name}", whole(state[p][key])) for m, key in keys.items() for name, p in self.parameters.items()]
