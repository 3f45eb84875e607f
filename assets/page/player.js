// Draws the player's value (pipeline/studio/player.py, PlayerView) whenever it changes. Runs as the body of a function
// that is given element, props, trigger and watch. Text is set as text, never as markup.
const { Playback, Filmstrip, MovingPreview, Surgery, Controls, Outcome, copyText } = window.Rushes;
const TOLD_MS = 4000; // how long a word about a press stays
const NARROW_PIXELS = 720; // one column: the player is below the form, so a new draft scrolls to it
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const texts = props.texts[navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"];
const find = (selector) => element.querySelector(selector);
const root = find(".player");
const video = find("video");
const stage = find(".preview");
const badge = find(".badge");

const base = `${(window.gradio_config?.root || location.origin).replace(/\/$/, "")}/`;
const urlOf = (draft, file) => {
  const address = new URL(`media/${draft}/${file}`, base);
  return address.hostname === location.hostname ? new URL(address.pathname, location.origin).href : address.href;
};

let told;
const tell = (text) => {
  clearTimeout(told);
  find(".told").textContent = text;
  told = setTimeout(() => (find(".told").textContent = ""), TOLD_MS);
};

const playback = new Playback(video, { urlOf, onMore: () => (drawStrip(), controls.draw()) });
const controls = new Controls(root, { video, playback, texts });
const outcome = new Outcome(find(".notify"), { texts, note: tell });
const surgery = new Surgery(find(".surgery"), {
  texts,
  onEdit: (edit) => trigger("edit", edit),
  onUndo: (draft, way) => trigger("undo", { draft, way }),
});
const pick = (seconds, chunk) => {
  playback.seek(seconds).then(() => playback.start());
  surgery.pick(chunk);
};
const filmstrip = new Filmstrip(find(".strip"), { urlOf, onPick: pick });
const preview = new MovingPreview();
let current = null; // the draft on the page
let shown = null; // and the view that was drawn of it

find(".empty strong").textContent = texts.player_empty;
find(".empty span").textContent = texts.player_empty_help;
find(".save").textContent = texts.save;
find(".aside").addEventListener("click", () => trigger("pause", { draft: current, way: shown.aside }));
// What a draft needs unfolds with the press that asks for it, so that nothing moves by itself a moment later.
document.addEventListener("click", ({ target }) => target.closest("#rushes-make") && (root.dataset.asked = "true"));
find(".strip").setAttribute("aria-label", texts.strip_label);
for (const part of [".meter", ".sentence"]) find(part).setAttribute("aria-label", texts.meter_label);
root.setAttribute("aria-label", texts.player_label);
find(".saves").setAttribute("aria-label", texts.saves_label);
find(".frames").textContent = texts.save_frames;
find(".frames").title = texts.save_frames_help;
find(".copy").textContent = texts.copy_settings;
find(".copy").title = texts.copy_settings_help;
find(".copy").addEventListener("click", async () => tell((await copyText(shown.request)) ? texts.copied : texts.not_copied));

// The draft may have been deleted in another window; then a link saves nothing.
for (const link of [".save", ".frames"])
  find(link).addEventListener("click", async () => {
    const answer = await fetch(urlOf(current, props.value.video), { method: "HEAD" }).catch(() => null);
    if (answer?.status === 404) tell(texts.draft_gone);
  });

const setText = (selector, text) => {
  const target = find(selector);
  if (target.textContent !== text) target.textContent = text;
};
const setBadge = (text) => {
  badge.hidden = !text;
  badge.textContent = text;
};
const setStage = (name) => (root.dataset.stage = name);

const drawPreview = (view) => {
  const cell = view.cells[view.preview?.chunk];
  const canvases = root.dataset.stage === "video" ? [] : [stage];
  if (cell?.state === "making") canvases.push(filmstrip.canvasOf(view.preview.chunk));
  if (!cell || !canvases.length) return preview.hide();
  preview.canvases = canvases;
  preview.show(view.preview, cell.stop - cell.start, () => {
    if (root.dataset.stage === "video") return;
    setStage("preview");
    setBadge(texts.rough);
  });
};

const drawStrip = () => filmstrip.draw(shown, playback.playableSeconds());

const drawSave = (view) => {
  const files = { ".save": [view?.video, view?.save_as], ".frames": [view?.frames, view?.save_frames_as] };
  for (const [selector, [file, name]] of Object.entries(files)) {
    const link = find(selector);
    link.setAttribute("aria-disabled", String(!file));
    if (file) Object.assign(link, { href: urlOf(view.draft, file), download: name });
    else link.removeAttribute("href");
  }
  find(".copy").disabled = !view;
};

// Beside what is said of a draft that waits or is made; the buttons under the form stop it for good.
const drawAside = (view) => {
  const aside = find(".aside");
  aside.hidden = !view?.aside;
  setText(".aside", view?.aside ? texts[`aside_${view.aside}`] : "");
  aside.title = view?.aside ? texts[`aside_${view.aside}_help`] : "";
};

const drawJoins = (joins) => {
  find(".joins").dataset.flagged = String(Boolean(joins?.flagged));
  setText(".joins", joins?.sentence || "");
};

const drawMeter = (view) => {
  const percent = Math.round(100 * (view?.progress || 0));
  find(".meter i").style.transform = `translateX(${percent - 100}%)`;
  find(".meter").setAttribute("aria-valuenow", percent);
};

const draw = () => {
  const view = props.value;
  // Gradio may deliver what followed an older draft after the first view of the one that the page has turned to.
  if (shown && view && view.draft !== current && view.told_at < shown.told_at) return;
  shown = view;
  if (view?.draft !== current) {
    playback.close();
    preview.hide();
    filmstrip.clear();
    setBadge("");
    setStage(view ? "waiting" : "empty");
    delete root.dataset.asked;
    current = view?.draft;
    if (view && !view.over && innerWidth <= NARROW_PIXELS) root.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
  }
  root.dataset.failed = String(Boolean(view?.failed));
  root.dataset.over = String(Boolean(view?.over));
  root.dataset.making = String(Boolean(view && !view.over && !view.outcome));
  setText(".sentence", view?.sentence || "");
  setText(".detail", view?.detail || "");
  setText(".title", view?.title || "");
  setText(".settings", view?.settings || "");
  drawAside(view);
  drawMeter(view);
  drawSave(view);
  drawJoins(view?.joins);
  surgery.draw(view);
  outcome.draw(view);
  if (!view) return controls.draw();
  playback.show(view);
  controls.draw();
  drawStrip();
  drawPreview(view);
  if (view.over && root.dataset.stage === "preview" && !view.pieces.length) setStage("waiting"), setBadge("");
};

// The picture changes hands only when the video really has one.
video.addEventListener("loadeddata", () => {
  setStage("video");
  setBadge("");
  if (current) drawStrip();
});
video.addEventListener("waiting", () => root.dataset.stage === "video" && !shown?.over && setBadge(texts.next_chunk));
for (const event of ["playing", "pause", "seeked"]) video.addEventListener(event, () => setBadge(""));
video.addEventListener("timeupdate", () => current && filmstrip.mark(playback.position()));

watch("value", draw);
watch("gone", () => surgery.forget(props.gone));
draw();
