// The bar above the button (pipeline/studio/advice.py, Advice). Runs as the body of a function that is given element,
// props, watch and trigger.
const texts = props.texts[window.Rushes.language];
const find = (selector) => element.querySelector(selector);
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
find("summary").textContent = texts.why;
find(".forecast").setAttribute("aria-label", texts.forecast_label);
let following = false; // a download, by an event that was sent from here
const follow = () => {
  const running = Boolean(props.value?.action) && !props.value.fetch;
  if (running && !following) trigger("submit", {});
  following = running;
};
const draw = () => {
  const advice = props.value;
  find(".line strong").textContent = advice?.line || "";
  find(".line span").textContent = advice?.detail || "";
  find(".forecast").classList.toggle("over", Boolean(advice) && !advice.fits);
  find(".meter i").style.width = `${Math.min(100, 100 * (advice?.share || 0))}%`;
  find(".need").hidden = !advice?.need;
  find(".need span").textContent = advice?.need || "";
  find(".need code").textContent = advice?.command || "";
  const button = find(".need button");
  button.hidden = !advice?.action;
  button.textContent = advice?.action || "";
  button.onclick = () => {
    following ||= Boolean(advice.fetch);
    trigger("submit", { fetch: advice.fetch });
  };
  find(".offers").replaceChildren(
    ...(advice?.offers || []).map((offer) =>
      make("button", { type: "button", textContent: offer.label, onclick: () => trigger("click", { form: offer.form }) }),
    ),
  );
  find("details").hidden = !advice?.reasons?.length;
  find("ul").replaceChildren(...(advice?.reasons || []).map((reason) => make("li", { textContent: reason })));
};
watch("value", () => {
  draw();
  follow();
});
draw();
follow();
