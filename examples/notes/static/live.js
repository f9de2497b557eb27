// Results while a person types. The page is fetched as a form without JavaScript would, and its results are shown.

const form = document.getElementById("search");
const query = document.getElementById("q");
const results = document.getElementById("results");
const status = document.getElementById("status");
const ideas = document.getElementById("ideas");
const PAUSE = 180;
let timer;
let running;

form.addEventListener("input", (event) => {
  clearTimeout(timer);
  timer = setTimeout(show, event.target === query ? PAUSE : 0);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});

query.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && query.value) {
    event.preventDefault();
    query.value = "";
    show();
  }
});

async function show() {
  clearTimeout(timer);
  running?.abort();
  const mine = (running = new AbortController());
  const wanted = [...new FormData(form)].filter(([, value]) => value.trim());
  const address = wanted.length ? `/?${new URLSearchParams(wanted)}` : "/";
  results.setAttribute("aria-busy", "true");
  ideas?.toggleAttribute("hidden", Boolean(query.value.trim()));
  try {
    const answer = await fetch(address, { signal: mine.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("results");
    if (!found) throw new Error(`status ${answer.status}`);
    results.replaceChildren(...found.childNodes);
    history.replaceState(null, "", address);
    document.title = page.title;
    announce((results.querySelector("[role=alert]") ?? document.getElementById("heading")).textContent);
  } catch (error) {
    if (error.name === "AbortError") return;
    announce("The notes cannot be reached. Press Enter to try again.");
    results.replaceChildren(Object.assign(document.createElement("p"), { className: "problem", textContent: status.textContent }));
  }
  if (running === mine) results.removeAttribute("aria-busy");
}

// A screen reader hears what changes in here, and the focus stays where it is.
function announce(text) {
  status.textContent = text.replace(/\s+/g, " ").trim();
}
