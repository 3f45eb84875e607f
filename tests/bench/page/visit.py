"""A visitor who looks at the clock: what he does, and how long it took until the page showed it.

Times are read inside the page where it draws, so that asking for them adds nothing.
"""

import re
from pathlib import Path

import psutil
from playwright.sync_api import ConsoleMessage, Page, expect

SENTENCE = "a red ball moves left over snow"
PATIENCE_MS = 300_000
LENGTH = "number input for Length in seconds"
# Before anything of the page: a clock for whatever a selector's text or state becomes.
CLOCK = """
window.when = (test) => new Promise((done) => {
  const look = () => (test() ? done(performance.now()) : requestAnimationFrame(look));
  look();
});
window.forecast = () => document.querySelector("#rushes-forecast .line")?.textContent.trim();
window.named = (role, name) => [...document.querySelectorAll(role)].find(
  (each) => (each.getAttribute("aria-label") || each.textContent).trim() === name);
"""
# Sets a number as typing does; milliseconds until the line above the button is another one.
CHANGE = """([label, value]) => new Promise((done) => {
  const line = document.querySelector("#rushes-forecast .line");
  const field = document.querySelector(`input[aria-label="${label}"]`);
  const begun = performance.now();
  new MutationObserver((_, observer) => { observer.disconnect(); done(performance.now() - begun); })
    .observe(line, { childList: true, characterData: true, subtree: true });
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, value);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
})"""
# [seconds that can be played, when] for every time there is more, since 1970 in milliseconds; the first is a picture.
PLAYABLE = """() => new Promise((done) => {
  const video = document.querySelector("#rushes-player video");
  const seen = [];
  let over;
  video.requestVideoFrameCallback(() => seen.push([0, performance.timeOrigin + performance.now()]));
  const look = () => {
    const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
    if (end > (seen.at(-1)?.[0] ?? -1) + 0.01) seen.push([end, performance.timeOrigin + performance.now()]);
    over ??= document.querySelector("#rushes-stop").disabled && seen.length > 1 ? performance.now() : undefined;
    if (performance.now() > over + 1000) done(seen);
    else requestAnimationFrame(look);
  };
  setTimeout(look, 500);
})"""


class Visit:
    """One page; what it logged as an error is in `errors`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.add_init_script(CLOCK)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._session = page.context.new_cdp_session(page)

    def _note(self, message: ConsoleMessage) -> None:
        # Leaving a page breaks off the stream it listens to, of which Gradio's script complains.
        if message.type == "error" and not re.search(r"AbortError|Connection errored out", message.text):
            self.errors.append(message.text)

    def open(self) -> float:
        """Seconds from the address to a form that forecasts."""
        self.page.goto("about:blank")
        self.page.goto(self.url, wait_until="commit")
        usable = "() => when(forecast)"
        return float(self.page.evaluate(usable)) / 1000

    def wait_until_warm(self) -> None:
        """Until the engine's process stands by, so that it takes no share of the processor."""
        self.page.wait_for_function("async () => (await fetch('health')).ok", polling=500)

    def change_length(self, values: list[float]) -> list[float]:
        """Milliseconds for each."""
        found = []
        for value in values:
            found.append(float(self.page.evaluate(CHANGE, [LENGTH, str(value)])))
            self.page.wait_for_timeout(300)
        return found

    def make(self, *, seconds: float, steps: int, seed: int) -> str:
        """Ask for a draft by hand; its id, once the page has it."""
        page = self.page
        before = self._draft()
        more = page.get_by_role("button", name="More options")
        if not page.get_by_label("number input for Steps").is_visible():
            more.click()
        page.get_by_role("textbox", name=re.compile("What happens")).first.fill(SENTENCE)
        page.get_by_label(LENGTH).fill(str(seconds))
        page.get_by_label("number input for Steps").fill(str(steps))
        page.get_by_role("textbox", name=re.compile("^Seed")).fill(str(seed))
        page.wait_for_timeout(700)  # until the form's own events are through
        page.get_by_role("button", name="Make draft", exact=True).click()
        page.wait_for_function("before => JSON.stringify(localStorage) !== before", arg=before)
        return self._draft()

    def _draft(self) -> str:
        """What the browser remembers, the draft among it."""
        return str(self.page.evaluate("JSON.stringify(localStorage)"))

    def watch_slices(self, _draft: str, drafts: Path) -> list[float]:
        """Milliseconds from a slice on disk to where it can be played, for every slice of the running draft."""
        seen = self.page.evaluate(PLAYABLE)
        newest = max(drafts.glob("2*-*-*/"), key=lambda folder: folder.name)
        written = sorted(path.stat().st_mtime * 1000 for path in newest.glob("slice-*.mp4"))
        return [min((at - ready for _, at in seen if at >= ready), default=float("inf")) for ready in written]

    def wait_until_running(self) -> None:
        """Until a draft is being made."""
        expect(self.page.get_by_role("button", name="Stop and keep")).to_be_enabled()
        self.page.wait_for_function("() => /chunk|draft/.test(document.querySelector('.sentence')?.textContent || '')")

    def wait_until_over(self) -> None:
        """Until it is not."""
        expect(self.page.get_by_role("button", name="Make draft", exact=True)).to_be_enabled()
        self.page.wait_for_function("() => document.querySelector('#rushes-stop')?.disabled !== false")

    def reload(self) -> float:
        """Seconds from a reload to the draft's own sentence."""
        self.page.reload(wait_until="commit")
        back = "() => when(() => document.querySelector('#rushes-player .sentence')?.textContent.trim())"
        return float(self.page.evaluate(back)) / 1000

    def stop(self) -> float:
        """Milliseconds from the click to the sentence that says so."""
        script = """() => {
          const begun = performance.now();
          named("button", "Stop and keep").click();
          return when(() => /^Stopp/.test(document.querySelector("#rushes-player .sentence").textContent))
            .then((now) => now - begun);
        }"""
        return float(self.page.evaluate(script))

    def fill_shelf(self, count: int) -> float:
        """Milliseconds from the form that can be used to `count` drafts on the shelf, after a reload."""
        self.page.reload(wait_until="commit")
        script = """(count) => when(forecast).then((form) =>
          when(() => document.querySelectorAll("#rushes-shelf li button[aria-label]").length >= count)
            .then((now) => Math.max(0, now - form)))"""
        return float(self.page.evaluate(script, count))

    def memory_bytes(self) -> float:
        """What the page's own processes hold, garbage collected: the proportional set size of Chromium's renderers."""
        for _ in range(2):
            self._session.send("HeapProfiler.collectGarbage")
            self.page.wait_for_timeout(500)
        renderers = [
            child
            for child in psutil.Process().children(recursive=True)
            if any("--type=renderer" in part for part in child.cmdline())
        ]
        return float(sum(child.memory_full_info().pss for child in renderers))
