"use strict";
const $ = (id) => document.getElementById(id);
let lastFile = null;
let latest = 0; // of two images under way, the one asked for last is shown
let urls = [];

function say(text, bad) {
  $("state").textContent = text;
  $("state").className = bad ? "bad" : "";
}

/* What the server says is wrong, or its status where the answer is not in the server's own form. */
async function reason(answer) {
  const told = await answer.json().catch(() => null);
  return told?.error ?? `the server answers ${answer.status}`;
}

async function list() {
  try {
    const answer = await fetch("/v1/models");
    if (!answer.ok) throw new Error(await reason(answer));
    for (const model of await answer.json()) {
      const option = document.createElement("option");
      option.value = model.name;
      option.textContent = `${model.name} (×${model.scale})`;
      $("model").append(option);
    }
  } catch (error) {
    const why = error instanceof TypeError ? "the server does not answer" : error.message;
    say(`no list of models: ${why}; load the page again`, true);
  }
}

function wipe() {
  $("stage").style.setProperty("--part", `${$("slider").value / 10}%`);
}

/* Nothing of an earlier file stays beneath what is said of this one. */
function clear() {
  $("view").hidden = true;
  for (const id of ["before", "after"]) $(id).removeAttribute("src");
  $("save").removeAttribute("href");
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
}

async function show(file, made) {
  urls = [URL.createObjectURL(file), URL.createObjectURL(made)];
  [$("before").src, $("after").src] = urls;
  await $("after").decode();
  await $("before").decode().catch(() => {}); // a TIFF, which few browsers show
  const { naturalWidth: width, naturalHeight: height } = $("after");
  $("view").style.setProperty("--width", `${width}px`);
  $("view").style.setProperty("--shape", width / height);
  $("save").href = urls[1];
  $("save").download = file.name.replace(/\.[^.]*$/, "") + "_sr.png";
  $("view").hidden = false;
}

async function upscale(file) {
  const turn = ++latest;
  lastFile = file;
  clear();
  say(`upscaling ${file.name} …`);
  const began = performance.now();
  try {
    const answer = await fetch(`/v1/upscale?model=${encodeURIComponent($("model").value)}`, { method: "POST", body: file });
    const why = answer.ok ? "" : await reason(answer);
    const made = answer.ok ? await answer.blob() : null;
    if (turn !== latest) return;
    if (!made) {
      say(`${file.name}: ${why.replace(/^the image: /, "")}`, true);
      return;
    }
    await show(file, made);
    if (turn !== latest) return;
    const { naturalWidth: width, naturalHeight: height } = $("before");
    const from = width ? `${width}×${height} → ` : "";
    const note = answer.headers.get("x-srbench-note");
    say(`${file.name}: ${from}${$("after").naturalWidth}×${$("after").naturalHeight} ` +
      `in ${((performance.now() - began) / 1000).toFixed(2)} s${note ? `; ${note}` : ""}`);
  } catch (error) {
    if (turn === latest) say(`${file.name}: the server does not answer`, true);
  }
}

list();
$("slider").addEventListener("input", wipe);
$("file").addEventListener("change", () => {
  if ($("file").files[0]) upscale($("file").files[0]);
  $("file").value = ""; // the same file can be chosen again
});
$("file").addEventListener("keydown", (event) => { // the space bar is the browser's own
  if (event.key === "Enter") $("file").click();
});
$("model").addEventListener("change", () => lastFile && upscale(lastFile));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) upscale(event.dataTransfer.files[0]);
  });
}
