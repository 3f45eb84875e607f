"""The bar above the button in a real browser: it follows the controls, and one click makes what does not fit fit."""

import math

import pipeline
from pipeline.plan.device import probe_device
from pipeline.plan.memory import Precision, Stage, Workload
from pipeline.plan.placement import choices
from tests.browser.studio import Visit, sync_api

TOO_MUCH = "forecast over"  # what is said then stands in another colour, too


def too_little_gib() -> float:
    """A hundredth of a GiB less than the miniature's own shape takes, run as sparingly as can be."""
    plan = pipeline.plan(pipeline.request("a ball", seed=1))
    longest = max(chunk.latents for chunk in plan.chunks)
    load = Workload(
        spec=plan.spec,
        shape=plan.request.shape,
        chunk_latents=longest,
        guided=True,
        continued=True,
        window_latents=longest,
    )
    device = probe_device()
    least = min(choice.card_bytes for choice in choices(Stage.DECODE, load, device, lowest=Precision.INT8))
    return math.ceil(100 * least / 2**30 - 1) / 100


def test_one_click_makes_what_does_not_fit_fit(visit: Visit) -> None:
    page = visit.page
    visit.fill(seconds=1, steps=4)
    sync_api.expect(visit.forecast).not_to_have_class(TOO_MUCH)
    sync_api.expect(visit.line).to_contain_text("first picture in")
    visit.number("ram_limit").fill(str(too_little_gib()))
    sync_api.expect(visit.forecast).to_have_class(TOO_MUCH)
    sync_api.expect(visit.line).to_contain_text("are allowed")
    smaller = visit.forecast.get_by_role("button", name="×")
    size = smaller.inner_text().split()[2]
    smaller.click()
    sync_api.expect(visit.forecast).not_to_have_class(TOO_MUCH)
    sync_api.expect(page.get_by_role("radio", name=size)).to_be_checked()
    visit.make()
    visit.wait_until_over()
    sync_api.expect(visit.settings).to_contain_text(size.replace("×", " × "))
    sync_api.expect(visit.progress).to_contain_text("took")


def test_a_model_shows_its_own_shapes_and_what_it_needs(visit: Visit) -> None:
    page = visit.page
    visit.more_button.click()
    visit.model.click()
    page.get_by_role("option", name="Wan2.2 T2V-A14B ·").click()
    sync_api.expect(page.get_by_role("radio", name="Wide 832×480")).to_be_checked()
    sync_api.expect(visit.line).to_contain_text("GiB of main memory")
    visit.forecast.get_by_role("button", name="about").last.click()
    sync_api.expect(visit.line).to_contain_text("frames")


def test_why_unfolds_the_reasons(visit: Visit) -> None:
    visit.forecast.get_by_text("Why?").click()
    sync_api.expect(visit.forecast.get_by_role("listitem").first).to_contain_text("The whole draft takes")


def test_a_chunk_length_typed_by_hand_cuts_the_draft_finer_and_a_wrong_one_is_refused(visit: Visit) -> None:
    line, chunk = visit.line, visit.count("chunk")
    visit.fill(seconds=3)
    sync_api.expect(line).to_contain_text("2 chunks")
    chunk.fill("33")
    sync_api.expect(line).to_contain_text("4 chunks")
    chunk.fill("30")
    sync_api.expect(line).to_contain_text("chunk frames of 30")
    chunk.fill("0")
    sync_api.expect(line).to_contain_text("2 chunks")
