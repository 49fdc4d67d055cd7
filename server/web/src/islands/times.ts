const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Keeps "5 min" right while the page stays open. Days and dates never change, and are left alone. */
export function startTimes(): void {
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-ago]")) {
      const passed = Date.now() - Date.parse(time.dateTime);
      const text =
        passed < MINUTE
          ? "now"
          : passed < HOUR
            ? `${Math.floor(passed / MINUTE)} min`
            : `${Math.floor(passed / HOUR)} h`;
      if (passed < 24 * HOUR && time.textContent !== text) time.textContent = text;
    }
  }, 15_000);
}
