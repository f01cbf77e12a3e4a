"""What a trained model can be told, and what there is to be seen of it: everything here knows families by contract.

`attributes`: what can be seen of a picture, in figures. `space`: the numbers by which a family is steered. `sliders`:
directions with names. `kept`: sliders beside their run, and drawing with them. `route`: ways through what is drawn.
`mix`: pictures of pictures.
"""

from gesso.explore.attributes import ATTRIBUTES, Attribute, attributes
from gesso.explore.inversion import Found, invert
from gesso.explore.kept import Steering, Wish, again, called, chosen, keep, kept, wished
from gesso.explore.mix import blended, bred, crossed, near
from gesso.explore.route import Route, frames_of
from gesso.explore.sliders import Slider, find
from gesso.explore.space import Points, Space

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "Found",
    "Points",
    "Route",
    "Slider",
    "Space",
    "Steering",
    "Wish",
    "again",
    "attributes",
    "blended",
    "bred",
    "called",
    "chosen",
    "crossed",
    "find",
    "frames_of",
    "invert",
    "keep",
    "kept",
    "near",
    "wished",
]
