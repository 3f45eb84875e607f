// A draft on the shelf: a picture that moves while it is looked at, and what can be done with it.
window.Rushes = window.Rushes || {};
{
  const STILL_SECONDS = 0.5; // where the picture stands: a draft's first frame often shows nothing yet
  const make = (tag, values) => Object.assign(document.createElement(tag), values);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // Pictures are read when they come near the window, not before.
  const near = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting || target.src || !target.dataset.src) continue;
        target.src = target.dataset.src;
      }
    },
    { rootMargin: "200px" },
  );

  class Card {
    constructor(spine, { texts, urlOf, acts, longestTitle }) {
      Object.assign(this, { texts, urlOf, acts, spine, drawn: "" });
      this.place = make("li", { className: "card" });
      this.opener = make("button", { type: "button", className: "open" });
      this.picture = make("video", { muted: true, loop: true, preload: "metadata", playsInline: true });
      this.picture.setAttribute("aria-hidden", "true");
      this.title = make("span", { className: "title" });
      this.remark = make("span", { className: "remark" });
      this.opener.append(this.picture, this.title, this.remark);
      this.opener.addEventListener("click", () => acts.open(this.spine));
      this.star = this.button("star", "", () => acts.favourite(this.spine, !this.spine.favourite));
      this.goOn = this.button("go-on", texts.shelf_go_on, () => acts.goOn(this.spine));
      this.more = this.button("more", "⋯", () => this.unfold(this.menu.hidden ? "menu" : ""));
      this.more.setAttribute("aria-expanded", "false");
      this.menu = this.makeMenu();
      this.naming = this.makeNaming(longestTitle);
      this.sure = this.makeSure();
      this.place.append(this.opener, this.star, this.goOn, this.more, this.menu, this.naming, this.sure);
      // Safari takes the focus from the menu for no button that is pressed, and the menu would close beneath the pointer.
      this.place.addEventListener("mousedown", (event) => event.target.closest(".menu, .more") && event.preventDefault());
      this.place.addEventListener("pointerenter", () => this.play());
      this.place.addEventListener("focusin", () => this.play());
      this.place.addEventListener("pointerleave", () => this.rest());
      this.place.addEventListener("focusout", ({ relatedTarget }) => {
        if (this.place.contains(relatedTarget)) return;
        this.rest();
        if (!this.menu.hidden) this.unfold("");
      });
      this.place.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || window.Rushes.isComposed(event) || (this.menu.hidden && this.naming.hidden && this.sure.hidden)) return;
        event.preventDefault(); // Esc also stops a draft
        event.stopPropagation();
        this.unfold("");
        this.more.focus();
      });
    }

    button(name, text, press) {
      const button = make("button", { type: "button", className: name, textContent: text });
      button.addEventListener("click", press);
      return button;
    }

    makeMenu() {
      const { texts, acts } = this;
      const menu = make("div", { className: "menu", hidden: true });
      menu.setAttribute("role", "group");
      const pick = (press) => () => {
        this.unfold("");
        press();
      };
      this.remove = this.button("", texts.shelf_delete, () => this.unfold("sure"));
      menu.append(
        this.button("", texts.compare, pick(() => acts.compare(this.spine))),
        this.button("", texts.shelf_rename, () => this.unfold("naming")),
        this.remove,
      );
      return menu;
    }

    makeNaming(longest) {
      const { texts } = this;
      const form = make("form", { className: "naming", hidden: true });
      this.name = make("input", { type: "text", maxLength: longest });
      this.name.setAttribute("aria-label", texts.shelf_title);
      const back = this.button("", texts.shelf_cancel, () => this.unfold(""));
      form.append(this.name, make("button", { type: "submit", textContent: texts.shelf_rename_do }), back);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.unfold("");
        this.acts.rename(this.spine, this.name.value.trim());
        this.more.focus();
      });
      return form;
    }

    makeSure() {
      const { texts } = this;
      const sure = make("div", { className: "sure", hidden: true });
      sure.setAttribute("role", "group");
      this.question = make("span", {});
      const yes = this.button("danger", texts.shelf_delete_do, () => {
        this.unfold("");
        this.acts.remove(this.spine);
      });
      this.keep = this.button("", texts.shelf_keep, () => {
        this.unfold("");
        this.more.focus();
      });
      sure.append(this.question, yes, this.keep);
      return sure;
    }

    // Shows the menu, the line for a name, the question whether to delete, or nothing of them.
    unfold(what) {
      for (const part of ["menu", "naming", "sure"]) this[part].hidden = part !== what;
      this.more.setAttribute("aria-expanded", String(what === "menu"));
      if (what === "menu") this.menu.firstChild.focus();
      if (what === "naming") {
        this.name.value = this.spine.own_title;
        this.name.placeholder = this.spine.title;
        this.name.focus();
      }
      if (what === "sure") this.keep.focus();
    }

    draw(spine) {
      const now = JSON.stringify(spine);
      if (now === this.drawn) return;
      this.drawn = now;
      this.spine = spine;
      const { texts, picture } = this;
      this.title.textContent = spine.title;
      this.remark.textContent = spine.remark;
      this.opener.setAttribute("aria-label", spine.label);
      this.opener.title = `${spine.title}\n${spine.settings}`;
      const source = spine.file ? `${this.urlOf(spine.draft, spine.file)}#t=${STILL_SECONDS}` : "";
      if (picture.dataset.src !== source) {
        picture.dataset.src = source;
        near.unobserve(picture); // of one that is seen already nothing more would be told
        picture.removeAttribute("src");
        picture.load();
        if (source) near.observe(picture);
      }
      this.star.textContent = spine.favourite ? "★" : "☆";
      this.star.setAttribute("aria-pressed", String(spine.favourite));
      this.star.setAttribute("aria-label", `${texts.shelf_favourite}: ${spine.title}`);
      this.star.title = texts.shelf_favourite_help;
      this.more.setAttribute("aria-label", `${texts.shelf_more}: ${spine.title}`);
      this.menu.setAttribute("aria-label", `${texts.shelf_more}: ${spine.title}`);
      this.goOn.hidden = !spine.unfinished;
      this.goOn.setAttribute("aria-label", `${texts.shelf_go_on}: ${spine.title}`);
      this.remove.disabled = spine.busy;
      this.remove.title = spine.busy ? texts.shelf_delete_busy : "";
      this.question.textContent = `${texts.shelf_delete_sure} ${spine.room}.`;
    }

    mark(picked) {
      this.place.dataset.picked = String(picked?.draft === this.spine.draft);
    }

    play() {
      if (this.picture.src && !calm.matches) this.picture.play().catch(() => {});
    }

    rest() {
      if (this.picture.paused) return;
      this.picture.pause();
      this.picture.currentTime = STILL_SECONDS;
    }
  }

  window.Rushes.Card = Card;
}
