// Markdown tables that are readable in a terminal, too.
export function table(columns, rows) {
  const all = [columns, ...rows].map((cells) => cells.map(String));
  const widths = columns.map((_, place) => Math.max(3, ...all.map((cells) => [...cells[place]].length)));
  const pad = (cell, place) => {
    const blanks = ' '.repeat(widths[place] - [...cell].length);
    return place === 0 ? cell + blanks : blanks + cell;
  };
  const line = (cells) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = `| ${widths.map((width, place) => (place === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  const [head, ...body] = all.map(line);
  return [head, rule, ...body].join('\n');
}
