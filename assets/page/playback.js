// Plays a draft while it is being made. Slices are complete fragmented mp4 files: each is appended to one Media Source
// at its place on the draft's timeline, so there are no gaps and nothing restarts. Where a browser cannot do that,
// slices play one after the other; a draft that is over plays as its one video file.
window.Rushes = window.Rushes || {};
{
  const Source = window.ManagedMediaSource || window.MediaSource;

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
      Object.assign(this, { video, urlOf, onMore });
      this.reset();
      video.addEventListener("ended", () => this.mode === "list" && this.playNext());
    }

    reset() {
      Object.assign(this, { view: null, mode: "", source: null, buffer: null, appended: 0, busy: false, at: -1 });
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
      this.view = view;
      if (!this.mode) {
        if (view.over && view.video) this.playFile();
        else if (view.pieces.length) this.mode = Source ? "stream" : "list";
      }
      if (this.mode === "stream") this.feed();
      if (this.mode === "list" && (this.at < 0 || this.video.ended)) this.playNext();
      this.video.loop = view.over && this.mode !== "list";
    }

    // Where playing stands on the draft's timeline.
    position() {
      const piece = this.mode === "list" && this.view.pieces[this.at];
      return this.video.currentTime + (piece ? piece.start : 0);
    }

    playableSeconds() {
      if (!this.view || !this.mode) return 0;
      if (this.mode === "file") return this.view.seconds;
      const last = this.view.pieces[(this.mode === "stream" ? this.appended : this.view.pieces.length) - 1];
      return last ? last.stop : 0;
    }

    async seek(seconds) {
      if (this.mode === "list") {
        this.at = this.view.pieces.findIndex((piece) => seconds < piece.stop) - 1;
        this.playNext();
        await once(this.video, "loadedmetadata");
        seconds -= this.view.pieces[this.at].start;
      }
      this.video.currentTime = Math.max(0, seconds) + 0.001;
      this.start();
    }

    // Called when something first becomes playable and on a click; never later, so that a pause is respected.
    start() {
      this.video.play().catch(() => {});
    }

    playFile() {
      this.mode = "file";
      this.video.src = this.urlOf(this.view.draft, this.view.video);
      this.start();
    }

    playNext() {
      const { pieces, over, video } = this.view;
      if (this.at + 1 < pieces.length) {
        this.at += 1;
        this.video.src = this.urlOf(this.view.draft, pieces[this.at].file);
        this.start();
      } else if (over && video) {
        this.playFile();
        this.video.loop = true;
      }
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
      this.appended += 1;
      if (this.appended === 1) this.start();
      this.onMore();
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
