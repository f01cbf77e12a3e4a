"""Quality over time as a picture: curves of the looks of one run, or of several beside each other."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gesso.files import write_bytes

__all__ = ["curves", "draw_curves"]

# A figure of the looks, what the axis says, and which way is better.
PANELS = (
    ("fd", "Fréchet distance", "lower is better"),
    ("coverage", "coverage", "higher is better"),
    ("kinds", "kinds of pictures, as a share of the real ones'", "1 is as it should be"),
    ("copied", "share very near to a learned picture", "0 where nothing is copied"),
)
CJK = ("Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei")
INK, FAINT, GRID = "#222222", "#787878", "#e6e6e6"
COLOURS = ("#2a6f97", "#d1495b", "#edae49", "#4f772d", "#7b4b94", "#66717e")  # told apart by the colour-blind, too


def curves(log: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Panel → (pictures shown, figure) of a run's log; a panel without figures is left out."""
    out: dict[str, list[tuple[float, float]]] = {}
    for line in log:
        if "contrast" not in line:
            continue
        seen = float(line["seen"])
        for name, _, _ in PANELS:
            found = [key for key in line if key.split("_")[0] == name and not key.endswith("_real")]
            value = line[found[0]] if found else None
            if value is None:
                continue
            if name == "kinds":
                value = value / max(line.get("kinds_real") or 1.0, 1e-9)
            out.setdefault(name, []).append((seen, float(value)))
    return out


def draw_curves(
    runs: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], path: Path, title: str = ""
) -> list[Path]:
    """Write PNG and SVG of the curves of runs, one colour each; returns both paths, or none where there are no figures.

    runs: name → what `curves` gives. path: without its suffix. The lowest distance of each run is marked.
    """
    panels = [panel for panel in PANELS if any(panel[0] in found for found in runs.values())]
    if not panels:
        return []
    from matplotlib import font_manager, rc_context

    known = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in CJK if name in known)]  # a run may be named in any script
    with rc_context({"font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        return _drawn(runs, panels, path, title)


def _drawn(
    runs: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    panels: Sequence[tuple[str, str, str]],
    path: Path,
    title: str,
) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.7 * -(-len(panels) // 2) + 0.5), dpi=110, layout="constrained")
    axes = figure.subplots(-(-len(panels) // 2), 2, squeeze=False).flatten()
    for axis, (name, what, better) in zip(axes, panels, strict=False):
        for number, (run, found) in enumerate(runs.items()):
            points = found.get(name, ())
            if not points:
                continue
            colour = COLOURS[number % len(COLOURS)]
            x, y = zip(*points, strict=True)
            axis.plot([seen / 1000 for seen in x], y, "-o", color=colour, markersize=3, linewidth=1.6, label=run)
            if name == "fd":
                best = min(range(len(y)), key=lambda i: y[i])
                axis.plot([x[best] / 1000], [y[best]], "o", color=colour, markersize=7, markerfacecolor="white")
                axis.annotate(f"{y[best]:.3g}", (x[best] / 1000, y[best]), xytext=(0, 7), textcoords="offset points",
                              ha="center", fontsize=8, color=INK)  # fmt: skip
        axis.set_title(f"{what} ({better})", fontsize=10, color=INK, loc="left")
        axis.set_xlabel("thousand pictures shown", fontsize=8, color=FAINT)
        axis.tick_params(labelsize=8, colors=FAINT)
        axis.margins(y=0.15)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=0)
        axis.grid(True, color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(GRID)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    if len(runs) > 1:
        axes[0].legend(fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left")
    paths = []
    for canvas, suffix in ((FigureCanvasAgg(figure), ".png"), (FigureCanvasSVG(figure), ".svg")):
        out = io.BytesIO()
        canvas.print_figure(out, format=suffix[1:], metadata={"Date": None} if suffix == ".svg" else None)
        target = path.parent / f"{path.name}{suffix}"
        write_bytes(target, out.getvalue())
        paths.append(target)
    return paths
