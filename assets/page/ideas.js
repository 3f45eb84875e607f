// Sentences to begin with. Runs as the body of a function that is given element, props, watch and trigger.
const texts = props.texts[window.Rushes.language];
const group = element.querySelector(".ideas");
group.setAttribute("aria-label", texts.ideas);
element.querySelector(".about").textContent = texts.ideas_about;
const draw = () => {
  const items = (props.value || []).map((sentence) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: sentence, lang: "en" });
    button.addEventListener("click", () => trigger("click", { sentence }));
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  element.querySelector("ul").replaceChildren(...items);
};
watch("value", draw);
draw();
