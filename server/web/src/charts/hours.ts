import { dataOf, escaped, follow, type Option, Plot } from "./plot";
import type { Colours } from "./theme";

interface Hour {
  count: number;
  level: number;
  text: string;
  href: string;
}

interface Week {
  name: string;
  days: Hour[][];
}

const SHORT = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function option(week: Week, look: Colours, narrow: boolean): Option {
  const cells = week.days.flatMap((day, row) =>
    day.map((hour, at) => ({
      value: [at, row, hour.level],
      cursor: hour.count ? "pointer" : "default",
      emphasis: { itemStyle: { color: look.ramp[hour.level] } },
    })),
  );
  const axis = { axisLine: { show: false }, axisTick: { show: false }, splitLine: { show: false } };
  return {
    grid: { left: 36, right: 0, top: 2, bottom: 22, outerBoundsMode: "none" },
    xAxis: {
      type: "category",
      data: Array.from({ length: 24 }, (_, at) => `${String(at).padStart(2, "0")}:00`),
      ...axis,
      axisLabel: { color: look.muted, interval: (at: number) => at % (narrow ? 6 : 3) === 0, margin: 8 },
    },
    yAxis: {
      type: "category",
      data: SHORT,
      inverse: true,
      ...axis,
      axisLabel: { color: look.muted, margin: 8 },
    },
    visualMap: {
      type: "piecewise",
      show: false,
      dimension: 2,
      pieces: look.ramp.map((color, value) => ({ value, color })),
    },
    tooltip: {
      formatter: ({ value }: { value: number[] }) =>
        `<div class="tip num">${escaped(week.days[value[1] ?? 0]?.[value[0] ?? 0]?.text ?? "")}</div>`,
    },
    series: [
      {
        type: "heatmap",
        data: cells,
        itemStyle: { borderColor: look.surface, borderWidth: 1.5, borderRadius: 4 },
        emphasis: { itemStyle: { borderColor: look.text, borderWidth: 1.5 } },
      },
    ],
  } as Option;
}

/** The hours of the week, by conversations or messages. */
export function startHours(): void {
  const place = document.querySelector<HTMLElement>('[data-plot="hours"]');
  const weeks = dataOf<Record<string, Week>>("hours-data");
  if (!place || !weeks) return;
  let chosen = place.dataset.chosen ?? "conversations";
  const plot = new Plot(place, (look) => option(weeks[chosen] as Week, look, place.clientWidth < 420));
  plot.chart.on("click", (event) => {
    const [at = 0, row = 0] = event.value as number[];
    const hour = weeks[chosen]?.days[row]?.[at];
    if (hour?.count) follow(hour.href, event.event?.event as unknown as MouseEvent);
  });
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLAnchorElement>("[data-hours-of]");
    if (!button || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    chosen = button.dataset.hoursOf ?? chosen;
    for (const each of document.querySelectorAll<HTMLElement>("[data-hours-of]")) {
      each.setAttribute("aria-pressed", String(each === button));
    }
    for (const each of document.querySelectorAll<HTMLElement>("[data-week]")) {
      each.hidden = each.dataset.week !== chosen;
    }
    const here = new URL(button.href);
    history.replaceState(history.state, "", here.pathname + here.search);
    plot.draw();
  });
}
