// What Gradio says in English only, whatever the page's language: in its toasts, and in names that screen readers read. That
// the studio is gone is said by a line of our own (window.js). TEXTS are the page's own, put in by the server; a key's English is what Gradio says.
{
  const texts = TEXTS;
  const own = texts[navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"];
  const keys = Object.keys(texts.en).filter((key) => key.startsWith("gradio_"));
  const isBeginning = (key) => texts.en[key].endsWith(" ");
  const WHERE = "input[aria-label], footer[aria-label], footer img[alt], .toast-header, .toast-title, .toast-message-text, .toast-close";

  const translated = (said) => {
    const key = keys.find((key) => (isBeginning(key) ? said.startsWith(texts.en[key]) : said === texts.en[key]));
    return key ? own[key] + said.slice(texts.en[key].length) : said;
  };
  const reword = (element) => {
    for (const name of ["aria-label", "alt"]) {
      const said = element.getAttribute(name);
      if (said && translated(said) !== said) element.setAttribute(name, translated(said));
    }
    if (element.matches(".toast-header")) ["role", "tabindex"].forEach((name) => element.removeAttribute(name)); // it folds
    const text = element.matches(".toast-title") && element.firstChild;
    if (text && translated(text.data.trim()) !== text.data.trim()) text.data = translated(text.data.trim());
    if (!element.matches(".toast-message-text")) return;
    const said = element.textContent.trim();
    if (said === texts.en.gradio_lost) window.Rushes.lose?.();
    if (translated(said) !== said) element.textContent = translated(said);
  };
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      if (target.matches?.(WHERE)) reword(target);
      for (const added of addedNodes) {
        if (added.matches?.(WHERE)) reword(added);
        added.querySelectorAll?.(WHERE).forEach(reword);
      }
    }
  }).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["aria-label", "alt"] });
}
