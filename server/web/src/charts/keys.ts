/** Keys that choose a period: a link says which key follows it. C opens the sheet for days of one's own. */
export function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.shiftKey || event.repeat) return;
    const target = event.target as HTMLElement;
    if (target.closest("input, textarea, select, [contenteditable], .data-table")) return;
    if (event.key === "c") {
      const menu = document.querySelector<HTMLDetailsElement>(".period-menu");
      if (!menu) return;
      event.preventDefault();
      menu.open = true;
      menu.querySelector<HTMLInputElement>("[data-own-period]")?.focus();
      return;
    }
    const key = CSS.escape(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const link = document.querySelector<HTMLAnchorElement>(`a[data-key="${key}"]`);
    if (!link) return;
    event.preventDefault();
    location.href = link.href;
  });
}

/** Shows a chart's numbers as a table, in the place of the chart. */
export function startTables(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-table]");
    const table = button && document.getElementById(button.dataset.table ?? "");
    if (!button || !table) return;
    const open = table.classList.toggle("is-open");
    button.setAttribute("aria-pressed", String(open));
    table.closest(".card")?.classList.toggle("shows-table", open);
  });
}
