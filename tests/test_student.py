"""The student: its answers, its trained weights, its saved files, and the trap of an exam before training."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cosine_similarity

from l2r_course.scores import score_tokens
from l2r_lite.data.pocket.rationales import write_rationale
from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import StudentError
from l2r_lite.loop.exam import take_exam
from l2r_lite.loop.prompts import completion, cut_after_answer, student_prompt
from l2r_lite.loop.records import Problem, TrainingItem
from l2r_lite.loop.student import Student
from l2r_lite.loop.training import train_step
from l2r_lite.loop.writing import PlainWriter, choose, probabilities
from l2r_lite.students import folding, loading
from l2r_lite.students.adapters import load_adapter, save_adapter
from l2r_lite.students.folding import folded
from l2r_lite.students.four_bit import four_bit_layers
from l2r_lite.students.loading import load_student
from l2r_lite.students.packing import packed_loss
from l2r_lite.students.sources import cached_smol, locate
from tiny_student import build_tiny, wake_up

EXAMPLE = "Question: Ann has 2 pens. Ann gets 3 more. How many pens does Ann have?\nAnswer: 2 + 3 = 5. The answer is 5.\n\n"
PROMPTS = [
    "Question: Tom has 3 pens. Tom gets 4 more. How many pens does Tom have now?\nAnswer:",
    "Question: Mia has 12 cups.\nAnswer:",
    "Question: Leo fills 4 jars with 8 beads each. Then 5 beads break. How many beads are there in the end? "
    "Choices: (A) 27 (B) 32 (C) 37\nAnswer:",
    "2 + 2 =",
]


@pytest.fixture(scope="module")
def awake(load_tiny: Callable) -> Student:
    """A tiny student whose adapter does something; tests of this module only read it."""
    return load_tiny(wake=True)


@pytest.fixture
def pocket(pocket_student: Student) -> Student:
    return pocket_student


# --- loading ---


def test_a_fresh_student_answers_as_its_base_model(load_tiny: Callable) -> None:
    student = load_tiny()
    ids = torch.tensor([student.encode(p)[0][:8] for p in PROMPTS[:3]])
    with torch.no_grad():
        with_adapter = student.model(input_ids=ids).logits
        with student.model.disable_adapter():
            without = student.model(input_ids=ids).logits
    assert torch.equal(with_adapter, without)


def test_an_adapter_that_was_trained_changes_the_answers(awake: Student) -> None:
    ids = torch.tensor([awake.encode(PROMPTS[0])[0]])
    with torch.no_grad():
        with_adapter = awake.model(input_ids=ids).logits
        with awake.model.disable_adapter():
            assert not torch.allclose(with_adapter, awake.model(input_ids=ids).logits, atol=1e-3)


def test_only_lora_weights_are_trained_and_they_are_fp32(awake: Student) -> None:
    assert awake.trainable
    assert all(".lora_" in name and p.dtype == torch.float32 for name, p in awake.trainable.items())
    rest = [p for name, p in awake.model.named_parameters() if name not in awake.trainable]
    assert rest and not any(p.requires_grad for p in rest)


def test_every_linear_layer_of_the_decoder_has_an_adapter(awake: Student) -> None:
    layers = {n for n in four_bit_layers(awake.model)}
    adapted = {name.split(".lora_")[0] + ".base_layer" for name in awake.trainable}
    assert layers == adapted and len(layers) == 2 * 7


def test_the_seed_decides_the_fresh_adapter(load_tiny: Callable) -> None:
    one, same, other = (load_tiny(seed=s).trainable for s in (3, 3, 4))
    assert all(torch.equal(one[n], same[n]) for n in one)
    assert not all(torch.equal(one[n], other[n]) for n in one)


def test_four_bit_weights_are_nf4_with_double_quantisation(awake: Student) -> None:
    layers = four_bit_layers(awake.model)
    assert layers and all(m.weight.quant_state.quant_type == "nf4" and m.weight.quant_state.nested for m in layers.values())


def test_without_four_bit_nothing_is_quantised_and_it_still_answers(load_tiny: Callable, awake: Student) -> None:
    plain = load_tiny(four_bit=False, dtype=torch.float32)
    assert not four_bit_layers(plain.model) and not plain.four_bit
    assert plain.footprint_mb > 1.5 * awake.footprint_mb
    assert len(plain.generate(PROMPTS[:1], max_new_tokens=4)[0]) == 1


def test_a_folder_with_pickled_weights_only_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    shutil.copy(tiny_folder / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(StudentError, match="no .*safetensors.*never read"):
        load_student(str(tmp_path))


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):  # noqa: ANN204
        return (Path.touch, (self.target,))


def test_pickled_weights_beside_a_stray_safetensors_file_are_not_run(tmp_path: Path, tiny_folder: Path) -> None:
    for file in tiny_folder.glob("*.json"):
        shutil.copy(file, tmp_path)
    shutil.copy(tiny_folder / "model.safetensors", tmp_path / "stray.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(StudentError):
        load_student(str(tmp_path))
    assert not (tmp_path / "boom").exists()


def test_a_folder_that_is_not_there_or_has_no_config_is_named(tmp_path: Path) -> None:
    for name in ("./not/there", "/not/there", "~/not/there"):
        with pytest.raises(StudentError, match=f'"{name}": there is no such folder'):
            locate(name)
    with pytest.raises(StudentError, match="no config.json"):
        locate(str(tmp_path))


def test_damaged_weights_are_one_sentence_not_a_traceback(tmp_path: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "torn")
    weights = tmp_path / "torn" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(StudentError, match='student ".*torn" cannot be loaded'):
        load_student(str(tmp_path / "torn"))


# --- answering ---


@pytest.mark.parametrize(("shots", "count"), [("", 50), (EXAMPLE, 20)], ids=["alone", "after a demonstration"])
def test_the_texts_are_those_of_the_plain_writer_greedy_and_sampled(
    pocket: Student, pocket_problems: list[Problem], shots: str, count: int
) -> None:
    """transformers' own generate with the same random numbers: 300 samples, and 120 behind a demonstration."""
    prompts = [student_prompt(p) for p in pocket_problems[:count]]
    pocket.demonstrate(shots)
    try:
        for options in ({}, {"samples": 4, "temperature": 0.7, "seed": 1}, {"samples": 2, "temperature": 1.5}):
            plain = PlainWriter(pocket).generate(prompts, max_new_tokens=48, rows=100, **options)
            for rows in (36, 240):
                assert pocket.generate(prompts, max_new_tokens=48, rows=rows, **options) == plain, options
        assert len({text for texts in plain for text in texts}) > count
    finally:
        pocket.demonstrate("")


def greedy_by_transformers(student: Student, prompt: str, steps: int) -> str:
    ids = student.tokenizer(prompt, return_tensors="pt").to(student.device)
    out = student.model.generate(
        **ids, do_sample=False, max_new_tokens=steps, use_cache=True, pad_token_id=student.tokenizer.pad_token_id
    )
    return cut_after_answer(student.tokenizer.decode(out[0, ids.input_ids.shape[1] :], skip_special_tokens=True))


def test_greedy_texts_of_both_writers_are_those_of_transformers_generate_without_anything_of_ours(
    awake: Student, pocket: Student, pocket_problems: list[Problem]
) -> None:
    questions = [student_prompt(p) for p in pocket_problems[:18]]
    for student, prompts, steps in ((awake, PROMPTS, 24), (pocket, questions, 48)):
        want = [[greedy_by_transformers(student, p, steps)] for p in prompts]
        assert student.generate(prompts, max_new_tokens=steps) == want
        assert PlainWriter(student).generate(prompts, max_new_tokens=steps) == want
        assert len({text for (text,) in want}) > len(prompts) / 2


def test_a_small_student_computes_in_fp32_on_every_cpu_and_a_larger_one_in_what_the_cpu_has(
    load_tiny: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert load_tiny(device="cpu").dtype == torch.float32 == load_student("pocket", device="cpu").dtype
    monkeypatch.setattr(loading, "SMALL", 1)
    assert load_tiny(device="cpu").dtype == torch.bfloat16


def test_an_answer_ends_with_its_answer_line_and_is_never_longer_than_asked_for(
    pocket: Student, pocket_problems: list[Problem]
) -> None:
    for (text,) in pocket.generate([student_prompt(p) for p in pocket_problems[:18]], max_new_tokens=64):
        assert text.count("The answer is") == 1
        assert cut_after_answer(text) == text
        assert text.endswith(".")
    for (text,) in pocket.generate([student_prompt(p) for p in pocket_problems[:6]], max_new_tokens=5):
        assert 0 < len(pocket.tokenizer(completion(text)).input_ids) <= 5


def test_samples_are_the_same_for_a_seed_and_differ_between_seeds_and_from_each_other(awake: Student) -> None:
    def draw(seed: int) -> list[list[str]]:
        return awake.generate(PROMPTS, samples=6, temperature=1.0, max_new_tokens=12, seed=seed)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert all(len(set(texts)) > 3 for texts in draw(1))


def test_a_sample_does_not_depend_on_how_many_are_written_at_once(awake: Student) -> None:
    want = awake.generate(PROMPTS, samples=3, temperature=0.8, max_new_tokens=12)
    for rows in (1, 3, 7, 100):
        assert awake.generate(PROMPTS, samples=3, temperature=0.8, max_new_tokens=12, rows=rows) == want


def test_a_sample_does_not_depend_on_its_neighbours_or_their_order(awake: Student) -> None:
    want = dict(zip(PROMPTS, awake.generate(PROMPTS, samples=2, temperature=0.8, max_new_tokens=12), strict=True))
    shuffled = random.Random(0).sample(PROMPTS, len(PROMPTS))
    got = awake.generate(shuffled, samples=2, temperature=0.8, max_new_tokens=12)
    assert dict(zip(shuffled, got, strict=True)) == want
    assert awake.generate(PROMPTS[1:2], samples=2, temperature=0.8, max_new_tokens=12) == [want[PROMPTS[1]]]


def test_more_samples_begin_with_the_same_ones(awake: Student) -> None:
    (few,) = awake.generate(PROMPTS[:1], samples=2, temperature=0.8, max_new_tokens=12)
    (many,) = awake.generate(PROMPTS[:1], samples=5, temperature=0.8, max_new_tokens=12)
    assert many[:2] == few


def test_rows_that_have_answered_leave_the_batch_without_changing_the_others(
    pocket: Student, pocket_problems: list[Problem]
) -> None:
    prompts = [student_prompt(p) for p in pocket_problems[:18]]
    together = pocket.generate(prompts, samples=2, temperature=0.7, max_new_tokens=48)
    alone = [pocket.generate([p], samples=2, temperature=0.7, max_new_tokens=48)[0] for p in prompts]
    assert together == alone


def test_the_samples_follow_the_models_own_distribution(awake: Student) -> None:
    ids = torch.tensor([awake.encode(PROMPTS[3])[0]])
    with torch.no_grad():
        expected = torch.softmax(awake.model(input_ids=ids).logits[0, -1], -1)
    count = 4000
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(0))
    drawn = choose(expected.log().expand(count, -1), 1.0, uniform)
    seen = torch.bincount(drawn, minlength=len(expected)) / count
    assert (seen - expected).abs().sum() / 2 < 0.15  # total variation
    likely = expected > 0.02
    assert likely.any() and ((seen - expected).abs()[likely] < 0.03).all()


@pytest.mark.parametrize("rationale", ["", "Tom has 3 + 4 = 7. The answer is 7."])
def test_token_scores_are_the_models_logits_before_each_token(awake: Student, rationale: str) -> None:
    scores = score_tokens(awake, PROMPTS[0], rationale)
    asked, written = awake.encode(PROMPTS[0], completion(rationale) if rationale else "")
    with torch.no_grad():
        logits = awake.model(input_ids=torch.tensor([asked + written])).logits[0]
    assert "".join(scores.tokens) == (completion(rationale) if rationale else "") + awake.tokenizer.eos_token
    assert torch.allclose(scores.logits, logits[len(asked) - 1 : -1].float(), atol=1e-5)


def test_the_likeliest_tokens_are_those_of_a_greedy_answer(pocket: Student, pocket_problems: list[Problem]) -> None:
    prompt = student_prompt(pocket_problems[0])
    scores = score_tokens(pocket, prompt, pocket.generate([prompt])[0][0])
    assert [scores.likeliest(i, 0.0)[0] for i in range(len(scores.tokens))] == [(token, 1.0) for token in scores.tokens]
    names, chances = zip(*scores.likeliest(0, 2.0, count=len(scores.vocabulary)), strict=True)
    assert sum(chances) == pytest.approx(1) and sorted(names) == sorted(scores.vocabulary)
    assert list(chances) == sorted(chances, reverse=True)


def test_a_lower_temperature_sharpens_and_0_is_greedy() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    sharpness = [probabilities(logits[0], t).max().item() for t in (0.0, 0.1, 0.7, 1.0, 2.0)]
    assert sharpness == sorted(sharpness, reverse=True) and sharpness[0] == 1
    assert probabilities(logits, 0.0).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert torch.allclose(probabilities(logits, 1.0), torch.softmax(logits, -1))


# --- folding: one matrix a layer while the student writes ---


def logits_of(student: Student) -> torch.Tensor:
    with torch.inference_mode():
        return student.model(input_ids=torch.arange(5, 25)[None]).logits


@pytest.mark.parametrize("four_bit", [True, False])
def test_folded_layers_compute_what_weight_and_adapter_compute(load_tiny: Callable, four_bit: bool) -> None:
    student = load_tiny(wake=True, four_bit=four_bit, device="cpu", dtype=torch.float32)
    student.model.eval()
    plain = logits_of(student)
    with folded(student.model, student.dtype):
        assert "forward" in vars(student.model.get_base_model().model.layers[0].mlp.up_proj)
        assert torch.allclose(logits_of(student), plain, atol=1e-4 * plain.abs().max().item())
        assert not torch.equal(logits_of(student), plain)  # another order of sums: it was really another way
    assert torch.equal(logits_of(student), plain)


def test_layers_are_themselves_again_when_an_exam_fails(awake: Student) -> None:
    def fail(done: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        awake.generate(PROMPTS[:1], max_new_tokens=2, progress=fail)
    assert not any("forward" in vars(module) for module in awake.model.modules())


@pytest.mark.parametrize(("dtype", "limit"), [(torch.bfloat16, 2e9), (torch.float16, 2e9), (torch.float32, 1000)])
def test_half_precision_and_large_students_keep_to_their_four_bits(
    awake: Student, dtype: torch.dtype, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "FOLD_AT_MOST", limit)
    with folded(awake.model, dtype):
        assert not any("forward" in vars(module) for module in awake.model.modules())


def test_prompt_and_completion_share_no_token(awake: Student) -> None:
    prompt, completion = awake.encode(PROMPTS[0], " Add: 3 + 4 = 7. The answer is 7.")
    assert awake.tokenizer.decode(prompt) == PROMPTS[0]
    assert completion[-1] == awake.tokenizer.eos_token_id
    assert awake.tokenizer.decode(prompt + completion[:-1]) == PROMPTS[0] + " Add: 3 + 4 = 7. The answer is 7."


# --- saving ---


def test_a_saved_adapter_comes_back_bit_for_bit(awake: Student, load_tiny: Callable, tmp_path: Path) -> None:
    save_adapter(awake, tmp_path / "adapter")
    other = load_tiny(seed=9)
    load_adapter(other, tmp_path / "adapter")
    assert all(torch.equal(awake.trainable[n], other.trainable[n]) for n in awake.trainable)
    assert other.generate(PROMPTS, max_new_tokens=8) == awake.generate(PROMPTS, max_new_tokens=8)


def test_saving_replaces_an_older_adapter_and_leaves_nothing_else(awake: Student, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "old").touch()
    save_adapter(awake, tmp_path / "adapter")
    assert [f.name for f in tmp_path.iterdir()] == ["adapter"]
    assert not (tmp_path / "adapter" / "old").exists()
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def test_an_adapter_that_is_damaged_missing_or_anothers_is_refused_in_one_sentence(
    awake: Student, load_tiny: Callable, tmp_path: Path
) -> None:
    with pytest.raises(StudentError, match="no adapter_model.safetensors"):
        load_adapter(awake, tmp_path)
    save_adapter(awake, tmp_path / "adapter")
    with pytest.raises(StudentError, match="made for another student or LoRA rank"):
        load_adapter(load_tiny(lora_rank=4), tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(StudentError, match="is damaged"):
        load_adapter(load_tiny(), tmp_path / "adapter")
    save_adapter(load_student(str(build_tiny(tmp_path / "wider", hidden=128))), tmp_path / "adapter")
    with pytest.raises(StudentError, match="made for another student"):
        load_adapter(awake, tmp_path / "adapter")


def test_an_adapter_that_lacks_weights_is_refused(load_tiny: Callable, tmp_path: Path) -> None:
    """One of a shallower student has the right shapes but not all layers: half the old adapter would stay."""
    student = load_tiny()
    save_adapter(student, tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({n: w for n, w in load_file(file).items() if ".layers.1." not in n}, file)
    with pytest.raises(StudentError, match="made for another student"):
        load_adapter(student, tmp_path / "adapter")


# --- the trap: an exam before training ---


def items_of(problems: list[Problem]) -> list[TrainingItem]:
    wrong = "I think so. The answer is 1."
    return [TrainingItem(p, write_rationale(p, 0), write_rationale(p, 1), wrong) for p in problems]


def gradients(student: Student, problems: list[Problem]) -> dict[str, torch.Tensor]:
    student.model.train()
    for weight in student.trainable.values():
        weight.grad = None
    train_step(student, items_of(problems), LoopConfig(reflection_weight=0.5), packed_loss)
    return {name: weight.grad.clone() for name, weight in student.trainable.items() if weight.grad is not None}


def least_cosine(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys() and one
    assert all(g.norm() > 0 for g in one.values())
    return min(cosine_similarity(one[n].flatten(), other[n].flatten(), 0).item() for n in one)


def gradients_around_an_exam(
    name: str, problems: list[Problem], monkeypatch: pytest.MonkeyPatch, *, guarded: bool, folds: bool = True
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Gradients of a student that cannot be repacked, and before and after an exam of one that can.

    The second one believes to be on a CPU with AVX512-BF16, where bitsandbytes repacks 4-bit weights for inference.
    """

    def load(has_avx512bf16: bool) -> Student:
        monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: has_avx512bf16)
        student = load_student(name, device="cpu")
        wake_up(student, torch.Generator().manual_seed(1))
        return student

    true = gradients(load(False), problems)
    if not guarded:
        monkeypatch.setattr(loading, "keep_plain_layout", lambda model: None)
    if not folds:
        monkeypatch.setattr(folding, "FOLD_AT_MOST", 0)
    student = load(True)
    before = gradients(student, problems)
    take_exam(student, problems, samples=2, temperature=0.7, max_new_tokens=8, progress=False)
    return true, before, gradients(student, problems)


@pytest.mark.parametrize("folds", [True, False])
@pytest.mark.parametrize("name", ["tiny", "pocket"])
def test_gradients_after_an_exam_equal_gradients_before_it(
    name: str, folds: bool, tiny_folder: Path, pocket_problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(tiny_folder) if name == "tiny" else name
    true, before, after = gradients_around_an_exam(where, pocket_problems[:8], monkeypatch, guarded=True, folds=folds)
    assert least_cosine(before, after) >= 0.9999
    assert least_cosine(true, after) >= 0.9999


@pytest.mark.filterwarnings("ignore")
def test_without_the_guard_the_gradients_after_an_exam_would_be_noise(
    tiny_folder: Path, pocket_problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the test above can fail; when bitsandbytes has fixed this, keep_plain_layout can go."""
    true, _, after = gradients_around_an_exam(str(tiny_folder), pocket_problems[:8], monkeypatch, guarded=False)
    assert least_cosine(true, after) < 0.9


@pytest.fixture(scope="module")
def smol() -> str:
    try:
        return str(cached_smol())
    except StudentError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_smollm2_gradients_after_an_exam_equal_gradients_before_it(
    smol: str, pocket_problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    true, before, after = gradients_around_an_exam(smol, pocket_problems[:2], monkeypatch, guarded=True)
    assert least_cosine(before, after) >= 0.9999
    assert least_cosine(true, after) >= 0.9999


@pytest.mark.slow
def test_smollm2s_greedy_answers_equal_those_of_transformers_generate(smol: str) -> None:
    student = load_student(smol, device="cpu", dtype=torch.float32)
    answers = [texts[0] for texts in student.generate(PROMPTS[:3], max_new_tokens=16)]
    assert answers == [greedy_by_transformers(student, p, 16) for p in PROMPTS[:3]]
    assert all(answers)


@pytest.mark.slow
def test_the_converted_smollm2_wheel_is_not_called_quantised(smol: str) -> None:
    assert "quantization_config" not in json.loads((Path(smol) / "config.json").read_text())
