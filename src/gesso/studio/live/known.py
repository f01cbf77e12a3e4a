"""What there is to be chosen, for forms: families, and what a run's model can be told."""

from typing import Any

from gesso import tasks
from gesso.studio.live.warm import Warm, sliders_of
from gesso.tasks.catalogue import needs, summary

__all__ = ["about", "families", "ready"]


def families() -> list[dict[str, Any]]:
    """Every family: what it is, what of the data it needs and takes, its choices as JSON schemas.

    needs, takes: of label, text, pair, source; said: needs in words.
    """
    return [
        {
            "name": name, "summary": summary(one),
            "needs": sorted(one.needed(one.Config.of(one.presets[""]))), "said": needs(one), "takes": sorted(one.takes),
            "presets": one.presets, "sizes": {str(side): values for side, values in one.sizes.items()},
            "config": one.Config.model_json_schema(), "knobs": one.Knobs.model_json_schema(), "paper": one.paper,
        }
        for name, one in tasks.families().items()
    ]  # fmt: skip


def about(warm: Warm) -> dict[str, Any]:
    """What a run's model can be told. source: whether it is given pictures; layers: of the codes that sliders move."""
    asks = warm.family.asks
    return {
        "knobs": warm.family.Knobs.model_json_schema(), "sliders": sliders_of(warm.sliders), "layers": warm.layers(),
        "source": "source" in asks, "labels": [*warm.model.labels], "text": "text" in asks,
        "step": warm.model.step, "notes": warm.model.notes,
    }  # fmt: skip


def ready(warm: Warm) -> dict[str, Any]:
    """What a page must know before it draws; raises GessoError for a model that is given pictures."""
    warm.begin()
    facts = warm.family.facts
    return {
        "ready": True, "width": facts.width, "height": facts.height, "channels": facts.channels,
        "sliders": sliders_of(warm.sliders), "knobs": warm.family.Knobs().model_dump(mode="json"),
        "labels": [*warm.model.labels], "text": "text" in warm.family.asks, "exported": warm.exported,
        "notes": warm.model.notes,
    }  # fmt: skip
