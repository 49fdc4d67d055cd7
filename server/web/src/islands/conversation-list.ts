import { htmx } from "./requests";

const EVERY = 3_000;
const SLOWEST = 30_000;
const WIDE = matchMedia("(width >= 1100px)");

/** Where a row stands: newest first, by start and then by number. */
function place(row: HTMLElement): [number, number] {
  const [start = "0", number = "0"] = (row.dataset.cursor ?? "").split(/-(?=\d+$)/);
  return [Number(start), Number(number)];
}

function isNewer(one: HTMLElement, other: HTMLElement): boolean {
  const [start, number] = place(one);
  const [otherStart, otherNumber] = place(other);
  return start > otherStart || (start === otherStart && number > otherNumber);
}

/** The list of conversations: opens them beside it, moves by keyboard, takes in what arrives. */
class ConversationList {
  private readonly rows: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly pill: HTMLButtonElement | null;
  private since: string;
  private unseen = new Set<string>();
  private wait = EVERY;
  private opening = 0;

  constructor(
    private readonly root: HTMLElement,
    rows: HTMLElement,
    scroller: HTMLElement,
  ) {
    this.rows = rows;
    this.scroller = scroller;
    this.since = root.dataset.since ?? "0";
    this.pill = root.querySelector("#new-rows");
    root.addEventListener("click", (event) => this.onClick(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("htmx:after:swap", () => this.showCurrent());
    this.pill?.addEventListener("click", () => this.toTop());
    this.scrolled().addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.current()?.scrollIntoView({ block: "nearest" });
    setTimeout(() => this.poll(), this.wait);
  }

  private scrolled(): HTMLElement | Document {
    return WIDE.matches ? this.scroller : document;
  }

  private offset(): number {
    return WIDE.matches ? this.scroller.scrollTop : window.scrollY;
  }

  private links(): HTMLAnchorElement[] {
    return [...this.rows.querySelectorAll<HTMLAnchorElement>("a.row-link")];
  }

  private current(): HTMLAnchorElement | null {
    return this.rows.querySelector('a.row-link[aria-current="true"]');
  }

  private reader(): HTMLElement | null {
    return document.getElementById("reader");
  }

  /** Beside the list where there is room; elsewhere the link is just a link. */
  private onClick(event: MouseEvent): void {
    const link = (event.target as Element).closest<HTMLAnchorElement>("a[data-open]");
    if (!link || !WIDE.matches || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void this.open(link.href);
  }

  private async open(href: string): Promise<void> {
    this.opening += 1;
    const mine = this.opening;
    const before = this.reader();
    before?.setAttribute("aria-busy", "true");
    this.mark(new URL(href).pathname);
    // Only where it takes a moment: a flash of grey is worse than the old text.
    const skeleton = setTimeout(() => this.showSkeleton(before), 180);
    await htmx.ajax("GET", href, {
      source: this.scroller,
      target: "#reader",
      swap: "outerHTML",
      push: "true",
      headers: { "HX-Target": "section#reader" },
    } as Parameters<typeof htmx.ajax>[2]);
    clearTimeout(skeleton);
    if (mine !== this.opening) return; // somebody is faster than the server: a later one is on its way
    if (this.reader()?.getAttribute("aria-busy")) {
      // Nothing came in its place: let the browser show why.
      location.href = href;
      return;
    }
    this.root.classList.add("is-reading");
    // To the message that is meant: the browser finds it when the address names it.
    const { hash } = new URL(href);
    if (hash) location.replace(hash);
  }

  private showSkeleton(reader: HTMLElement | null): void {
    const skeleton = this.root.querySelector<HTMLTemplateElement>("#reader-skeleton");
    const place = reader?.querySelector("#transcript, .blank");
    if (skeleton && place) place.replaceChildren(skeleton.content.cloneNode(true));
  }

  private mark(path: string): void {
    for (const link of this.links()) {
      if (new URL(link.href).pathname === path) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  private showCurrent(): void {
    this.mark(location.pathname);
    this.root.classList.toggle("is-reading", Boolean(this.reader()?.dataset.conversation));
    const title = this.reader()?.dataset.title;
    const rest = document.title.split(" · ").slice(-2).join(" · ");
    document.title = `${title || "Conversations"} · ${rest}`;
  }

  private onKey(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      this.root.querySelector<HTMLInputElement>("[data-search]")?.select();
    } else if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      this.move(event.key === "j" ? 1 : -1);
    } else if (event.key === "o" && document.activeElement instanceof HTMLAnchorElement) {
      document.activeElement.click();
    }
  }

  /** The next or the previous conversation: opened where it stands beside the list, else brought into focus. */
  private move(step: 1 | -1): void {
    const links = this.links();
    const focused = document.activeElement as HTMLAnchorElement;
    const from = links.includes(focused) ? focused : this.current();
    const at = from ? links.indexOf(from) + step : 0;
    const next = links[Math.max(0, Math.min(links.length - 1, at))];
    if (!next) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    if (WIDE.matches && next !== this.current()) void this.open(next.href);
  }

  private async poll(): Promise<void> {
    if (!document.hidden) {
      try {
        await this.take();
        this.wait = EVERY;
      } catch {
        // The server is away, or busy: ask less often, and go on as soon as it answers.
        this.wait = Math.min(this.wait * 2, SLOWEST);
      }
    }
    setTimeout(() => this.poll(), this.wait);
  }

  private async take(): Promise<void> {
    const url = new URL(this.root.dataset.live ?? "", location.href);
    url.searchParams.set("since", this.since);
    const reader = this.reader();
    if (reader?.dataset.conversation) url.searchParams.set("reading", reader.dataset.conversation);
    const answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    const signIn = answer.headers.get("HX-Redirect");
    if (signIn) {
      location.reload();
      return;
    }
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const news = parsed.querySelector<HTMLElement>("[data-since]");
    if (!news) return;
    this.since = news.dataset.since ?? this.since;
    const fresh = [...news.querySelectorAll<HTMLElement>("li.row-item")];
    if ("overflow" in news.dataset) this.unseen.add("overflow");
    this.merge(fresh);
    if (reader && news.dataset.reading && news.dataset.reading !== reader.dataset.revision) {
      await this.refresh(reader);
    }
  }

  /** Puts rows where they belong; what is being read does not move. */
  private merge(fresh: HTMLElement[]): void {
    if (!fresh.length) return;
    document.getElementById("list-empty")?.remove();
    const older = this.rows.querySelector("#older");
    const detached = Boolean(this.root.querySelector(".newest"));
    const height = this.rows.offsetHeight;
    let above = 0;
    for (const row of fresh) {
      const known = document.getElementById(row.id);
      if (known) {
        row.classList.remove("is-new");
        if (known.querySelector("[aria-current]")) {
          row.querySelector("a")?.setAttribute("aria-current", "true");
        }
        if (known.innerHTML !== row.innerHTML) known.innerHTML = row.innerHTML;
        continue;
      }
      const after = [...this.rows.querySelectorAll<HTMLElement>("li.row-item")].find((each) =>
        isNewer(row, each),
      );
      if (!after && older) continue; // it stands on a page that is not loaded
      const first = after !== undefined && after === this.rows.querySelector("li.row-item");
      if (first && detached) {
        this.unseen.add(row.id);
        continue;
      }
      this.rows.insertBefore(document.importNode(row, true), after ?? null);
      if (this.offset() > 8) {
        above += 1;
        this.unseen.add(row.id);
      }
    }
    // Browsers that anchor the scroll themselves have moved it already.
    if (above && !CSS.supports("overflow-anchor", "auto")) {
      this.scroller.scrollTop += this.rows.offsetHeight - height;
    }
    this.showPill();
  }

  private showPill(): void {
    if (!this.pill) return;
    this.pill.hidden = this.unseen.size === 0;
    const label = this.pill.querySelector("span");
    const count = this.unseen.has("overflow") ? "Many" : String(this.unseen.size);
    if (label) label.textContent = `${count} new`;
  }

  private toTop(): void {
    if (this.unseen.has("overflow") || this.root.querySelector(".newest")) {
      location.reload();
      return;
    }
    this.unseen.clear();
    this.showPill();
    (WIDE.matches ? this.scroller : window).scrollTo({ top: 0, behavior: "smooth" });
  }

  private onScroll(): void {
    if (this.offset() > 8 || this.unseen.has("overflow") || this.root.querySelector(".newest")) return;
    this.unseen.clear();
    this.showPill();
  }

  /** The open conversation goes on: what is new is merged in, and the end stays in sight if it was. */
  private async refresh(reader: HTMLElement): Promise<void> {
    const pane = () => (WIDE.matches ? document.getElementById("transcript") : document.documentElement);
    const before = pane();
    const atEnd = before ? before.scrollHeight - before.scrollTop - before.clientHeight < 80 : false;
    await htmx.ajax("GET", location.pathname + location.search, {
      source: reader,
      target: "#reader",
      swap: "outerMorph",
      headers: { "HX-Target": "section#reader" },
    } as Parameters<typeof htmx.ajax>[2]);
    const after = pane();
    if (atEnd && after) after.scrollTop = after.scrollHeight;
  }
}

/** Starts the list of conversations where the page has one. */
export function startConversationList(): void {
  const root = document.querySelector<HTMLElement>("[data-conversations]");
  const rows = document.getElementById("rows");
  const scroller = document.getElementById("list-scroll");
  if (root && rows && scroller) new ConversationList(root, rows, scroller);
}
