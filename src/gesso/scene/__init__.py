"""Scenes: layers of pictures, colour and text, laid on each other and made in several formats at once.

`read_scene` reads one, `render` makes it, `Files` finds its pictures and fonts; `cut_out` takes objects off plain
backgrounds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gesso.scene.choices import CutOptions
    from gesso.scene.cutout import cut_out
    from gesso.scene.layers import Scene
    from gesso.scene.loading import Files
    from gesso.scene.reading import read_scene, scene_of
    from gesso.scene.rendering import plans, render

__all__ = ["CutOptions", "Files", "Scene", "cut_out", "plans", "read_scene", "render", "scene_of"]

_PLACES = {
    "CutOptions": "choices", "Files": "loading", "Scene": "layers", "cut_out": "cutout", "plans": "rendering",
    "read_scene": "reading", "render": "rendering", "scene_of": "reading",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Fetch a public name when it is first used: the command line is read without NumPy."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"gesso.scene.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
