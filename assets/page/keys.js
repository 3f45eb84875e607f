// Ctrl or Command and Enter makes a draft, Esc stops it, ? lists all keys; not while a list or a dialog is open, the video
// fills the screen, an input method composes, or, for ?, somebody types. However long a key is held, or how fast a button
// pressed again, it is one draft.
window.Rushes = window.Rushes || {};
{
  const KEYS = {
    page: [["make", "Ctrl + Enter"], ["stop", "Esc"], ["list", "?"], ["next", "Tab"]],
    storyboard: [["move", "↑ ↓"]],
    player: [["play", "Space"], ["jump", "← →"], ["frame", ", ."], ["full", "F"], ["sound", "M"], ["loop", "L"]],
  };
  const make = (tag, values) => Object.assign(document.createElement(tag), values);
  const press = (id) => {
    const button = document.getElementById(id);
    if (button && !button.disabled) button.click();
  };
  const SAFARIS = 229; // its key code for what an input method took, told after that has ended
  const isComposed = (event) => event.isComposing || event.keyCode === SAFARIS;
  const typing = (target) => target.closest?.("input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable]");
  let dialog = null;

  // The dialog, built once; `showModal` opens it.
  const listKeys = (texts) => {
    dialog?.remove();
    dialog = make("dialog", { id: "rushes-keys" });
    dialog.setAttribute("aria-labelledby", "rushes-keys-title");
    const title = make("h2", { id: "rushes-keys-title", textContent: texts.keys_title });
    const close = make("button", { type: "button", className: "close", textContent: texts.keys_close });
    close.addEventListener("click", () => dialog.close());
    const groups = Object.entries(KEYS).map(([group, keys]) => {
      const part = document.createElement("section");
      const list = document.createElement("dl");
      for (const [name, key] of keys) {
        const row = document.createElement("div");
        const said = make("dt", { textContent: texts[`key_${name}`] });
        const shown = document.createElement("dd");
        shown.append(...key.split(" ").map((part) => (part === "+" ? part : make("kbd", { textContent: part }))));
        row.append(said, shown);
        list.append(row);
      }
      part.append(make("h3", { textContent: texts[`keys_${group}`] }), list);
      return part;
    });
    dialog.append(title, ...groups, close);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
    (document.querySelector(".gradio-container") || document.body).append(dialog); // whose colours it takes
    return dialog;
  };

  document.addEventListener("keydown", (event) => {
    if (isComposed(event) || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!event.repeat) press("rushes-make");
    }
    const busy = document.fullscreenElement || document.activeElement?.matches('[role="combobox"][aria-expanded="true"]');
    if (event.key === "Escape" && !busy && !event.defaultPrevented) press("rushes-stop");
    if (event.key === "?" && !typing(event.target)) {
      event.preventDefault();
      dialog?.showModal();
    }
  });
  document.addEventListener("click", (event) => event.detail > 1 && event.target.closest("#rushes-make") && event.stopImmediatePropagation(), true);
  Object.assign(window.Rushes, { listKeys, isComposed });
}
