// The sheet of takes (pipeline/studio/takes.py, Tile): each moves as soon as there is something of it to see. Runs as
// the body of a function that is given element, props, trigger and watch. Text is set as text, never as markup.
const { MovingPreview } = window.Rushes;
const texts = props.texts[window.Rushes.language];
const base = `${(window.gradio_config?.root || location.origin).replace(/\/$/, "")}/`;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const make = (tag, values) => Object.assign(document.createElement(tag), values);
const root = element.querySelector(".takes_sheet");
const list = make("ol", {});
const stop = make("button", { type: "button", className: "stop", textContent: texts.takes_stop });
const say = make("p", {});
say.setAttribute("role", "status");
list.setAttribute("aria-label", texts.takes_title);
stop.addEventListener("click", () => trigger("stop"));
root.replaceChildren(say, stop, list);
let tiles = new Map();

const makeTile = (take) => {
  const place = make("li", {});
  const button = make("button", { type: "button" });
  const canvas = make("canvas", {});
  const seed = make("span", { textContent: `${texts.takes_seed} ${take.seed}` });
  button.append(canvas, seed);
  button.addEventListener("click", () => trigger("click", { draft: take.draft }));
  place.append(button);
  return { place, button, canvas, preview: new MovingPreview(), film: null };
};

const play = (tile, take) => {
  tile.preview.hide();
  const source = new URL(`media/${take.draft}/${take.file}`, base).pathname;
  tile.film = make("video", { muted: true, loop: true, playsInline: true, autoplay: !calm.matches, preload: "auto", src: source });
  tile.film.setAttribute("aria-hidden", "true");
  tile.film.addEventListener("loadeddata", () => tile.canvas.replaceWith(tile.film), { once: true });
};

const draw = () => {
  const takes = props.value?.tiles || [];
  const there = new Set(takes.map((take) => take.draft));
  for (const [draft, tile] of tiles) if (!there.has(draft)) tile.preview.hide(), tile.place.remove(), tiles.delete(draft);
  root.hidden = !takes.length;
  stop.hidden = !props.value?.making;
  const text = takes.length ? (props.value.making ? texts.takes_coming : texts.takes_pick) : "";
  if (say.textContent !== text) say.textContent = text;
  list.dataset.count = String(takes.length);
  for (const take of takes) {
    const tile = tiles.get(take.draft) || makeTile(take);
    if (!tiles.has(take.draft)) tiles.set(take.draft, tile), list.append(tile.place);
    tile.button.dataset.state = take.state;
    tile.button.setAttribute("aria-label", take.label);
    tile.button.disabled = take.state !== "done";
    if (take.preview && !tile.film) {
      tile.preview.canvases = [tile.canvas];
      tile.preview.show(take.preview, take.seconds, () => {});
    }
    if (take.file && !tile.film) play(tile, take);
    if (take.state === "nothing") tile.preview.hide();
  }
};
watch("value", draw);
draw();
