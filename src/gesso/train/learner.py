"""One step of learning: turns, backward passes, optimizers and running averages, for any family."""

import copy
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gesso.contract.family import Batch, Clock, Family, Turn
from gesso.errors import GessoError
from gesso.train.engine import Engine


def seeded(device: torch.device, *numbers: int) -> torch.Generator:
    """A generator whose stream depends on all the numbers; the state of a run needs no other randomness."""
    (word,) = np.random.SeedSequence(numbers).generate_state(1, dtype=np.uint64)
    return torch.Generator(device).manual_seed(int(word >> np.uint64(1)))


class Learner:
    """A family, its optimizers and its running averages.

    fabric: device and processes. engine: precision and memory format. accumulate: parts into which a batch is
    cut, so that only one of them is in memory at a time.
    """

    def __init__(self, family: Family, fabric: Fabric, engine: Engine, accumulate: int = 1):
        self.fabric, self.engine, self.accumulate = fabric, engine, accumulate
        layout = torch.channels_last if engine.channels_last else torch.preserve_format
        self.family: Family = family.to(fabric.device, memory_format=layout)  # pyright: ignore[reportCallIssue]
        averaged = [part for part in family.ema if part in family.parts]
        self.average: dict[str, nn.Module] = {part: copy.deepcopy(family.parts[part]) for part in averaged}
        self.optimizers: dict[str, torch.optim.Adam] = {}
        for part, network in family.parts.items():
            if any(True for _ in network.parameters()):
                how = family.adam(part)
                self.optimizers[part] = torch.optim.AdamW(
                    network.parameters(), how.lr, how.betas, how.eps, how.weight_decay, fused=True
                )
        self.scaler = torch.GradScaler(fabric.device.type, enabled=engine.precision == "float16")
        self.watched: set[str] = set()

    def watch(self) -> None:
        """Ask for figures of every part's next step: `PART/gradient`, `PART/update`, and `rate`.

        gradient: norm, before any clipping. update: how far the weights move, as a share of their own norm. rate: the
        learning rate's share of its highest. Learning is the same, bit for bit.
        """
        self.watched = set(self.optimizers)

    def step(self, batch: Batch, clock: Clock, seed: int) -> dict[str, float]:
        """All turns of one step, then the running averages. Returns the losses of the turns that were due.

        Raises GessoError, before any weight is touched by it, when a loss or a gradient is no longer finite.
        """
        logs: dict[str, Tensor] = {}
        waiting = len(self.watched)
        turns = self.family.turns(clock)
        for number, turn in enumerate(turns):
            if clock.step % turn.every == 0:
                self._set_rate(turn, clock)
                told: dict[str, list[Tensor]] = {}
                small = turn.small if self.fabric.device.type == "cpu" else 0
                for again, some in enumerate(cut(batch, len(batch.image) // small if small else 1)):
                    for name, value in self._turn(turn, number + len(turns) * again, some, clock, seed).items():
                        told.setdefault(name, []).append(value)
                for name, values in told.items():
                    logs[name] = logs.get(name, torch.zeros_like(values[0])) + torch.stack(values).mean()
        if len(self.watched) < waiting:
            logs["rate"] = torch.tensor(self._scale(turns[0], clock))
        self._follow(clock, len(batch.image) * self.fabric.world_size)
        return {name: float(value) for name, value in logs.items()}

    def _turn(self, turn: Turn, number: int, batch: Batch, clock: Clock, seed: int) -> dict[str, Tensor]:
        for part, network in self.family.parts.items():
            network.requires_grad_(part in turn.parts)
        learning = [p for part in turn.parts for p in self.family.parts[part].parameters()]
        logs: dict[str, Tensor] = {}
        pieces = cut(batch, self.accumulate)
        for piece, share in enumerate(pieces):
            rng = seeded(self.fabric.device, seed, 3, clock.step, number, piece, self.fabric.global_rank)
            weight = len(share.image) / len(batch.image)
            with self.engine.autocast(self.fabric.device):
                losses = self.family.losses(turn, share, clock, rng)
                total = torch.stack([loss for loss in losses.values() if loss.requires_grad]).sum() * weight
            self.scaler.scale(total).backward(inputs=learning)
            for name, value in losses.items():
                logs[name] = logs.get(name, torch.zeros_like(value.detach())) + value.detach() * weight
        gradients = self._gather(turn)
        self._check(turn, clock, logs, gradients)
        for part in turn.parts:
            if part in self.watched:
                logs |= self._watch(part)
            else:
                self._apply(part)
        return logs

    def _gather(self, turn: Turn) -> list[Tensor]:
        """The gradients of a turn, and all buffers, become the same on every process (their mean)."""
        modules = [self.family.parts[part] for part in turn.parts]
        gradients = [p.grad for m in modules for p in m.parameters() if p.grad is not None]
        if self.fabric.world_size > 1:
            buffers = [b for b in self.family.buffers() if b.is_floating_point()]
            together = [*gradients, *buffers]
            flat = self.fabric.all_reduce(torch.cat([t.reshape(-1) for t in together]), reduce_op="mean")
            assert isinstance(flat, Tensor)
            for tensor, part in zip(together, flat.split([t.numel() for t in together]), strict=True):
                tensor.copy_(part.view_as(tensor))
        return gradients

    def _check(self, turn: Turn, clock: Clock, logs: dict[str, Tensor], gradients: Sequence[Tensor]) -> None:
        norms = torch.stack([gradient.norm() for gradient in gradients]) if gradients else torch.zeros(1)
        finite = all(bool(torch.isfinite(v)) for v in logs.values())
        if finite and (self.scaler.is_enabled() or bool(torch.isfinite(norms).all())):
            return
        culprits = [name for name, value in logs.items() if not torch.isfinite(value)] or ["a gradient"]
        raise GessoError(
            f"Training diverged at step {clock.step}: {', '.join(culprits)} of the {turn.name} turn is no longer a "
            "finite number.",
            "The last saved state is finite and kept; train anew with a lower rate (--set lr=...), or for a GAN "
            "with --preset r3gan.",
        )

    def _watch(self, part: str) -> dict[str, Tensor]:
        """Apply, and tell how it went."""
        self.watched.discard(part)
        weights = [p for p in self.family.parts[part].parameters() if p.grad is not None]
        if not weights:
            self._apply(part)
            return {}
        before = [p.detach().clone() for p in weights]
        gradient = _norm([p.grad for p in weights if p.grad is not None]) / self.scaler.get_scale()
        self._apply(part)
        moved = _norm([p.detach() - old for p, old in zip(weights, before, strict=True)])
        return {f"{part}/gradient": gradient, f"{part}/update": moved / _norm(before).clamp(min=1e-12)}

    def _apply(self, part: str) -> None:
        optimizer = self.optimizers[part]
        clip = self.family.adam(part).clip
        if clip is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.family.parts[part].parameters(), clip)
        self.scaler.step(optimizer)
        if self.scaler.is_enabled():
            self.scaler.update()
        optimizer.zero_grad(set_to_none=True)

    def _set_rate(self, turn: Turn, clock: Clock) -> None:
        scale = self._scale(turn, clock)
        for part in filter(self.optimizers.__contains__, turn.parts):
            self.optimizers[part].param_groups[0]["lr"] = float(self.family.adam(part).lr * scale)

    def _scale(self, turn: Turn, clock: Clock) -> float:
        """The rate's share of its highest: it rises over the first share of the turn's stretch of the run, and falls,
        as a half cosine, over the last.
        """
        config = self.family.config
        done = min(max((clock.fraction - turn.begin) / (turn.end - turn.begin), 0.0), 1.0)
        scale = min(done / config.warmup, 1.0) if config.warmup else 1.0
        if config.decay and done > 1 - config.decay:
            scale *= 0.5 + 0.5 * np.cos(np.pi * (done - 1 + config.decay) / config.decay)
        return float(max(scale, 1e-4))

    @torch.no_grad()
    def _follow(self, clock: Clock, shown: int) -> None:
        """Move the running averages: half-life min(average_most, average · pictures seen); buffers are copied."""
        config = self.family.config
        half_life = min(config.average_most, config.average * (clock.seen + shown))
        weight = 1.0 - 0.5 ** (shown / half_life) if half_life else 1.0
        for part, average in self.average.items():
            network = self.family.parts[part]
            for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, weight)
            for slow, fast in zip(average.buffers(), network.buffers(), strict=True):
                slow.copy_(fast)

    def model(self) -> dict[str, Tensor]:
        """What draws: every tensor of the family, the averaged ones in the place of the newest."""
        tensors = dict(self.family.state_dict())
        for part, average in self.average.items():
            tensors |= {f"parts.{part}.{name}": tensor for name, tensor in average.state_dict().items()}
        return tensors

    def state(self) -> dict[str, Tensor]:
        """All that a step depends on, by name: `parts.*`, `average.*`, `adam.*`, `scaler.*`."""
        tensors = dict(self.family.state_dict())
        for part, average in self.average.items():
            tensors |= {f"average.{part}.{name}": tensor for name, tensor in average.state_dict().items()}
        for part, optimizer in self.optimizers.items():
            for name, parameter in self.family.parts[part].named_parameters():
                for key, value in optimizer.state.get(parameter, {}).items():
                    tensors[f"adam.{part}.{name}.{key}"] = value
        if self.scaler.is_enabled():
            tensors["scaler.scale"] = torch.tensor(self.scaler.get_scale())
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.family.load_state_dict({k: v for k, v in tensors.items() if k.startswith("parts.")})
        for part, average in self.average.items():
            prefix = f"average.{part}."
            average.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        for part, optimizer in self.optimizers.items():
            optimizer.state.clear()  # a part that has not begun to learn has none
            for name, parameter in self.family.parts[part].named_parameters():
                kept = {
                    key: tensors[f"adam.{part}.{name}.{key}"]
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"adam.{part}.{name}.{key}" in tensors
                }
                if kept:
                    optimizer.state[parameter] = {
                        key: value.to(parameter.device, torch.float32).clone(memory_format=torch.preserve_format)
                        if key == "step"
                        else torch.empty_like(parameter).copy_(value)
                        for key, value in kept.items()
                    }
        if "scaler.scale" in tensors:
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": float(tensors["scaler.scale"])})

    def drawer(self) -> Family:
        """A copy of the family that draws with the averages, in evaluation mode."""
        family = copy.deepcopy(self.family)
        for part, average in self.average.items():
            family.parts[part].load_state_dict(average.state_dict())
        return family.eval().requires_grad_(False)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([tensor.float().norm() for tensor in tensors]).norm()


def cut(batch: Batch, pieces: int) -> list[Batch]:
    """A batch in equal pieces, as far as its number allows."""
    n = len(batch.image)
    pieces = max(min(pieces, n), 1)
    if pieces == 1:
        return [batch]
    edges = [n * i // pieces for i in range(pieces + 1)]
    fields = {name: value for name, value in vars(batch).items() if value is not None}
    return [Batch(**{name: value[a:b] for name, value in fields.items()}) for a, b in pairwise(edges)]
