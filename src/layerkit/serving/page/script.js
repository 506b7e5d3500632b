"use strict";

const at = (id) => document.getElementById(id);
const [pair, before, after, status, download] = ["pair", "before", "after", "status", "download"].map(at);
const megabytes = document.documentElement.dataset.megabytes;

let picture = null; // the file that was chosen
let request = null; // the controller of the one request that counts
const shown = new Map(); // what an image shows: its address, which is let go when another takes its place

function say(text, kind = "") {
  status.textContent = text;
  status.className = kind;
}

function show(image, blob) {
  URL.revokeObjectURL(shown.get(image));
  shown.set(image, URL.createObjectURL(blob));
  image.src = shown.get(image);
  return image.decode();
}

async function ask(strength, signal) {
  const type = picture.type.startsWith("image/") ? picture.type : "application/octet-stream";
  const answer = await fetch(`denoise?${new URLSearchParams({ strength, name: picture.name })}`, {
    method: "POST", body: picture, headers: { "Content-Type": type }, signal,
  });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error || `the server answered with status ${answer.status}`);
  }
  return { found: answer.headers.get("X-Found"), blob: await answer.blob() };
}

async function denoise() {
  if (!picture) return;
  request?.abort();
  const mine = request = new AbortController();
  download.removeAttribute("href");
  pair.classList.add("waiting");
  say("Denoising ...", "busy");
  const start = performance.now();
  try {
    const { found, blob } = await ask(at("strength").value, mine.signal);
    const seconds = (performance.now() - start) / 1000;
    if (before.dataset.shows !== "this") {
      // What no browser can show, such as TIFF, comes back from the server as it is with a strength of 0.
      await show(before, picture).catch(async () => show(before, (await ask(0, mine.signal)).blob));
      before.dataset.shows = "this";
    }
    await show(after, blob);
    if (mine.signal.aborted) return;
    at("result").hidden = false;
    pair.classList.remove("waiting");
    download.href = shown.get(after);
    download.download = `${picture.name.replace(/\.[^.]*$/, "") || "picture"}-denoised.png`;
    say(`${found[0].toUpperCase()}${found.slice(1)}. It took ${seconds.toFixed(1)} s.`);
  } catch (error) {
    if (mine.signal.aborted) return;
    at("result").hidden = true;
    say(error instanceof TypeError ? "The server cannot be reached; is layerkit serve still running?" : error.message, "wrong");
  }
}

function take(file) {
  if (!file) return;
  if (file.size > megabytes * 1e6) {
    at("result").hidden = true;
    say(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB, and at most ${megabytes} MB can be taken.`, "wrong");
    return;
  }
  picture = file;
  before.dataset.shows = "";
  denoise();
}

at("file").addEventListener("change", (event) => take(event.target.files[0]));
addEventListener("paste", (event) => take(event.clipboardData.files[0]));
addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
addEventListener("dragleave", () => at("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});

function divide(share) {
  const percent = Math.min(100, Math.max(0, share));
  at("divider").value = percent;
  pair.style.setProperty("--at", `${percent}%`);
}

at("divider").addEventListener("input", (event) => divide(event.target.value));
for (const name of ["pointerdown", "pointermove"]) {
  pair.addEventListener(name, (event) => {
    if (!event.buttons) return;
    const box = pair.getBoundingClientRect();
    divide(100 * (event.clientX - box.left) / box.width);
  });
}
pair.addEventListener("dragstart", (event) => event.preventDefault());

at("strength").addEventListener("input", (event) => { at("amount").value = Number(event.target.value).toFixed(1); });
at("strength").addEventListener("change", denoise);
at("actual").addEventListener("change", (event) => pair.classList.toggle("actual", event.target.checked));
