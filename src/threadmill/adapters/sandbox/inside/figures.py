# pyright: basic, reportMissingImports=false, reportIncompatibleMethodOverride=false
"""Our matplotlib back end (`module://inside.figures`): figures shown, or left open at a cell's end, become pictures.

matplotlib is a package of the sandbox's own environment; the server's checker does not see it.
"""

import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

IMAGES = {".png", ".jpg", ".jpeg", ".gif", ".webp"}


def nowhere(picture: bytes) -> None:
    """Before a session has a screen."""
    del picture


class Display:
    """Where pictures go, and which figures the code has saved as images itself."""

    send: Callable[[bytes], None] = staticmethod(nowhere)


class FigureCanvas(FigureCanvasAgg):
    """Agg, remembering what was saved: a saved figure is an image file already and is not shown again."""

    saved = False

    def print_figure(self, filename: object, *args: object, **kwargs: object) -> object:
        """Save, and remember."""
        done = super().print_figure(filename, *args, **kwargs)
        if isinstance(filename, (str, Path)):
            name = Path(filename)
            format_ = str(kwargs.get("format") or "") or name.suffix.lstrip(".") or "png"
            self.saved = f".{format_.lower()}" in IMAGES and name.resolve().is_relative_to("/mnt/data")
        return done


class FigureManager(FigureManagerBase):
    """`figure.show()` shows that figure."""

    def show(self) -> None:
        """Send it."""
        send(self.canvas.figure)

    @classmethod
    def pyplot_show(cls, *, block: bool | None = None) -> None:
        """`plt.show()`."""
        del block
        show_rest()


FigureCanvas.manager_class = FigureManager


class FontManager(font_manager.FontManager):
    """Behind whatever font the code asks for stand ours: with Chinese, Japanese, Korean, emoji and other scripts.

    A list in the settings would not do: code sets fonts of its own, of machines that have them.
    """

    # One of matplotlib's own: all its ways to draw ask here for the fonts to try, in order.
    def _find_fonts_by_props(self, *args: object, **kwargs: object) -> list[str]:
        found = list(super()._find_fonts_by_props(*args, **kwargs))
        return found + [font for font in FALLBACK if font not in found]


FALLBACK = [str(path) for path in sorted((Path(mpl.get_data_path()) / "fonts" / "ttf").glob("Noto*"))]


def use(send_picture: Callable[[bytes], None]) -> None:
    """Make this the back end, with a screen."""
    Display.send = staticmethod(send_picture)
    font_manager.fontManager.__class__ = FontManager
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # that a font is missing, for every word
    mpl.use("module://inside.figures")


def show_rest() -> None:
    """Send every open figure that has something in it and was not saved as an image, and close all."""
    try:
        for manager in Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            if not getattr(manager.canvas, "saved", False) and figure.get_children()[1:]:
                send(figure)
    finally:
        plt.close("all")


def send(figure: Figure) -> None:
    """One figure as PNG. Its own settings hold; only the margin is trimmed, as notebooks do."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # they would name our files, and the code did not ask for this drawing
        warnings.simplefilter("ignore")
        FigureCanvasAgg.print_figure(figure.canvas, buffer, format="png", bbox_inches="tight")
    Display.send(buffer.getvalue())
