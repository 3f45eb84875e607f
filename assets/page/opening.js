// Settings out of a file, read here: of an mp4 only its table of contents and its comment, so that films of any size can
// be opened and nothing is uploaded. The server is sent the text alone, and believes nothing in it.
window.Rushes = window.Rushes || {};
{
  const LARGEST_BYTES = 200_000; // of settings, which fit what the server takes at once
  const LARGEST_TABLE = 8 * 2 ** 20; // of metadata in an mp4
  const MOST_BOXES = 64; // at the top of an mp4; ours have four
  const FILM = /\.(mp4|m4v|mov)$/i;
  const COMMENT = "\u00a9cmt";

  const view = async (file, from, length) => new DataView(await file.slice(from, from + length).arrayBuffer());
  const name = (data, at) => String.fromCharCode(...[0, 1, 2, 3].map((index) => data.getUint8(at + index)));

  // The boxes in a stretch of an mp4's bytes, as [name, from, to]; what makes no sense ends it.
  const boxes = (data, from, to) => {
    const found = [];
    while (from + 8 <= to) {
      const size = data.getUint32(from);
      if (size < 8 || from + size > to) break;
      found.push([name(data, from + 4), from + 8, from + size]);
      from += size;
    }
    return found;
  };

  const inside = (data, from, to, path) => {
    if (!path.length) return [from, to];
    for (const [kind, start, stop] of boxes(data, from, to)) {
      if (kind === path[0]) return inside(data, start + (kind === "meta" ? 4 : 0), stop, path.slice(1));
    }
    return null;
  };

  // The comment of a film; "" where there is none, null where it is no mp4.
  const readComment = async (file) => {
    let at = 0;
    for (let count = 0; count < MOST_BOXES && at + 8 <= file.size; count++) {
      const head = await view(file, at, 16);
      let size = head.getUint32(0), header = 8;
      if (size === 1 && head.byteLength === 16) (size = Number(head.getBigUint64(8))), (header = 16);
      if (size === 0) size = file.size - at;
      const kind = name(head, 4);
      if (size < header || (at === 0 && !["ftyp", "moov", "wide", "mdat"].includes(kind))) return null;
      if (kind === "moov") {
        if (size > LARGEST_TABLE) return "";
        const data = await view(file, at + header, size - header);
        const place = inside(data, 0, data.byteLength, ["udta", "meta", "ilst", COMMENT, "data"]);
        return place ? new TextDecoder().decode(new Uint8Array(data.buffer, place[0] + 8, place[1] - place[0] - 8)) : "";
      }
      at += size;
    }
    return at ? "" : null;
  };

  class Opening {
    // say shows a sentence, onSettings is given the JSON of a request.
    constructor({ texts, say, onSettings }) {
      Object.assign(this, { texts, say, onSettings, depth: 0 });
      this.sheet = Object.assign(document.createElement("p"), { id: "rushes-drop", hidden: true, textContent: texts.opening_drop });
      document.body.append(this.sheet);
      const carries = (event) => event.dataTransfer?.types.includes("Files");
      document.addEventListener("dragenter", (event) => carries(event) && this.hover(1));
      document.addEventListener("dragleave", (event) => carries(event) && this.hover(-1));
      document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
      document.addEventListener("drop", (event) => {
        if (!carries(event)) return;
        this.hover(-this.depth);
        if (event.defaultPrevented) return; // a picture, for a field of its own
        event.preventDefault(); // or the browser leaves the page for the film
        this.read(event.dataTransfer.files[0]);
      });
    }

    hover(step) {
      this.depth = Math.max(0, this.depth + step);
      this.sheet.hidden = !this.depth;
    }

    async read(file) {
      if (!file) return;
      const { texts } = this;
      try {
        const text = FILM.test(file.name) ? await readComment(file) : file.size > LARGEST_BYTES ? null : await file.text();
        if (text === null) return this.say(texts.opening_unreadable, true);
        if (!text.trimStart().startsWith("{")) return this.say(FILM.test(file.name) ? texts.opening_not_ours : texts.opening_unreadable, true);
        if (new TextEncoder().encode(text).length > LARGEST_BYTES) return this.say(texts.opening_too_long, true);
        this.onSettings(text);
      } catch {
        this.say(texts.opening_unreadable, true); // cut off, gone, or not to be read
      }
    }
  }

  window.Rushes.Opening = Opening;
}
