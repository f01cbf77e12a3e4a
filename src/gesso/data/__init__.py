"""Pictures in, one packed data set out: folders, archives and the field's own files, and the built-in blossoms."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gesso.data.pack import Pack, check_name, list_packs, open_pack, pack_names

__all__ = ["Pack", "check_name", "list_packs", "open_pack", "pack_names"]


def __getattr__(name: str) -> Any:
    """Fetch a public name when it is first used: the command line reads this package's options without NumPy."""
    if name in __all__:
        from gesso.data import pack

        return getattr(pack, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
