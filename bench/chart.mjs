// Bars as SVG: no service, no library; legible on light and on dark.
const WIDTH = 760;
const LABELS = 310;
const VALUES = 90;
const BAR = 18;
const STEP = 26;
const TOP = 44;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 15px; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .bar { fill: #6e7681; }
    .ours { fill: #58a6ff; }
  }`;

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** One bar each, from zero. `text` replaces a missing value. */
export function chart({ title, bars, digits = 0 }) {
  const longest = Math.max(...bars.map(({ value }) => value ?? 0)) || 1;
  const height = TOP + bars.length * STEP + 8;
  const drawn = bars.map(({ label, value = 0, text, isOurs }, place) => {
    const y = TOP + place * STEP;
    const width = Math.max(1, ((WIDTH - LABELS - VALUES) * value) / longest);
    const middle = y + BAR - 4.5;
    return [
      `<text x="${LABELS - 10}" y="${middle}" text-anchor="end">${escaped(label)}</text>`,
      `<rect class="${isOurs ? 'ours' : 'bar'}" x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
      `<text x="${(LABELS + width + 6).toFixed(1)}" y="${middle}">${escaped(text ?? value.toFixed(digits))}</text>`,
    ].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="10" y="24">${escaped(title)}</text>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}
