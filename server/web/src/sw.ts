// Runs beside the pages. When the server does not answer, the browser would put its own page in place of ours: this one
// shows ours, which waits and comes back. Pages themselves are never kept: they hold what only the viewer may see.
declare const FILES: string[]; // the waiting page first, then what it needs; written before this by the server

interface Waiting extends Event {
  waitUntil(done: Promise<unknown>): void;
}
interface Fetching extends Event {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const KEPT = "agentsight-away";

async function keep(): Promise<void> {
  await caches.delete(KEPT);
  await (await caches.open(KEPT)).addAll(FILES);
}

async function answered(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(request.mode === "navigate" ? (FILES[0] as string) : request);
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("install", (event) => (event as Waiting).waitUntil(keep()));
self.addEventListener("fetch", (event) => {
  const { request } = event as Fetching;
  const path = new URL(request.url).pathname;
  const ours = request.mode === "navigate" && request.method === "GET" && !path.startsWith("/files/");
  if (ours || FILES.includes(path)) (event as Fetching).respondWith(answered(request));
});
