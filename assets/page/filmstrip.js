// The pictures of a draft that are not the video: the moving preview of the chunk being made, and the filmstrip.
window.Rushes = window.Rushes || {};
{
  const PREVIEW_SCALE = 4; // a preview is a few dozen pixels wide; smoothing it here looks better than by CSS alone

  // A picture told as a data URL, which its owner closes: what an <img> has decoded stays in the browser's cache.
  const decode = async (source) => {
    const [head, body] = source.split(",");
    const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
    return createImageBitmap(new Blob([bytes], { type: head.slice("data:".length).split(";")[0] }));
  };

  // Plays a strip of pictures, one under the other in one image, on any number of canvases.
  class MovingPreview {
    constructor() {
      Object.assign(this, { canvases: [], image: null, frames: 0, seconds: 1, source: "" });
      this.still = matchMedia("(prefers-reduced-motion: reduce)");
    }

    async show(strip, seconds, onFirst) {
      if (strip.source === this.source) return;
      this.source = strip.source;
      const image = await decode(strip.source).catch(() => null);
      if (!image) return; // a torn picture: the next step brings another
      if (strip.source !== this.source) return image.close();
      this.image?.close();
      Object.assign(this, { image, frames: strip.frames, seconds });
      if (!this.timer) this.timer = setInterval(() => this.draw(), 1000 / 12);
      this.draw();
      onFirst();
    }

    hide() {
      clearInterval(this.timer);
      this.image?.close();
      Object.assign(this, { timer: 0, image: null, source: "", canvases: [] });
    }

    draw() {
      if (!this.image || document.hidden) return;
      const { width } = this.image;
      const height = this.image.height / this.frames;
      const share = this.still.matches ? 0.5 : (performance.now() / 1000 / this.seconds) % 1;
      const frame = Math.min(this.frames - 1, Math.floor(share * this.frames));
      for (const canvas of this.canvases) {
        if (canvas.width !== width * PREVIEW_SCALE || canvas.height !== height * PREVIEW_SCALE)
          Object.assign(canvas, { width: width * PREVIEW_SCALE, height: height * PREVIEW_SCALE });
        const brush = canvas.getContext("2d");
        brush.imageSmoothingQuality = "high";
        brush.drawImage(this.image, 0, frame * height, width, height, 0, 0, canvas.width, canvas.height);
      }
    }
  }

  // Takes stills from video files, one at a time, on an element nobody sees.
  class Stills {
    constructor() {
      this.video = Object.assign(document.createElement("video"), { muted: true, preload: "auto", playsInline: true });
      this.queue = Promise.resolve();
    }

    take(url, seconds, canvas) {
      this.queue = this.queue.then(() => this.draw(url, seconds, canvas)).catch(() => {});
    }

    draw(url, seconds, canvas) {
      const { video } = this;
      return new Promise((resolve, reject) => {
        video.onerror = reject;
        video.onloadeddata = () => (video.currentTime = Math.min(seconds, video.duration / 2));
        video.onseeked = () => {
          Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
          canvas.getContext("2d").drawImage(video, 0, 0);
          resolve();
        };
        video.src = url;
      });
    }
  }

  // A button for each chunk: a still when it can be played, the moving preview while it is made, an outline before.
  class Filmstrip {
    constructor(list, { urlOf, onPick }) {
      Object.assign(this, { list, urlOf, onPick, stills: new Stills(), draft: "" });
    }

    clear() {
      this.draft = "";
      this.list.replaceChildren();
    }

    draw(view, playableSeconds) {
      if (view.draft !== this.draft) this.clear();
      this.draft = view.draft;
      view.cells.forEach((cell, index) => {
        const button = this.list.children[index]?.firstChild || this.addCell(index);
        if (button.dataset.state !== cell.state && cell.state === "making") this.reveal(button);
        button.dataset.state = cell.state;
        button.setAttribute("aria-label", cell.label);
        button.disabled = cell.start >= playableSeconds;
        this.picture(view, cell, button);
      });
      this.cells = view.cells;
    }

    addCell(index) {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const number = Object.assign(document.createElement("span"), { textContent: String(index + 1) });
      button.append(document.createElement("canvas"), number);
      button.addEventListener("click", () => this.onPick(this.cells[index].start, index));
      const item = document.createElement("li");
      item.append(button);
      this.list.append(item);
      return button;
    }

    // A still from the first slice in the cell's span, or from the video.
    picture(view, cell, button) {
      if (button.dataset.still || cell.state === "making") return;
      const middle = (cell.start + cell.stop) / 2;
      const piece = view.pieces.find((each) => each.start < middle && each.stop > cell.start);
      const file = piece ? piece.file : view.over ? view.video : null;
      if (!file || (!piece && cell.state !== "done")) return;
      button.dataset.still = "taken";
      this.stills.take(this.urlOf(view.draft, file), Math.max(0, middle - (piece ? piece.start : 0)), button.firstChild);
    }

    // Scrolls the strip, never the page.
    reveal(button) {
      const left = button.parentElement.offsetLeft - this.list.offsetLeft;
      this.list.scrollTo({ left: left - this.list.clientWidth / 2, behavior: "smooth" });
    }

    canvasOf(chunk) {
      return this.list.children[chunk]?.firstChild.firstChild;
    }

    mark(seconds) {
      (this.cells || []).forEach((cell, index) => {
        const now = seconds >= cell.start && seconds < cell.stop;
        this.list.children[index]?.firstChild.setAttribute("aria-current", String(now));
      });
    }
  }

  Object.assign(window.Rushes, { MovingPreview, Filmstrip });
}
