"use strict";
// Draws one picture after the other, so that the page can be read from the beginning. On a touch screen a finger
// scrolls the page and does not zoom the picture.
(() => {
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: touch ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const offer = (place, views) => {
    const figure = place.closest("figure");
    const buttons = [...figure.querySelectorAll(".views button")];
    const texts = [...figure.querySelectorAll("figcaption .view")];
    const choose = (chosen) => {
      Plotly.update(place, { visible: views[chosen].shown }, views[chosen].layout);
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === chosen)));
      texts.forEach((text, at) => { text.hidden = at !== chosen; });
    };
    buttons.forEach((button, at) => button.addEventListener("click", () => choose(at)));
  };
  const waiting = [...document.querySelectorAll(".picture")];
  const next = () => {
    const place = waiting.shift();
    if (!place) {
      document.body.dataset.drawn = "yes";
      return;
    }
    const { data, layout, views } = JSON.parse(document.getElementById(`${place.id}-data`).textContent);
    Plotly.newPlot(place, data, { ...layout, dragmode: touch ? false : "zoom" }, config).then(() => {
      offer(place, views);
      setTimeout(next);
    });
  };
  next();
})();
