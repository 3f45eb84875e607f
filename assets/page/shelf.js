// Draws the shelf (pipeline/studio/shelf.py, Spine): a still, a title and a word for each draft. Runs as the body of a
// function that is given element, props, trigger and watch. Text is set as text, never as markup.
const texts = props.texts[navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"];
const base = `${(window.gradio_config?.root || location.origin).replace(/\/$/, "")}/`;
const list = element.querySelector(".spines");
const span = (name, text) => Object.assign(document.createElement("span"), { className: name, textContent: text });

const picture = (spine) => {
  if (!spine.file) return span("blank", "");
  const still = Object.assign(document.createElement("video"), { muted: true, preload: "metadata", playsInline: true });
  const path = new URL(`media/${spine.draft}/${spine.file}`, base).pathname;
  still.src = `${path}#t=0.5`;
  return still;
};

const item = (spine) => {
  const button = Object.assign(document.createElement("button"), { type: "button", title: spine.title });
  button.setAttribute("aria-label", spine.label);
  button.append(picture(spine), span("title", spine.title), span("remark", spine.remark));
  button.addEventListener("click", () => trigger("click", { draft: spine.draft }));
  const place = document.createElement("li");
  place.append(button);
  return place;
};

const draw = () => {
  const spines = props.value || [];
  const nothing = Object.assign(document.createElement("li"), { className: "nothing", textContent: texts.shelf_empty });
  list.replaceChildren(...(spines.length ? spines.map(item) : [nothing]));
};
watch("value", draw);
draw();
