"""Pictures in, one packed data set out: folders, archives and the field's own files, and the built-in blossoms."""

from gesso.data.pack import Pack, check_name, list_packs, open_pack, pack_names

__all__ = ["Pack", "check_name", "list_packs", "open_pack", "pack_names"]
