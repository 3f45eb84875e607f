// The head of the page: what it is, the language, the list of keys. Runs as the body of a function that is given
// element and props.
const texts = props.texts[window.Rushes.language];
const find = (selector) => element.querySelector(selector);
find(".tagline").textContent = texts.tagline;
find(".speech").setAttribute("aria-label", texts.language);
for (const button of element.querySelectorAll(".speech button")) {
  const { language } = button.dataset;
  button.setAttribute("aria-pressed", String(language === window.Rushes.language));
  button.addEventListener("click", () => language !== window.Rushes.language && window.Rushes.speak(language));
}
const keys = window.Rushes.listKeys(texts);
find(".keys").setAttribute("aria-label", texts.keys_title);
find(".keys").title = texts.keys_title;
find(".keys").addEventListener("click", () => keys.showModal());
window.Rushes.watchServer(texts);
