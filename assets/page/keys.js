// Ctrl or Command and Enter makes a draft, Esc stops it; not while a list is open or the video fills the screen.
{
  const press = (id) => {
    const button = document.getElementById(id);
    if (button && !button.disabled) button.click();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      press("rushes-make");
    }
    const busy = document.fullscreenElement || document.activeElement?.getAttribute("aria-expanded") === "true";
    if (event.key === "Escape" && !busy && !event.defaultPrevented) press("rushes-stop");
  });
}
