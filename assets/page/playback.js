// Plays a draft while it is being made. Slices are complete fragmented mp4 files: each is appended to one Media Source
// at its place on the draft's timeline, so there are no gaps and nothing restarts. Where a browser cannot do that,
// slices play one after the other; a draft that is over plays as its one video file.
window.Rushes = window.Rushes || {};
{
  const Source = window.ManagedMediaSource || window.MediaSource;
  const INTO_SECONDS = 0.001; // past a frame's first moment, where rounding could still show the one before

  // The codec string, from the first avcC box: profile, constraints and level follow the box's version byte.
  const readCodec = (bytes) => {
    for (let at = 0; at + 8 < bytes.length; at++) {
      if (bytes[at] === 0x61 && bytes[at + 1] === 0x76 && bytes[at + 2] === 0x63 && bytes[at + 3] === 0x43) {
        const parts = [bytes[at + 5], bytes[at + 6], bytes[at + 7]];
        return `avc1.${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
      }
    }
    return "";
  };

  const once = (target, good, bad) =>
    new Promise((resolve, reject) => {
      target.addEventListener(good, resolve, { once: true });
      if (bad) target.addEventListener(bad, () => reject(new Error(bad)), { once: true });
    });

  class Playback {
    // onMore is called whenever more of the draft can be played.
    constructor(video, { urlOf, onMore }) {
      Object.assign(this, { video, urlOf, onMore, looping: true });
      this.reset();
      video.addEventListener("ended", () => this.mode === "list" && this.playNext());
    }

    reset() {
      Object.assign(this, { view: null, mode: "", source: null, buffer: null, appended: 0, ends: [], busy: false, at: -1, back: null });
    }

    close() {
      if (!this.view) return;
      const address = this.address;
      this.reset();
      this.address = "";
      this.video.removeAttribute("src");
      this.video.load();
      if (address) URL.revokeObjectURL(address);
    }

    // Take in the newest view of a draft. Called often; only what is new has an effect.
    show(view) {
      if (this.view && this.view.draft !== view.draft) this.close();
      if (this.mode === "file" && !view.over) this.goOn(view);
      this.view = view;
      if (!this.mode) {
        if (view.over && view.video) this.playFile();
        else if (view.pieces.length) this.mode = Source ? "stream" : "list";
      }
      if (this.mode === "stream") {
        // A slice that a stop had cut short is made anew: it goes over the one it was.
        while (this.appended && view.pieces[this.appended - 1]?.stop !== this.ends[this.appended - 1]) this.appended -= 1;
        this.feed();
      }
      if (this.mode === "list" && (this.at < 0 || this.video.ended)) this.playNext();
      this.loop(this.looping);
    }

    // A draft that was over is made further: its file gives way to slices, at the same place, paused if it was.
    goOn(view) {
      const back = { seconds: this.position(), paused: this.video.paused };
      this.close();
      Object.assign(this, { view, back });
    }

    loop(wanted) {
      this.looping = wanted;
      this.video.loop = Boolean(wanted && this.view?.over && this.mode !== "list");
    }

    // How long the draft is, or will be; of one that was stopped, what there is.
    totalSeconds() {
      return this.view ? (this.view.over && this.playableSeconds()) || this.view.seconds : 0;
    }

    // Where playing stands on the draft's timeline.
    position() {
      const piece = this.mode === "list" && this.view.pieces[this.at];
      return this.video.currentTime + (piece ? piece.start : 0);
    }

    playableSeconds() {
      if (!this.view || !this.mode) return 0;
      const { pieces } = this.view;
      if (this.mode === "file") return this.video.duration || (pieces.length ? pieces[pieces.length - 1].stop : this.view.seconds);
      const last = pieces[(this.mode === "stream" ? this.appended : pieces.length) - 1];
      return last ? last.stop : 0;
    }

    // Goes to a place that can be played; plays on if it played, and stays paused if it did not.
    async seek(seconds) {
      if (!this.view) return;
      let aim = Math.max(0, Math.min(seconds, this.playableSeconds() - 0.5 / this.view.fps));
      if (this.mode === "list") {
        const { pieces } = this.view;
        const at = Math.max(0, pieces.findIndex((piece) => aim < piece.stop));
        if (at !== this.at) {
          const playing = !this.video.paused && !this.video.ended;
          this.load(at);
          await once(this.video, "loadedmetadata");
          if (playing) this.start();
        }
        aim -= pieces[at].start;
      }
      this.video.currentTime = aim + INTO_SECONDS;
    }

    // One frame on or back, to its middle, where every browser shows the same one.
    step(frames) {
      if (!this.view) return;
      this.video.pause();
      const { fps } = this.view;
      const now = Math.floor(this.position() * fps + 0.01);
      this.seek((now + frames + 0.5) / fps);
    }

    // Called when something first becomes playable and on a click; never later, so that a pause is respected.
    start() {
      const { video } = this;
      video.play().catch((error) => {
        if (error.name !== "NotAllowedError" || video.muted) return;
        video.muted = true; // a browser plays with sound only after a click on the page
        video.play().catch(() => {});
      });
    }

    playFile() {
      this.mode = "file";
      this.video.src = this.urlOf(this.view.draft, this.view.video);
      this.start();
    }

    playNext() {
      const { pieces, over, video } = this.view;
      if (this.at + 1 < pieces.length) {
        this.load(this.at + 1);
        this.start();
      } else if (over && video) {
        this.playFile();
        this.loop(this.looping);
      }
    }

    load(index) {
      this.at = index;
      this.video.src = this.urlOf(this.view.draft, this.view.pieces[index].file);
    }

    async feed() {
      if (this.busy) return;
      this.busy = true;
      const { draft } = this.view;
      const gone = () => !this.view || this.view.draft !== draft || this.mode !== "stream";
      try {
        while (!gone() && this.appended < this.view.pieces.length) {
          const bytes = await this.fetchPiece(this.view.pieces[this.appended]);
          if (gone()) return;
          if (!bytes) break;
          await this.append(bytes, gone);
        }
        if (!gone() && this.view.over && this.source?.readyState === "open" && this.appended === this.view.pieces.length)
          this.source.endOfStream();
      } catch (error) {
        if (gone()) return;
        console.info("slices are played one after the other:", error);
        Object.assign(this, { mode: "list", at: -1 });
        this.playNext();
      } finally {
        if (this.view?.draft === draft) this.busy = false;
      }
    }

    // The bytes of a slice; null when the server cannot be reached, and the next view will try again.
    async fetchPiece(piece) {
      try {
        const answer = await fetch(this.urlOf(this.view.draft, piece.file));
        return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
      } catch {
        return null;
      }
    }

    async append(bytes, gone) {
      if (!this.buffer) await this.open(bytes);
      if (gone()) return;
      this.buffer.timestampOffset = this.view.pieces[this.appended].start;
      const done = once(this.buffer, "updateend", "error");
      this.buffer.appendBuffer(bytes);
      await done;
      if (gone()) return;
      this.ends[this.appended] = this.view.pieces[this.appended].stop;
      this.appended += 1;
      if (this.back) this.returnTo(this.back);
      else if (this.appended === 1) this.start();
      this.onMore();
    }

    // As soon as there is enough again to be where goOn left.
    returnTo({ seconds, paused }) {
      const all = this.appended === this.view.pieces.length;
      if (this.playableSeconds() <= seconds && !all) return;
      this.back = null;
      this.seek(seconds);
      if (!paused) this.start();
    }

    async open(bytes) {
      const type = `video/mp4; codecs="${readCodec(bytes)}"`;
      if (!Source.isTypeSupported(type)) throw new Error(`this browser cannot stream ${type}`);
      this.source = new Source();
      this.address = URL.createObjectURL(this.source);
      this.video.disableRemotePlayback = true;
      this.video.src = this.address;
      await once(this.source, "sourceopen");
      this.source.duration = this.view.seconds;
      this.buffer = this.source.addSourceBuffer(type);
    }
  }

  window.Rushes.Playback = Playback;
}
