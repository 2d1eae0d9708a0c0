// Entering a paper roll call: Enter and the arrows move from pupil to pupil, a letter moves on by itself.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const cells = [...document.querySelectorAll("[data-cells] .cell")];
  const go = (from, by) => { const to = cells[cells.indexOf(from) + by]; if (to) { to.focus(); to.select(); } };
  for (const cell of cells) {
    cell.addEventListener("keydown", (event) => {
      const by = { Enter: 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (by) { event.preventDefault(); go(cell, by); }
    });
    cell.addEventListener("input", () => { cell.value = cell.value.toUpperCase(); if (cell.value) go(cell, 1); });
    cell.addEventListener("focus", () => cell.select());
  }
  const who = document.getElementById("filled_by");
  if (cells.length) (who.value ? cells[0] : who).focus();
});
