// The storyboard under the prompt (pipeline/studio/form_desk.py, Cards): a card for each shot. The text stays the truth:
// every change here becomes the text, and every text that says its shots becomes cards. Runs as the body of a function
// that is given element, props, watch and trigger.
const texts = props.texts[window.Rushes.language];
const HOW = { smooth: texts.shot_smooth, cut: texts.shot_cut, "cut, same look": texts.shot_same_look };
const SENT_AFTER_MS = 250; // typing goes on for longer
const PATIENCE_MS = 10_000; // an answer takes milliseconds, and some seconds on a slow line
const NEW_SHOT_SECONDS = 2;
const find = (selector) => element.querySelector(selector);
const make = (tag, values) => Object.assign(document.createElement(tag), values);
const fill = (text, ...values) => text.replace(/\$(\d)/g, (_, place) => values[place - 1]);
const list = find(".shots");
const prompt = () => document.getElementById("rushes-prompt"); // drawn before or after this
let shots = []; // as they stand on the cards
let asText = false; // somebody writes the text itself
let timer = 0;
let awaited = 0; // the clock of a change that was sent and is not yet the text
let newest = 0; // the number of that change
let held = null; // the button that asks for a draft, pressed meanwhile
let asked = false; // for cards, on which nothing was changed since: of a text that is read only now they still take the end
let drawing = false; // cards that leave take the focus with them, which is nobody going away

list.setAttribute("aria-label", texts.storyboard);
const box = () => prompt()?.querySelector("textarea");
const within = () => element.contains(document.activeElement);
const say = (text) => (find(".spoken").textContent = text);

// One change at a time: what is sent meanwhile, Gradio would send as the one before.
const send = () => {
  clearTimeout(timer);
  timer = 0;
  asked = false;
  if (awaited) return sendSoon();
  awaited = setTimeout(answered, PATIENCE_MS);
  trigger("input", { shots, change: ++newest });
};
const sendSoon = () => {
  asked = false;
  clearTimeout(timer);
  timer = setTimeout(send, SENT_AFTER_MS);
};
const answered = () => {
  clearTimeout(awaited);
  awaited = 0;
  if (!held) return;
  if (timer) return send();
  const made = held;
  held = null;
  made.click();
};
watch("taken", () => props.taken === newest && answered());

// A draft is what the cards say, so it waits until the text says it, too.
const hold = (event) => {
  const made = event.target.closest("#rushes-make, #rushes-takes-offer button");
  if (!made || !(timer || awaited)) return;
  event.stopImmediatePropagation();
  held = made;
  if (timer) send();
};
document.addEventListener("click", hold, true);

const button = (name, label, onPress) => {
  const made = make("button", { type: "button", className: name, title: label });
  made.setAttribute("aria-label", label);
  if (onPress) made.addEventListener("click", onPress);
  return made;
};

const move = (from, to) => {
  if (to < 0 || to >= shots.length || from === to) return;
  shots.splice(to, 0, ...shots.splice(from, 1));
  shots[0].transition = "smooth";
  draw();
  say(fill(texts.shot_moved, to + 1, shots.length));
};

const focus = (index, name) => list.children[index]?.querySelector(name)?.focus();

const card = (shot, index) => {
  const number = index + 1;
  const item = make("li", { className: "shot" });
  item.setAttribute("aria-label", fill(texts.shot, number));
  const grip = button("grip", fill(texts.shot_grip, number));
  grip.append(make("span", { className: "dots", ariaHidden: "true" }), make("b", { textContent: String(index + 1) }));
  grip.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(shots.length - 1, index + step));
    move(index, to);
    focus(to, ".grip");
    send();
  });
  grip.addEventListener("pointerdown", (event) => beginDrag(event, index));
  const how = make("select", { className: "how", hidden: index === 0 });
  how.setAttribute("aria-label", fill(texts.shot_how, number));
  how.append(...Object.entries(HOW).map(([value, textContent]) => make("option", { value, textContent })));
  how.value = shot.transition;
  how.addEventListener("change", () => {
    shot.transition = how.value;
    send();
  });
  const seconds = make("input", { className: "seconds", type: "number", min: "0.5", max: "60", step: "0.5", value: String(shot.seconds) });
  seconds.setAttribute("aria-label", fill(texts.shot_seconds, number));
  seconds.addEventListener("input", () => {
    shot.seconds = Number(seconds.value) || 0;
    sendSoon();
  });
  const lasting = make("label", { className: "lasting" });
  lasting.append(seconds, make("span", { textContent: texts.shot_unit }));
  const place = (step) => {
    move(index, index + step);
    focus(index + step, step < 0 ? ".up:enabled, .down" : ".down:enabled, .up");
    send();
  };
  const up = button("up", fill(texts.shot_up, number), () => place(-1));
  const down = button("down", fill(texts.shot_down, number), () => place(1));
  up.disabled = index === 0;
  down.disabled = index === shots.length - 1;
  const remove = button("remove", fill(texts.shot_remove, number), () => {
    shots.splice(index, 1);
    if (shots.length) shots[0].transition = "smooth";
    say(fill(texts.shot_removed, number));
    draw();
    if (shots.length > 1) focus(Math.min(index, shots.length - 1), ".sentence");
    send();
  });
  remove.disabled = shots.length === 1;
  const sentence = make("textarea", { className: "sentence", rows: 2, maxLength: 2000, value: shot.prompt, placeholder: texts.shot_placeholder });
  sentence.setAttribute("aria-label", fill(texts.shot_sentence, number));
  sentence.addEventListener("input", () => {
    shot.prompt = sentence.value;
    sendSoon();
  });
  const row = make("div", { className: "row" });
  row.append(grip, how, lasting, up, down, remove);
  item.append(row, sentence);
  return item;
};

// While the pointer is down on a grip, its card goes where the pointer is.
const beginDrag = (event, index) => {
  if (event.button) return;
  let at = index;
  const follow = (moved) => {
    const to = [...list.children].findIndex((item) => {
      const { top, bottom } = item.getBoundingClientRect();
      return moved.clientY >= top && moved.clientY < bottom;
    });
    if (to < 0 || to === at) return;
    move(at, to);
    list.children[to].classList.add("held");
    at = to;
  };
  const end = () => {
    removeEventListener("pointermove", follow);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
    for (const item of list.children) item.classList.remove("held");
    focus(at, ".grip");
    if (at !== index) send();
  };
  list.children[index].classList.add("held");
  addEventListener("pointermove", follow);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
};

const draw = () => {
  const marked = Boolean(props.value?.marked || shots.length > 1) && shots.length > 0;
  const cards = marked && !asText;
  if (prompt()) prompt().dataset.cards = String(cards);
  list.hidden = !cards;
  drawing = true;
  list.replaceChildren(...(cards ? shots.map(card) : []));
  drawing = false;
  find(".tools").hidden = !marked && !shots[0]?.prompt;
  find(".add").hidden = marked && asText;
  find(".add").disabled = shots.length >= (props.value?.most || 0);
  find(".turn").hidden = !marked;
  find(".turn").textContent = asText ? texts.storyboard_cards : texts.storyboard_text;
};

find(".add").textContent = texts.shot_add;
find(".add").addEventListener("click", () => {
  shots.push({ prompt: "", seconds: shots.length > 1 ? shots.at(-1).seconds : NEW_SHOT_SECONDS, transition: "smooth" });
  asText = false;
  draw();
  say(fill(texts.shot_added, shots.length));
  focus(shots.length - 1, ".sentence");
  send();
});
find(".turn").addEventListener("click", () => {
  if (timer) send();
  asText = !asText;
  asked = !asText;
  take();
  if (asText) box().focus();
  else focus(0, ".sentence");
});
document.addEventListener("input", ({ target }) => (asText ||= target === box()));
document.addEventListener("paste", ({ target }) => target === box() && setTimeout(() => (asText = false))); // after its input

// The newest text's shots; not while somebody is at the cards, which then say more than the text does.
const take = () => {
  shots = (props.value?.shots || []).map((shot) => ({ ...shot }));
  const typing = document.activeElement === box();
  if (!props.value?.marked) asText = typing && asText;
  draw();
  if (typing && !list.hidden) focus(0, ".sentence"); // the text it was in is not shown any more
};
watch("value", () => {
  const inside = within();
  if (inside && (!asked || JSON.stringify(props.value?.shots || []) === JSON.stringify(shots))) return;
  take();
  if (inside) focus(0, ".sentence");
});
// Safari takes the focus from a card for no button that is pressed, and cards drawn anew would take the press with them.
element.addEventListener("mousedown", (event) => event.target.closest("button") && event.preventDefault());
element.addEventListener("focusout", (event) => {
  if (!drawing && !element.contains(event.relatedTarget) && !timer) take();
});
take();
