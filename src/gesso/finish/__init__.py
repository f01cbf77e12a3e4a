"""A rough draft in, the collection's own hand out: small or blotchy pictures drawn again with a collection's patches.

`windows` says what parts of pictures are looked for, `index` finds them, `kept` keeps the index beside the data set;
`choose` picks the pictures that a draft is drawn with, `draw` draws it, `caps` sees to it that no picture is copied.
A `Collection` is all of that for one data set.
"""

from gesso.finish.caps import Caps, Copied
from gesso.finish.choose import Chosen
from gesso.finish.collection import Collection
from gesso.finish.draw import Drawing, Manner, Regions
from gesso.finish.kept import index_of, known_index

__all__ = ["Caps", "Chosen", "Collection", "Copied", "Drawing", "Manner", "Regions", "index_of", "known_index"]
