"""A JupyterLab of its own on loopback, and a page in it: what the browser tests do with a notebook, in a user's words."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Dialog, Locator, Page, Route, expect

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
# Milliseconds for what takes seconds on a quiet machine; a test that fails here is stuck, not slow.
PATIENCE = 1000 * int(os.environ.get("L2R_PATIENCE", "120"))
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
DISABLED = {"@jupyterlab/apputils-extension:announcements": True}  # asks whether it may fetch news


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    token: str
    folder: Path

    def ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            return json.loads(reply.read() or b"null")

    def write(self, name: str, cells: Sequence[str]) -> str:
        """A notebook of these cells in the server's folder; returns its name."""
        notebook = new_notebook(cells=[new_code_cell(source) for source in cells], metadata={"kernelspec": KERNEL})
        nbformat.write(notebook, self.folder / name)
        return name

    def end_kernels(self) -> None:
        for kernel in self.ask("api/kernels"):
            with contextlib.suppress(OSError):
                self.ask(f"api/kernels/{kernel['id']}", "DELETE")


@contextlib.contextmanager
def serve(folder: Path, scratch: Path) -> Iterator[Lab]:
    """Start `jupyter lab` on 127.0.0.1, on a port that it chooses and with a token of its own; end it with its kernels."""
    token = secrets.token_urlsafe(16)
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
              "IPYTHONDIR": "ipython"}  # fmt: skip
    env = {**os.environ, **{name: str(scratch / place) for name, place in places.items()}, "JUPYTER_TOKEN": token,
           "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}  # fmt: skip
    (scratch / "config" / "labconfig").mkdir(parents=True)
    (scratch / "config" / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": DISABLED}))
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True",
        # A net, should this process be killed before it ends the server: idle kernels end, and then the server.
        "--MappingKernelManager.cull_idle_timeout=600", "--ServerApp.shutdown_no_activity_timeout=900",
    ]  # fmt: skip
    log = scratch / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    lab = None
    try:
        lab = _when_ready(process, scratch / "runtime", token, folder, log)
        yield lab
    finally:
        if lab:
            with contextlib.suppress(OSError):
                lab.end_kernels()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _when_ready(process: subprocess.Popen, runtime: Path, token: str, folder: Path, log: Path) -> Lab:
    for _ in range(600):
        if process.poll() is not None:
            break
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):
                lab = Lab(json.loads(file.read_text())["url"], token, folder)
                lab.ask("api/status")
                return lab
        time.sleep(0.2)
    raise RuntimeError(f"jupyter lab did not start:\n{log.read_text()[-2000:]}")


def browser_program() -> str | None:
    """Chromium as Debian and others name it; the one that Playwright downloads is not asked for."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


# Seen once on a busy machine. JupyterLab's widgets remove nodes; nothing of ours runs in the page.
JUPYTERLABS_OWN = "Failed to execute 'removeChild' on 'Node'"


@dataclass
class Desk:
    """A browser page with a notebook open in JupyterLab.

    Attributes:
        errors: what the browser's console called an error, and exceptions that nobody caught.
        dialogs: what alert(), confirm() or prompt() said; nothing here may say anything.
        foreign: addresses elsewhere that the page asked for; each gets an empty picture, with or without a network.
    """

    lab: Lab
    page: Page
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)) if JUPYTERLABS_OWN not in str(error) else None)
        self.page.on("dialog", self._refuse)
        self.page.route(lambda url: not url.startswith(self.lab.url), self._elsewhere)

    def _elsewhere(self, route: Route) -> None:
        self.foreign.append(route.request.url)
        route.fulfill(content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>')

    def _refuse(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, name: str) -> None:
        """Open a notebook by its address, the file browser folded away, and wait for its kernel."""
        self.page.goto(f"{self.lab.url}lab/workspaces/{Path(name).stem}/tree/{name}?token={self.lab.token}&reset")
        self.wait_for_notebook()
        self.page.evaluate("jupyterapp.shell.collapseLeft()")

    def open_from_file_browser(self, name: str) -> None:
        """Go to JupyterLab's front page and double-click a notebook in the list of files, as a user does."""
        self.page.goto(f"{self.lab.url}lab/workspaces/files-{Path(name).stem}?token={self.lab.token}&reset")
        self.page.locator(".jp-DirListing-item", has_text=name).dblclick()
        self.wait_for_notebook()

    def wait_for_notebook(self) -> None:
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def run_all(self) -> None:
        """Run All Cells, by the menu."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def wait_until_all_cells_ran(self) -> None:
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code')"
            ".every(c => c.model.executionCount > 0 && c.model.executionState !== 'running')"
            " || document.querySelector('[data-mime-type=\"application/vnd.jupyter.error\"]')"
        )
        self.wait_for_notebook()

    def restart_kernel(self) -> None:
        """The toolbar's button, and yes, Restart; and wait for the new kernel."""
        self.page.evaluate(
            "() => { window.l2rStates = []; jupyterapp.shell.currentWidget.context.sessionContext"
            ".statusChanged.connect((_, state) => window.l2rStates.push(state)); }"
        )
        self.page.get_by_role("button", name="Restart the kernel", exact=True).click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_function(
            "() => window.l2rStates.some(s => s.includes('restarting')) && window.l2rStates.at(-1) === 'idle'"
        )

    def cell_errors(self) -> Locator:
        """Outputs of cells that raised an exception."""
        return self.page.locator('.jp-OutputArea [data-mime-type="application/vnd.jupyter.error"]')

    def expect_no_cell_failed(self) -> None:
        assert self.cell_errors().all_inner_texts() == []

    def change_theme(self, name: str) -> None:
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        self.page.locator(f'body[data-jp-theme-name="{name}"]').wait_for(state="attached")

    @property
    def shots(self) -> Path:
        """The folder of screenshots, which are made to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        return SCREENSHOTS

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png")
