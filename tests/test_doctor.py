"""The doctor on this machine, with broken packages, and with all kinds of servers and proxies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from l2r_lite.app import connections, doctor
from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig

LINE = re.compile(r"(OK|NOTE|FIX) +(Python|packages|imports|device|4-bit|memory|disk|hub|key|endpoint|preset) +\S.*")


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A real server on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def says(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.fixture(autouse=True)
def no_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the real hub or uses a key of the machine's owner."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for name in ("OPENAI_API_KEY", "L2R_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def run_elsewhere(extra: Path, *arguments: str) -> tuple[int, str]:
    """The command in a process of its own that finds the packages in `extra` before the real ones."""
    path = f"{extra}{os.pathsep}{Path(__file__).parent.parent}"
    env = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "l2r_lite.app.cli", "doctor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def finding(about: str) -> doctor.Finding:
    """What the doctor says of one thing; what would be looked at after it is not."""
    return next(found for found in doctor.examine() if found.about == about)


# --- the machine


def test_this_machine_can_run_the_default_and_every_finding_is_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["doctor"]) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    about = {LINE.fullmatch(line)[2] for line in lines}  # type: ignore[index]
    assert about == {"Python", "packages", "imports", "device", "4-bit", "memory", "disk", "hub", "key", "preset"}
    assert not any(line.startswith("FIX") for line in lines) and "l2r-lite run" in verdict
    assert any(f"torch {torch.__version__.partition('+')[0]}" in line for line in lines)


@pytest.mark.slow
def test_a_package_that_cannot_be_imported_is_named_and_the_other_checks_go_on(tmp_path: Path) -> None:
    broken = tmp_path / "bitsandbytes"
    broken.mkdir()
    (broken / "__init__.py").write_text('raise OSError("libcudart.so.13: cannot open shared object file")')
    status, out = run_elsewhere(tmp_path)
    found = {LINE.fullmatch(line)[2]: line for line in out.splitlines()[:-1]}  # type: ignore[index]
    assert status == 1 and out.splitlines()[-1].startswith("The default cannot run")
    assert found["imports"].startswith("FIX") and "bitsandbytes cannot be imported (OSError: libcudart" in found["imports"]
    assert found["4-bit"].startswith("FIX") and {"device", "memory", "disk", "hub", "key", "preset"} <= set(found)


def test_without_torch_and_with_an_old_package_there_is_still_a_line_for_everything(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("1 / 0")
    old = tmp_path / "peft-0.3.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: peft\nVersion: 0.3.0\n")
    status, out = run_elsewhere(tmp_path)
    assert status == 1 and all(LINE.fullmatch(line) for line in out.splitlines()[:-1])
    assert 'peft is 0.3.0, required: >=' in out and 'pip install "peft>=' in out
    assert "torch cannot be imported (ZeroDivisionError" in out
    assert re.search(r"^FIX +device +could not be checked", out, re.M) and re.search(r"^OK +disk", out, re.M)


def test_four_bit_layers_are_really_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes.nn import Linear4bit

    cpu = torch.device("cpu")
    assert max(doctor.four_bit_errors(256, cpu, torch.float32)) < 1e-5
    whole = Linear4bit.forward
    # What a repacked layer does: right answers, and no gradient that is worth the name.
    monkeypatch.setattr(Linear4bit, "forward", lambda self, x: whole(self, x.detach()) + 0 * x)
    forward, gradient = doctor.four_bit_errors(256, cpu, torch.float32)
    assert forward < 1e-5 and gradient > 0.9
    found = finding("4-bit")
    assert found.state == "FIX" and "gradient by 100%" in found.says


def test_the_width_that_bitsandbytes_reads_wrongly_is_found() -> None:
    from importlib.metadata import version

    if not version("bitsandbytes").startswith("0.50."):
        pytest.skip("the fault was seen in bitsandbytes 0.50")
    assert max(doctor.four_bit_errors(160, torch.device("cpu"), torch.float32)) > 0.1


def test_too_little_memory_or_disk_is_to_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    free = doctor.free_memory()
    assert 0 < free < 1e13
    monkeypatch.setattr(doctor, "MEMORY_GB", 2 * free / 1e9)
    monkeypatch.setattr(doctor, "DISK_GB", 1e6)
    assert [finding("memory").state, finding("disk").state] == ["FIX", "FIX"]


def test_a_containers_limit_counts_and_not_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max").write_text("3000000000\n")
    (tmp_path / "now").write_text("1000000000\n")
    before = doctor.free_memory()
    monkeypatch.setattr(doctor, "CGROUPS", ((str(tmp_path / "max"), str(tmp_path / "now")),))
    assert doctor.free_memory() < min(before, 2_000_000_000 + 3_000_000_000)
    (tmp_path / "max").write_text("max\n")
    assert doctor.free_memory() > 3_000_000_000


# --- what lies outside


def test_the_hub_is_well_when_a_real_file_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(says(b'{"model_type": "llama"}')) as url:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        assert connections.hub() == (True, f"{url.removeprefix('http://')} answers")
    assert not connections.hub()[0] and "cannot be reached" in connections.hub()[1]
    with serving(says(b"<html>Please log in to the Wi-Fi</html>")) as url:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        well, what = connections.hub()
        assert not well and "unexpected page" in what and "--data-dir" in what


@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_nobody_is_waited_for_longer_than_the_time_allowed(how: str) -> None:
    release = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if how == "dripping":
            request.send_response(200)
            request.end_headers()
        while not release.wait(0.1):
            if how == "dripping":
                request.wfile.write(b" ")

    with serving(answer) as url:
        started = time.monotonic()
        with pytest.raises(OSError):
            connections.fetch(url, seconds=0.5)
        assert time.monotonic() - started < 2
        release.set()


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    with serving(lambda request: (asked.append(request.path), says(b"{}")(request))[1]) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        assert connections.fetch("http://hub.invalid/file") == (200, b"{}")
    assert asked == ["http://hub.invalid/file"]


def test_the_key_goes_to_its_address_and_is_never_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("L2R_API_KEY", "planted-key")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-only")
    seen: list[tuple[str, str | None]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append((request.path, request.headers["Authorization"]))
        says(b'{"data": [{"id": "small"}, {"id": "large"}]}')(request)

    with serving(answer) as url:
        main(["doctor", "--base-url", f"{url}/v1", "--teacher", "openai:small"])
        out = capsys.readouterr().out
        assert f"OK    endpoint  {url}/v1 answers" in out and "L2R_API_KEY is set" in out
        well, what = connections.endpoint(LoopConfig(base_url=f"{url}/v1", teacher="openai:huge")) or (True, "")
        assert not well and "no model huge (it has small, large)" in what
    assert seen == [("/v1/models", "Bearer planted-key")] * 2
    assert "planted" not in out and "sk-for" not in out


def test_a_redirect_does_not_carry_the_key_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2R_API_KEY", "planted-key")
    stolen: list[str | None] = []
    with serving(lambda request: (stolen.append(request.headers["Authorization"]), says(b"{}")(request))[1]) as thief:
        with serving(says(b"", 302, Location=f"{thief}/v1/models")) as url:
            well, what = connections.endpoint(LoopConfig(base_url=f"{url}/v1")) or (True, "")
    assert not well and "302" in what and stolen == []


@pytest.mark.parametrize(("answer", "told"), [
    (says(b"", 401), "rejects the key: set the right one in L2R_API_KEY"), (says(b"", 404), "404 to /models"),
    (says(b'{"data": [{"id": "\\u001b[31mred"}]}'), r"(it has \x1b[31mred)"),
])  # fmt: skip
def test_what_an_endpoint_says_becomes_what_to_do(answer: Callable, told: str) -> None:
    with serving(answer) as url:
        well, what = connections.endpoint(LoopConfig(base_url=f"{url}/v1", teacher="openai:small")) or (True, "")
    assert not well and told in str(doctor.Finding("endpoint", what))


def test_no_endpoint_is_asked_where_none_is_given() -> None:
    assert connections.endpoint(LoopConfig()) is None
