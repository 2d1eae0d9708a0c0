// The copy of "who is on site": what was shown last is shown again when the hub doesn't answer. It goes at the next login page.
"use strict";
const COPY = "onsite-1";
const PARTS = ["/static/hub.css", "/static/day.css", "/static/hub.js", "/static/day.js"];
const WAIT_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(COPY).then((copy) => copy.addAll(PARTS)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// A list is kept with the moment at which this device got it, by its own clock.
async function dated(answer) {
  if (!(answer.headers.get("content-type") || "").includes("html")) return answer;
  const text = (await answer.text()).replace(" data-onsite ", ` data-onsite data-kept="${Date.now()}" `);
  return new Response(text, { headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": answer.headers.get("content-security-policy") || "default-src 'none'" } });
}

async function answered(request, kept) {
  const copy = await caches.open(COPY);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(WAIT_MS) });
    // A login page, or a refusal, is no list: who may not see it any more has no copy either.
    if (answer.redirected || answer.status === 401 || answer.status === 403) await copy.delete(kept);
    else if (answer.ok) await copy.put(kept, await dated(answer.clone()));
    return answer;
  } catch (problem) {
    const found = await copy.match(kept);
    if (found) return found;
    throw problem;
  }
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname === "/onsite") event.respondWith(answered(event.request, url.pathname + url.search));
  else if (PARTS.includes(url.pathname)) event.respondWith(answered(event.request, url.pathname));
});
