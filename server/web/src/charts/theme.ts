// The page's colours for drawings: browsers know oklch() and light-dark(), the chart library does not.

export interface Colours {
  accent: string;
  accentSoft: string;
  text: string;
  muted: string;
  faint: string;
  line: string;
  surface: string;
  sunken: string;
  ramp: string[];
  font: string;
}

const LEVELS = 7;

function reader(): { read: (name: string) => string; end: () => void } {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const canvas = document.createElement("canvas");
  canvas.width = 1;
  canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  return {
    read(name) {
      probe.style.color = `var(${name})`;
      const colour = getComputedStyle(probe).color;
      if (!pen) return colour;
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [red = 0, green = 0, blue = 0] = pen.getImageData(0, 0, 1, 1).data;
      return `rgb(${red},${green},${blue})`;
    },
    end: () => probe.remove(),
  };
}

/** The colours of the moment. */
export function colours(): Colours {
  const { read, end } = reader();
  const found = {
    accent: read("--chart"),
    accentSoft: read("--chart-past"),
    text: read("--text"),
    muted: read("--muted"),
    faint: read("--faint"),
    line: read("--line"),
    surface: read("--surface"),
    sunken: read("--ramp-0"),
    ramp: Array.from({ length: LEVELS }, (_, level) => read(`--ramp-${level}`)),
    font: getComputedStyle(document.body).fontFamily,
  };
  end();
  return found;
}

/** Calls back when the page turns light or dark. */
export function onThemeChange(redraw: () => void): void {
  const later = () => requestAnimationFrame(redraw);
  new MutationObserver(later).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-bs-theme", "style"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
}
