// The lab: a choice that is moved is tried at once. Without this file the form is sent with its button.
"use strict";

const lab = document.querySelector("form[data-lab]");

if (lab) {
  const place = (name) => document.querySelector(`[data-part="${name}"]`);
  const said = document.querySelector("[data-lab-said]");
  const curveButton = document.querySelector("[data-lab-curve]");
  const injectButton = document.querySelector("[data-lab-inject]");
  const surge = document.querySelector("[data-lab-surge]");
  const running = {};
  const waiting = {};
  let last = "";
  let injected = place("surge").childElementCount > 0;

  const address = (part) => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(lab)) {
      const field = lab.elements[name];
      const ofSurge = field instanceof Element && surge.contains(field);
      if (!ofSurge || injected) query.append(name, value);
    }
    if (injected) query.set("inject", "1");
    if (part) query.set("part", part);
    return `${lab.action.split("?")[0]}?${query}`;
  };

  // Only the newest answer counts: what is still on its way is given up.
  const fetched = async (part) => {
    running[part]?.abort();
    const mine = new AbortController();
    running[part] = mine;
    const target = place(part);
    target.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address(part), { signal: mine.signal, headers: { accept: "text/html" } });
      const text = await answer.text();
      if (!answer.ok) throw new Error(String(answer.status));
      const open = [...target.querySelectorAll("details")].map((d) => [d.querySelector("summary")?.id, d.open]);
      target.innerHTML = text;
      for (const [id, is] of open) {
        const summary = id && document.getElementById(id);
        if (summary) summary.parentElement.open = is;
      }
      if (part === "answer") said.textContent = target.querySelector("[data-said]")?.dataset.said ?? "";
      target.removeAttribute("aria-busy");
      return true;
    } catch (error) {
      if (error.name === "AbortError") return false;
      target.removeAttribute("aria-busy");
      const words = document.createElement("p");
      words.className = "card notice bad";
      words.setAttribute("role", "alert");
      words.textContent = lab.dataset.failed;
      target.replaceChildren(words);
      return false;
    }
  };

  const soon = (part, after, work) => {
    clearTimeout(waiting[part]);
    waiting[part] = setTimeout(work, after);
  };

  const say = (slider) => {
    const shown = document.querySelector(`output[for="${slider.id}"]`);
    if (shown) shown.textContent = Number(slider.value).toLocaleString(document.documentElement.lang);
  };

  const count = (fieldset) => {
    const words = fieldset?.closest("details")?.querySelector("[data-count]");
    if (!words) return;
    const n = fieldset.querySelectorAll(":checked").length;
    words.textContent = n ? words.dataset.some.replace("#", String(n)) : words.dataset.all;
  };

  const drawCurve = () => soon("curve", 700, () => fetched("curve"));

  const changed = (event) => {
    const field = event.target;
    if (field.type === "range") say(field);
    if (field.type === "checkbox") count(field.closest("fieldset"));
    if (surge.contains(field)) {
      if (injected) soon("surge", 200, () => fetched("surge"));
      return;
    }
    if (address("") === last) return;
    last = address("");
    clearTimeout(waiting.curve);
    running.curve?.abort();
    soon("answer", 120, async () => {
      window.history.replaceState(null, "", address(""));
      const other = document.querySelector(".who a[hreflang]");
      if (other) other.href = `${address("")}&language=${other.hreflang}`;
      if (!(await fetched("answer"))) return;
      drawCurve();
      if (injected) soon("surge", 400, () => fetched("surge"));
    });
  };

  last = address("");
  for (const type of ["input", "change"]) {
    lab.addEventListener(type, changed);
    surge.addEventListener(type, changed);
  }
  injectButton.addEventListener("click", (event) => {
    event.preventDefault();
    injected = true;
    fetched("surge");
  });
  if (curveButton) {
    curveButton.hidden = true;
    drawCurve();
  }
}

// While the history is being recorded, the page looks after it, and loads anew when it is there.
const recording = () => document.querySelector('[data-part="recording"][data-state="making"]');
if (recording()) {
  const look = async () => {
    try {
      const answer = await fetch(`${window.location.pathname}?part=recording`, { headers: { accept: "text/html" } });
      if (answer.ok) {
        const old = recording();
        old.outerHTML = await answer.text();
        if (!recording()) {
          window.location.reload();
          return;
        }
      }
    } catch {
      // The service may be starting anew: the next look says more.
    }
    setTimeout(look, 1500);
  };
  setTimeout(look, 700);
}
