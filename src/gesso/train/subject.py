"""What a run learns from: the pictures of a data set, and of what goes with them as much as the family wants."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gesso.contract.family import Facts, Family, Learning
from gesso.data.pack import Pack, Some
from gesso.errors import GessoError
from gesso.text import Vocabulary
from gesso.train.plan import View, classes

__all__ = ["Subject"]

CAPTIONS = 256  # captions at most that a model keeps, to draw from where none is asked for


@dataclass(frozen=True)
class Subject:
    """Pictures to learn from. rows, held: numbers of those in the pack, and of those held out; remarks: sentences."""

    pack: Pack
    other: Pack | None
    view: View
    rows: np.ndarray
    held: np.ndarray
    labels: tuple[str, ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(
        cls, family: type[Family], config: Learning, pack: Pack, other: Pack | None = None, hold_out: float = 0.0
    ) -> "Subject":
        """What a family can learn from a data set, and where it wants others' pictures, too, from these.

        Raises GessoError where something is missing that the family needs, with what to do.
        """
        needs = family.needed(config)
        _check(family, needs, pack, other)
        labels, ids, remark = classes(pack.labels, pack.label_ids)
        if not (family.takes | needs) & {"label"} or not getattr(config, "labels", True):
            labels = ()
        rows, held = pack.split(hold_out)
        wants = "text" in needs or ("text" in family.takes and getattr(config, "captions", False))
        captions = [pack.captions[i] for i in rows] if wants and any(pack.captions) else []
        sources, paired = None, True
        if needs & {"pair", "source"} and pack.sources is not None and other is None:
            sources = Some(pack.sources, rows)
        elif other is not None:
            sources, paired = other.images, False
        view = View(Some(pack.images, rows), ids[rows], captions, sources, paired)
        return cls(pack, other, view, rows, held, labels, (remark,) if remark else ())

    def facts(self) -> Facts:
        """What the family must know of them; learns the vocabulary of their captions."""
        pack, captions = self.pack, sorted({text for text in self.view.captions if text})
        values: dict[str, Any] = {"channels": pack.channels, "height": pack.height, "width": pack.width}
        if captions:
            some = np.random.default_rng(0).permutation(len(captions))[:CAPTIONS]
            kept = tuple(captions[i] for i in sorted(some))
            values |= {"vocabulary": Vocabulary.learn(self.view.captions).dump(), "captions": kept}
        if self.view.sources is not None:
            values["source"] = self.view.sources.shape[3]
        return Facts.of({**values, "labels": self.labels, "count": len(self.rows)})


def _check(family: type[Family], needs: frozenset[str], pack: Pack, other: Pack | None) -> None:
    """That the data has what the family needs."""
    name = family.name
    if "text" in needs and not any(pack.captions):
        raise GessoError(
            f"The family {name} learns from captions, and the data set '{pack.name}' has none.",
            "Import pictures with a metadata.csv that has the columns file_name and text.",
        )
    if "label" in needs and not pack.labels:
        raise GessoError(
            f"The family {name} learns classes, and the data set '{pack.name}' has none.",
            "Import a folder whose sub-folders are the classes.",
        )
    if "pair" in needs and other is not None:
        raise GessoError(
            f"The family {name} learns from pairs, not from another data set.",
            "Leave --source out; for two sets without pairs use --family cut.",
        )
    if "pair" in needs and pack.sources is None:
        raise GessoError(
            f"The family {name} learns from pairs, and the pictures of '{pack.name}' have none.",
            "Import pairs with --pairs folders, or make them, such as --pairs edges.",
        )
    if "source" in needs and other is None and pack.sources is None:
        raise GessoError(
            f"The family {name} wants pictures of another data set, too.", "Name it with --source DATASET."
        )
    if other is not None and not needs & {"pair", "source"}:
        raise GessoError(f"The family {name} makes no use of another data set.", "Leave --source out.")
