"""New pictures from one picture or two, without training: one engine that searches and votes.

A *field* (`field`) says for every patch of a target where in a source it is most alike; *votes* (`votes`) make the
target anew of what was found; a *pyramid* (`pyramid`, `level`) settles what is coarse before what is fine
(`synthesis`). Style, texture, shape and repair are settings of that. All are pure functions of arrays in [0, 1] and a
seed: they yield better and better pictures, the last is the answer; closing the iterator cancels. Threads change no bit.
"""

from gesso.patch.bands import threads
from gesso.patch.heal import inpaint
from gesso.patch.retarget import retarget, variation
from gesso.patch.style import stylise
from gesso.patch.synthesis import Step
from gesso.patch.texture import height_map, normal_map, synthesise_texture, wang_tiles

__all__ = [
    "Step",
    "height_map",
    "inpaint",
    "normal_map",
    "retarget",
    "stylise",
    "synthesise_texture",
    "threads",
    "variation",
    "wang_tiles",
]
