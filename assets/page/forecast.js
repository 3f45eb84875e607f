// The line above the button (pipeline/studio/advice.py, Advice). Runs as the body of a function that is given element,
// props and watch.
const texts = props.texts[navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"];
const find = (selector) => element.querySelector(selector);
find("summary").textContent = texts.why;
const draw = () => {
  const advice = props.value;
  find(".line").textContent = advice?.line || "";
  find(".forecast").classList.toggle("over", Boolean(advice) && !advice.fits);
  find("details").hidden = !advice?.reasons?.length;
  find("ul").replaceChildren(
    ...(advice?.reasons || []).map((reason) => Object.assign(document.createElement("li"), { textContent: reason })),
  );
};
watch("value", draw);
draw();
