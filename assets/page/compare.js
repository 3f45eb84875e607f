// Two drafts side by side, at the same place: they play, stop, and go frame by frame together.
window.Rushes = window.Rushes || {};
{
  const APART_SECONDS = 0.06; // more than a frame and a half of a miniature's is seen
  const KEYS = { " ": "play", k: "play", ",": "back", ".": "forward", ArrowLeft: "earlier", ArrowRight: "later" };
  const make = (tag, values) => Object.assign(document.createElement(tag), values);

  class Compare {
    constructor(dialog, { texts, urlOf }) {
      Object.assign(this, { dialog, texts, urlOf, speed: 1 });
      const head = make("header", {});
      head.append(make("h2", { textContent: texts.compare_title }), this.button("close", texts.compare_close, () => dialog.close()));
      this.sides = [0, 1].map(() => this.makeSide());
      const pair = make("div", { className: "pair" });
      pair.append(...this.sides.map((side) => side.figure));
      this.place = make("input", { type: "range", min: 0, max: 1, step: "any", value: 0 });
      this.place.setAttribute("aria-label", texts.control_place);
      this.place.addEventListener("input", () => this.seek(Number(this.place.value)));
      this.time = make("span", { className: "time" });
      this.play = this.button("play", texts.control_play, () => this.toggle());
      const row = make("div", { className: "row" });
      row.append(
        this.play,
        this.button("", texts.control_back, () => this.step(-1)),
        this.button("", texts.control_forward, () => this.step(1)),
        this.time,
        this.makeSpeed(),
      );
      dialog.replaceChildren(head, pair, this.place, row);
      dialog.setAttribute("aria-label", texts.compare_title);
      dialog.addEventListener("close", () => this.leave());
      dialog.addEventListener("keydown", (event) => this.key(event));
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    }

    button(name, text, press) {
      const button = make("button", { type: "button", className: name, textContent: text });
      button.addEventListener("click", press);
      return button;
    }

    makeSpeed() {
      const speed = make("select", {});
      speed.setAttribute("aria-label", this.texts.control_speed);
      for (const rate of [0.5, 1, 2]) speed.append(make("option", { value: rate, textContent: `${rate}×`, selected: rate === 1 }));
      speed.addEventListener("change", () => {
        for (const { video } of this.sides) video.defaultPlaybackRate = video.playbackRate = Number(speed.value);
      });
      return speed;
    }

    makeSide() {
      const figure = make("figure", {});
      const video = make("video", { muted: true, playsInline: true, preload: "auto" });
      const caption = make("figcaption", {});
      const title = make("strong", {}), settings = make("span", {});
      caption.append(title, settings);
      figure.append(video, caption);
      video.addEventListener("click", () => this.toggle());
      for (const event of ["timeupdate", "loadedmetadata", "seeked", "play", "pause"]) video.addEventListener(event, () => this.draw());
      return { figure, video, title, settings };
    }

    open(...spines) {
      this.fps = Math.max(...spines.map((spine) => spine.fps));
      this.sides.forEach((side, index) => {
        const spine = spines[index];
        side.title.textContent = spine.title;
        side.settings.textContent = spine.settings;
        side.video.setAttribute("aria-label", spine.title);
        side.video.src = spine.file ? this.urlOf(spine.draft, spine.file) : "";
      });
      this.dialog.showModal();
      this.start();
      this.tick();
    }

    leave() {
      for (const { video } of this.sides) {
        video.pause();
        video.removeAttribute("src");
        video.load();
      }
    }

    // The longer one leads; the other stands on its last frame when it is over.
    get leader() {
      const [a, b] = this.sides.map((side) => side.video);
      return (b.duration || 0) > (a.duration || 0) ? b : a;
    }

    tick() {
      if (!this.dialog.open) return;
      const { leader } = this;
      if (this.going && leader.ended && !leader.seeking) this.seek(0).then(() => this.start());
      for (const { video } of this.sides) {
        if (video === leader || video.seeking || leader.seeking) continue;
        const end = video.duration || 0;
        const aim = Math.min(leader.currentTime, end);
        if (Math.abs(video.currentTime - aim) > APART_SECONDS) video.currentTime = aim;
        if (!leader.paused && video.paused && leader.currentTime < end) video.play().catch(() => {});
      }
      requestAnimationFrame(() => this.tick());
    }

    // A film that is over is paused for a moment, too, before it begins again; that is nobody's pause.
    start() {
      this.going = true;
      for (const { video } of this.sides) video.play().catch(() => {});
    }

    pause() {
      this.going = false;
      for (const { video } of this.sides) video.pause();
      this.draw();
    }

    toggle() {
      this.going ? this.pause() : this.start();
    }

    async seek(seconds) {
      for (const { video } of this.sides)
        if (video.duration) video.currentTime = Math.max(0, Math.min(seconds, video.duration - 0.5 / this.fps));
    }

    step(frames) {
      this.pause();
      const now = Math.floor(this.leader.currentTime * this.fps + 0.01);
      this.seek((now + frames + 0.5) / this.fps);
    }

    key(event) {
      const press = KEYS[event.key];
      const own = event.target.matches("select, input") || (event.key === " " && event.target.matches("button"));
      if (!press || own || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (press === "play") this.toggle();
      else if (press === "back" || press === "forward") this.step(press === "back" ? -1 : 1);
      else this.seek(this.leader.currentTime + (press === "later" ? 1 : -1));
    }

    draw() {
      const { leader, texts } = this;
      const total = leader.duration || 0;
      this.play.textContent = this.going ? texts.control_pause : texts.control_play;
      Object.assign(this.place, { max: String(total || 1), value: String(leader.currentTime) });
      this.time.textContent = `${leader.currentTime.toFixed(1)} / ${total.toFixed(1)} s`;
    }
  }

  window.Rushes.Compare = Compare;
}
