"use strict";
(() => {
  const root = document.documentElement;

  // The list of sections, from the headings.
  const list = document.getElementById("sections");
  for (const heading of document.querySelectorAll("main h2")) {
    const link = document.createElement("a");
    link.href = "#" + heading.parentElement.id;
    link.textContent = heading.textContent;
    list.appendChild(document.createElement("li")).appendChild(link);
  }

  const theme = document.getElementById("theme");
  theme.parentElement.hidden = false;
  theme.value = root.dataset.theme || "";
  theme.addEventListener("change", () => {
    root.dataset.theme = theme.value;
    try {
      localStorage.setItem("lgaa-theme", theme.value);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  });

  // The slider shows what belongs to one stop of the sequence.
  const slider = document.getElementById("stop");
  if (slider) {
    const stops = JSON.parse(document.getElementById("stops").textContent);
    const moments = document.querySelectorAll(".moment");
    const label = slider.parentElement.querySelector("label");
    const output = slider.parentElement.querySelector("output");
    slider.parentElement.hidden = false;
    slider.addEventListener("input", () => {
      const stop = Number(slider.value);
      label.textContent = `after task ${stop + 1} of ${stops.length}`;
      output.textContent = `after ${stops[stop]}`;
      slider.setAttribute("aria-valuetext", output.textContent);
      for (const moment of moments) {
        moment.hidden = stop < Number(moment.dataset.first) || stop > Number(moment.dataset.last);
      }
    });
  }

  // On paper nothing can be opened.
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.printed:not([open])")) {
      details.open = true;
      closed.push(details);
    }
  });
  addEventListener("afterprint", () => closed.splice(0).forEach((d) => (d.open = false)));
})();
