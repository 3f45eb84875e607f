// What can be changed of a draft that is over: a row of buttons under the filmstrip, for the chunk last clicked, and a
// line that says what each does. Undo goes back to the draft that this one was made from, Forward through all that was
// undone: every draft stays, so nothing is lost either way.
window.Rushes = window.Rushes || {};
{
  const OF_A_CHUNK = ["redo", "reprompt", "branch", "cut"];
  const WAYS = [...OF_A_CHUNK, "extend", "undo", "forward"];
  const HELP = ["edit_choose", "edit_safe", "edit_kept", ...WAYS.map((way) => `edit_${way}_help`)];
  const LENGTH_SECONDS = { min: 0.5, max: 60, step: 0.5, value: 2 };

  const KEPT = "rushes-undone"; // of this tab

  const make = (tag, values) => Object.assign(document.createElement(tag), values);

  class Surgery {
    // onEdit is given {draft, way, amount, sentence}, onUndo the draft to go to and the way there. `path` are the drafts
    // that Undo and Forward go along, each made from the one before; any other draft begins a new one.
    constructor(row, { texts, onEdit, onUndo }) {
      Object.assign(this, { row, texts, onEdit, onUndo, view: null, chunk: null });
      this.path = JSON.parse(sessionStorage.getItem(KEPT)) || [];
      row.setAttribute("aria-label", texts.edit_label);
      this.which = make("span", { className: "which" });
      this.buttons = {};
      this.help = make("p", { className: "help", id: "rushes-edit-help" });
      // All that may be said there takes up the room, so that no sentence moves the buttons from under the pointer.
      this.sentences = HELP.map((key) => [key, this.help.appendChild(make("span", { textContent: texts[key] }))]);
      for (const way of WAYS) {
        const button = make("button", { type: "button", textContent: texts[`edit_${way}`] });
        button.dataset.way = way;
        button.setAttribute("aria-describedby", this.help.id);
        for (const event of ["focus", "pointerenter"]) button.addEventListener(event, () => this.explain(way));
        for (const event of ["blur", "pointerleave"]) button.addEventListener(event, () => this.explain(""));
        button.addEventListener("click", () => this.press(way));
        this.buttons[way] = button;
      }
      this.form = this.makeForm();
      row.replaceChildren(this.which, ...Object.values(this.buttons), this.form, this.help);
    }

    // What a button does, while it is looked at; else how to begin, or that nothing was lost.
    explain(way) {
      const rest = this.view?.parent ? "edit_kept" : this.chunk === null ? "edit_choose" : "edit_safe";
      const said = way ? `edit_${way}_help` : rest;
      for (const [key, sentence] of this.sentences) sentence.dataset.said = String(key === said);
    }

    makeForm() {
      const form = make("form", { hidden: true });
      this.seconds = make("input", { type: "number", ...LENGTH_SECONDS });
      this.seconds.setAttribute("aria-label", this.texts.edit_seconds);
      this.sentence = make("input", { type: "text", maxLength: 2000 });
      this.sentence.setAttribute("aria-label", this.texts.edit_sentence);
      const back = make("button", { type: "button", textContent: this.texts.edit_back });
      back.addEventListener("click", () => this.ask(null));
      form.append(this.seconds, this.sentence, make("button", { type: "submit", textContent: this.texts.edit_make }), back);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const amount = this.asked === "extend" ? Number(this.seconds.value) : this.chunk + 1;
        this.send(this.asked, amount, this.sentence.value.trim());
      });
      form.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || window.Rushes.isComposed(event)) return;
        event.preventDefault(); // Esc also stops a draft
        this.ask(null);
      });
      return form;
    }

    keep(path) {
      this.path = path;
      sessionStorage.setItem(KEPT, JSON.stringify(path));
    }

    // What was undone and not done again, the next one first.
    get ahead() {
      const at = this.path.indexOf(this.view.draft);
      return at < 0 ? [] : this.path.slice(at + 1);
    }

    // A draft that was asked for is not there any more.
    forget(draft) {
      this.keep(this.path.filter((each) => each !== draft));
      this.show();
    }

    draw(view) {
      if (view?.draft !== this.view?.draft || !view?.over) {
        this.chunk = null;
        this.ask(null);
      }
      this.view = view;
      if (view && this.path.length && !this.path.includes(view.draft)) this.keep([]);
      this.show();
    }

    pick(chunk) {
      if (this.chunk !== chunk) this.ask(null);
      this.chunk = chunk;
      this.show();
    }

    show() {
      const { view, chunk, buttons } = this;
      const made = view?.over ? view.cells.filter((cell) => cell.state === "done").length : 0;
      const chosen = made && chunk !== null && chunk < made;
      const undone = view?.over && this.ahead.length > 0;
      this.row.hidden = !made && !(view?.over && view.parent) && !undone;
      this.which.textContent = chosen && this.asked !== "extend" ? view.cells[chunk].name : "";
      for (const way of OF_A_CHUNK) buttons[way].hidden = !chosen;
      buttons.cut.hidden ||= chunk === view?.cells.length - 1;
      buttons.extend.hidden = !made;
      buttons.undo.hidden = !view?.parent;
      buttons.forward.hidden = !undone;
      if (this.asked) for (const button of Object.values(buttons)) button.hidden = true;
      this.form.hidden = !this.asked;
      const [way] = Object.entries(buttons).find(([, button]) => button.matches(":focus-visible")) || [""];
      this.explain(this.asked || way);
    }

    press(way) {
      if (way === "undo") {
        const { draft, parent } = this.view;
        this.keep([parent, draft, ...this.ahead]);
        this.onUndo(parent, way);
      } else if (way === "forward") this.onUndo(this.ahead[0], way);
      else if (way === "reprompt" || way === "extend") this.ask(way);
      else this.send(way, this.chunk + 1, "");
    }

    // Opens the line for a sentence, or closes it.
    ask(way) {
      this.asked = way;
      if (way) {
        this.seconds.hidden = way !== "extend";
        this.sentence.required = way === "reprompt";
        this.sentence.value = way === "reprompt" ? this.view.cells[this.chunk].prompt : "";
        this.sentence.placeholder = this.texts[`edit_${way}_placeholder`];
      }
      this.show();
      if (way) this.sentence.focus();
    }

    send(way, amount, sentence) {
      this.onEdit({ draft: this.view.draft, way, amount, sentence });
      this.ask(null);
    }
  }

  window.Rushes.Surgery = Surgery;
}
