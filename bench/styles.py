"""Style transfer beside GPDM: time, and how alike the patches are to the style's by its own measure.

    python -m bench.styles --peer FOLDER [--side 256]

peer: GPDM's own code (github.com/ariel415el/GPDM), and tqdm unpacked beside it. It runs with its own settings for style
transfer, those of its README at a quarter of the size: from the content, scales from a quarter of the side to all of it
by .85, 300 steps each, 64 projections, no noise. torchvision, which has no CPU build, is asked for resizing only:
torch's own takes its place. The measure is its sliced Wasserstein loss of 7 × 7 patches with 256 projections, the lower
the more alike.
"""

import argparse
import json
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bench.data import OUT
from bench.works import painting, photograph
from gesso.marks.picture import write_sheet
from gesso.patch import final, stylise

PAIRS = (("astronaut", "gogh-the-starry-night"), ("chelsea", "munch"), ("coffee", "monet"), ("rocket", "hokusai"))


def gpdm(folder: Path) -> tuple[types.ModuleType, types.ModuleType]:
    """Its two modules; what they would take from torchvision is put in their place."""

    class Resize:
        def __init__(self, size: int | tuple[int, int], antialias: bool = True):
            self.size = size

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            size = self.size
            if isinstance(size, int):
                high, wide = x.shape[-2:]
                size = (size, round(wide * size / high)) if high <= wide else (round(high * size / wide), size)
            return F.interpolate(x, size=size, mode="bilinear", antialias=True)

    for name in ("torchvision", "torchvision.utils", "torchvision.transforms", "utils"):
        sys.modules[name] = types.ModuleType(name)
    vars(sys.modules["torchvision.utils"])["save_image"] = None
    vars(sys.modules["torchvision.transforms"])["Resize"] = Resize
    vars(sys.modules["utils"]).update(plot_loss=None, load_image=lambda path: torch.load(path))
    sys.path.insert(0, str(folder))
    import GPDM
    import patch_swd

    return GPDM, patch_swd


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()) * 2 - 1


def scales(side: int) -> list[int]:
    """As GPDM's utils make them."""
    out = [side]
    while out[-1] > side // 4:
        out.append(int(out[-1] * 0.85))
    return out[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    args = parser.parse_args()
    torch.set_num_threads(2)
    peer, swd = gpdm(args.peer)
    final(stylise(photograph(96), [painting(96)]))
    rows, sheet = [], []
    for content_name, style_name in PAIRS[: args.pairs]:
        content, style = photograph(args.side, content_name), painting(args.side, style_name)
        begun = time.perf_counter()
        ours = final(stylise(content, [style]))
        mine = time.perf_counter() - begun
        path = OUT / "content.pt"
        torch.save(tensor(content), path)
        torch.manual_seed(0)
        begun = time.perf_counter()
        made, _ = peer.generate(
            tensor(style), swd.PatchSWDLoss(7, 1, 64), init_from=str(path), pyramid_scales=scales(args.side),
            device="cpu",
        )  # fmt: skip
        theirs = time.perf_counter() - begun
        other = ((made[0].permute(1, 2, 0).numpy() + 1) / 2).clip(0, 1)
        row = {"content": content_name, "style": style_name, "seconds": mine, "gpdm_seconds": theirs}
        for name, picture in (("swd", ours), ("gpdm_swd", other), ("content_swd", content)):
            torch.manual_seed(1)
            with torch.no_grad():
                row[name] = float(swd.PatchSWDLoss(7, 1, 256)(tensor(picture), tensor(style)))
        rows.append(row)
        print(json.dumps(row), flush=True)
        sheet.append([(picture * 255 + 0.5).astype(np.uint8) for picture in (content, style, ours, other)])
    (OUT / "styles.json").write_text(json.dumps(rows, indent=1))
    under = [["", "", "Gesso", "GPDM"]] * len(sheet)
    write_sheet(OUT / "styles.png", sheet, title="Style", under=under, source="composite")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
