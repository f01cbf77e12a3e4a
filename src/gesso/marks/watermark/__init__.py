"""An invisible watermark: 64 bits in a picture's lightness that outlast JPEG, scaling, turning and crops.

Spread spectrum in a periodic tile (Cox et al. 1997; Kalker et al. 1999) with a pilot that finds shift, scale and turn,
laid in with regard to the picture (Malvar & Florêncio 2003), protected by a convolutional code. Nothing is learned,
and the key is open: the mark tells what a machine made, it does not guard a secret, and who wants to can remove it.
"""

from gesso.marks.watermark.detection import Found, detect
from gesso.marks.watermark.embedding import embed

__all__ = ["Found", "detect", "embed"]
