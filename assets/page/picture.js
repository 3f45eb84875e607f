// A picture that a draft begins or ends with (pipeline/studio/pictures.py): dropped, pasted or chosen here, sent as it is,
// and known by the name that comes back. Runs as the body of a function that is given element, props, watch and trigger.
// TEXTS are the page's own and PLACE is start or end, put in by the server: props are lost where a field comes and goes.
const all = TEXTS;
const place = PLACE;
const texts = all[window.Rushes.language];
const find = (selector) => element.querySelector(selector);
const text = (key) => texts[`${place}_image${key ? `_${key}` : ""}`];
const addressOf = (name) => new URL(`pictures/${name}`, document.baseURI);
const field = find(".picture");
let sending = 0; // the latest picture that was given; an earlier one that arrives later is not wanted

field.setAttribute("aria-label", text());
find(".title").textContent = text();
find(".help").textContent = text("help");
find(".remove").textContent = texts.picture_remove;
find(".remove").setAttribute("aria-label", text("remove"));

const say = (said, wrong = false) => {
  find(".said").textContent = said;
  field.classList.toggle("wrong", wrong);
};

const draw = () => {
  const name = props.value || "", shown = find(".shown");
  shown.hidden = find(".remove").hidden = !name;
  shown.alt = text();
  if (name) shown.src = addressOf(`${name}.png`);
  else shown.removeAttribute("src");
  find(".choose").textContent = name ? texts.picture_other : texts.picture_choose;
};

const put = (name) => {
  props.value = name;
  draw();
  trigger("change");
};

const send = async (file) => {
  if (!file) return;
  const mine = ++sending;
  say(texts.picture_sending);
  try {
    const answer = await fetch(addressOf(place), { method: "POST", body: file });
    const found = answer.status === 413 ? { said: texts.picture_too_large } : await answer.json();
    if (mine !== sending) return;
    if (!found.name) return say(found.said, true);
    say("");
    put(found.name);
  } catch {
    if (mine === sending) say(texts.picture_failed, true);
  }
};

find(".choose").addEventListener("click", () => find(".file").click());
find(".file").addEventListener("change", (event) => {
  send(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
});
find(".remove").addEventListener("click", () => {
  sending++;
  say("");
  put("");
  find(".choose").focus();
});
find(".shown").addEventListener("error", () => say(texts.picture_gone, true));
field.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (!file) return;
  event.preventDefault();
  send(file);
});
field.addEventListener("drop", (event) => {
  event.preventDefault(); // which tells the page that it is no film to open
  send(event.dataTransfer.files[0]);
});
watch("value", draw);
draw();
