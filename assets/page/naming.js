// What Gradio leaves unsaid to a screen reader. Its choices are fieldsets without a name, of radios that do not know each
// other: here they get the name that stands above them, and arrow keys go from one to the next. What unfolds says so.
{
  const SETS = "#rushes-form fieldset";
  let count = 0;
  const nameSets = () => {
    for (const set of document.querySelectorAll(SETS)) {
      const title = set.querySelector('[data-testid="block-info"]');
      if (!title) continue;
      set.id ||= `rushes-choice-${++count}`;
      title.id ||= `${set.id}-name`;
      set.setAttribute("role", "radiogroup");
      set.setAttribute("aria-labelledby", title.id);
      for (const radio of set.querySelectorAll("[type=radio]")) if (radio.name !== set.id) radio.name = set.id;
    }
  };
  const nameFold = () => {
    const button = document.querySelector("#rushes-more > button");
    const folded = button?.parentElement.querySelector(':scope > [data-testid="accordion-content"]');
    if (!folded || folded.id) return;
    button.id = "rushes-more-name";
    button.querySelector(".icon")?.setAttribute("aria-hidden", "true"); // or it is read as a triangle
    folded.id = "rushes-more-options";
    folded.setAttribute("role", "region");
    folded.setAttribute("aria-labelledby", button.id);
    button.setAttribute("aria-controls", folded.id);
    const tell = () => button.setAttribute("aria-expanded", String(button.classList.contains("open")));
    tell();
    new MutationObserver(tell).observe(button, { attributeFilter: ["class"] });
  };
  const name = () => {
    nameSets();
    nameFold();
  };
  const begin = new MutationObserver(() => {
    const form = document.querySelector("#rushes-form");
    if (!form) return;
    begin.disconnect();
    name();
    new MutationObserver(name).observe(form, { childList: true, subtree: true });
  });
  begin.observe(document.documentElement, { childList: true, subtree: true });
}
