// Draws the charts one after another, so that the page answers in between; those in what is closed
// when it is opened.
const config = JSON.parse(document.getElementById("chart-config").textContent);

async function draw(figure) {
  figure.dataset.drawn = "1";
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const options = { renderer: "svg", actions: false, defaultStyle: false, config, tooltip: { theme: "custom" } };
  const { view } = await window.vegaEmbed(figure.querySelector(".plot"), spec, options);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Save SVG";
  button.setAttribute("aria-label", `Save the chart ${spec.description} as SVG`);
  button.addEventListener("click", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await view.toSVG()], { type: "image/svg+xml" }));
    link.download = `${spec.description}.svg`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  figure.appendChild(button);
}

async function drawAll(within) {
  for (const figure of within.querySelectorAll("figure.chart:not([data-drawn])")) {
    if (figure.closest("details:not([open])")) continue;
    await draw(figure);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

for (const details of document.querySelectorAll("details")) {
  details.addEventListener("toggle", () => drawAll(details));
}
await drawAll(document);
document.documentElement.dataset.drawn = Math.round(performance.now());
