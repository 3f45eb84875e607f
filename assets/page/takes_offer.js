// Offers takes (pipeline/studio/takes.py): what they are, and a button for each number with what it would take. Runs as
// the body of a function that is given element, props, trigger and watch. Text is set as text, never as markup.
const texts = props.texts[window.Rushes.language];
const make = (tag, values) => Object.assign(document.createElement(tag), values);
const title = make("h3", { textContent: texts.takes_title });
const help = make("p", {});
const row = make("div", { className: "choices" });
element.querySelector(".takes_offer").replaceChildren(title, row, help);
const draw = () => {
  const { help: said = "", choices = [] } = props.value || {};
  help.textContent = said;
  choices.forEach(({ count, label }, index) => {
    const button = row.children[index] || row.appendChild(make("button", { type: "button" }));
    button.textContent = label;
    button.onclick = () => trigger("submit", { count });
  });
  while (row.children.length > choices.length) row.lastChild.remove();
};
watch("value", draw);
draw();
