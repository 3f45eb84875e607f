"""What is said below the page, in the page's language: real errors and plans have no English left in Chinese, what
people wrote comes through as it is, and what is nobody's sentence stays."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.breaker import FAILURES, Breaker
from pipeline.drafts.journal import Journal
from pipeline.errors import Closing, DoesNotFit, DraftError, DraftsInUse, InvalidRequest, QueueFull
from pipeline.fetcher import ENDED
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.plan.device import DeviceKind, probe_device, suppose_card
from pipeline.plan.editing import edit_plan
from pipeline.plan.edits import Extend, read_edit
from pipeline.plan.limits import ENCODER_POLICIES
from pipeline.plan.presets import load_profiles
from pipeline.plan.spec import Tail
from pipeline.plan.storyboard import read_shots
from pipeline.process import DIED, HUNG, NEVER_READY
from pipeline.serving import UNEXPECTED
from pipeline.studio.forms import FIELDS, HELD_BY, form_for, refusals
from pipeline.studio.texts import Language
from pipeline.studio.translation import LONGEST_CHARACTERS, say_failure, say_name, translate
from tests.conftest import DeviceMaker, PlanMaker
from tests.studio.english import chinese, english_in

DRAFT = "20260101-120000-0123456789abcdef"
OPTIONS = (
    *load_profiles(),
    *Tail,
    *ENCODER_POLICIES,
    "round",
    "huge",
    "wide",
    "square",
    "tall",
    "seven",
    "zwei",
    "wipe",
    *"xy",
)
"""Names that stand in refusals as they are typed, wrong or right."""
EDITS = (
    ("redo", 1),
    ("redo", 99),
    ("redo", 1.5),
    ("branch", 0),
    ("cut", 99),
    ("cut", 1),
    ("extend", 900),
    ("extend", -1),
    ("boil", 1),
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("prompt", text)
            for text in (
                "",
                " \n",
                "x" * 10_000,
                "a\x00b",
                "[2s]",
                "x [2s] y",
                "[99s] x",
                "[0s] x",
                "[zwei] x",
                "[2 cut] x",
                "[2s] x / [3s wipe] y",
                "[2s x",
                "[2s] x / [-1s] y",
                "[1s] x /" * 40,
                "[0.1s] x / [9s] y",
            )
        ),
        *(("negative_prompt", text) for text in ("x" * 10_000, "\x00")),
        *(("shape", text) for text in ("round", None, "257x160", "99999x9")),
        *(("model", text) for text in ("sora", None)),
        *(("profile", text) for text in ("huge", None)),
        *(("lowest_precision", text) for text in ("int1", None)),
        *(("seed", text) for text in ("-1", "seven", "9" * 99, str(2**32))),
        *(("seconds", number) for number in (None, 0, -1, 99, float("nan"))),
        *(("steps", number) for number in (None, 0, 2.5, 1e9, float("nan"))),
        *(("guidance", number) for number in (None, 0.5, 99, float("inf"))),
        *((field, number) for field in ("frames", "overlap_frames") for number in (2.5, 3, -8, 1e9)),
        *((field, "boil") for field in ("tail", "encoder")),
        ("ram_limit_gib", 1e9),
        *(("vram_limit_gib", number) for number in (-3, 0.01, 1e9, float("nan"))),
        *(("chunk_frames", number) for number in (30, 25.5, -33, 9999)),
        *((field, number) for field in HELD_BY for number in (None, -1, 1.5, float("nan"))),
    ],
)
def test_every_wrong_field_is_refused_in_chinese(field: str, value: object) -> None:
    assert field in FIELDS
    for spec in CATALOG.values():
        form = replace(replace(form_for(spec), prompt="球"), **{field: value})
        wrong = refusals(form)
        assert field in wrong
        for error in wrong.values():
            chinese(error, str(value), *OPTIONS)


def test_every_edit_that_cannot_be_is_refused_in_chinese(make_plan: PlanMaker, make_device: DeviceMaker) -> None:
    plan, told = make_plan(frames=97, chunk_frames=33), 0
    for way, amount in EDITS:
        for made in (0, 1, len(plan.chunks)):
            try:
                edit_plan(plan, read_edit(way, amount), draft=DRAFT, made=made, device=make_device(64.0))
            except InvalidRequest as error:
                chinese(error, "boil", *(way for way, _ in EDITS), "reprompt")
                told += 1
    with pytest.raises(InvalidRequest) as refused:
        edit_plan(
            plan, Extend(seconds=1), draft="x", made=1, device=make_device(64.0, DeviceKind.MPS, name="CPU, 2 cores")
        )
    assert "CPU（2 核）" not in chinese(refused.value, "a test's processor")
    assert told > len(EDITS)


@pytest.mark.parametrize("failed", [DIED, HUNG, NEVER_READY, UNEXPECTED])
def test_what_ended_a_draft_is_told_in_chinese(failed: type[DIED]) -> None:
    said = say_failure(Language.ZH, failed.message, failed.hint)
    assert not english_in(said)
    assert said.count("。") == 2 + failed.hint.count(". ")
    assert say_failure(Language.EN, failed.message, failed.hint) == f"{failed.message} {failed.hint}"


def test_what_is_refused_to_everybody_is_told_in_chinese(tmp_path: Path) -> None:
    for error in (
        QueueFull(16),
        Closing(),
        DraftsInUse("/d"),
        *(DoesNotFit("drafts folder", 2**30, 2**20, where="disk"),),
    ):
        chinese(error)
    with pytest.raises(InvalidRequest) as missing:
        Journal(tmp_path, DRAFT).read_plan()
    assert str(tmp_path) in chinese(missing.value, str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(DraftError) as full:
        Journal(tmp_path / "file", DRAFT).write_json("plan.json", {})
    assert "不是文件夹" in chinese(full.value, str(tmp_path))


def test_a_download_that_failed_too_often_is_refused_with_what_failed_in_chinese() -> None:
    breaker = Breaker("Downloading", lambda: 0.0)
    for _ in range(FAILURES):
        breaker.failed(
            "Wan-AI/Wan2.2 is only given to people who accepted its licence. "
            "Accept the licence at https://huggingface.co/Wan-AI/Wan2.2, then log in with: hf auth login"
        )
    with pytest.raises(DraftError) as refused:
        breaker.check()
    said = chinese(refused.value)
    assert "要先接受许可协议，才能下载 Wan-AI/Wan2.2。" in said
    assert said.endswith("60 秒后可以再试。")
    assert not english_in(translate(Language.ZH, ENDED))


@pytest.mark.parametrize(
    ("said", "translated"),
    [
        ("/d/x cannot be written: No space left on device.", "无法写入 /d/x：磁盘已满。"),
        ("/d/x cannot be written: Odd thing 7.", "无法写入 /d/x：Odd thing 7。"),
        (
            "LTX is not on this machine. Get it with: python -m pipeline download ltx-2b",
            "本机没有 LTX。获取方法：python -m pipeline download ltx-2b",
        ),
        (
            "The denoise stage needs about 9.1 GiB of the card and 512 MiB are allowed.",
            "绘制阶段需要约 9.1 GB 显存，只允许使用 512 MB。",
        ),
        (
            "The download of LTX needs about 9.1 GiB of disk and 512 MiB are allowed.",
            "下载 LTX 需要约 9.1 GB 磁盘空间，只允许使用 512 MB。",
        ),
    ],
)
def test_a_sentence_is_said_as_a_person_would(said: str, translated: str) -> None:
    assert translate(Language.ZH, said) == translated
    assert translate(Language.EN, said) == said


@pytest.mark.parametrize(
    "own",
    [
        "main memory",
        "the card",
        "Permission denied",
        "denoise",
        "There is no sentence yet.",
        "{bytes1} {0} {",
        "a. b. c",
        "球",
        "stands before the first shot's seconds.",
    ],
)
def test_what_a_person_wrote_is_never_translated(own: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_shots(f"{own[:24]} [2s] a ball", 2.0)
    assert chinese(refused.value, own[:24].strip()).startswith(f"“{own[:24].strip()}”写在了")
    said = chinese(InvalidRequest("model", f"There is no model {own!r}.", f"Models: {own}."), own)
    assert said == f"没有 {own!r} 这个模型。可选模型：{own}。"
    assert translate(Language.ZH, f"/{own} is not a folder.") == f"/{own}{'' if own == '球' else ' '}不是文件夹。"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nothing that Rushes says.",
        "The boil stage needs about 9.1 GiB of the card and 512 MiB are allowed",
        "The boil stage is the largest: 1 MiB of 2 MiB.",
        "a ball: a star.",
        "There is no model " + "x" * LONGEST_CHARACTERS + ".",
        "Downloading failed 3 times in a row: " * 50,
        " of . . of , are allowed. free: needs " * 90,
        "{",
        "{0}",
        "{bytes}",
    ],
)
def test_what_is_no_sentence_of_ours_stays_as_it_is(text: str) -> None:
    assert translate(Language.ZH, text) == text


def test_the_names_of_devices_are_said_and_a_card_keeps_its_own() -> None:
    here = probe_device(use_card=False)
    assert say_name(Language.ZH, "device", here.name) == f"CPU（{here.cores} 核）"
    assert say_name(Language.EN, "device", here.name) == here.name
    assert say_name(Language.ZH, "device", suppose_card(12).name) == "假设的 12 GB 显卡"
    assert say_name(Language.ZH, "device", "NVIDIA H100") == "NVIDIA H100"


def test_models_and_licences_are_called_by_the_names_they_have_in_chinese() -> None:
    assert say_name(Language.ZH, "model", MINIATURE.title) == "微型模型"
    assert say_name(Language.ZH, "model", "LTX-Video 2B 0.9.8, distilled") == "LTX-Video 2B 0.9.8（蒸馏版）"
    for spec in CATALOG.values():
        assert not english_in(say_name(Language.ZH, "model", spec.title), spec.title.removesuffix(", distilled"))
        licence = say_name(Language.ZH, "licence", spec.licence)
        assert not english_in(licence, "Apache-2.0", "LTX-Video Open Weights License 0.X", "NVIDIA's NSCLv1")
    form = replace(form_for(MINIATURE), prompt="球", chunk_frames=30)
    assert chinese(refusals(form)["chunk_frames"]).startswith("微型模型的每段帧数不能是 30：")
