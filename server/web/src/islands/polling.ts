import { htmx } from "./requests";

/** Triggers "poll" on elements that wait for something, every `data-poll` seconds, while they are looked at. */
export function startPolling(): void {
  const asked = new WeakMap<Element, number>();
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll<HTMLElement>("[data-poll]")) {
      const every = Number(element.dataset.poll) * 1000;
      const last = asked.get(element) ?? 0;
      if (Date.now() - last < every) continue;
      asked.set(element, Date.now());
      htmx.trigger(element, "poll");
    }
  }, 500);
}
