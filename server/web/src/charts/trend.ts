import { written } from "../locale";
import { dataOf, escaped, follow, type Option, Plot } from "./plot";
import type { Colours } from "./theme";

type Values = (number | null)[];
type Kind = "conversations" | "messages" | "people" | "milliseconds" | "handed" | "satisfied";

interface Series {
  label: string;
  kind: Kind;
  values: Values;
  texts: string[];
  previous: Values | null;
  previousTexts: string[];
  href: string;
}

interface Chart {
  chosen: string;
  names: string[];
  labels: string[];
  previousNames: string[];
  when: string[];
  partial: boolean;
  series: Record<string, Series>;
}

function tick(kind: Kind, value: number): string {
  if (kind === "handed" || kind === "satisfied") return `${written(value * 100)} %`;
  if (kind === "milliseconds") {
    if (value < 1000) return `${Math.round(value)} ms`;
    if (value < 60_000) return `${written(value / 1000)} s`;
    return `${written(value / 60_000)} min`;
  }
  if (value >= 1_000_000) return `${written(value / 1_000_000)}M`;
  return value >= 10_000 ? `${written(value / 1000)}k` : written(value);
}

/** A day without an answer is no answer of no time: the line goes on to the next. A count is never absent. */
function joined(kind: Kind): boolean {
  return kind !== "conversations" && kind !== "messages" && kind !== "people";
}

/** A value that stands alone between gaps has no line to be seen by. */
function alone(values: Values, at: number): boolean {
  return values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null;
}

function option(chart: Chart, look: Colours): Option {
  const series = chart.series[chart.chosen] as Series;
  const last = series.values.findLastIndex((value) => value !== null);
  // The point of the present is still growing: it hangs on a dashed line.
  const split = chart.partial && last > 0 && series.values[last - 1] !== null;
  const share = series.kind === "handed" || series.kind === "satisfied";
  const dot = (values: Values) => ({
    symbol: "circle",
    symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (alone(values, dataIndex) ? 5 : 0),
    showSymbol: true,
    showAllSymbol: true,
    connectNulls: joined(series.kind),
    emphasis: { scale: false, lineStyle: { width: 2 } },
  });
  const solid = split ? series.values.map((value, at) => (at === last ? null : value)) : series.values;
  const growing = series.values.map((value, at) =>
    split && (at === last || at === last - 1) ? value : null,
  );
  return {
    // As much room at the left as the longest label takes: "500 ms" is longer than "20".
    grid: {
      left: 4,
      right: 14,
      top: 14,
      bottom: 4,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: {
      type: "category",
      data: chart.labels,
      boundaryGap: chart.labels.length === 1,
      axisLine: { lineStyle: { color: look.line } },
      axisTick: { show: false },
      axisLabel: {
        color: look.muted,
        hideOverlap: true,
        margin: 10,
        alignMinLabel: "left",
        alignMaxLabel: "right",
      },
      axisPointer: { lineStyle: { color: look.faint, type: "solid", width: 1 } },
    },
    yAxis: {
      type: "value",
      min: 0,
      ...(share ? { max: ({ max }: { max: number }) => (max > 0.6 ? 1 : null) } : { minInterval: 1 }),
      splitNumber: 4,
      axisLabel: { color: look.muted, formatter: (value: number) => tick(series.kind, value), margin: 10 },
      splitLine: { lineStyle: { color: look.line, width: 1 } },
    },
    tooltip: {
      trigger: "axis",
      formatter: (given: { dataIndex: number }[] | { dataIndex: number }) => {
        const at = (Array.isArray(given) ? given[0] : given)?.dataIndex ?? 0;
        const now = `<b>${escaped(series.texts[at] ?? "")}</b><span>${escaped(chart.names[at] ?? "")}</span>`;
        const name = chart.previousNames[at];
        const past =
          series.previous && name
            ? `<i>${escaped(series.previousTexts[at] ?? "")}, ${escaped(name)}</i>`
            : "";
        return `<div class="tip num">${now}${past}</div>`;
      },
    },
    series: [
      ...(series.previous
        ? [
            {
              type: "line",
              name: "before",
              data: series.previous,
              silent: true,
              z: 1,
              lineStyle: { color: look.accentSoft, width: 1.5, type: [4, 4] },
              itemStyle: { color: look.accentSoft },
              ...dot(series.previous),
            },
          ]
        : []),
      {
        type: "line",
        name: "now",
        data: solid,
        z: 3,
        lineStyle: { color: look.accent, width: 2, join: "round" },
        itemStyle: { color: look.accent },
        areaStyle: { color: look.accent, opacity: 0.07 },
        ...dot(series.values),
      },
      {
        type: "line",
        name: "growing",
        data: growing,
        z: 3,
        lineStyle: { color: look.accent, width: 2, type: [2, 4], cap: "round" },
        itemStyle: { color: look.accent },
        areaStyle: { color: look.accent, opacity: 0.07 },
        ...dot(growing),
        symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) =>
          dataIndex === last && split ? 6 : 0,
      },
    ],
  } as Option;
}

/** The big chart, and the cards that choose what it shows. */
export function startTrend(): void {
  const place = document.querySelector<HTMLElement>('[data-plot="trend"]');
  const chart = dataOf<Chart>("chart-data");
  if (!place || !chart) return;
  const plot = new Plot(place, (look) => option(chart, look));
  const pen = plot.chart.getZr();
  const nearest = (x: number, y: number): number | null => {
    if (!plot.chart.containPixel("grid", [x, y])) return null;
    const found = plot.chart.convertFromPixel({ seriesIndex: 0 }, [x, y]) as number[] | number;
    const at = Array.isArray(found) ? found[0] : found;
    return at === undefined || Number.isNaN(at)
      ? null
      : Math.max(0, Math.min(chart.labels.length - 1, Math.round(at)));
  };
  pen.on("mousemove", (event) =>
    pen.setCursorStyle(nearest(event.offsetX, event.offsetY) === null ? "default" : "pointer"),
  );
  pen.on("click", (event) => {
    const at = nearest(event.offsetX, event.offsetY);
    const behind = chart.series[chart.chosen]?.href;
    if (at !== null && behind) follow(`${behind}&${chart.when[at]}`, event.event as unknown as MouseEvent);
  });

  const choose = (name: string, href: string) => {
    chart.chosen = name;
    for (const card of document.querySelectorAll<HTMLElement>("[data-card]")) {
      const on = card.dataset.card === name;
      card.classList.toggle("is-chosen", on);
      const link = card.querySelector("[data-chart-of]");
      if (on) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
    const title = document.getElementById("chart-title");
    if (title) title.textContent = chart.series[name]?.label ?? "";
    history.replaceState(history.state, "", href);
    plot.draw();
  };
  document.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    const target = event.target as Element;
    const card = target.closest<HTMLElement>("[data-card]");
    const link = card?.querySelector<HTMLAnchorElement>("[data-chart-of]");
    if (!card || !link || target.closest(".info")) return;
    event.preventDefault();
    choose(card.dataset.card ?? "", link.href);
  });
}
