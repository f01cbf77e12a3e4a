"""A VAE on CIFAR-10: it draws, and it also looks. Real pictures are encoded, drawn again, and blended.

python examples/vae_cifar10.py --folder ~/data --minutes 5
"""

import argparse
import sys
from pathlib import Path

import torch

import gesso
from gesso.contract.family import Condition
from gesso.data import open_pack
from gesso.marks.picture import to_uint8, write_sheet
from gesso.train.batches import to_float

sys.path.insert(0, str(Path(__file__).parent))
import cifar10


def main(*words: str) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("data"), help="where cifar-10-python.tar.gz is")
    parser.add_argument("--download", action="store_true", help="fetch it if it is not there")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--home", type=Path, default=Path("~/gesso").expanduser(), help="Gesso's home folder")
    options = parser.parse_args(words or None)

    source = cifar10.find(options.folder, options.download)
    gesso.run("import", home=options.home, source=str(source), name="cifar10", size="32", replace=True)
    trained = gesso.run(
        "train", home=options.home, dataset="cifar10", family="vae", minutes=options.minutes, set=["labels=false"]
    )
    model, pack = gesso.load(trained.facts["run"], home=options.home).family, open_pack("cifar10", options.home)

    real = to_float(pack.images[:8], model.facts)  # 8 c 32 32, in [-1, 1]
    with torch.inference_mode():
        z = model.encode(real, Condition())  # 8 d: where the pictures lie
        *_, again = model.sample(z, Condition(), model.Knobs())
        steps = torch.linspace(0, 1, 8)[:, None]
        *_, between = model.sample(torch.lerp(z[:1], z[1:2], steps), Condition(), model.Knobs())

    sheet = trained.paths[0] / "looked.png"
    rows = [list(to_uint8(pictures)) for pictures in (real, again, between)]
    write_sheet(
        sheet, rows, captions=["Real", "Encoded and drawn again", "From the first to the second"],
        source="compositeWithTrainedAlgorithmicMedia",
    )  # fmt: skip
    print(f"See {sheet}")
    return sheet


if __name__ == "__main__":
    main()
