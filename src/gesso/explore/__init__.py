"""What a trained model can be told, and what there is to be seen of it: everything here knows families by contract.

`attributes`: what can be seen of a picture, in figures. `space`: the numbers by which a family is steered. `sliders`:
directions with names. `kept`: sliders beside their run, and drawing with them.
"""

from gesso.explore.attributes import ATTRIBUTES, Attribute, attributes
from gesso.explore.kept import Steering, again, called, chosen, keep, kept
from gesso.explore.sliders import Slider, find
from gesso.explore.space import Points, Space

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "Points",
    "Slider",
    "Space",
    "Steering",
    "again",
    "attributes",
    "called",
    "chosen",
    "find",
    "keep",
    "kept",
]
