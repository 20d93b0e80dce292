"""Shared by all panels: their look, safe text, and their form on a page without a kernel."""

from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any

import ipywidgets as w
from markupsafe import Markup
from matplotlib.figure import Figure

from l2r_lite.app import figures
from l2r_lite.runs.show import PLAIN, Table, html

# JupyterLab's variables follow its theme; the second values are for pages without a theme.
LOOK = """<style>
.l2r-panel {color: var(--jp-ui-font-color1, #212121); overflow-wrap: anywhere;
  --jp-widgets-margin: 0px; row-gap: 4px}
.l2r-panel :is(button, input, select, textarea, summary):focus-visible {
  outline: 3px solid var(--jp-brand-color1, #0072b2) !important; outline-offset: -1px}
.l2r-panel .l2r-help, .l2r-panel .l2r-fault {font-size: 12px; line-height: 1.35; margin: 0 0 4px}
.l2r-panel .l2r-help {color: var(--jp-ui-font-color2, #555)}
.l2r-panel .l2r-fault {color: var(--jp-error-color1, #b3261e); font-weight: 600}
.l2r-panel .widget-html-content {line-height: 1.45}
.l2r-panel .l2r-say {line-height: 1.5; margin: 2px 0}
.l2r-panel progress {width: 100%; max-width: 42em; height: 14px;
  accent-color: var(--jp-brand-color1, #0072b2)}
.l2r-panel table {border-collapse: collapse; color: inherit}
.l2r-panel :is(th, td) {border: 1px solid var(--jp-border-color2, #bdbdbd); padding: 3px 8px;
  color: inherit}
.l2r-panel th[scope=row] {overflow-wrap: normal !important}
.l2r-panel mark {background: none; color: inherit; font-weight: 700;
  text-decoration: underline wavy 2px; text-decoration-color: var(--jp-error-color1, #b3261e)}
.l2r-panel .l2r-old {opacity: 0.35; filter: grayscale(1)}
</style>"""


def say(line: object, kind: str = "say") -> Markup:
    """A line of a panel: text, or HTML from `html`."""
    return html('<div class="l2r-{} {}">{}</div>', kind, PLAIN, line)


def stack(*children: w.Widget) -> w.VBox:
    """A panel's widgets, one below the other."""
    box = w.VBox([w.HTML(LOOK), *children])
    box.add_class("l2r-panel")
    return box


def side_by_side(*children: w.Widget) -> w.HBox:
    """Widgets side by side, wrapped at the width of the page."""
    layout = w.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="4px 16px")
    return w.HBox(children, layout=layout)


def alive(widget: w.Widget) -> dict[str, Any]:
    """A widget's MIME bundle; ipywidgets 7, as in Colab, does not make one."""
    if hasattr(widget, "_repr_mimebundle_"):
        return widget._repr_mimebundle_()
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"text/plain": repr(widget), "application/vnd.jupyter.widget-view+json": view}


Bundle = tuple[dict[str, Any], dict[str, Any]]  # what IPython displays, and metadata about it


def shown(widget: w.Widget, figure: Figure, table: Table) -> Bundle:
    """A widget; for a page without a kernel, its figure with alternative text, and a table."""
    data = {
        **alive(widget),
        "image/png": b64encode(figures.as_png(figure)).decode(),
        # Pages that show HTML ignore the image, so the HTML contains the figure too.
        "text/html": figures.as_html(figure) + table._repr_html_(),
        "text/plain": repr(table),
    }
    return data, {"image/png": {"alt": figures.alt_text(figure)}}


class Panel(ABC):
    """Widgets with a kernel; without one, a figure and a table of the same data."""

    panel: w.Widget

    @abstractmethod
    def figure(self) -> Figure:
        """The panel's current figure."""

    @abstractmethod
    def table(self) -> Table:
        """The figure's data as a table."""

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        return shown(self.panel, self.figure(), self.table())
