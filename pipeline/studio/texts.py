"""Every sentence of the page, as data, complete in each language. Knows nothing about Gradio.

Refusals and plan reasons are written by `plan/` in English; `refused_*` says in each language how they are shown.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Language(StrEnum):
    """A language the page speaks."""

    EN = "en"
    ZH = "zh"


_EN = {
    "tagline": "Type a sentence, see a moving draft, chunk by chunk.",
    # the form
    "prompt": "What happens in the shot?",
    "prompt_help": "One scene, one movement.",
    "prompt_placeholder": "a red ball moves left over snow",
    "shape": "Shape",
    "shape_wide": "Wide {width}×{height}",
    "shape_square": "Square {width}×{height}",
    "shape_tall": "Tall {width}×{height}",
    "length": "Length in seconds",
    "memory": "Graphics memory",
    "memory_auto": "{title}: {device}, {gigabytes:.0f} GB",
    "model": "Model",
    "limit": "Memory limit in GB",
    "limit_help": "0: all that is free.",
    "precision": "Smallest weights",
    "precision_help": "How coarse weights may become so that they fit.",
    "precision_bfloat16": "16 bit",
    "precision_int8": "8 bit",
    "precision_int4": "4 bit",
    "more": "More options",
    "seed": "Seed",
    "seed_help": "The same seed and sentence give the same draft. Empty: a new one each time.",
    "seed_placeholder": "random",
    "steps": "Steps",
    "steps_help": "More steps, cleaner pictures, longer wait.",
    "guidance": "Guidance",
    "guidance_help": "How closely the sentence is followed; 1 is off.",
    "chunk": "Longest chunk in frames",
    "chunk_help": "0: as long as fits, for the fewest seams.",
    "negative": "Negative prompt",
    "negative_help": "What should not be seen. Used when guidance is above 1.",
    "make": "Make draft",
    "stop": "Stop and keep",
    "keys": "Ctrl + Enter makes a draft, Esc stops it.",
    # refusals, shown at their field
    "refused_prompt": "{message}",
    "refused_model": "{message}",
    "refused_limit_gib": "{message}",
    "refused_lowest_precision": "{message}",
    "refused_chunk_frames": "{message}",
    "refused_shape": "{message}",
    "refused_seconds": "{message}",
    "refused_profile": "{message}",
    "refused_seed": "{message}",
    "refused_steps": "{message}",
    "refused_guidance": "{message}",
    "refused_negative_prompt": "{message}",
    "does_not_fit": "{message}",
    # before the button
    "forecast": "{frames} frames · about {need} of {budget} GB · about {duration} · first picture in {first} · "
    "{chunks}",
    "need_small": "0.1",
    "one_chunk": "1 chunk",
    "many_chunks": "{count} chunks",
    "forecast_band": "The whole draft takes {low} to {high}, {basis}.",
    "basis_guessed": "guessed from the device's name",
    "basis_rates": "from how fast this device was measured to be",
    "basis_model": "from drafts this model made here",
    "basis_shape": "from drafts like this one made here",
    "change_chunks": "Make it in {chunks} shorter chunks (about {duration})",
    "change_length": "Make it {seconds:.1f} seconds long (about {duration})",
    "change_resolution": "Make it {width}×{height} (about {duration})",
    "change_precision": "Use 4-bit weights (about {duration})",
    "change_model": "Use {model} (about {duration})",
    "why": "Why?",
    "unknown_words": "The miniature does not know {words}. It draws a {shapes} that {motions}, over {backgrounds}, in "
    "{colours}. You can make the draft all the same.",
    "no_known_words": "The miniature knows none of these words. It draws a {shapes} that {motions}, over "
    "{backgrounds}, in {colours}. You can make the draft all the same.",
    "or": "{first} or {last}",
    "word": "“{word}”",
    "comma": ", ",
    # the player
    "player_empty": "Your draft will play here",
    "player_empty_help": "You watch it form: first rough moving pictures, then chunk after chunk as they are ready.",
    "player_label": "Draft",
    "strip_label": "Chunks of the draft",
    "meter_label": "Progress of the draft",
    "save": "Save video",
    "next_chunk": "The next pictures are on their way…",
    "rough": "Rough preview",
    "warming_up": "Warming up the engine…",
    "ahead_one": "In line: one draft before this one.",
    "ahead_many": "In line: {count} drafts before this one.",
    "starting": "Starting…",
    "reading": "Reading the sentence…",
    "making": "Making chunk {chunk} of {chunks}",
    "making_one": "Making the draft",
    "joining": "Putting the video together…",
    "retreated_encode": "Memory ran out while reading: it goes on with less, more slowly",
    "retreated_denoise": "Memory ran out while drawing: it goes on with less, more slowly",
    "retreated_decode": "Memory ran out while developing: it goes on in smaller parts",
    "eta_first": "first picture in {duration}",
    "eta_all": "ready in about {duration}",
    "stopping": "Stopping after this step. What is finished is kept.",
    "finished": "Done: {seconds:.1f} seconds of video",
    "finished_took": "forecast {forecast}, took {duration}",
    "stopped_kept": "Stopped. The first {seconds:.1f} seconds are kept.",
    "stopped_empty": "Stopped before the first pictures were ready.",
    "failed": "{message} {hint}",
    "cell_done": "Chunk {chunk}, ready: play from here",
    "cell_making": "Chunk {chunk}, being made",
    "cell_waiting": "Chunk {chunk}, not started",
    "settings": "{width} × {height} · {frames} frames · {steps} steps · seed {seed}",
    "seconds": "{seconds} s",
    "minutes": "{minutes} min",
    "hours": "{hours:.1f} h",
    "miniature_note": "The miniature is a tiny demonstration model: it knows four shapes, five backgrounds and little "
    "else.",
    # the shelf
    "shelf": "My drafts",
    "shelf_empty": "Drafts appear here.",
    "shelf_open": "Open draft: {title}",
    "shelf_running": "being made",
    "shelf_failed": "failed",
    "shelf_length": "{seconds:.1f} s",
}

_ZH = {
    "tagline": "写一句话，看着动态草稿一段一段地出现。",
    "prompt": "这个镜头里发生了什么？",
    "prompt_help": "一个场景，一个动作。",
    "prompt_placeholder": "a red ball moves left over snow",
    "shape": "画幅",
    "shape_wide": "横屏 {width}×{height}",
    "shape_square": "方形 {width}×{height}",
    "shape_tall": "竖屏 {width}×{height}",
    "length": "时长（秒）",
    "memory": "显存",
    "memory_auto": "{title}：{device}，{gigabytes:.0f} GB",
    "model": "模型",
    "limit": "内存上限（GB）",
    "limit_help": "0 表示使用全部空闲内存。",
    "precision": "最低权重精度",
    "precision_help": "为了放得下，权重最多可以压缩到多少位。",
    "precision_bfloat16": "16 位",
    "precision_int8": "8 位",
    "precision_int4": "4 位",
    "more": "更多选项",
    "seed": "随机种子",
    "seed_help": "种子和句子相同，草稿就相同。留空则每次随机。",
    "seed_placeholder": "随机",
    "steps": "步数",
    "steps_help": "步数越多，画面越干净，等待越久。",
    "guidance": "引导强度",
    "guidance_help": "对句子的遵循程度；1 表示关闭。",
    "chunk": "每段最多帧数",
    "chunk_help": "0 表示在放得下的前提下尽量长，接缝最少。",
    "negative": "反向提示",
    "negative_help": "不希望出现的内容。引导强度大于 1 时有效。",
    "make": "生成草稿",
    "stop": "停止并保留",
    "keys": "Ctrl + Enter 生成草稿，Esc 停止。",
    "refused_prompt": "请用一句话描述镜头：不能为空，最多 {longest} 个字符，且不能含控制字符。",
    "refused_shape": "没有这种画幅，请选择列表中的一种。",
    "refused_model": "没有这个模型，请选择列表中的一种。",
    "refused_limit_gib": "内存上限必须是 0（不限）或至少 {least:g} GB。",
    "refused_lowest_precision": "没有这种精度，请选择列表中的一种。",
    "refused_chunk_frames": "这个模型不能用这样的每段帧数；填 0 则自动选择。",
    "refused_seconds": "时长必须大于 0 秒，最多 {seconds:g} 秒。",
    "refused_profile": "没有这个显存配置，请选择列表中的一种。",
    "refused_seed": "种子必须是 0 到 {seed} 的整数；留空则随机。",
    "refused_steps": "步数必须是 1 到 {steps} 的整数。",
    "refused_guidance": "引导强度必须在 1（关闭）到 {guidance:g} 之间。",
    "refused_negative_prompt": "反向提示最多 {longest} 个字符，且不能含控制字符。",
    "does_not_fit": "内存不够：需要约 {need:.1f} GB，可用 {budget:.1f} GB。",
    "forecast": "{frames} 帧 · 约 {need} / {budget} GB · 约 {duration} · {first}后出现第一个画面 · {chunks}",
    "need_small": "0.1",
    "one_chunk": "1 段",
    "many_chunks": "{count} 段",
    "forecast_band": "整个草稿需要 {low} 到 {high}（{basis}）。",
    "basis_guessed": "按设备名称估计",
    "basis_rates": "按本机实测速度",
    "basis_model": "按本机以往用此模型的草稿",
    "basis_shape": "按本机以往相同的草稿",
    "change_chunks": "分成更短的 {chunks} 段（约 {duration}）",
    "change_length": "改为 {seconds:.1f} 秒（约 {duration}）",
    "change_resolution": "改为 {width}×{height}（约 {duration}）",
    "change_precision": "使用 4 位权重（约 {duration}）",
    "change_model": "改用 {model}（约 {duration}）",
    "why": "为什么？",
    "unknown_words": "微型模型不认识{words}。它只懂英文，会画 {shapes}，动作是 {motions}，背景是 {backgrounds}，"
    "颜色是 {colours}。照样可以生成。",
    "no_known_words": "微型模型不认识这些词。它只懂英文，会画 {shapes}，动作是 {motions}，背景是 {backgrounds}，"
    "颜色是 {colours}。照样可以生成。",
    "or": "{first} 或 {last}",
    "word": "“{word}”",
    "comma": "、",
    "player_empty": "草稿会在这里播放",
    "player_empty_help": "您会看到它逐渐成形：先是粗略的动态画面，然后一段接一段完成。",
    "player_label": "草稿",
    "strip_label": "草稿的各段",
    "meter_label": "草稿进度",
    "save": "保存视频",
    "next_chunk": "下面的画面马上就好…",
    "rough": "粗略预览",
    "warming_up": "引擎正在预热…",
    "ahead_one": "排队中：前面还有 1 个草稿。",
    "ahead_many": "排队中：前面还有 {count} 个草稿。",
    "starting": "正在启动…",
    "reading": "正在理解句子…",
    "making": "正在生成第 {chunk} / {chunks} 段",
    "making_one": "正在生成草稿",
    "joining": "正在合成视频…",
    "retreated_encode": "读句子时显存不足：改用更省内存的方式继续，会慢一些",
    "retreated_denoise": "绘制时显存不足：改用更省内存的方式继续，会慢一些",
    "retreated_decode": "生成画面时显存不足：改为分成更小的部分继续",
    "eta_first": "{duration}后出现第一个画面",
    "eta_all": "约 {duration}后完成",
    "stopping": "将在这一步后停止，已完成的部分会保留。",
    "finished": "完成：{seconds:.1f} 秒视频",
    "finished_took": "预计 {forecast}，实际 {duration}",
    "stopped_kept": "已停止，保留了前 {seconds:.1f} 秒。",
    "stopped_empty": "在第一批画面完成前已停止。",
    "failed": "{message} {hint}",
    "cell_done": "第 {chunk} 段，已完成：从这里播放",
    "cell_making": "第 {chunk} 段，生成中",
    "cell_waiting": "第 {chunk} 段，未开始",
    "settings": "{width} × {height} · {frames} 帧 · {steps} 步 · 种子 {seed}",
    "seconds": "{seconds} 秒",
    "minutes": "{minutes} 分钟",
    "hours": "{hours:.1f} 小时",
    "miniature_note": "微型模型只是一个很小的演示模型：四种形状、五种背景，此外所知甚少。",
    "shelf": "我的草稿",
    "shelf_empty": "草稿会出现在这里。",
    "shelf_open": "打开草稿：{title}",
    "shelf_running": "生成中",
    "shelf_failed": "失败",
    "shelf_length": "{seconds:.1f} 秒",
}

TEXTS: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {Language.EN: MappingProxyType(_EN), Language.ZH: MappingProxyType(_ZH)}
)

LABELS = (
    "tagline", "prompt", "prompt_help", "prompt_placeholder", "model", "shape", "length", "memory", "limit",
    "limit_help", "precision", "precision_help", "precision_bfloat16", "precision_int8", "precision_int4", "more",
    "seed", "seed_help", "seed_placeholder", "steps", "steps_help", "guidance", "guidance_help", "chunk", "chunk_help",
    "negative", "negative_help", "make", "stop", "keys", "miniature_note", "shelf",
)  # fmt: skip
"""What stands on the page from the start, translated by the browser; no values in them."""

SCRIPT_TEXTS = (
    "player_empty", "player_empty_help", "player_label", "strip_label", "meter_label", "save", "next_chunk", "rough",
    "shelf_empty", "why",
)  # fmt: skip
"""What the browser's scripts say by themselves, without being asked by the server."""


def say(language: Language, key: str, **values: object) -> str:
    """The sentence `key` with its values filled in."""
    return TEXTS[language][key].format(**values)


def choose_language(accepted: str) -> Language:
    """The page's language for an Accept-Language header: the browser's first choice, English if we do not speak it."""
    return Language.ZH if accepted.strip().lower().startswith("zh") else Language.EN


def say_duration(language: Language, seconds: float) -> str:
    """A rough duration for people: seconds up to ten, then steps of five, minutes from two on, hours from two on."""
    if seconds >= 7200:
        return say(language, "hours", hours=seconds / 3600)
    if seconds >= 120:
        return say(language, "minutes", minutes=round(seconds / 60))
    whole = max(1, round(seconds)) if seconds < 10 else round(seconds / 5) * 5
    return say(language, "seconds", seconds=whole)


def join_words(language: Language, words: tuple[str, ...]) -> str:
    """`a, b or c`."""
    if len(words) == 1:
        return words[0]
    return say(language, "or", first=say(language, "comma").join(words[:-1]), last=words[-1])
