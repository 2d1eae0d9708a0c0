// A desk's sound, once somebody switched it on: high when a card was taken and the next pupil shows, low when it was refused.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("sound");
  const part = document.getElementById("next");
  let sounds = null;
  const beep = (hertz, seconds) => {
    const tone = sounds.createOscillator();
    const volume = sounds.createGain();
    tone.frequency.value = hertz;
    volume.gain.value = 0.2;
    tone.connect(volume).connect(sounds.destination);
    tone.start();
    tone.stop(sounds.currentTime + seconds);
  };
  const word = () => part.querySelector("[data-log]")?.dataset.log ?? "";
  let last = word();
  button.hidden = false;
  button.addEventListener("click", () => {
    sounds = sounds ? sounds.close() && null : new AudioContext();
    button.setAttribute("aria-pressed", String(Boolean(sounds)));
    if (sounds) beep(880, 0.1);
  });
  new MutationObserver(() => {
    const now = word();
    if (now === last) return;
    last = now;
    if (sounds) now.endsWith(" bound") ? beep(880, 0.12) : beep(220, 0.5);
  }).observe(part, { childList: true });
});
