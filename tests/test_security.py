"""Security: pickles are never read, data chooses no code and no path, keys appear nowhere, the lab requires a token."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_endpoint import Call, Server
from l2r_lite.app.cli import main
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import UserError, printable
from l2r_lite.runs.config_file import read_config
from l2r_lite.runs.run import run_rounds
from l2r_lite.students.loading import load_student
from l2r_lite.students.sources import POCKET

ROOT = Path(__file__).parent.parent
KEY = "sk-planted-5d41402abc4b2a76b9719d911017c592"


def small(student: Path | str, **knobs: Any) -> LoopConfig:
    return LoopConfig(
        student=str(student), limit=6, validation_limit=3, test_limit=3, rounds=1, samples=1, epochs=1, batch_size=8,
        max_new_tokens=8, reflection_weight=0.5,
    ).with_(**knobs)  # fmt: skip


# --- pickles, and code beside weights ---


class Payload:
    """Unpickled, it leaves a mark: proof that the file was opened as a pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


PICKLES = ["pytorch_model.bin", "adapter_model.bin", "model.pt", "model.pkl", "training_args.bin", "optimizer.pt",
           "tokenizer.pkl",
           "tokenizer.model.pickle", "generation_config.pkl", "special_tokens.pt", "scaler.pt", "tf_model.h5"]  # fmt: skip


def plant(folder: Path, mark: Path) -> None:
    for name in PICKLES:
        (folder / name).write_bytes(pickle.dumps(Payload(mark)))


def test_a_planted_pickle_would_leave_its_mark(tmp_path: Path) -> None:
    """The other tests prove something."""
    plant(tmp_path, tmp_path / "mark")
    pickle.loads((tmp_path / "adapter_model.bin").read_bytes())  # noqa: S301
    assert (tmp_path / "mark").exists()


@pytest.fixture
def student(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "student"))


def test_pickles_in_a_student_folder_and_in_a_run_folder_are_never_opened(student: Path, tmp_path: Path) -> None:
    mark, out = tmp_path / "mark", tmp_path / "run"
    plant(student, mark)
    run_rounds(small(student, rounds=0), out, progress=False)
    for place in (out, out / "problems", out / "round-0", out / "round-0" / "adapter", out / "student"):
        plant(place, mark)
    assert run_rounds(small(student), out, progress=False)["stopped"] == "rounds"
    assert main(["export", str(out), "--to", str(tmp_path / "exported")]) == 0
    assert not mark.exists()
    suffixes = {f.suffix for f in (tmp_path / "exported").rglob("*") if f.is_file()}
    assert suffixes <= {".json", ".jsonl", ".safetensors", ".md", ".jinja"}


def test_pickled_weights_alone_are_refused_with_the_remedy(student: Path, tmp_path: Path) -> None:
    (student / "model.safetensors").unlink()
    plant(student, tmp_path / "mark")
    with pytest.raises(UserError, match="can run code and are never read; save the model again"):
        load_student(str(student))
    assert not (tmp_path / "mark").exists()


def test_a_pickle_under_a_good_name_is_refused(student: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"):
        good = (student / name).read_bytes()
        (student / name).write_bytes(pickle.dumps(Payload(tmp_path / "mark")))
        with pytest.raises(UserError, match="cannot be loaded"):
            load_student(str(student))
        assert not (tmp_path / "mark").exists()
        (student / name).write_bytes(good)
    load_student(str(student))


def test_an_index_that_points_to_pickles_is_refused(student: Path, tmp_path: Path) -> None:
    """Sharded weights name their files in an index: data that must not choose a file of another kind, or elsewhere."""
    plant(student, tmp_path / "mark")
    (student / "model.safetensors").rename(student / "other.safetensors")
    for target in ("pytorch_model.bin", "../student/pytorch_model.bin", str(student / "model.pt")):
        index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": target, "model.norm.weight": target}}
        (student / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(UserError, match="index.json names weights that are not safetensors of this folder"):
            load_student(str(student))
    assert not (tmp_path / "mark").exists()


def test_an_adapter_that_is_a_pickle_is_refused(student: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_rounds(small(student, rounds=0), out, progress=False)
    (out / "round-0" / "adapter" / "adapter_model.safetensors").write_bytes(pickle.dumps(Payload(tmp_path / "mark")))
    (out / "seals.json").unlink()
    with pytest.warns(UserWarning, match="no checksums"), pytest.raises(UserError, match="model.safetensors: is damaged"):
        run_rounds(small(student), out, progress=False)
    assert not (tmp_path / "mark").exists()


def test_code_in_a_student_folder_is_never_run_whatever_its_files_ask_for(student: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (student / "evil.py").write_text(
        f"open({str(mark)!r}, 'w')\n"
        "from transformers import LlamaConfig as Config, LlamaForCausalLM as Model, PreTrainedTokenizerFast as Tokenizer\n"
    )
    for file, asks in (
        ("config.json", {"auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}, "model_type": "x"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}, "tokenizer_class": "Evil"}),
    ):
        data = json.loads((student / file).read_text())
        (student / file).write_text(json.dumps(data | asks | {"trust_remote_code": True}))
        try:
            load_student(str(student))
        except UserError as error:
            assert "cannot be loaded" in str(error)
        assert not mark.exists()
        (student / file).write_text(json.dumps(data))
    load_student(str(student))


def test_an_adapters_own_settings_are_not_obeyed(student: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_rounds(small(student, rounds=0), out, progress=False)
    evil = {"peft_type": "LORA", "base_model_name_or_path": "/etc", "auto_mapping": {"base_model_class": "evil"}}
    (out / "round-0" / "adapter" / "adapter_config.json").write_text(json.dumps(evil))
    assert run_rounds(small(student), out, progress=False)["stopped"] == "rounds"


# --- the code itself ---


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_no_module_unpickles_evaluates_or_starts_a_shell() -> None:
    files = [*(ROOT / "l2r_lite").rglob("*.py"), *(ROOT / "notebooks" / "course").rglob("*.py")]
    assert len(files) > 80
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
        imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        unsafe = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "yaml", "cloudpickle"}
        assert not {name.split(".")[0] for name in imported} & unsafe, file
        for name, call in calls(tree):
            given = {k.arg: ast.unparse(k.value) for k in call.keywords}
            assert name not in {"eval", "exec", "torch.load", "os.system", "os.popen", "__import__", "compile"}, file
            assert given.get("shell", "False") == "False" and given.get("trust_remote_code", "False") == "False", file
            if name.startswith("subprocess."):
                assert isinstance(call.args[0], ast.List | ast.Name), f"{file}: a command is a list of words"


# --- paths and text from data ---


def test_ids_and_names_from_data_do_not_leave_the_run_folder(student: Path, tmp_path: Path) -> None:
    evil = ["../../escaped", "/tmp/escaped-l2r", "..\\..\\escaped", "a/../../b", "\x1b[2Jid", "con", "%2e%2e%2f", "~/escaped"]
    rows = [
        {"question": f"What is {i} + 1?", "answer": i + 1, "id": f"{name}-{split}", "skill": name, "split": split}
        for i, (name, split) in enumerate(itertools.product(evil, ("train", "validation", "test")))
    ]
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = [{"question": r["question"], "rationale": f"It is so. The answer is {r['answer']}."} for r in rows]
    (work / "told.jsonl").write_text("\n".join(map(json.dumps, told)))
    before = {f for f in tmp_path.rglob("*")}
    mine = small(student, problems=str(work / "mine.jsonl"), teacher=f"recorded:{work / 'told.jsonl'}")
    run_rounds(mine, work / "run", progress=False)
    assert {f for f in tmp_path.rglob("*") if work / "run" not in f.parents} == before | {work / "run"}
    assert not Path("/tmp/escaped-l2r").exists()


@pytest.mark.parametrize("where", ["round-1", "round-0/test.jsonl", "student"])
def test_a_link_in_a_run_folder_is_refused_and_nothing_is_written_through_it(
    where: str, student: Path, tmp_path: Path
) -> None:
    out, aim = tmp_path / "run", tmp_path / "elsewhere"
    run_rounds(small(student, rounds=0), out, progress=False)
    aim.mkdir()
    if (out / where).is_dir():
        shutil.rmtree(out / where)
    (out / where).unlink(missing_ok=True)
    (out / where).symlink_to(aim)
    with pytest.raises(UserError, match="is a link, and a write through it could land anywhere"):
        run_rounds(small(student), out, progress=False)
    assert not list(aim.iterdir())


def test_a_file_that_is_no_cache_is_never_written_to(tmp_path: Path) -> None:
    """`teacher_cache` may come from the config.json of a stranger's run folder."""
    from l2r_lite.teachers.replies import ReplyCache

    file = tmp_path / "profile"
    file.write_text("export PATH=/usr/bin\n")
    with pytest.raises(UserError, match="profile: is not a cache of teacher replies"):
        ReplyCache(file)
    assert file.read_text() == "export PATH=/usr/bin\n"


@pytest.mark.slow
def test_what_strangers_wrote_reaches_the_terminal_as_text_only(student: Path, tmp_path: Path) -> None:
    """Through a process of its own: settings, warnings, errors, bars, tables."""
    escape = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    (tmp_path / "mine.jsonl").write_text("\n".join(
        json.dumps({"question": f"{escape} {i} + 1?", "answer": i + 1, "skill": escape, "id": f"{escape}{i}", "split": split})
        for i, split in enumerate(["train", "train", "validation", "test"])
    ))  # fmt: skip
    told = {"question": f"{escape} 0 + 1?", "rationale": f"{escape} The answer is 1."}
    (tmp_path / "told.jsonl").write_text(json.dumps(told))
    (tmp_path / "bad.jsonl").write_text(json.dumps({escape: 1}) + "\n" + json.dumps({"question": "q", "answer": escape}))
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "config.json").write_text(json.dumps({escape: 1}))
    knobs = [f"--{k.replace('_', '-')}={v}" for k, v in small(student).to_json().items() if v != getattr(LoopConfig(), k)]
    said = ""
    for arguments in (
        ["run", *knobs, "--problems", "mine.jsonl", "--teacher", "recorded:told.jsonl", "--out", "run"],
        ["run", "--problems", "bad.jsonl", "--teacher", "recorded:told.jsonl"], ["run", "--resume", "cfg"],
        ["run", "--problems", escape], ["run", "--student", f"./{escape}", "--out", "x"], ["summary", "run", "cfg"],
    ):  # fmt: skip
        command = [sys.executable, "-m", "l2r_lite.app.cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=300,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        said += (done.stdout + done.stderr).decode()
    assert "← kept" in said and "no field" in said and "no setting" in said
    own = re.sub(r"\x1b\[[AK]|\r", "", said)  # how tqdm moves its bar
    assert own == printable(own), [own[max(0, m.start() - 60):m.end() + 20] for m in re.finditer("[\x1b\x9b\u202e\x07]", own)]
    assert (tmp_path / "run" / "report.png").stat().st_size > 5000


# --- keys ---


@pytest.mark.slow
def test_a_key_is_in_no_output_and_no_saved_state_of_a_notebook(tmp_path: Path, student: Path) -> None:
    """An endpoint that repeats the key in its error, a cell that fails on it, and a panel: then the notebook as it is saved."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")

    async def refuse(call: Call) -> None:
        await call.error("401 Unauthorized", f"Incorrect API key provided: {KEY}.")

    with Server(refuse) as server:
        knobs = small(student).to_json() | {"teacher": "openai:m", "base_url": server.url, "teacher_cache": "replies.jsonl"}
        cells = [
            f"from l2r_lite.loop.config import LoopConfig\nconfig = LoopConfig(**{knobs!r})\nconfig",
            "from l2r_lite.runs.run import run_rounds\nrun_rounds(config, 'run')",
            "from l2r_lite.teachers.open import open_teacher\nteacher = open_teacher(config)\nprint(teacher, vars(config))",
            "teacher",
            "from l2r_lite.app.panels import loop_panel\npanel = loop_panel(config, folder='runs')\npanel",
            "panel.run()\npanel.wait()\nprint(panel.state)",
        ]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        client = nbclient.NotebookClient(
            notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}, kernel_name="python3"
        )
        client.execute(env={**os.environ, "OMP_NUM_THREADS": "1", "L2R_API_KEY": KEY, "OPENAI_API_KEY": KEY})
        assert server.keys[f"Bearer {KEY}"] > 0
    saved = nbformat.writes(notebook)
    assert "the key is refused" in saved
    assert KEY not in saved
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]


@pytest.mark.parametrize("knob", ["base_url", "student_url"])
@pytest.mark.parametrize("address", [
    "https://host/v1?api-key={}", "https://host/v1#{}", "{}:{}@host/v1", "https://me:{}@host/v1", "https://{}@host/v1",
    "https://host/v1;key={}", "ftp://{}/v1", "javascript:{}", "http://host:{}/v1",
])  # fmt: skip
def test_a_key_in_an_address_is_refused_and_is_in_no_output_and_no_file(
    address: str, knob: str, student: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    evil, out = address.replace("{}", KEY), tmp_path / "run"
    variable = {"base_url": "L2R_API_KEY", "student_url": "L2R_STUDENT_KEY"}[knob]
    given = small(student, teacher="openai:m", teacher_cache=str(tmp_path / "replies.jsonl"))
    flag = f"--{knob.replace('_', '-')}={evil}"
    with pytest.raises(UserError, match=f"^{knob} .*scheme, host, port and path only .*{variable}") as caught:
        given.with_(**{knob: evil})
    with pytest.raises(UserError):
        run_rounds(dataclasses.replace(given, **{knob: evil}), out, progress=False)
    out.mkdir()
    (out / "config.json").write_text("{}")
    for arguments in (["run", "--out", str(out)], ["run", "--dry-run"], ["plan"], ["run", "--resume", str(out)]):
        assert main([*arguments, "--teacher=openai:m", flag]) == 2
    said = str(caught.value) + "".join(capfd.readouterr())
    assert KEY not in said and said.count("Put a key into") == 5
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]


def test_a_strangers_config_with_a_key_in_an_address_is_refused_without_the_key(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"teacher": "openai:m", "base_url": f"https://host/v1?key={KEY}"}))
    with pytest.raises(UserError, match="base_url is not a plain address") as caught:
        read_config(tmp_path / "config.json")
    assert KEY not in str(caught.value)


# --- the lab ---


def test_make_lab_listens_on_this_machine_only_and_wants_a_token(tmp_path: Path) -> None:
    make = ["make", "-n", "lab", "ARGS=--no-browser"]
    shown = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    command = next(line for line in shown.splitlines() if "jupyter lab" in line).split()
    program = Path(sys.executable).parent / "jupyter"
    if not program.exists():
        pytest.skip("JupyterLab is not installed beside this Python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    with log.open("wb") as sink:
        server = subprocess.Popen([str(program), *command[1:], f"--port={port}", "--ServerApp.port_retries=0"], cwd=ROOT,
                                  stdout=sink, stderr=subprocess.STDOUT, env=environment)  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not (found := re.search(rf"http://127\.0\.0\.1:{port}/\S*token=([0-9a-f]{{32,}})", log.read_text())):
            assert server.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        address = f"http://127.0.0.1:{port}/api/contents"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address, timeout=20)  # noqa: S310
        with urllib.request.urlopen(f"{address}?token={found[1]}", timeout=20) as answer:  # noqa: S310
            assert answer.status == 200
        listening = {
            line.split()[1].split(":")[0]
            for table in ("/proc/net/tcp", "/proc/net/tcp6") if Path(table).exists()
            for line in Path(table).read_text().splitlines()[1:]
            if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port
        }  # fmt: skip
        assert listening <= {"0100007F"}
    finally:
        server.terminate()
        server.wait(30)


def test_the_package_brings_safetensors_and_json_only() -> None:
    assert {f.suffix for f in POCKET.iterdir()} <= {".json", ".safetensors", ".jinja", ".md", ".txt"}
