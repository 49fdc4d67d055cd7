let hide: ReturnType<typeof setTimeout> | undefined;

/** Says something short at the bottom of the page; screen readers hear it, too. */
export function toast(text: string): void {
  const line = document.getElementById("toast");
  if (!line) return;
  clearTimeout(hide);
  line.textContent = text;
  line.classList.add("is-shown");
  hide = setTimeout(() => line.classList.remove("is-shown"), 2600);
}
