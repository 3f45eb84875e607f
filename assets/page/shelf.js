// Draws the shelf (pipeline/studio/shelf.py, ShelfView): a search, a card for each draft, pages, two drafts side by
// side, and settings out of a file. Runs as the body of a function that is given element, props, trigger and watch.
const { Card, Compare, Opening } = window.Rushes;
const SEARCH_MS = 250; // after the last letter
const SAID_MS = 12_000; // long enough to be read twice
const texts = props.texts[window.Rushes.language];
const find = (selector) => element.querySelector(selector);
const base = `${(window.gradio_config?.root || location.origin).replace(/\/$/, "")}/`;
const urlOf = (draft, file) => new URL(`media/${draft}/${file}`, base).pathname;
const cards = new Map();
let picked = null;

const list = find(".spines");
const search = find(".search");
const only = find(".only");
let said;
const say = (text, wrong) => {
  clearTimeout(said);
  said = setTimeout(() => (find(".said").textContent = ""), SAID_MS);
  find(".said").dataset.wrong = String(Boolean(wrong));
  find(".said").textContent = text;
};
const look = (first = 0) =>
  trigger("select", { words: search.value, favourites: only.getAttribute("aria-pressed") === "true", first });

const compare = new Compare(find(".compare"), { texts, urlOf });
const pick = (spine) => {
  if (picked && spine && spine.draft !== picked.draft) {
    compare.open(picked, spine);
    spine = null;
  }
  picked = spine;
  find(".picking").hidden = !picked;
  find(".picking span").textContent = picked ? `${texts.compare_pick} ${picked.title}` : "";
  for (const card of cards.values()) card.mark(picked);
};
const opening = new Opening({ texts, say, onSettings: (text) => trigger("upload", { text }) });

const acts = {
  open: (spine) => (picked ? pick(spine) : trigger("click", { draft: spine.draft })),
  goOn: (spine) => trigger("retry", { draft: spine.draft }),
  favourite: (spine, on) => trigger("like", { draft: spine.draft, on }),
  rename: (spine, title) => trigger("edit", { draft: spine.draft, title }),
  remove: (spine) => trigger("delete", { draft: spine.draft }),
  compare: pick,
};

find("h2").textContent = texts.shelf;
search.setAttribute("aria-label", texts.shelf_search);
search.placeholder = texts.shelf_search;
only.textContent = texts.shelf_only;
find(".from-file").textContent = texts.opening_open;
find(".from-file").title = texts.opening_help;
find(".newer").textContent = texts.shelf_newer;
find(".older").textContent = texts.shelf_older;
find(".picking button").textContent = texts.shelf_cancel;
find(".pager").setAttribute("aria-label", texts.shelf_pages);
list.setAttribute("aria-label", texts.shelf_label);

let typing;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(look, SEARCH_MS);
});
search.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || window.Rushes.isComposed(event)) return;
  event.preventDefault(); // Esc also stops a draft
  clearTimeout(typing);
  search.value = "";
  look();
});
only.addEventListener("click", () => {
  only.setAttribute("aria-pressed", String(only.getAttribute("aria-pressed") !== "true"));
  look();
});
find(".newer").addEventListener("click", () => look(Math.max(0, props.value.first - props.value.length)));
find(".older").addEventListener("click", () => look(props.value.first + props.value.length));
find(".picking button").addEventListener("click", () => pick(null));
find(".from-file").addEventListener("click", () => find(".file").click());
find(".file").addEventListener("change", (event) => {
  opening.read(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});

const draw = () => {
  const view = props.value;
  if (!view) return;
  const there = new Set(view.spines.map((spine) => spine.draft));
  for (const [draft, card] of cards) if (!there.has(draft)) card.place.remove(), cards.delete(draft);
  const places = view.spines.map((spine) => {
    const card = cards.get(spine.draft) || new Card(spine, { texts, urlOf, acts, longestTitle: props.longest_title });
    cards.set(spine.draft, card);
    card.draw(spine);
    card.mark(picked);
    return card.place;
  });
  const filtered = view.words || view.favourites;
  const empty = filtered ? texts.shelf_nothing : texts.shelf_empty;
  const nothing = Object.assign(document.createElement("li"), { className: "nothing", textContent: empty });
  // Cards that stay are not moved: what is typed into one, and what plays in it, goes on.
  const wanted = places.length ? places : [nothing];
  for (const child of [...list.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((place, index) => list.children[index] !== place && list.insertBefore(place, list.children[index] || null));
  if (document.activeElement !== search && search.value !== view.words) search.value = view.words;
  only.setAttribute("aria-pressed", String(view.favourites));
  find(".pager").hidden = view.count <= view.length;
  find(".pager span").textContent = view.counted;
  find(".newer").disabled = !view.first;
  find(".older").disabled = view.first + view.length >= view.count;
  find(".retention").textContent = view.spines.length ? view.retention : "";
  if (view.said) say(view.said, view.wrong);
};
watch("value", draw);
draw();
