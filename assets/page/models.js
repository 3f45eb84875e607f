// Draws the models (pipeline/studio/models_tab.py, Card). Runs as the body of a function that is given element, props,
// trigger and watch. Text is set as text, never as markup; what is there is kept, so that focus stays where it is.
const texts = props.texts[window.Rushes.language];
const list = element.querySelector("ul");
const looking = element.querySelector(".looking");
list.setAttribute("aria-label", texts.models_label);

const make = (tag, className, parent) => parent.appendChild(Object.assign(document.createElement(tag), { className }));
const setText = (target, text) => target.textContent !== text && (target.textContent = text);

const add = (card) => {
  const item = make("li", "", list);
  item.dataset.model = card.model;
  const title = make("h3", "", item);
  title.id = `rushes-model-${card.model}`;
  for (const name of ["where", "fit", "licence"]) make("p", name, item);
  const bar = make("div", "bar", item);
  bar.append(document.createElement("i"));
  for (const [name, value] of [["role", "progressbar"], ["aria-valuemin", 0], ["aria-valuemax", 100], ["aria-labelledby", title.id]])
    bar.setAttribute(name, value);
  make("p", "problem", item).setAttribute("role", "status");
  const button = Object.assign(make("button", "", item), { type: "button" });
  button.addEventListener("click", () => {
    const { action } = button.dataset;
    trigger(action === "use" ? "submit" : "click", { model: card.model, action });
  });
  return item;
};

const drawCard = (item, card) => {
  setText(item.querySelector("h3"), card.title);
  setText(item.querySelector(".where"), card.where);
  setText(item.querySelector(".fit"), card.forecast);
  item.querySelector(".fit").dataset.fit = card.fit;
  setText(item.querySelector(".licence"), card.licence);
  setText(item.querySelector(".problem"), card.note);
  const bar = item.querySelector(".bar");
  const percent = Math.round(100 * (card.done || 0));
  bar.hidden = card.done === null;
  bar.firstChild.style.width = `${percent}%`;
  bar.setAttribute("aria-valuenow", percent);
  const button = item.querySelector("button");
  button.hidden = !card.action;
  button.dataset.action = card.action;
  setText(button, card.label);
  button.setAttribute("aria-label", `${card.label}: ${card.title}`);
};

const draw = () => {
  const cards = props.value;
  setText(looking, cards ? "" : texts.models_looking);
  const known = new Map([...list.children].map((item) => [item.dataset.model, item]));
  const items = (cards || []).map((card) => known.get(card.model) || add(card));
  if (items.some((item, index) => list.children[index] !== item) || items.length !== list.children.length)
    list.replaceChildren(...items);
  (cards || []).forEach((card, index) => drawCard(items[index], card));
};
watch("value", draw);
draw();
