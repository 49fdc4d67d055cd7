import { dataOf, escaped, follow, type Option, Plot, registerMap } from "./plot";
import type { Colours } from "./theme";

interface Land {
  code: string;
  text: string;
  level: number;
  href: string;
}

function option(lands: Map<string, Land>, look: Colours): Option {
  return {
    tooltip: {
      formatter: ({ name }: { name: string }) => {
        const land = lands.get(name);
        return land ? `<div class="tip num">${escaped(land.text)}</div>` : "";
      },
    },
    series: [
      {
        type: "map",
        map: "world",
        aspectScale: 1,
        left: 0,
        right: 0,
        top: 0,
        bottom: 0,
        selectedMode: false,
        itemStyle: { areaColor: look.ramp[0], borderColor: look.surface, borderWidth: 0.6 },
        label: { show: false },
        emphasis: { disabled: true },
        data: [...lands.values()].map((land) => ({
          name: land.code,
          value: land.level,
          itemStyle: { areaColor: look.ramp[land.level] },
          emphasis: {
            disabled: false,
            label: { show: false },
            itemStyle: {
              areaColor: look.ramp[land.level],
              borderColor: look.text,
              borderWidth: 1,
            },
          },
        })),
      },
    ],
  } as Option;
}

/** The map of the world. Its outlines come as a file of their own, once. */
export async function startWorld(): Promise<void> {
  const place = document.querySelector<HTMLElement>('[data-plot="map"]');
  const given = dataOf<Land[]>("map-data");
  if (!place?.dataset.world || !given) return;
  let outlines: object;
  try {
    const answer = await fetch(place.dataset.world);
    if (!answer.ok) throw new Error(String(answer.status));
    outlines = (await answer.json()) as object;
  } catch {
    // The list beside it says the same.
    place.replaceChildren("The map could not be loaded. Reload the page to try again.");
    place.classList.add("plot-failed");
    return;
  }
  registerMap("world", outlines as Parameters<typeof registerMap>[1]);
  const lands = new Map(given.map((land) => [land.code, land]));
  const plot = new Plot(place, (look) => option(lands, look));
  const pen = plot.chart.getZr();
  let over: string | undefined;
  plot.chart.on("mouseover", (event) => {
    over = lands.get(event.name)?.href;
  });
  plot.chart.on("mouseout", () => {
    over = undefined;
  });
  pen.on("mousemove", () => pen.setCursorStyle(over ? "pointer" : "default"));
  plot.chart.on("click", (event) =>
    follow(lands.get(event.name)?.href, event.event?.event as unknown as MouseEvent),
  );
}
