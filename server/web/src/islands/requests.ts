import htmx from "htmx.org";
import { toast } from "./toast";

interface RequestEvent extends Event {
  detail: { ctx: { request: { method: string; headers: Record<string, string> } } };
}

/** Puts the form token into what htmx sends, and says when the server cannot be reached. */
export function startRequests(): void {
  document.addEventListener("htmx:config:request", (event) => {
    const token = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content;
    const { request } = (event as RequestEvent).detail.ctx;
    if (token && request.method !== "GET") request.headers["X-CSRF-Token"] = token;
  });
  document.addEventListener("htmx:response:error", () =>
    toast("That did not work. Reload the page and try again."),
  );
}

export { htmx };
