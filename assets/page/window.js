// What the window itself tells: whether the studio answers, in a line at the top.
window.Rushes = window.Rushes || {};
{
  const ASK_SECONDS = 3; // a studio that is started again answers after about four
  const PATIENCE_SECONDS = 10; // an answer takes milliseconds; a machine that swaps gets some time
  let line = null;

  const answers = async () => {
    try {
      const { status } = await fetch("robots.txt", { cache: "no-store", signal: AbortSignal.timeout(1000 * PATIENCE_SECONDS) });
      return status < 500; // a proxy answers so for a studio that is gone
    } catch {
      return false;
    }
  };

  // What was typed while nobody answered is not yet kept: it is put back after the page is read again, which Gradio
  // also does by itself where it finds the studio first.
  const KEPT = "rushes-typed";
  const keepTyped = () => {
    const typed = document.querySelector("#rushes-prompt textarea")?.value;
    if (typed) sessionStorage.setItem(KEPT, typed);
  };

  const watchServer = (texts) => {
    if (line) return;
    line = Object.assign(document.createElement("p"), { id: "rushes-offline", hidden: true });
    line.setAttribute("role", "status");
    document.body.append(line);
    let gone = false;
    const lose = () => {
      if (gone) return;
      gone = true;
      line.hidden = false;
      line.textContent = texts.offline;
      document.body.classList.add("rushes-gone");
    };
    const ask = async () => {
      const here = document.hidden && !gone ? true : await answers();
      if (here && gone) return location.reload();
      if (!here) lose();
      setTimeout(ask, 1000 * ASK_SECONDS);
    };
    setTimeout(ask, 1000 * ASK_SECONDS);
    addEventListener("pagehide", keepTyped);
    window.Rushes.lose = lose;
  };

  // What is asked of the server when the page begins: the form that the browser kept, with what was typed after that.
  const restore = (draft, form) => {
    const typed = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    return [draft, form && typed !== null ? { ...form, prompt: typed } : form];
  };

  Object.assign(window.Rushes, { watchServer, restore });
}
