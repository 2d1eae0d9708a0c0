// What the pages need beside HTML: parts that renew themselves, streams, an undo that waits, printing. No library.
"use strict";

const live = () => document.getElementById("live");
const clock = () => new Date().toLocaleTimeString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh" });
let fresh = clock();

// A part that is older than it should be is grey and says since when.
function stale(is) {
  if (is === document.body.classList.contains("stale")) return;
  document.body.classList.toggle("stale", is);
  live().textContent = is ? `${document.body.dataset.stale} ${fresh}` : "";
}

// <div id="x" data-renew="2000">: every so many ms the server renders the page anew, and only this part is exchanged.
async function renew(part) {
  const every_ms = Number(part.dataset.renew);
  const id = part.id;
  for (;;) {
    await new Promise((go) => setTimeout(go, every_ms));
    if (document.hidden || document.getElementById(id).contains(document.activeElement)) continue;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
      fresh = clock();
      stale(false);
    } catch {
      stale(true);
    }
  }
}

// <div data-stream="/v1/...">: each event is handed on as a CustomEvent `k12` of its element; a lost line is taken up again.
// The server says `event: beat` every few seconds: a stream that is silent for data-silent ms (15 s) is stale, not well.
function stream(part) {
  const source = new EventSource(part.dataset.stream);
  const silent_ms = Number(part.dataset.silent || 15000);
  let watch;
  const heard = () => {
    fresh = clock();
    stale(false);
    clearTimeout(watch);
    watch = setTimeout(() => stale(true), silent_ms);
  };
  // A page that nobody sees holds no line: browsers have few of them. Seen again, it asks what it missed.
  const seen = () => {
    if (document.hidden) { source.close(); clearTimeout(watch); return; }
    document.removeEventListener("visibilitychange", seen);
    stream(part);
  };
  document.addEventListener("visibilitychange", seen);
  source.onopen = heard;
  source.addEventListener("beat", heard);
  source.onmessage = (event) => {
    heard();
    part.dispatchEvent(new CustomEvent("k12", { detail: JSON.parse(event.data), bubbles: true }));
  };
  source.onerror = () => {
    stale(true);
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(watch);
    document.removeEventListener("visibilitychange", seen);
    fetch(location.href).then((answer) => { if (answer.redirected) location.reload(); }).catch(() => {});
    setTimeout(() => stream(part), Number(part.dataset.again || 3000));
  };
  return source;
}

// A word about what was done, with an undo for 20 s; while it has the focus or the pointer it stays.
let waiting;
function toast(text, undo) {
  clearTimeout(waiting);
  const box = live();
  box.textContent = "";
  const words = document.createElement("span");
  words.textContent = text;
  box.append(words);
  const clear = () => { box.textContent = ""; };
  if (undo) {
    const button = document.createElement("button");
    button.textContent = document.body.dataset.undo;
    button.addEventListener("click", () => { clear(); undo(); });
    box.append(button);
  }
  const later = () => { waiting = setTimeout(() => (box.matches(":hover, :focus-within") ? later() : clear()), 20000); };
  later();
}

// A change sent without leaving the page: the form's fields with the session's hidden one.
async function send(path, fields) {
  const body = new URLSearchParams({ ...fields, csrf: document.body.dataset.csrf });
  const answer = await fetch(path, { method: "POST", body });
  if (!answer.ok) throw new Error(answer.status);
  return answer;
}

window.k12 = { toast, send, stale, stream };

document.addEventListener("DOMContentLoaded", () => {
  // Whoever logs out, or has to log in, leaves no copy of names in the browser.
  if (location.pathname === "/login") window.caches?.delete("onsite-1").catch(() => {});
  document.querySelectorAll("[data-renew]").forEach(renew);
  document.querySelectorAll("[data-stream]").forEach(stream);
  document.querySelectorAll("[data-print]").forEach((button) => button.addEventListener("click", () => window.print()));
  const wide = window.matchMedia("(min-width: 64rem)").matches;
  document.querySelectorAll(".menu details").forEach((menu) => { menu.open = wide; });
});
