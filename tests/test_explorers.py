"""The explorers: they draw what the library computes, and their controls, figure and table agree."""

from __future__ import annotations

import re

import ipywidgets as w
import nbformat
import pytest
import torch

from l2r_course import figures
from l2r_course.explorers import explore, nf4_explorer, planner_explorer, temperature_explorer, triplet_explorer
from l2r_course.nf4 import quantise_block, round_to_nf4
from l2r_course.scores import score_tokens
from l2r_lite.loop.prompts import student_prompt
from l2r_lite.loop.writing import probabilities
from l2r_lite.students.four_bit import LEVELS, full_weight, relative_error
from run_notebooks import without_widget


@pytest.fixture(scope="module")
def weight() -> torch.Tensor:
    return torch.randn(64, 128, generator=torch.Generator().manual_seed(3)) * 0.02


def fields(panel: w.Widget) -> list[w.Widget]:
    """All widgets in a panel."""
    return [panel] + [x for child in getattr(panel, "children", ()) for x in fields(child)]


def test_every_control_has_a_visible_name_that_belongs_to_an_input(weight: torch.Tensor) -> None:
    shown = fields(nf4_explorer(weight).panel)
    named = {x.description for x in shown if isinstance(x, w.BoundedIntText | w.BoundedFloatText | w.Dropdown)}
    assert named == {"block", "block size", "outlier"}


def test_a_slider_and_its_number_field_are_one_value_with_one_range() -> None:
    made = explore(lambda x: figures.Picture(), x=w.FloatSlider(0.5, min=0, max=2, step=0.25))
    slider, field = made.controls["x"], next(f for f in fields(made.panel) if isinstance(f, w.BoundedFloatText))
    assert (field.value, field.min, field.max, field.step) == (0.5, 0, 2, 0.25)
    link = next(x for x in w.Widget.get_manager_state()["state"].values() if x["state"].get("_model_name") == "LinkModel"
                and slider.model_id in str(x["state"]["source"]) + str(x["state"]["target"]))  # fmt: skip
    assert field.model_id in str(link["state"])


def test_a_change_draws_anew_and_an_error_leaves_the_last_figure() -> None:
    def view(x: int) -> figures.Picture:
        if x == 3:
            raise ValueError("three is not possible")
        figure = figures.Picture()
        figure.suptitle(f"x is {x} <b>")
        return figure

    made = explore(view, x=[1, 2, 3])
    made._repr_mimebundle_()
    made.controls["x"].value = 2
    with pytest.raises(ValueError, match="three is not possible"):  # in a notebook it is shown below the figure
        made.controls["x"].value = 3
    pictures = [f.value for f in fields(made.panel) if isinstance(f, w.HTML) and "<img" in f.value]
    assert re.findall('alt="(.*?)"', pictures[0]) == ["x is 2 &lt;b&gt;"]


def test_without_a_kernel_an_explorer_is_a_picture_and_a_table(weight: torch.Tensor) -> None:
    bundle, about = nf4_explorer(weight)._repr_mimebundle_()
    assert "% error for the other 63 weights of the block" in about["image/png"]["alt"]
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/html"} <= set(bundle)
    assert "NF4 level" in bundle["text/html"]


def test_a_committed_notebook_keeps_a_panels_picture_and_its_table_as_two_outputs(weight: torch.Tensor) -> None:
    data, about = nf4_explorer(weight)._repr_mimebundle_()
    picture, table = without_widget(nbformat.v4.new_output("display_data", data, metadata=about))
    assert (set(picture.data), set(table.data)) == ({"image/png", "text/plain"}, {"text/html"})
    assert picture.metadata["image/png"]["alt"] in picture.data["text/plain"]
    assert "NF4 level" in table.data["text/html"] and "<img" not in table.data["text/html"]


def test_a_block_is_the_matrixs_own_and_its_error_that_of_nf4(weight: torch.Tensor) -> None:
    block = figures.Block.of(weight, 5)
    mine = weight.reshape(-1, 64)[5]
    assert torch.allclose(block.weights * weight.std(), mine)
    assert block.error(LEVELS) == pytest.approx(relative_error(mine, round_to_nf4(mine)))
    codes, _ = quantise_block(mine)
    assert [count for _, count in block.used()] == torch.bincount(codes, minlength=16).tolist()
    with pytest.raises(ValueError, match="block 128: the matrix has 128 whole blocks"):
        figures.Block.of(weight, 128)


def test_an_outlier_takes_levels_from_the_others_and_leaves_the_matrix_as_it_was(weight: torch.Tensor) -> None:
    before = weight.clone()
    calm, spoilt = figures.Block.of(weight, 0), figures.Block.of(weight, 0, outlier=40.0)
    assert spoilt.error(LEVELS) > 3 * calm.error(LEVELS)
    assert sum(count for _, count in spoilt.used()) == 63
    assert torch.equal(weight, before)


def test_the_last_block_is_shown_where_larger_blocks_leave_fewer(weight: torch.Tensor) -> None:
    made = nf4_explorer(weight)
    made.controls["block"].value, made.controls["block_size"].value = made.controls["block"].max, 512
    _, table = made.look()
    assert table is not None and sum(int(row[3]) for row in table.rows[:16]) == 511


def test_temperature_table_holds_the_students_own_probabilities(tiny, pocket_problems: list) -> None:  # noqa: ANN001
    scores = score_tokens(tiny, student_prompt(pocket_problems[0]), "3 + 4 = 7")
    made = temperature_explorer(scores, place=2)
    made.controls["temperature"].value = 1.5
    _, table = made.look()
    assert table is not None
    wanted = 100 * probabilities(scores.logits[2], 1.5).topk(5).values
    assert [float(row[1][:-2]) for row in table.rows[:5]] == pytest.approx(wanted.tolist(), abs=0.05)
    assert sum(float(row[1][:-2]) for row in table.rows) == pytest.approx(100, abs=0.4)


def test_the_real_matrix_of_the_pocket_student_fits_the_explorer(tiny) -> None:  # noqa: ANN001
    layer = next(m for m in tiny.model.modules() if isinstance(m, torch.nn.Linear) and m.in_features == 64)
    figure, table = nf4_explorer(full_weight(layer)).look()
    assert table is not None and "error" in figure.get_suptitle()


def test_steps_downhill_lower_the_triplet_loss_until_it_is_zero() -> None:
    path = figures.Triplet.descend(1.0, 60, 50, steps=60)
    losses = path.losses.tolist()
    assert losses[0] == pytest.approx(1 - 0.5 + 0.6428, abs=1e-3)
    assert all(after <= before + 1e-6 for before, after in zip(losses, losses[1:], strict=False))
    assert losses[-1] == 0
    assert torch.allclose(path.path.norm(dim=-1), torch.ones(61, 3))
    assert torch.equal(path.pushes[-1], torch.zeros(3, 2))


def test_the_triplet_table_has_a_row_for_each_step_and_counts_real_items() -> None:
    made = triplet_explorer((torch.tensor([0.9, 0.2]), torch.tensor([-0.5, 0.4])))
    made.controls["steps_downhill"].value = 4
    made.controls["margin"].value = 1.0
    figure, table = made.look()
    assert table is not None
    assert [row[0] for row in table.rows] == ["0", "1", "2", "3", "4", "real items"]
    assert table.rows[-1][1] == "1 of 2 push"
    assert table.rows[-2][3] in figure.get_suptitle() or f"{float(table.rows[-2][3]):.2f}" in figure.get_suptitle()


def test_the_planner_says_what_fits_and_what_to_turn_when_it_does_not() -> None:
    made = planner_explorer(card=24)
    made.controls["student"].value = "smol"
    figure, table = made.look()
    assert table is not None and "fits a card of 24 GB" in figure.axes[0].get_title(loc="left")
    made.controls["student"].value = "consumer"
    made.controls["items_at_once"].value = 16
    made.controls["recompute_activations"].value = False
    made.controls["card_GB"].value = 8
    figure, table = made.look()
    assert table is not None and "does not fit a card of 8 GB" in figure.axes[0].get_title(loc="left")
    turned = [row for row in table.rows if row[0].startswith("with --")]
    assert any("gradient-checkpointing" in row[0] for row in turned)
    sizes = {row[0]: float(row[1].split()[0]) for row in table.rows}
    parts = sum(sizes[part] for part in ("weights", "constants", "adapter", "gradients", "optimizer", "activations"))
    assert parts == pytest.approx(sizes["a training step, at most"], abs=0.05)
