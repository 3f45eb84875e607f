// What the window itself tells: how far a draft is, in its title; and whether the studio answers, in a line at the top.
window.Rushes = window.Rushes || {};
{
  const ASK_SECONDS = 3; // a studio that is started again answers after about four
  const PATIENCE_SECONDS = 10; // an answer takes milliseconds; a machine that swaps gets some time
  const NAME = "Rushes";
  let line = null;

  // view is the player's value (pipeline/studio/player.py, PlayerView), or nothing.
  const tell = (view) => {
    const cells = view && !view.over ? view.cells : [];
    const made = cells.filter((cell) => cell.state === "done").length;
    document.title = cells.length ? `${Math.min(made + 1, cells.length)}/${cells.length} · ${NAME}` : NAME;
  };

  const answers = async () => {
    try {
      await fetch("robots.txt", { cache: "no-store", signal: AbortSignal.timeout(1000 * PATIENCE_SECONDS) });
      return true;
    } catch {
      return false;
    }
  };

  // What was typed while nobody answered is not yet kept: it is put back after the page is read again.
  const KEPT = "rushes-typed";
  const box = () => document.querySelector("#rushes-prompt textarea");
  const readAgain = () => {
    if (box()) sessionStorage.setItem(KEPT, box().value);
    location.reload();
  };

  const watchServer = (texts) => {
    if (line) return;
    line = Object.assign(document.createElement("p"), { id: "rushes-offline", hidden: true });
    line.setAttribute("role", "status");
    document.body.append(line);
    let gone = false;
    const ask = async () => {
      const here = document.hidden && !gone ? true : await answers();
      if (here && gone) return readAgain();
      if (!here && !gone) {
        gone = true;
        line.hidden = false;
        line.textContent = texts.offline;
        document.body.classList.add("rushes-gone");
      }
      setTimeout(ask, 1000 * ASK_SECONDS);
    };
    setTimeout(ask, 1000 * ASK_SECONDS);
  };

  // What is asked of the server when the page begins: the form that the browser kept, with what was typed after that.
  const restore = (draft, form) => {
    const typed = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    return [draft, form && typed !== null ? { ...form, prompt: typed } : form];
  };

  Object.assign(window.Rushes, { tell, watchServer, restore });
}
