"""A GAN on CIFAR-10, class by class.

python examples/gan_cifar10.py --folder ~/data --minutes 10
python examples/gan_cifar10.py --folder ~/data --download
"""

import argparse
import sys
from pathlib import Path

import gesso

sys.path.insert(0, str(Path(__file__).parent))
import cifar10


def main(*words: str) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("data"), help="where cifar-10-python.tar.gz is")
    parser.add_argument("--download", action="store_true", help="fetch it if it is not there")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--home", type=Path, default=None, help="Gesso's home folder")
    options = parser.parse_args(words or None)

    # 1. The official file becomes a data set of 32×32 pictures with ten labels.
    source = cifar10.find(options.folder, options.download)
    gesso.run("import", home=options.home, source=str(source), name="cifar10", size="32", replace=True, on_event=print)

    # 2. A relativistic GAN against a spectrally normalised critic: the defaults. Family options go through `set`.
    trained = gesso.run(
        "train", home=options.home, dataset="cifar10", family="gan", minutes=options.minutes, set=["flip=true"]
    )

    # 3. Eight pictures of each class, every one from its own seed, on one sheet.
    model = gesso.load(trained.facts["run"], home=options.home)
    folder = trained.paths[0]
    for label in model.labels:
        drawn = model.sample(8, seed=0, label=label)
        drawn.save(folder / "drawn" / label)
    print(f"{model.title} drew into {folder / 'drawn'}")
    return folder / "drawn"


if __name__ == "__main__":
    main()
