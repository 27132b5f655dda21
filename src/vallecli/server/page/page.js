// The page of `valle serve`: speech is heard while it streams, as 16-bit samples through the Web Audio API.
"use strict";

const $ = (id) => document.getElementById(id);
const KEY = "valle-api-key";
const START_DELAY = 0.1; // seconds from the first samples to the sound
const WAV_HEADER = 44; // bytes

let running = null; // {controller, context, sources} of the speech in progress
let audioUrl = null;

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function key() {
  return sessionStorage.getItem(KEY);
}

function headers() {
  return key() ? { Authorization: `Bearer ${key()}` } : {};
}

function say(text) {
  $("status").textContent = text;
}

function showProblem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text || "";
}

/** Return the message of an answer with an error; one of a missing key shows the field for it. */
async function messageOf(response) {
  if (response.status === 401) {
    $("key-field").hidden = false;
    $("key").focus();
  }
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answers ${response.status}.`;
  }
}

// The request

function body(format) {
  const values = { input: $("text").value, response_format: format };
  if ($("voice").value) values.voice = $("voice").value;
  if ($("speed").value !== "1") values.speed = Number($("speed").value);
  if ($("seed").value !== "") values.seed = Number($("seed").value);
  return values;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function update() {
  const lines = [`curl ${location.origin}/v1/audio/speech`, "-H 'Content-Type: application/json'"];
  if (!$("key-field").hidden || key()) lines.push("-H \"Authorization: Bearer $VALLE_API_KEY\"");
  lines.push(`-d ${quoted(JSON.stringify(body("mp3")))}`, "-o speech.mp3");
  $("curl").textContent = lines.join(" \\\n  ");
  const count = $("text").value.length;
  $("count").textContent = `${count} character${count === 1 ? "" : "s"}`;
}

async function loadVoices() {
  const response = await fetch("v1/voices", { headers: headers() });
  if (!response.ok) return showProblem(await messageOf(response));
  showProblem("");
  $("key-field").hidden = true;
  const voices = (await response.json()).data;
  $("voice").replaceChildren(...voices.map((voice) => {
    const option = make("option", ["library", "default"].includes(voice.kind) ? voice.name : `${voice.name} (${voice.kind})`);
    option.value = voice.id;
    return option;
  }));
  if (!voices.length) showProblem("This server has no voices. Add one: valle voices add NAME RECORDING");
  $("speak").disabled = !voices.length;
  return update();
}

// Sound

/** Play samples behind those that were given before. */
function play(samples, rate) {
  const { context, sources } = running;
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32767), 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  running.next = Math.max(running.next, context.currentTime + START_DELAY);
  source.start(running.next);
  running.next += buffer.duration;
  sources.push(source);
}

/** Return a WAV file of 16-bit samples. */
function wavOf(parts, rate) {
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const header = new DataView(new ArrayBuffer(WAV_HEADER));
  const text = (place, letters) => [...letters].forEach((letter, i) => header.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, WAV_HEADER - 8 + size, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, size, true);
  return new Blob([header, ...parts], { type: "audio/wav" });
}

/** Read a response of 16-bit samples, which are heard as they come; return them in parts. */
async function listen(response, rate, started) {
  const reader = response.body.getReader();
  const parts = [];
  let odd = new Uint8Array(0); // half of a sample
  let seconds = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { parts, seconds };
    const joined = new Uint8Array(odd.length + value.length);
    joined.set(odd);
    joined.set(value, odd.length);
    const whole = joined.length - (joined.length % 2);
    odd = joined.slice(whole);
    const samples = new Int16Array(joined.buffer, 0, whole / 2);
    if (!samples.length) continue;
    if (!parts.length) running.first = (performance.now() - started) / 1000;
    parts.push(samples);
    play(samples, rate);
    seconds += samples.length / rate;
    say(`Speaking: ${seconds.toFixed(1)} s so far`);
  }
}

async function speak() {
  stop();
  showProblem("");
  const started = performance.now();
  const mine = { controller: new AbortController(), context: new AudioContext(), sources: [], next: 0, first: 0 };
  running = mine;
  $("stop").disabled = false;
  say("Waiting for the first sentence");
  try {
    mine.context.resume(); // browsers start it paused, except after a click or a key
    const response = await fetch("v1/audio/speech", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers() },
      body: JSON.stringify(body("pcm")),
      signal: mine.controller.signal,
    });
    if (!response.ok) {
      say("");
      return showProblem(await messageOf(response));
    }
    const rate = Number(response.headers.get("X-Sample-Rate"));
    const { parts, seconds } = await listen(response, rate, started);
    show(wavOf(parts, rate), seconds, mine.first, response.headers.get("X-Seed"));
    say(`Done: ${seconds.toFixed(1)} s of speech`);
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    say("");
    showProblem("The connection to the server was lost.");
  } finally {
    if (running === mine) {
      $("stop").disabled = true;
      const left = Math.max(0, mine.next - mine.context.currentTime);
      setTimeout(() => mine.context.state !== "closed" && mine.context.close(), 1000 * left + 500);
    }
  }
  return undefined;
}

function stop() {
  if (!running) return;
  running.controller.abort();
  if (running.context.state !== "closed") running.context.close();
  if (!$("stop").disabled) say("Stopped");
  $("stop").disabled = true;
  running = null;
}

function show(wav, seconds, first, seed) {
  if (audioUrl) URL.revokeObjectURL(audioUrl);
  audioUrl = URL.createObjectURL(wav);
  $("player").src = audioUrl;
  $("download").href = audioUrl;
  const facts = { Duration: `${seconds.toFixed(1)} s`, "First sound after": `${first.toFixed(1)} s`, Seed: seed };
  $("facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {
    const fact = document.createElement("div");
    fact.append(make("dt", name), make("dd", value));
    return fact;
  }));
  $("result").hidden = false;
}

// Controls

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
$("form").addEventListener("input", update);
$("stop").addEventListener("click", stop);
$("use-key").addEventListener("click", () => {
  sessionStorage.setItem(KEY, $("key").value.trim());
  $("key").value = "";
  loadVoices();
});
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    say("The command is copied");
  } catch {
    getSelection().selectAllChildren($("curl"));
    say("The command is selected: copy it by the keyboard");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  if (event.key === "Escape") stop();
});
update();
loadVoices();
