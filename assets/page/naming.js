// Gradio's choices are fieldsets without a name, of radios that do not know each other: here they get the name that
// stands above them, and arrow keys go from one to the next.
{
  const SETS = "#rushes-form fieldset";
  let count = 0;
  const name = () => {
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
  const begin = new MutationObserver(() => {
    const form = document.querySelector("#rushes-form");
    if (!form) return;
    begin.disconnect();
    name();
    new MutationObserver(name).observe(form, { childList: true, subtree: true });
  });
  begin.observe(document.documentElement, { childList: true, subtree: true });
}
