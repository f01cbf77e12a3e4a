"""OKLab, in which equal distances look equally far (Ottosson 2020): its two matrices.

Linear sRGB → the eye's cones (RGB_TO_LMS), of which the cube roots → lightness, green to red, blue to yellow
(LMS_TO_LAB).
"""

__all__ = ["LMS_TO_LAB", "RGB_TO_LMS"]

RGB_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LMS_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
