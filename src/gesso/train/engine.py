"""How a step is computed: device, precision, memory format and threads."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric

from gesso.errors import GessoError
from gesso.options import Field, Options

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Engine(Options):
    """Choices of how to compute, fixed when a run begins and kept in its record."""

    device: Literal["cpu", "cuda", "mps"] = Field(default="cpu", description="Where the networks learn.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Numbers in convolutions."
    )
    channels_last: bool = Field(default=True, description="Keep the channels of a pixel together in memory.")
    threads: int = Field(default=1, ge=1, le=1024, description="Threads of the CPU, a process.")

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which losses are computed."""
        return torch.autocast(device.type, DTYPES[self.precision], enabled=self.precision != "float32")

    def apply(self) -> None:
        """Set the threads; on the CPU also ask for kernels that give the same bits every time."""
        torch.set_num_threads(self.threads)
        if self.device == "cpu":
            torch.use_deterministic_algorithms(True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
        if self.device == "cuda":
            torch.backends.cudnn.benchmark = True
            torch.set_float32_matmul_precision("high")

    def describe(self) -> str:
        """A phrase for the person who waits."""
        layout = "channels last" if self.channels_last else "channels first"
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.device == "cpu" else ""
        return f"{self.precision}, {layout} on {self.device}{threads}"


def pick_device(wish: str) -> Literal["cpu", "cuda", "mps"]:
    """The device asked for, or with 'auto' the fastest there is; raises GessoError when it is not there."""
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish == "auto":
        return "cuda" if here["cuda"] else "mps" if here["mps"] else "cpu"
    if not here.get(wish):
        raise GessoError(f"This machine has no device '{wish}' that torch can use.", "Use --device cpu, or auto.")
    return "cuda" if wish == "cuda" else "mps" if wish == "mps" else "cpu"


def launch(device: str) -> Fabric:
    """Device and processes: one process, or under `torchrun` as many as it started."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if world > 1:
        fabric = Fabric(accelerator=device, devices=local, num_nodes=world // local, strategy="ddp")
    else:
        fabric = Fabric(accelerator=device, devices=1)
    fabric.launch()
    return fabric


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """Let every process wait for the others before it ends, and close their connections.

    Fabric leaves gloo's connections open; a process that ended while another still held one could be aborted.
    After an error nobody is waited for.
    """
    try:
        yield
        fabric.barrier()
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def candidates(device: str, threads: int | None = None) -> list[Engine]:
    """The ways to compute that are worth timing on a device, the likeliest first."""
    most = threads or torch.get_num_threads()
    if device == "mps":
        return [Engine(device="mps", channels_last=True), Engine(device="mps", channels_last=False)]
    if device == "cuda":
        half = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        return [Engine(device="cuda", precision=p) for p in (half, "float32")]
    several = [Engine(threads=most), Engine(threads=most, channels_last=False)]
    if not threads and most > 1:
        several.append(Engine(threads=max(most // 2, 1)))
    if _fast_bfloat16():
        several.insert(0, Engine(threads=most, precision="bfloat16"))
    return several


def _fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; where it must be imitated, it is never faster."""
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(has()) if has is not None else False
