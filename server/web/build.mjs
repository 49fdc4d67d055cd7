// Bundles the dashboard's scripts, styles, fonts and icons into the folder that the server serves.
// Every file name carries a hash of its content, so that browsers may keep it for ever; manifest.json
// gives the templates the current names.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { PurgeCSS } from "purgecss";
import { world } from "./world.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const dashboard = join(here, "..", "src", "agentsight_server", "dashboard");
const out = join(dashboard, "static");
const iconSource = join(here, "node_modules", "@tabler", "icons", "icons", "outline");
const targets = ["chrome120", "firefox128", "safari17"];

/** Every file under a folder whose name ends in one of the extensions. */
async function filesUnder(folder, extensions) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && extensions.includes(extname(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(out))
    .sort();
}

function hashed(name, contents) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  const extension = extname(name);
  return `${basename(name, extension)}-${hash}${extension}`;
}

/** The icons that templates and pages name: icon("x") in a template, Icon("x") in Python. */
async function collectIcons(sources) {
  const names = new Set();
  for (const path of sources) {
    const text = await readFile(path, "utf8");
    for (const match of text.matchAll(/\b[iI]con(?:_use)?\(\s*["']([a-z0-9-]+)["']/g)) names.add(match[1]);
  }
  const icons = {};
  for (const name of [...names].sort()) {
    let svg;
    try {
      svg = await readFile(join(iconSource, `${name}.svg`), "utf8");
    } catch {
      throw new Error(`There is no icon called "${name}" in @tabler/icons.`);
    }
    const inner = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
    icons[name] = inner.replace(/\s*\n\s*/g, "").trim();
  }
  return icons;
}

/** The licences of what is passed on: our bundles hold other people's work. */
async function licences(packages) {
  const parts = [];
  for (const name of [...packages].sort()) {
    const folder = join(here, "node_modules", name);
    const {
      version,
      license,
      homepage = "",
    } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const entries = await readdir(folder, { withFileTypes: true });
    const named = entries.filter((entry) => /^(licen[cs]e|notice)/i.test(entry.name));
    const files = named.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));
    for (const entry of named.filter((entry) => entry.isDirectory())) {
      const inner = await readdir(join(folder, entry.name));
      files.push(...inner.map((each) => join(folder, entry.name, each)));
    }
    const texts = await Promise.all(files.sort().map((each) => readFile(each, "utf8")));
    parts.push(
      [`${name} ${version} (${license}) ${homepage}`.trim(), ...texts.map((each) => each.trim())].join(
        "\n\n",
      ),
    );
  }
  return `${parts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

const templates = await filesUnder(dashboard, [".html", ".py"]);
const scripts = await filesUnder(join(here, "src"), [".ts"]);
/** Of Tabler, only what the pages use: whole, it is eight times the rest of the style. */
const purgeTabler = {
  name: "purge-tabler",
  setup(esbuild) {
    esbuild.onLoad({ filter: /@tabler[\\/]core[\\/].*\.css$/ }, async ({ path }) => {
      const [purged] = await new PurgeCSS().purge({
        css: [{ raw: await readFile(path, "utf8") }],
        content: [...templates, ...scripts],
        variables: true,
        safelist: { greedy: [/data-bs-theme/] },
      });
      return { contents: purged.css, loader: "css" };
    });
  },
};

const bundle = await build({
  absWorkingDir: here,
  entryPoints: {
    app: "src/app.ts",
    analytics: "src/analytics.ts",
    sw: "src/sw.ts",
    dashboard: "src/styles/app.css",
  },
  bundle: true,
  write: false,
  metafile: true,
  outdir: out,
  format: "esm",
  target: targets,
  minify: true,
  legalComments: "none", // they stand in licences.txt, whole
  loader: { ".woff2": "file" },
  assetNames: "fonts/[name]-[hash]",
  plugins: [purgeTabler],
});

const manifest = {};
const outputs = [];
for (const file of bundle.outputFiles) {
  const name = relative(out, file.path);
  if (name.startsWith("fonts/")) {
    outputs.push([name, file.contents]);
    const plain = name.replace(/-[A-Z0-9]{8}(?=\.)/, "");
    manifest[plain] = name;
  } else {
    manifest[name] = hashed(name, file.contents);
    outputs.push([manifest[name], file.contents]);
  }
}
for (const path of await filesUnder(join(here, "src", "assets"), [".svg", ".png"])) {
  const contents = await readFile(path);
  manifest[basename(path)] = hashed(basename(path), contents);
  outputs.push([manifest[basename(path)], contents]);
}
const outlines = Buffer.from(world());
manifest["world.json"] = hashed("world.json", outlines);
outputs.push([manifest["world.json"], outlines]);
const icons = await collectIcons(templates);
// What the bundler took, and what is taken beside it.
const others = new Set(["@tabler/icons", "world-atlas", "i18n-iso-countries"]);
for (const input of Object.keys(bundle.metafile.inputs)) {
  const found = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) others.add(found[1]);
}
const licenceTexts = Buffer.from(await licences(others));
manifest["licences.txt"] = hashed("licences.txt", licenceTexts);
outputs.push([manifest["licences.txt"], licenceTexts]);

await rm(out, { recursive: true, force: true });
await mkdir(join(out, "fonts"), { recursive: true });
for (const [name, contents] of outputs) await writeFile(join(out, name), contents);
await writeFile(join(out, "icons.json"), `${JSON.stringify(icons)}\n`);
// Last: a manifest that stands names only files that stand.
await writeFile(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
