const YEAR = 365 * 86_400;

function remember(name: string, value: string): void {
  const secure = location.protocol === "https:" ? "; secure" : "";
  // biome-ignore lint/suspicious/noDocumentCookie: the newer API is not in every browser we support
  document.cookie = `${name}=${value}; path=/; max-age=${value ? YEAR : 0}; samesite=lax${secure}`;
}

/** Changes the colours on the spot, and lets the server know the viewer's time zone. */
export function startTheme(): void {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && /^[\w+\-/]+$/.test(zone) && !document.cookie.includes(`tz=${zone}`)) {
    const known = /(?:^|; )tz=/.test(document.cookie);
    remember("tz", zone);
    // The page in hand was made for another zone; a signed-in reader would see wrong days.
    const kept = document.cookie.includes(`tz=${zone}`);
    if (!known && kept && document.querySelector(".frame")) location.reload();
  }
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("[data-theme-picker] button");
    if (!button) return;
    event.preventDefault();
    remember("theme", button.value);
    if (button.value) document.documentElement.setAttribute("data-bs-theme", button.value);
    else document.documentElement.removeAttribute("data-bs-theme");
    for (const each of document.querySelectorAll<HTMLButtonElement>("[data-theme-picker] button")) {
      each.setAttribute("aria-pressed", String(each.value === button.value));
    }
  });
}
