"""One file a family, readable from top to bottom: networks, turns, presets, the paper it follows."""
