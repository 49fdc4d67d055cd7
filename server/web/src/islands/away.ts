import { htmx } from "./requests";
import { toast } from "./toast";

const AGAIN = 4000; // ms between two attempts
let since: Date | null = null;

async function answers(): Promise<boolean> {
  try {
    return (await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(3000) })).ok;
  } catch {
    return false;
  }
}

function clock(): string {
  return (since ?? new Date()).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

async function wait(): Promise<void> {
  while (!(await answers())) await new Promise((done) => setTimeout(done, AGAIN));
}

/** What stands on the page stays; a line above says since when it is old, until the server answers again. */
async function away(): Promise<void> {
  if (since) return;
  since = new Date();
  if (await answers()) {
    since = null; // one request was lost, not the server
    return;
  }
  const line = document.createElement("div");
  line.className = "away-line";
  line.setAttribute("role", "status");
  line.textContent = `The server has not answered since ${clock()}. What you see is from then; trying again…`;
  document.body.prepend(line);
  await wait();
  line.remove();
  since = null;
  toast("The server answers again.");
  for (const element of document.querySelectorAll("[data-poll]")) htmx.trigger(element, "poll");
}

/** Says so when the server does not answer, and keeps a page of ours at hand for when it is asked for another. */
export function startAway(): void {
  if (document.querySelector("[data-away]")) {
    for (const place of document.querySelectorAll("[data-away-since]")) place.textContent = clock();
    void wait().then(() => location.reload());
    return;
  }
  document.addEventListener("htmx:error", () => void away());
  if ("serviceWorker" in navigator && isSecureContext) {
    navigator.serviceWorker.register("/sw.js").catch(() => undefined); // a browser that takes none goes without
  }
}
