// Says at each field why it was refused when the button was pressed (pipeline/studio/desk.py, Refusals), until that
// field holds something else: an answer to what was typed earlier takes nothing away. Runs as the body of a function that
// is given element, props and watch.
const LOOK_MS = 200; // how often refused fields are looked at: other controls fill them, too
const rest = element.querySelector(".refusals");
let marks = []; // of the fields that are refused: { place, said, held }
let looking = 0;

const inputs = (place) => [...place.querySelectorAll("input, textarea")];
const heldBy = (place) =>
  JSON.stringify([...place.querySelectorAll("input, textarea, img")].map(({ value, checked, src }) => [value, checked, src]));
const unmark = ({ place, said }) => {
  said.remove();
  for (const input of inputs(place)) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
};
const mark = (field, place, text) => {
  const said = Object.assign(document.createElement("p"), { className: "rushes-refusal", id: `rushes-refusal-${field}`, textContent: text });
  said.setAttribute("role", "alert");
  place.append(said);
  for (const input of inputs(place)) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", said.id);
  }
  return { place, said, held: heldBy(place) };
};
const look = () => {
  marks = marks.filter((refused) => refused.held === heldBy(refused.place) || unmark(refused));
  if (!marks.length) clearInterval(looking);
};

// To the first of them, where the keyboard goes on; a list would open over what is said.
const lead = () => {
  const [{ place, said }] = marks;
  said.scrollIntoView({ block: "nearest" });
  if (marks.some((refused) => refused.place.contains(document.activeElement))) return;
  inputs(place).find((input) => input.checkVisibility() && input.role !== "combobox")?.focus();
};
const show = () => {
  const said = Object.entries(props.value?.said || {});
  const places = said.map(([field]) => document.getElementById(props.places[field]));
  clearInterval(looking);
  marks.forEach(unmark);
  marks = said.flatMap(([field, text], index) => (places[index] ? [mark(field, places[index], text)] : []));
  rest.textContent = said.filter((_, index) => !places[index]).map(([, text]) => text).join(" ");
  rest.hidden = !rest.textContent;
  if (said.length) delete document.querySelector(".player")?.dataset.asked; // what unfolded for a draft folds again
  if (!marks.length) return;
  looking = setInterval(look, LOOK_MS);
  if (!marks.some(({ said }) => said.checkVisibility())) document.querySelector("#rushes-more > button").click();
  requestAnimationFrame(lead);
};
watch("value", show);
