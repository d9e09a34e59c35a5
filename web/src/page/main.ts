/** Ties the elements of the page to the application. */

import { App, type Shown } from "./app.ts";
import { Controls, element } from "./controls.ts";
import { startOffline } from "./offline.ts";
import { openPicture } from "./pictures.ts";
import { asJson, download, keypointsCsv, matchesCsv, type Result } from "./records.ts";
import { keypointAt, Stage } from "./stage.ts";

const canvas = element<HTMLCanvasElement>("canvas");
const stage = new Stage(canvas);
let shown: Shown | null = null;
const controls = new Controls(() => app.refresh());
const app = new App(controls, show);

function show(now: Shown): void {
  shown = now;
  document.querySelector("main")?.setAttribute("aria-busy", String(now.busy || now.loaded === null));
  const open = now.pictures.length > 0;
  element("empty").hidden = open;
  canvas.hidden = !open;
  stage.draw(now.scene);
  showNames(now);
  showFigures(now);
  element("problem").hidden = now.problem === null;
  element("problem").textContent = now.problem;
  element("told").hidden = now.problem !== null;
  element("told").textContent = tellChosen(now);
  element("camera").setAttribute("aria-pressed", String(app.cameraRuns));
  element("camera").textContent = app.cameraRuns ? "Stop camera" : "Camera";
  element("hold").hidden = !app.cameraRuns;
}

function showNames({ pictures }: Shown): void {
  const list = element("names");
  const key = pictures.map(({ name, image }) => `${name} ${image.width} ${image.height}`).join("\n");
  if (list.dataset.key === key) return; // frames of the camera do not take the focus from a button
  list.dataset.key = key;
  list.replaceChildren(
    ...pictures.map(({ name, image }, view) => {
      const item = document.createElement("li");
      const [title, size, remove] = ["span", "small", "button"].map((tag) => document.createElement(tag));
      title.textContent = name;
      title.title = name;
      size.textContent = `${image.width} × ${image.height}`;
      remove.textContent = "✕";
      remove.setAttribute("aria-label", `Close ${name}`);
      remove.addEventListener("click", () => shown?.pictures[view] && app.close(shown.pictures[view]));
      item.append(title, size, remove);
      return item;
    }),
  );
}

function showFigures({ loaded, result, networkTime, matchTime, frames }: Shown): void {
  const time = (value: number | null): string => (value === null ? "–" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
  element("count").textContent = result?.pictures.map(({ features }) => features.scores.length).join(" + ") ?? "–";
  element("matched").textContent = matchTime === null ? "–" : String(result?.matches.similarities.length ?? "–");
  element("time").textContent = time(networkTime);
  element("match-time").textContent = time(matchTime);
  element("fps").hidden = !frames?.perSecond;
  element("fps").textContent = `${frames?.perSecond?.toFixed(1)} frames/s`;
  element("fps").dataset.frames = String(frames?.count);
  const threads = loaded?.threads === 1 ? "1 thread" : `${loaded?.threads} threads`;
  const place = loaded?.processor === "gpu" ? "graphics" : `processor, ${threads}`;
  const engine = loaded ? `${loaded.network.name} on ${place}` : "Loading the network";
  if (element("engine").textContent !== engine) element("engine").textContent = engine;
  for (const id of ["json", "keypoints-csv"]) element<HTMLButtonElement>(id).disabled = !result;
  element<HTMLButtonElement>("matches-csv").disabled = !result?.matches.similarities.length;
}

function tellChosen({ scene, result, pictures, loaded }: Shown): string {
  if (pictures.length === 2 && loaded && !loaded.network.describes) return "magicpoint has no descriptors to match by.";
  if (!scene || pictures.length < 2 || !result) return "";
  if (scene.chosen === null) return "Point at a match or touch it, or step through them with the arrow keys.";
  const [index0, index1] = scene.matches.pairs.subarray(2 * scene.chosen, 2 * scene.chosen + 2);
  const places = [index0, index1].map((index, view) =>
    keypointAt(result.pictures[view].features, index).map((value) => value.toFixed(2)).join(", "),
  );
  const similarity = scene.matches.similarities[scene.chosen].toFixed(3);
  return `Match ${scene.chosen + 1} of ${scene.matches.similarities.length}: (${places.join(") to (")}), similarity ${similarity}`;
}

async function openFiles(files: Iterable<File>): Promise<void> {
  try {
    const chosen = [...files].slice(0, 2);
    app.open(await Promise.all(chosen.map((file) => openPicture(file, file.name))));
  } catch (error) {
    app.report(error);
  }
}

async function openExample(): Promise<void> {
  const names = ["cameraman.png", "second-view.png"];
  const answers = await Promise.all(names.map((name) => fetch(`example/${name}`)));
  const blobs = await Promise.all(answers.map((answer) => answer.blob()));
  app.open(await Promise.all(blobs.map((blob, view) => openPicture(blob, names[view]))));
}

function watch(id: string, act: () => unknown): void {
  element(id).addEventListener("click", async () => {
    try {
      await act();
    } catch (error) {
      app.report(error);
    }
  });
}

const files = element<HTMLInputElement>("files");
files.addEventListener("change", async () => {
  await openFiles(files.files ?? []);
  files.value = ""; // so that the same file can be opened again
});
watch("open", () => files.click());
watch("example", openExample);
watch("camera", () => (app.cameraRuns ? app.stopCamera() : app.startCamera()));
watch("hold", () => app.hold());

const save = (write: (result: Result) => string, name: string, type: string) => () =>
  shown?.result && download(name, write(shown.result), type);
watch("json", save(asJson, "magicpoint.json", "application/json"));
watch("keypoints-csv", save(keypointsCsv, "keypoints.csv", "text/csv"));
watch("matches-csv", save(matchesCsv, "matches.csv", "text/csv"));

const target = element("stage");
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    target.classList.add("over");
  });
}
addEventListener("dragleave", (event) => event.relatedTarget ?? target.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  target.classList.remove("over");
  void openFiles(event.dataTransfer?.files ?? []);
});
addEventListener("paste", (event) => void openFiles(event.clipboardData?.files ?? []));

canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => app.choose(stage.matchAt([offsetX, offsetY])));
canvas.addEventListener("pointerdown", ({ offsetX, offsetY }) => app.choose(stage.matchAt([offsetX, offsetY])));
canvas.addEventListener("pointerleave", () => app.choose(null));
canvas.addEventListener("keydown", (event) => {
  const scene = shown?.scene;
  const steps: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (event.key === "Escape") app.choose(null);
  if (!scene || !(event.key in steps) || scene.lines.length === 0) return;
  event.preventDefault();
  const at = scene.chosen === null ? -1 : scene.lines.indexOf(scene.chosen);
  const next = at < 0 && steps[event.key] < 0 ? scene.lines.length - 1 : at + steps[event.key];
  app.choose(scene.lines[(next + scene.lines.length) % scene.lines.length]);
});

/** WebGPU, where the browser has it and the means by which this build of the runtime waits for it. */
async function offerGraphics(): Promise<void> {
  const { gpu } = navigator as Navigator & { gpu?: { requestAdapter(): Promise<object | null> } };
  if (gpu && "Suspending" in WebAssembly && (await gpu.requestAdapter())) controls.allowGraphics();
}

void offerGraphics();
void startOffline(() => (element("offline").hidden = false));
app.refresh();
