// A counter's screens beside HTML: what the gateway pushes is put in place, keys and touches are sent. No library.
"use strict";

const body = document.body;
const { page, station, secret, run } = body.dataset;
const asked = new URLSearchParams(location.search);
const query = new URLSearchParams({ station });
for (const name of ["lang", "theme"]) if (asked.get(name)) query.set(name, asked.get(name));
const SILENT_MS = 6000; // Three beats of the gateway: then this screen may be old, and says so.
const MOVED_MS = 350; // A finger that was on its way when a list moved means what stood there before.
const HELD_MS = 1500; // A finger that rests longer holds nothing back any more.

// --- what is shown --------------------------------------------------------------------------------------------------------

let shown = 0; // The number of the newest screen here; an older one that comes late is passed over.
let later = null; // A screen that waits for a finger to leave the glass: nothing moves under it.
let finger = 0;

function put(screen) {
  if (screen.number < shown) return;
  shown = screen.number;
  if (finger && performance.now() - finger < HELD_MS) { later = screen; return; }
  later = null;
  const fresh = document.createElement("template");
  fresh.innerHTML = screen.html;
  const place = document.getElementById("screen");
  const ids = new Set([...fresh.content.children].map((part) => part.id));
  for (const old of [...place.children]) if (!ids.has(old.id)) old.remove();
  let before = null;
  for (const part of [...fresh.content.children]) {
    const old = document.getElementById(part.id);
    if (old === null) (before === null ? place.prepend(part) : before.after(part));
    else if (old.outerHTML !== part.outerHTML) { moved(old, part); old.replaceWith(part); tell(part); }
    before = document.getElementById(part.id);
  }
}

function moved(old, part) {
  if (old.dataset.mode !== part.dataset.mode) return;
  const lists = [...old.querySelectorAll("[data-moves]")];
  [...part.querySelectorAll("[data-moves]")].forEach((list, place) => {
    if (lists[place] && lists[place].innerHTML === list.innerHTML) list.movedAt = lists[place].movedAt;
    else list.movedAt = performance.now();
  });
}

// Screen readers hear what is new, from one region that stays.
function tell(part) {
  const saying = part.matches("[data-say]") ? part : part.querySelector("[data-say]");
  if (saying) document.getElementById("say").textContent = saying.dataset.say;
  if (part.id === "last") chime(part.dataset.chime);
}

// --- the staff's one sound: the same soft tone whatever it is about ---------------------------------------------------------

let chimed = document.getElementById("last")?.dataset.chime || "0";
let audio = null;

function chime(number) {
  if (number === "0" || number === chimed) return;
  chimed = number;
  body.dataset.chimes = Number(body.dataset.chimes || 0) + 1;
  try {
    audio ||= new AudioContext();
    const tone = audio.createOscillator(), volume = audio.createGain();
    tone.frequency.value = 660;
    volume.gain.setValueAtTime(0.2, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.35);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.35);
  } catch { /* A machine without sound: the screen says it all. */ }
}

// --- the stream -------------------------------------------------------------------------------------------------------------

let watch = 0;

function heard() {
  document.getElementById("cutoff").hidden = true;
  clearTimeout(watch);
  watch = setTimeout(cut, SILENT_MS);
}

function cut() {
  document.getElementById("cutoff").hidden = false;
}

function listen() {
  const source = new EventSource(`/events/${page}?${query}`);
  source.addEventListener("hello", (event) => {
    // Another run of the gateway: its pages may be others, and it knows nothing of this one's secret.
    if (event.data !== run) location.reload(); else heard();
  });
  source.addEventListener("beat", heard);
  source.onmessage = (event) => { heard(); put(JSON.parse(event.data)); };
  source.onerror = () => {
    cut();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

// --- keys and touches ---------------------------------------------------------------------------------------------------------

const line = [];
let sending = false;

async function ask(path, values) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-kiosk": secret },
    body: JSON.stringify({ station, lang: asked.get("lang") || "vi", ...values }),
  });
  if (answer.status === 403) location.reload();
  return answer.json();
}

// One at a time and in order; whoever types faster than the gateway for long types into nothing.
async function press(key) {
  if (line.length >= 16) return;
  line.push(key);
  if (sending) return;
  sending = true;
  while (line.length) {
    try {
      const screen = await ask("/press", { key: line.shift() });
      if (screen.html) put(screen);
    } catch { cut(); }
  }
  sending = false;
}

const KEYS = { NumpadAdd: "+", NumpadSubtract: "-", NumpadMultiply: "*", NumpadDivide: "/", NumpadDecimal: ".", NumpadEnter: "Enter" };
for (let digit = 0; digit < 10; digit++) KEYS[`Numpad${digit}`] = String(digit); // Whatever Num Lock says.

function keyed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const key = KEYS[event.code] || { ",": ".", Delete: "Backspace" }[event.key] || event.key;
  if (page === "rate") {
    const face = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (face) rate(face.dataset.face);
    return;
  }
  // A button that was reached with Tab is pressed as everywhere.
  if ((key === "Enter" || key === " ") && event.target.matches?.("button:focus-visible")) return;
  const typing = document.querySelector('[data-mode="typing"]') !== null;
  if (/^[0-9*+\-/.]$/.test(key) || ["Enter", "Backspace", "Escape"].includes(key) || (typing && /^[a-z ]$/i.test(key))) {
    event.preventDefault();
    press(key);
  }
}

function touched(event) {
  const button = event.target.closest("button");
  if (button === null) return;
  if (event.detail) button.blur();
  if (button.dataset.face) return rate(button.dataset.face);
  const list = button.closest("[data-moves]");
  if (event.detail && list && performance.now() - (list.movedAt ?? -MOVED_MS) < MOVED_MS) return press("moved");
  if (button.dataset.press) press(button.dataset.press);
}

function released() {
  finger = 0;
  // After the click that this release makes.
  setTimeout(() => { if (later && !finger) put(later); });
}

// --- faces ----------------------------------------------------------------------------------------------------------------------

async function rate(face) {
  const faces = document.getElementById("faces"), answer = document.getElementById("answer");
  if (faces.classList.contains("told")) return;
  faces.classList.add("told");
  let done = false;
  try { done = (await ask("/rate", { face })).code === null; } catch { done = false; }
  answer.textContent = document.getElementById("say").textContent = done ? faces.dataset.thanks : faces.dataset.failed;
  setTimeout(() => { faces.classList.remove("told"); answer.textContent = ""; }, 2000);
}

document.addEventListener("click", touched);
document.addEventListener("contextmenu", (event) => event.preventDefault());
if (page !== "pupil") document.addEventListener("keydown", keyed);
addEventListener("pointerdown", () => { finger = performance.now(); });
addEventListener("pointerup", released);
addEventListener("pointercancel", released);
if (page !== "rate") { watch = setTimeout(cut, SILENT_MS); listen(); }
