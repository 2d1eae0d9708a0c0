// The pages of the school day: forms that stay on the page, parts renewed when something was committed, keys, the gate board.
"use strict";
(() => {
  const parts = () => [...document.querySelectorAll("[data-part]")];
  const words = (id) => document.getElementById(id);

  // --- parts: exchanged by what the server renders now ---------------------------------------------------------------
  // Where the focus stood it stands again: at the same control, or at that pupil's next one, or at the heading.
  function place() {
    const at = document.activeElement;
    if (!at || at === document.body || !at.closest("[data-part]")) return null;
    return { id: at.id, name: at.name, value: at.value, row: at.closest("[id^='p-']")?.id, href: at.getAttribute("href") };
  }
  function put(was) {
    if (!was) return;
    const row = was.row && words(was.row);
    const same = was.name ? [...document.querySelectorAll(`[name="${CSS.escape(was.name)}"]`)].find((one) => one.value === was.value) : null;
    const next = (was.id && words(was.id)) || same || row?.querySelector("button, a") || words("open");
    next?.focus({ preventScroll: Boolean(same) });
  }

  let asking = false, again = false;
  async function refresh() {
    if (asking) { again = true; return; }
    asking = true;
    try {
      do {
        again = false;
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (answer.redirected) { location.reload(); return; }
        if (!answer.ok) throw new Error(answer.status);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of parts()) {
          const other = page.getElementById(part.id);
          if (!other) continue;
          const was = part.contains(document.activeElement) ? place() : null;
          const open = [...part.querySelectorAll("details")].map((one) => one.open);
          const typed = [...part.querySelectorAll("input:not([type=hidden]), select, textarea")].map((one) => [one.id, one.value]);
          part.replaceChildren(...other.childNodes);
          Object.assign(part.dataset, other.dataset);
          if (!other.dataset.kept) delete part.dataset.kept;
          part.querySelectorAll("details").forEach((one, number) => { if (open[number] !== undefined) one.open = open[number]; });
          for (const [id, value] of typed) { const field = id && words(id); if (field && !field.readOnly) field.value = value; }
          put(was);
        }
        k12.stale(false);
        loaded_ms = performance.now();
        aged();
      } while (again);
    } catch { k12.stale(true); } finally { asking = false; }
  }

  // --- what the stream says ------------------------------------------------------------------------------------------
  // Many changes are one renewal; where the whole school is worked out, it waits until that is fresh again.
  let later = 0;
  function soon(wait_ms) {
    later ||= setTimeout(() => { later = 0; refresh(); }, wait_ms);
  }
  document.addEventListener("k12", (event) => {
    const told = event.detail;
    if (told.what === "taps") told.rows.forEach(paint);
    if (told.what === "beat") { if (told.devices) devices(told.devices); aged(); }
    const wait_ms = Number(document.querySelector("[data-stream]")?.dataset.waitMs || 0);
    // What was committed between this page and its stream, or while the stream was away, is asked for.
    if (told.what === "hello" && told.position > Number(event.target.dataset.position)) soon(wait_ms);
    if (told.what === "new") soon(wait_ms);
    // What concerns every page is asked for by each a moment apart, not by all at once.
    if (told.what === "all") soon(wait_ms + 500 + Math.random() * 2500);
  });

  // --- the gate board ------------------------------------------------------------------------------------------------
  const ROWS_MAX = 40;
  const board = () => document.querySelector("[data-board]");
  function cell(kind, text) { const made = document.createElement(kind); made.textContent = text; return made; }
  function paint(tap) {
    const body = words("taps");
    if (!body || body.querySelector(`[data-tap="${CSS.escape(tap.tap)}"]`)) return;
    const say = board().dataset;
    const row = document.createElement("tr");
    row.dataset.tap = tap.tap; row.dataset.at = tap.at_ms;
    const time = new Date(tap.at_ms).toLocaleTimeString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh" });
    const name = cell("th", tap.name || say.unknown);
    name.scope = "row";
    if (!tap.accepted) {
      row.className = "refused";
      const flag = cell("span", say.refused); flag.className = "flag";
      name.append(" ", flag);
    }
    row.append(cell("td", tap.sure ? time : `${time} ?`), cell("td", { in: say.in, out: say.out }[tap.way] || say.both), name, cell("td", tap.class), cell("td", tap.point));
    const before = [...body.rows].find((one) => Number(one.dataset.at) <= tap.at_ms);
    body.insertBefore(row, before || null);
    while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
  }
  function devices(found) {
    const say = board()?.dataset;
    if (!say) return;
    const shown = new Map([...document.querySelectorAll("[data-device]")].map((one) => [one.dataset.device, one]));
    if (found.length !== shown.size || found.some((one) => !shown.has(one.device))) { refresh(); return; }
    for (const one of found) {
      const box = shown.get(one.device);
      box.className = `device ${one.life}`;
      box.querySelector(".life").textContent = { live: say.live, trouble: say.trouble, stale: say.gone, unheard: say.unheard }[one.life];
      const heard = box.querySelector(".heard");
      if (one.heard_ms === null) continue;
      heard.dataset.heardMs = one.heard_ms;
      heard.dataset.since = performance.now();
    }
    ticked();
  }
  // Seconds go on by themselves; past three missed words nobody knows how a device is, and it is grey.
  const SILENT_MS = 90000;
  function ticked() {
    const say = board()?.dataset;
    if (!say) return;
    for (const heard of document.querySelectorAll("[data-heard-ms]")) {
      heard.dataset.since ||= performance.now();
      const ago_ms = Number(heard.dataset.heardMs) + performance.now() - Number(heard.dataset.since);
      heard.textContent = `${say.heard} ${Math.floor(ago_ms / 1000)} ${say.ago}`;
      const box = heard.closest(".device");
      if (ago_ms > SILENT_MS && !box.classList.contains("stale")) {
        box.className = "device stale";
        box.querySelector(".life").textContent = say.gone;
      }
    }
  }

  // --- forms that stay on the page -----------------------------------------------------------------------------------
  async function post(path, fields) {
    const body = new URLSearchParams(fields);
    body.set("csrf", document.body.dataset.csrf);
    const answer = await fetch(path, { method: "POST", body, headers: { accept: "application/json" } });
    if (answer.redirected) { location.reload(); return null; }
    if (!answer.ok || !(answer.headers.get("content-type") || "").includes("json")) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      throw new Error(page.querySelector("main h1")?.textContent || answer.status);
    }
    return answer.json();
  }
  async function act(path, fields) {
    try {
      const told = await post(path, fields);
      if (!told) return;
      await refresh();
      const undo = told.undo;
      k12.toast(told.text, undo && (() => act(undo.path, undo.fields)));
    } catch (problem) { k12.toast(problem.message); }
  }
  document.addEventListener("submit", (event) => {
    const form = event.target, by = event.submitter;
    if (form.matches("[data-find]")) { event.preventDefault(); find(form); return; }
    if (!form.matches("[data-quick]")) return;
    event.preventDefault();
    const fields = new FormData(form);
    if (by?.name) fields.set(by.name, by.value);
    act(by?.getAttribute("formaction") || form.getAttribute("action"), fields);
  });

  // --- keys: only while the focus is in a pupil's row ----------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.("[data-keys] tr[id]");
    if (!row || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const rows = [...row.parentNode.rows], other = rows[rows.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1)];
      const column = [...row.querySelectorAll("button, a")].indexOf(event.target);
      const spots = other ? [...other.querySelectorAll("button, a")] : [];
      (spots[column] || spots[0])?.focus();
      event.preventDefault();
      return;
    }
    const button = [...row.querySelectorAll("button[data-key]")].find((one) => one.dataset.key === event.key.toLowerCase());
    if (button) { event.preventDefault(); button.focus(); button.click(); }
  });

  // --- the guard's search --------------------------------------------------------------------------------------------
  let looking = 0, typing;
  async function find(form) {
    const mine = ++looking;
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { accept: "text/html" } });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine === looking) words(form.dataset.find).replaceChildren(...page.getElementById(form.dataset.find).childNodes);
      k12.stale(false);
    } catch { k12.stale(true); }
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("[data-find]");
    if (!form) return;
    clearTimeout(typing);
    typing = setTimeout(() => find(form), 350);
  });

  // --- copying -------------------------------------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const field = words(button.dataset.copy);
    field.select();
    try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
    k12.toast(button.dataset.copied);
  });

  // --- who is on site: how old what is shown is, and a copy for when the hub is away ---------------------------------
  // By this device's clock only: the hub's may be another.
  const OLD_MS = 90000;
  let loaded_ms = performance.now();
  function aged() {
    const part = document.querySelector("[data-onsite]"), said = words("age");
    if (!part || !said) return;
    const old_ms = part.dataset.kept ? Date.now() - Number(part.dataset.kept) : performance.now() - loaded_ms;
    said.classList.toggle("warn", old_ms > OLD_MS);
    let told = said.querySelector("strong");
    if (old_ms <= OLD_MS && !part.dataset.kept) { told?.remove(); return; }
    if (!told) { told = document.createElement("strong"); said.append(" ", told); }
    told.textContent = `${said.dataset.old} ${Math.floor(old_ms / 60000)}`;
  }

  document.addEventListener("DOMContentLoaded", () => {
    aged();
    ticked();
    setInterval(() => { ticked(); aged(); }, 1000);
    const part = document.querySelector("[data-onsite]");
    if (!part) return;
    setInterval(refresh, 60000);
    window.addEventListener("online", refresh);
    // Without a certificate that the browser trusts there is no such copy; the open page stays, grey and with its age.
    navigator.serviceWorker?.register("/onsite.js", { scope: "/onsite" }).catch(() => {});
  });
})();
