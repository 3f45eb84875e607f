// The row under the picture: play, frame by frame, where, how fast, again and again, sound, the whole screen; and the
// same by keys while the player has the focus.
window.Rushes = window.Rushes || {};
{
  const SOUND = "rushes-sound"; // kept in the browser: muted until a person says otherwise
  const JUMP_SECONDS = 1;
  const KEYS = {
    " ": "play", k: "play", ",": "back", ".": "forward", l: "loop", m: "sound", f: "full",
    ArrowLeft: "earlier", ArrowRight: "later", Home: "first", End: "last",
  };
  const SHORTCUTS = { play: "Space", back: ",", forward: ".", loop: "L", sound: "M", full: "F" };
  const TYPED_INTO = "input:not([type=range]), textarea, select, [contenteditable]";

  const clock = (seconds) => {
    const tenths = Math.floor(seconds * 10 + 0.01);
    return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
  };

  class Controls {
    // root holds .screen, which fills the screen, and in it .controls; onSpeed is given every new speed.
    constructor(root, { video, playback, texts }) {
      Object.assign(this, { root, video, playback, texts, held: false });
      this.find = (name) => root.querySelector(`[data-control="${name}"]`);
      for (const name of Object.keys(SHORTCUTS)) {
        const button = this.find(name);
        button.setAttribute("aria-keyshortcuts", SHORTCUTS[name] === "Space" ? "Space" : SHORTCUTS[name].toLowerCase());
        button.addEventListener("click", () => this.press(name));
        this.name(name, texts[`control_${name}`]);
      }
      this.place = this.find("place");
      this.place.setAttribute("aria-label", texts.control_place);
      this.place.addEventListener("input", () => playback.seek(Number(this.place.value)));
      this.speed = this.find("speed");
      this.speed.setAttribute("aria-label", texts.control_speed);
      this.speed.addEventListener("change", () => this.follow());
      video.muted = localStorage.getItem(SOUND) !== "on";
      for (const event of ["play", "pause", "timeupdate", "seeking", "durationchange", "volumechange", "loadeddata", "emptied"])
        video.addEventListener(event, () => this.draw());
      video.addEventListener("click", () => this.press("play"));
      root.addEventListener("keydown", (event) => this.key(event));
      document.addEventListener("fullscreenchange", () => {
        // Focus stays behind what fills the screen, and keys with it.
        (document.fullscreenElement || root).focus({ preventScroll: true });
        this.draw();
      });
      this.follow();
      this.draw();
    }

    name(control, text) {
      const button = this.find(control);
      if (button.getAttribute("aria-label") === text) return;
      button.setAttribute("aria-label", text);
      button.title = `${text} (${SHORTCUTS[control]})`;
    }

    // A new source falls back to the default speed.
    follow() {
      this.video.defaultPlaybackRate = this.video.playbackRate = Number(this.speed.value);
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPED_INTO)) return;
      const press = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      const own = event.target.closest("button, a, [role=button]") && event.key === " "; // it presses that
      if (!press || own || !this.playback.playableSeconds()) return;
      event.preventDefault();
      this.press(press);
    }

    press(what) {
      const { playback, video } = this;
      if (what === "play") video.paused ? playback.start() : video.pause();
      else if (what === "back" || what === "forward") playback.step(what === "back" ? -1 : 1);
      else if (what === "earlier" || what === "later")
        playback.seek(playback.position() + (what === "later" ? JUMP_SECONDS : -JUMP_SECONDS));
      else if (what === "first" || what === "last") playback.seek(what === "first" ? 0 : playback.playableSeconds());
      else if (what === "loop") playback.loop(!playback.looping);
      else if (what === "sound") this.hear(video.muted);
      else if (what === "full") this.fill();
      this.draw();
    }

    hear(sound) {
      this.video.muted = !sound;
      localStorage.setItem(SOUND, sound ? "on" : "off");
    }

    fill() {
      const screen = this.root.querySelector(".screen");
      if (document.fullscreenElement) document.exitFullscreen();
      else if (screen.requestFullscreen) screen.requestFullscreen().catch(() => {});
      else this.video.webkitEnterFullscreen?.(); // an iPhone fills the screen with a video and nothing else
    }

    hasSound() {
      const { video } = this;
      return Boolean(video.mozHasAudio || video.webkitAudioDecodedByteCount || video.audioTracks?.length);
    }

    draw() {
      const { playback, video, texts } = this;
      const playable = playback.playableSeconds(), total = playback.totalSeconds(), now = Math.min(playback.position(), total || 0);
      for (const name of ["play", "back", "forward", "loop", "full", "place", "speed"]) this.find(name).disabled = !playable;
      this.find("sound").hidden = !this.hasSound();
      this.name("play", video.paused ? texts.control_play : texts.control_pause);
      this.name("full", document.fullscreenElement ? texts.control_small : texts.control_full);
      this.root.dataset.paused = String(video.paused);
      this.find("loop").setAttribute("aria-pressed", String(playback.looping));
      this.find("sound").setAttribute("aria-pressed", String(!video.muted));
      Object.assign(this.place, { max: String(total || 1), value: String(now) });
      this.place.setAttribute("aria-valuetext", `${clock(now)} / ${clock(total)}`);
      this.place.style.setProperty("--now", `${(100 * now) / (total || 1)}%`);
      this.place.style.setProperty("--ready", `${(100 * playable) / (total || 1)}%`);
      const time = this.root.querySelector(".time");
      const text = `${clock(now)} / ${clock(total)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  window.Rushes.Controls = Controls;
}
