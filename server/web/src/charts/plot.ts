import { HeatmapChart, LineChart, MapChart } from "echarts/charts";
import { GridComponent, TooltipComponent, VisualMapPiecewiseComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { type Colours, colours, onThemeChange } from "./theme";

echarts.use([
  HeatmapChart,
  LineChart,
  MapChart,
  GridComponent,
  TooltipComponent,
  VisualMapPiecewiseComponent,
  SVGRenderer,
]);

export type Option = Parameters<echarts.ECharts["setOption"]>[0];
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/** Data that the server wrote into the page. */
export function dataOf<T>(id: string): T | null {
  const text = document.getElementById(id)?.textContent;
  return text ? (JSON.parse(text) as T) : null;
}

export function escaped(text: string): string {
  const holder = document.createElement("span");
  holder.textContent = text;
  return holder.innerHTML;
}

/** A drawing in its place: follows the size of the place and the colours of the page. */
export class Plot {
  readonly chart: echarts.ECharts;
  private first = true;

  constructor(
    readonly place: HTMLElement,
    private readonly option: (colours: Colours) => Option,
  ) {
    place.replaceChildren();
    this.chart = echarts.init(place, null, { renderer: "svg" });
    // What a drawing shows stands in a table and in words as well.
    place.querySelector("svg")?.setAttribute("aria-hidden", "true");
    new ResizeObserver(() => {
      this.chart.resize();
      this.scale();
    }).observe(place);
    onThemeChange(() => this.draw());
    this.draw();
  }

  draw(): void {
    const look = colours();
    const base: Option = {
      animation: !CALM.matches && !this.first,
      animationDuration: 160,
      animationDurationUpdate: 160,
      animationEasing: "cubicOut",
      animationEasingUpdate: "cubicOut",
      textStyle: { fontFamily: look.font, fontSize: 12 },
      tooltip: {
        className: "plot-tip",
        confine: true,
        borderWidth: 0,
        padding: 0,
        shadowBlur: 0,
        backgroundColor: "transparent",
        transitionDuration: 0,
        textStyle: { color: look.text, fontFamily: look.font, fontSize: 12 },
      },
    };
    const own = this.option(look) as Record<string, unknown>;
    const tooltip = { ...(base as { tooltip: object }).tooltip, ...(own.tooltip as object) };
    this.chart.setOption({ ...base, ...own, tooltip } as Option, { notMerge: true });
    this.first = false;
    this.scale();
  }

  /** On paper the place has another width, of which no script learns in time: the drawing scales by itself. */
  private scale(): void {
    const drawing = this.place.querySelector("svg");
    drawing?.setAttribute("viewBox", `0 0 ${this.chart.getWidth()} ${this.chart.getHeight()}`);
  }
}

/** Follows a link as a click on it would, also into a new tab. */
export function follow(href: string | undefined, event?: MouseEvent): void {
  if (!href) return;
  if (event && (event.metaKey || event.ctrlKey)) window.open(href, "_blank", "noopener");
  else location.href = href;
}

export const registerMap = echarts.registerMap;
