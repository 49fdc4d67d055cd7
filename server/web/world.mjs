// The outlines of countries, flattened for the page: GeoJSON that is drawn as it stands. Each country bears its
// ISO 3166-1 alpha-2 code; those too small for the outlines are dots.
import { createRequire } from "node:module";
import { feature } from "topojson-client";

const require = createRequire(import.meta.url);
const codes = new Map(require("i18n-iso-countries/codes.json").map(([two, , digits]) => [digits, two]));
const named = { Kosovo: "XK" };
const ANTARCTICA = "AQ";
const DOT = 1.1;

/** Natural Earth: a compromise without the swollen north (T. Patterson, B. Šavrič). */
function project([longitude, latitude]) {
  const x = (longitude * Math.PI) / 180;
  const y = (latitude * Math.PI) / 180;
  const y2 = y * y;
  const y4 = y2 * y2;
  const across = x * (0.8707 - 0.131979 * y2 + y4 * (-0.013791 + y4 * (0.003971 * y2 - 0.001529 * y4)));
  const up = y * (1.007226 + y2 * (0.015085 + y4 * (-0.044475 + 0.028874 * y2 - 0.005916 * y4)));
  return [across, up].map((value) => Math.round(((value * 180) / Math.PI) * 100) / 100);
}

/** A ring that leaves the map at one side and comes back at the other stays on one side, a little beyond the edge. */
function whole(ring) {
  const crosses = ring.some(([at], place) => place > 0 && Math.abs(at - ring[place - 1][0]) > 180);
  return crosses ? ring.map(([at, up]) => [at < 0 ? at + 360 : at, up]) : ring;
}

function rings(geometry) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return polygons.map((polygon) => polygon.map(whole));
}

function read(file) {
  const topology = require(`world-atlas/${file}`);
  return feature(topology, topology.objects.countries).features.map((each) => ({
    code: codes.get(each.id) ?? named[each.properties.name] ?? "",
    polygons: rings(each.geometry),
  }));
}

function centre(polygons) {
  const points = polygons.flat(2);
  const middle = (place) => points.reduce((sum, point) => sum + point[place], 0) / points.length;
  return [middle(0), middle(1)];
}

function dot(polygons) {
  const [x, y] = project(centre(polygons));
  const corners = Array.from({ length: 13 }, (_, at) => (at * Math.PI) / 6);
  return [
    [
      corners.map((angle) =>
        [x + Math.cos(angle) * DOT, y + Math.sin(angle) * DOT].map((v) => Math.round(v * 100) / 100),
      ),
    ],
  ];
}

export function world() {
  const coarse = read("countries-110m.json").filter((each) => each.code !== ANTARCTICA);
  const drawn = new Set(coarse.map((each) => each.code));
  const small = read("countries-50m.json").filter(
    (each) => each.code && each.code !== ANTARCTICA && !drawn.has(each.code),
  );
  const shapes = [
    ...coarse.map((each) => ({
      code: each.code,
      coordinates: each.polygons.map((polygon) => polygon.map((ring) => ring.map(project))),
    })),
    ...small.map((each) => ({ code: each.code, coordinates: dot(each.polygons) })),
  ];
  return JSON.stringify({
    type: "FeatureCollection",
    features: shapes.map(({ code, coordinates }) => ({
      type: "Feature",
      properties: { name: code },
      geometry: { type: "MultiPolygon", coordinates },
    })),
  });
}
