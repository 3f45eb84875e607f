// How a draft goes on while nobody looks: the window's title, and a notification where a person asked for one.
window.Rushes = window.Rushes || {};
{
  const ASKED = "rushes-notify"; // kept in the browser
  const LONG_SECONDS = 30; // nobody needs to be called back sooner
  const TITLE = "Rushes";

  class Outcome {
    // button asks for notifications, note tells where the browser refuses.
    constructor(button, { texts, note }) {
      Object.assign(this, { button, texts, note, draft: null, making: false });
      button.textContent = texts.notify;
      button.title = texts.notify_help;
      button.hidden = !("Notification" in window);
      button.addEventListener("click", () => this.ask());
      for (const event of ["pointerdown", "keydown"])
        document.addEventListener(event, () => this.over && this.setTitle(""), { capture: true });
      this.drawButton();
    }

    wanted() {
      return localStorage.getItem(ASKED) === "yes" && window.Notification?.permission === "granted";
    }

    async ask() {
      if (this.wanted()) {
        localStorage.setItem(ASKED, "no");
      } else {
        localStorage.setItem(ASKED, "yes");
        if ((await Notification.requestPermission()) !== "granted") this.note(this.texts.notify_refused);
      }
      this.drawButton();
    }

    drawButton() {
      this.button.setAttribute("aria-pressed", String(this.wanted()));
    }

    setTitle(text) {
      const title = text ? `${text} – ${TITLE}` : TITLE;
      this.over = false;
      if (document.title !== title) document.title = title;
    }

    draw(view) {
      const same = view && view.draft === this.draft;
      const ended = same && this.making && (view.over || view.outcome);
      if (!view || (!same && view.over)) this.setTitle("");
      else if (!view.over && !view.outcome) this.setTitle(`${Math.round(100 * view.progress)} %`);
      this.draft = view?.draft;
      this.making = Boolean(view && !view.over && !view.outcome);
      if (!ended) return;
      this.setTitle(this.texts[`title_${view.outcome}`]);
      this.over = true;
      const seen = document.hasFocus() && !document.hidden;
      if (this.wanted() && !seen && view.took >= LONG_SECONDS) this.call(view);
    }

    call(view) {
      try {
        new Notification(TITLE, { body: view.sentence, tag: view.draft });
      } catch {
        // Chrome on Android has them for service workers only; the title tells it, too
      }
    }
  }

  window.Rushes.Outcome = Outcome;
}
