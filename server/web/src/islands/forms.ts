/** Leaves empty fields out of the address that a filter form makes; prints; guards against double clicks. */
export function startForms(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.matches("[data-skip-empty]")) {
      for (const field of form.querySelectorAll<HTMLInputElement | HTMLSelectElement>("input, select")) {
        if (!field.value) field.disabled = true;
      }
      // Back from the next page, the form must be whole again.
      setTimeout(() => {
        for (const field of form.querySelectorAll<HTMLInputElement>(":disabled")) field.disabled = false;
      });
    }
  });
  document.addEventListener("click", (event) => {
    if ((event.target as Element).closest("[data-print]")) window.print();
  });
}
