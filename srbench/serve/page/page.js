"use strict";
const $ = (id) => document.getElementById(id);
let lastFile = null;
let urls = [];

fetch("/v1/models").then((answer) => answer.json()).then((models) => {
  for (const model of models) {
    const option = document.createElement("option");
    option.value = model.name;
    option.textContent = `${model.name} (×${model.scale})`;
    $("model").append(option);
  }
});

function say(text, bad) {
  $("state").textContent = text;
  $("state").className = bad ? "bad" : "";
}

function wipe() {
  const part = $("slider").value / 10;
  $("clip").style.clipPath = `inset(0 ${100 - part}% 0 0)`;
  $("line").style.left = `${part}%`;
}

async function upscale(file) {
  lastFile = file;
  say(`upscaling ${file.name} …`);
  const began = performance.now();
  try {
    const answer = await fetch(`/v1/upscale?model=${encodeURIComponent($("model").value)}`, { method: "POST", body: file });
    if (!answer.ok) {
      say((await answer.json()).error, true);
      return;
    }
    const note = answer.headers.get("x-srbench-note");
    const made = await answer.blob();
    urls.forEach(URL.revokeObjectURL);
    urls = [URL.createObjectURL(file), URL.createObjectURL(made)];
    $("before").src = urls[0];
    $("after").src = $("save").href = urls[1];
    $("save").download = file.name.replace(/\.[^.]*$/, "") + "_sr.png";
    $("view").hidden = false;
    $("after").onload = () => say(
      `${$("before").naturalWidth}×${$("before").naturalHeight} → ${$("after").naturalWidth}×${$("after").naturalHeight} ` +
      `in ${((performance.now() - began) / 1000).toFixed(2)} s${note ? `; ${note}` : ""}`);
  } catch (error) {
    say("the server does not answer", true);
  }
}

$("slider").addEventListener("input", wipe);
$("file").addEventListener("change", () => $("file").files[0] && upscale($("file").files[0]));
$("model").addEventListener("change", () => lastFile && upscale(lastFile));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) upscale(event.dataTransfer.files[0]);
  });
}
