"""Where a run was computed: the facts on which bit-exact resuming depends."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any


def fingerprint(device: str = "cpu") -> dict[str, Any]:
    """Versions, CPU capability, threads, device and platform, as plain JSON values.

    device: as torch writes it, 'cpu', 'cuda' or 'cuda:1'. Two equal fingerprints promise equal bits on
    the CPU; `compare_fingerprints` says what differs.
    """
    import torch

    kind = torch.device(device).type
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "gesso": _version("gesso"),
        "platform": f"{platform.system()} {platform.machine()}",
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if kind == "cuda" else f"{kind} ({_processor()})",
    }


def compare_fingerprints(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, one phrase each ('threads: 2, were 1'); empty when nothing does."""
    phrases = []
    for name in dict.fromkeys([*now, *then]):
        if now.get(name) != then.get(name):
            verb = "were" if name == "threads" else "was"
            phrases.append(f"{name}: {now.get(name, 'unknown')}, {verb} {then.get(name, 'unknown')}")
    return phrases


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    """The processor's name as its maker writes it; kernels are chosen by it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
