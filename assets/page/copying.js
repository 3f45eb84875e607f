// Text to the clipboard, also where a page is not reached by a secure address and browsers offer only the old way.
window.Rushes = window.Rushes || {};
window.Rushes.copyText = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    const before = document.activeElement;
    field.style.cssText = "position: fixed; opacity: 0";
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    before?.focus();
    return copied;
  }
};
