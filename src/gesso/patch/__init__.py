"""New pictures from one picture or two, without training: one engine that searches and votes.

A *field* (`field`) says for every patch of a target where in a source it is most alike; *votes* (`votes`) make the
target anew of what was found; a *pyramid* (`pyramid`, `level`) settles what is coarse before what is fine
(`synthesis`). Style, texture, shape and repair are settings of that. All are pure functions of arrays in [0, 1] and
a seed: they yield better and better pictures, the last is the answer; closing the iterator cancels. The number of
threads changes no bit.
"""

from gesso.patch.bands import threads
from gesso.patch.frames import stylise_frames
from gesso.patch.heal import candidates, inpaint, outpaint, reshuffle
from gesso.patch.panorama import panorama
from gesso.patch.retarget import retarget, variation
from gesso.patch.style import stylise
from gesso.patch.synthesis import Step, final, needed
from gesso.patch.texture import height_map, normal_map, synthesise_texture, wang_tiles

__all__ = [
    "Step",
    "candidates",
    "final",
    "height_map",
    "inpaint",
    "needed",
    "normal_map",
    "outpaint",
    "panorama",
    "reshuffle",
    "retarget",
    "stylise",
    "stylise_frames",
    "synthesise_texture",
    "threads",
    "variation",
    "wang_tiles",
]
