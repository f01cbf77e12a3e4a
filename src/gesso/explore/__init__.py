"""What a trained model can be told, and what there is to be seen of it: everything here knows families by contract.

`attributes`: what can be seen of a picture, in figures. `space`: the numbers by which a family is steered. `sliders`:
directions with names. `kept`: sliders beside their run, and drawing with them. `route`: ways through what is drawn.
`timing`: when a film shows what. `sound`: what is heard in a sound. `mix`: pictures of pictures. `regions`: one picture
of several. `drag`: points brought to a place. `inversion`: given pictures found; `fit`: the part that paints, fitted to
one; `inverted`: these beside their run. `live`: one picture after the other, as sliders move, by a `graph`. `seeing`,
`layers`: pictures, and the maps behind them, as others here look at them. `dissect`: what units answer to. `ablate`:
what of a latent, or of a text, mattered. `atlas`: the map of what is drawn and learned.
"""

from gesso.explore.attributes import ATTRIBUTES, LOOK, Attribute, Look, attributes
from gesso.explore.drag import Dragged, dragged
from gesso.explore.inversion import Found, invert
from gesso.explore.kept import Steering, Wish, again, called, chosen, keep, kept, wished
from gesso.explore.live import Explorer
from gesso.explore.mix import blended, bred, crossed, near
from gesso.explore.regions import joined, region
from gesso.explore.route import Route, frames_of
from gesso.explore.sliders import Slider, find
from gesso.explore.space import Points, Space

__all__ = [
    "ATTRIBUTES",
    "LOOK",
    "Attribute",
    "Dragged",
    "Explorer",
    "Found",
    "Look",
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
    "dragged",
    "find",
    "frames_of",
    "invert",
    "joined",
    "keep",
    "kept",
    "near",
    "region",
    "wished",
]
