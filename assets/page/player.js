// Draws the player's value (pipeline/studio/player.py, PlayerView) whenever it changes. Runs as the body of a function
// that is given element, props, trigger and watch. Text is set as text, never as markup.
const { Playback, Filmstrip, MovingPreview, Surgery } = window.Rushes;
const NARROW_PIXELS = 720; // one column: the player is below the form, so a new draft scrolls to it
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

const playback = new Playback(video, { urlOf, onMore: () => drawStrip() });
const surgery = new Surgery(find(".surgery"), {
  texts,
  onEdit: (edit) => trigger("edit", edit),
  onUndo: (draft) => trigger("undo", { draft }),
});
const pick = (seconds, chunk) => {
  playback.seek(seconds);
  surgery.pick(chunk);
};
const filmstrip = new Filmstrip(find(".strip"), { urlOf, onPick: pick });
const preview = new MovingPreview();
let current = null;

find(".empty strong").textContent = texts.player_empty;
find(".empty span").textContent = texts.player_empty_help;
find(".save").textContent = texts.save;
find(".aside").addEventListener("click", () => trigger("pause", { draft: current, way: props.value.aside }));
find(".strip").setAttribute("aria-label", texts.strip_label);
find(".meter").setAttribute("aria-label", texts.meter_label);
video.setAttribute("aria-label", texts.player_label);

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

const drawStrip = () => filmstrip.draw(props.value, playback.playableSeconds());

const drawSave = (view) => {
  const save = find(".save");
  save.setAttribute("aria-disabled", String(!view?.video));
  if (view?.video) {
    save.href = urlOf(view.draft, view.video);
    save.download = view.save_as;
  } else {
    save.removeAttribute("href");
  }
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
  if (view?.draft !== current) {
    playback.close();
    preview.hide();
    filmstrip.clear();
    setBadge("");
    setStage(view ? "waiting" : "empty");
    current = view?.draft;
    if (view && !view.over && innerWidth <= NARROW_PIXELS) root.scrollIntoView({ behavior: "smooth", block: "start" });
  }
  root.dataset.failed = String(Boolean(view?.failed));
  setText(".sentence", view?.sentence || "");
  setText(".detail", view?.detail || "");
  setText(".title", view?.title || "");
  setText(".settings", view?.settings || "");
  drawAside(view);
  drawMeter(view);
  drawSave(view);
  drawJoins(view?.joins);
  surgery.draw(view);
  if (!view) return;
  playback.show(view);
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
video.addEventListener("waiting", () => root.dataset.stage === "video" && !props.value?.over && setBadge(texts.next_chunk));
for (const event of ["playing", "pause", "seeked"]) video.addEventListener(event, () => setBadge(""));
video.addEventListener("timeupdate", () => current && filmstrip.mark(playback.position()));

watch("value", draw);
draw();
