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
  const waiting = [...document.querySelectorAll(".picture")];
  const next = () => {
    const place = waiting.shift();
    if (!place) {
      document.body.dataset.drawn = "yes";
      return;
    }
    const { data, layout } = JSON.parse(document.getElementById(`${place.id}-data`).textContent);
    Plotly.newPlot(place, data, { ...layout, dragmode: touch ? false : "zoom" }, config).then(() => setTimeout(next));
  };
  next();
})();
