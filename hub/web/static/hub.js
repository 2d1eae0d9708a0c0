// Keeps the page fresh: the server renders it anew, only its body is exchanged.
const every_ms = 2000;
async function refresh() {
  try {
    const answer = await fetch("/", { headers: { accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("status").replaceWith(page.getElementById("status"));
    }
  } finally {
    setTimeout(refresh, every_ms);
  }
}
setTimeout(refresh, every_ms);
