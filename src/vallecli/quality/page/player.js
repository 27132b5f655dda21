"use strict";
// Building elements, and playing recordings: one at a time.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);

/** Return an element with properties, classes and children; text is inserted as text, never as HTML. */
function make(tag, { classes = "", dataset = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

function announce(text) {
  $("status").textContent = text;
}

/** Storage that may be forbidden, or gone: a page from the disk has none in some browsers. */
const store = {
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(`valle-page-${name}`));
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`valle-page-${name}`, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

function clock(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
}

const player = {
  audio: new Audio(),
  view: null, // the clip view whose recording is loaded
  url: null,

  toggle(view) {
    if (this.view !== view) this.load(view);
    else if (!this.audio.paused) return this.audio.pause();
    return this.start();
  },

  load(view) {
    this.stop();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    const clip = view.clip;
    if (clip.audio) this.url = URL.createObjectURL(new Blob([bytesOf(clip.audio)], { type: "audio/mpeg" }));
    this.view = view;
    this.audio.src = this.url || clip.href;
  },

  start() {
    const view = this.view;
    view.heard = true;
    announce(`Playing ${view.label}`);
    this.audio.play().catch((error) => {
      if (error.name !== "AbortError") announce(`${view.clip.name} cannot be played: ${error.message}`);
    });
  },

  stop() {
    this.audio.pause();
    if (this.view) this.view.show(0, false);
    this.view = null;
  },

  seek(view, share) {
    if (this.view !== view) this.load(view);
    this.audio.currentTime = share * view.clip.seconds;
    if (this.audio.paused) this.start();
  },

  skip(seconds) {
    if (!this.view) return;
    this.audio.currentTime = Math.max(0, this.audio.currentTime + seconds);
  },

  update() {
    if (this.view) this.view.show(this.audio.currentTime, !this.audio.paused && !this.audio.ended);
  },

  follow() {
    this.update();
    if (!this.audio.paused && !this.audio.ended) requestAnimationFrame(() => this.follow());
  },
};
player.audio.preload = "auto";
player.audio.addEventListener("play", () => player.follow());
for (const name of ["pause", "ended", "seeked"]) player.audio.addEventListener(name, () => player.update());
player.audio.addEventListener("ended", () => {
  if (player.view) player.view.show(0, false);
});
player.audio.addEventListener("error", () => {
  if (player.view) announce(`${player.view.clip.name} cannot be played: the file is missing, or its format unknown`);
});

const SVG = "http://www.w3.org/2000/svg";

function waveform(clip, classes) {
  const heights = [...bytesOf(clip.peaks)];
  const bars = heights.map((height, index) => {
    const half = Math.max(1, (height / 255) * 48);
    return `M${index + 0.5} ${50 - half}V${50 + half}`;
  });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${heights.length} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", classes);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", bars.join(""));
  svg.append(path);
  return svg;
}

/** A recording with a button, a waveform that seeks where it is clicked, and its time. */
class ClipView {
  /** `title` is shown, `label` is read out; without `named`, the file is not named. */
  constructor(number, title, label, { named = true, key = "" } = {}) {
    this.clip = data.clips[number];
    this.label = label;
    this.heard = false;
    const clip = this.clip;
    const name = named && (clip.href ? make("a", { href: clip.href, target: "_blank", rel: "noopener" }, clip.name)
      : make("span", {}, clip.name));
    const head = make("div", { classes: "clip-head" }, make("span", { classes: "clip-title" }, title),
      key && make("kbd", {}, key), named && make("span", { classes: "file" }, name));
    this.element = make("div", { classes: "clip" }, head);
    if (clip.error) {
      this.element.append(make("p", { classes: "problem" }, `Cannot be played: ${clip.error}`));
      return;
    }
    this.button = make("button", { type: "button", classes: "play", "aria-label": `Play ${label}` });
    this.button.addEventListener("click", () => player.toggle(this));
    this.wave = make("div", { classes: "wave", "aria-hidden": "true" },
      waveform(clip, "whole"), waveform(clip, "played"));
    this.wave.addEventListener("click", (event) => {
      const box = this.wave.getBoundingClientRect();
      player.seek(this, Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
    });
    this.time = make("span", { classes: "time" });
    head.append(this.time);
    this.element.append(make("div", { classes: "clip-body" }, this.button, this.wave));
    this.show(0, false);
  }

  get playable() {
    return !this.clip.error;
  }

  play() {
    if (this.playable) player.toggle(this);
    else announce(`${this.label} cannot be played: ${this.clip.error}`);
  }

  show(seconds, playing) {
    const share = this.clip.seconds ? Math.min(1, seconds / this.clip.seconds) : 0;
    this.wave.style.setProperty("--played", `${100 * share}%`);
    this.wave.classList.toggle("started", share > 0);
    this.button.classList.toggle("playing", playing);
    this.button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${this.label}`);
    const whole = clock(this.clip.seconds) + (this.clip.shortened ? " (shortened)" : "");
    this.time.textContent = share > 0 ? `${seconds.toFixed(1)} / ${whole}` : whole;
  }
}
