import { toast } from "./toast";

async function copy(text: string, done: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    // No clipboard without https on some networks: the text can still be taken by hand.
    toast("Copying is not allowed here.");
  }
}

/** Copies links to messages and conversations, code, ids. */
export function startClipboard(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const message = target.closest<HTMLAnchorElement>("[data-copy-link]");
    if (message) {
      void copy(message.href, "Link to this message copied");
      return;
    }
    if (target.closest("[data-copy-here]")) {
      void copy(location.origin + location.pathname, "Link to this conversation copied");
      return;
    }
    const value = target.closest<HTMLElement>("[data-copy]");
    if (value) {
      void copy(value.dataset.copy ?? "", "Copied");
      return;
    }
    const code = target.closest("[data-copy-code]")?.parentElement?.querySelector("code");
    if (code) void copy(code.textContent ?? "", "Copied");
  });
}
