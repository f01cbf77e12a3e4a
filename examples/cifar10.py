"""CIFAR-10's own files, looked for in a folder; downloaded only when you say so, and checked by their hash."""

import hashlib
import tarfile
import urllib.request
from pathlib import Path

from rich.progress import Progress

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
SIZE = 170_498_071  # bytes


def find(folder: Path, download: bool = False) -> Path:
    """The archive, or the folder that was unpacked from it, in `folder`."""
    archive = folder / "cifar-10-python.tar.gz"
    for found in (folder / "cifar-10-batches-py", archive):
        if found.exists():
            return found
    if not download:
        raise SystemExit(f"CIFAR-10 is not in {folder}. Put {archive.name} there, or say --download (163 MiB).")
    folder.mkdir(parents=True, exist_ok=True)
    part, digest = archive.with_suffix(".part"), hashlib.sha256()
    with urllib.request.urlopen(ADDRESS) as stream, part.open("wb") as file, Progress() as bar:
        task = bar.add_task("CIFAR-10", total=SIZE)
        while block := stream.read(1 << 20):
            file.write(block)
            digest.update(block)
            bar.update(task, advance=len(block))
    if digest.hexdigest() != SHA256 or not tarfile.is_tarfile(part):
        part.unlink()
        raise SystemExit("The download is damaged or not CIFAR-10; nothing was kept. Try again.")
    part.rename(archive)
    return archive
