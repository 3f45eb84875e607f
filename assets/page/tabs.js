// Deep links: #models opens that tab, and an opened tab stands in the address.
{
  const PREFIX = "rushes-tab-";
  const button = (name) => document.querySelector(`[role="tab"]#${CSS.escape(`${PREFIX}${name}-button`)}`);
  const isOpen = (tab) => tab?.getAttribute("aria-selected") === "true";
  const open = () => {
    const tab = button(location.hash.slice(1));
    if (tab && !isOpen(tab)) tab.click();
    return isOpen(tab);
  };
  document.addEventListener("click", ({ target }) => {
    const id = target.closest?.('[role="tab"]')?.id || "";
    if (id.startsWith(PREFIX)) history.replaceState(null, "", `#${id.slice(PREFIX.length).replace("-button", "")}`);
  });
  addEventListener("hashchange", open);
  const wait = new MutationObserver(() => open() && wait.disconnect()); // Gradio builds the tabs one after the other
  if (location.hash) wait.observe(document.documentElement, { childList: true, subtree: true, attributes: true });
}
