import { inspect } from 'node:util';
import { alike, callsIn, isAnsweredAtOnce, totalsOf } from './calls.mjs';
import { bold, columns, cyan, dim, green, padEnd, padStart, red, widthOf, yellow } from './paint.mjs';

const INDENT = '    ';
const OFFSET_WIDTH = 9;
const LONGEST_LABEL = 44;

export function printStart(places) {
  console.log(`\n${INDENT}${bold('axios-attach-auth')}  ${dim(places.join('  '))}`);
  console.log(
    INDENT + dim('Each line is a call as the server logged it: when, what, its answers, and the waits between them.'),
  );
}

export function printHead(number, { title, promise }) {
  console.log(`\n${dim(padStart(String(number), 2))}  ${bold(title)}`);
  for (const line of linesOf(promise)) console.log(INDENT + dim(line));
  console.log();
}

function linesOf(text) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length > columns - INDENT.length) lines.push(word);
    else lines[lines.length - 1] = line;
  }
  return lines;
}

/** The calls of a scenario with their sends, from the server logs, and then the checks. */
export function printOutcome({ entries, checks, error }) {
  const groups = alike(callsIn(entries));
  const startedAt = entries[0]?.at ?? 0;
  const labels = groups.map(labelOf);
  const labelWidth = Math.min(LONGEST_LABEL, Math.max(0, ...labels.map(widthOf)));
  groups.forEach((group, index) => {
    const head = `${padStart(dim(`+${duration(group.at - startedAt)}`), OFFSET_WIDTH)}  ${padEnd(labels[index], labelWidth)}  `;
    printWrapped(INDENT + head, stepsOf(group));
  });
  if (entries.length > 0) console.log();
  for (const check of checks) printCheck(check);
  if (error) console.log(`${INDENT}${red('✗')} ${traceOf(error)}`);
}

function traceOf({ stack, code, response }) {
  const lines = stack.split('\n').filter((line) => !/node:|node_modules/.test(line));
  const about = [code, response && `status ${response.status}`].filter(Boolean).join(', ');
  return [about ? `${lines[0]} (${about})` : lines[0], ...lines.slice(1, 8)].join(`\n${INDENT}`);
}

function labelOf({ count, who, method, path }) {
  const times = count > 1 ? `${count} × ` : '';
  return `${times}${who && dim(`${who}  `)}${method} ${path}`;
}

function stepsOf({ sends, waits, path }) {
  let credential;
  let at = path;
  return sends.map((send, index) => {
    const lead = index === 0 ? '' : `${dim(arrow(waits[index - 1], sends[index - 1]))} `;
    const moved = send.path === at ? '' : `${send.path} `;
    const used = send.credential === credential ? '' : ` ${dim(send.credential ?? 'bare')}`;
    ({ credential, path: at } = send);
    const refresh = send.isRefresh ? ` ${cyan('refresh')}` : '';
    return `${lead}${moved}${statusOf(send)}${refresh}${used}`;
  });
}

const NOTABLE_MS = 20;

function arrow({ least, most }, { status }) {
  if (isAnsweredAtOnce(status) && most < NOTABLE_MS) return '→';
  const [from, to] = [duration(least), duration(most)];
  return from === to ? `─ ${to} →` : `─ ${from} … ${to} →`;
}

function statusOf({ status = 'no answer' }) {
  if (typeof status !== 'number' || status >= 500) return red(status);
  if (status >= 400) return yellow(status);
  return green(status);
}

function printWrapped(head, steps) {
  const hang = ' '.repeat(widthOf(head));
  let line = head;
  for (const [index, step] of steps.entries()) {
    const isFull = index > 0 && widthOf(line) + 1 + widthOf(step) > columns;
    if (isFull) {
      console.log(line);
      line = hang + step;
    } else {
      line += index === 0 ? step : ` ${step}`;
    }
  }
  console.log(line);
}

function printCheck({ promise, isKept, actual, expected }) {
  console.log(`${INDENT}${isKept ? green('✓') : red('✗')} ${promise}`);
  if (isKept) return;
  console.log(
    `${INDENT}    expected ${typeof expected === 'string' ? expected : inspect(expected, { breakLength: Infinity })}`,
  );
  console.log(`${INDENT}    but got  ${inspect(actual, { breakLength: Infinity })}`);
}

const TOTALS = [
  ['calls', 'calls'],
  ['sends', 'sends'],
  ['ok', 'ok'],
  ['unauthorized', '401'],
  ['throttled', '429'],
  ['serverErrors', '5xx'],
  ['lost', 'lost'],
  ['refreshes', 'refreshes'],
  ['longestWaitMs', 'longest wait'],
  ['tookMs', 'took'],
];

/** One row for each scenario, counted by the servers. */
export function printTable(outcomes) {
  const rows = outcomes.map(({ entries, tookMs }) => ({ ...totalsOf(entries), tookMs }));
  const cells = rows.map((row) => TOTALS.map(([key]) => cellOf(key, row[key])));
  const widths = TOTALS.map(([, head], column) => Math.max(head.length, ...cells.map((row) => row[column].length)));
  const nameWidth = Math.max(...outcomes.map(({ scenario }) => widthOf(scenario.name)));
  const heads = TOTALS.map(([, head], column) => padStart(head, widths[column]));
  console.log(`\n${dim(`${' '.repeat(INDENT.length + nameWidth)}  ${heads.join('  ')}`)}`);
  outcomes.forEach(({ scenario, isKept }, index) => {
    const mark = isKept ? green('✓') : red('✗');
    const numbers = cells[index].map((cell, column) => padStart(cell === '·' ? dim(cell) : cell, widths[column]));
    console.log(`  ${mark} ${padEnd(scenario.name, nameWidth)}  ${numbers.join('  ')}`);
  });
}

export function printSummary(outcomes, tookMs, skipped) {
  const broken = outcomes.filter(({ isKept }) => !isKept);
  const checks = outcomes.reduce((sum, outcome) => sum + outcome.checks.length, 0);
  const totals = outcomes.map(({ entries }) => totalsOf(entries));
  const sum = (key) => totals.reduce((total, row) => total + row[key], 0);
  const verdict =
    broken.length === 0
      ? green(bold(`All ${outcomes.length} scenarios kept their promise`))
      : red(bold(`${broken.length} of ${outcomes.length} scenarios broke a promise`));
  if (skipped.length > 0) console.log(`\n  ${dim(`Not for httpbin: ${skipped.join(' · ')}`)}`);
  console.log(
    `\n  ${verdict}: ${checks} checks, ${sum('calls')} calls, ${sum('sends')} sends, ${sum('refreshes')} refreshes, ${duration(tookMs)}.\n`,
  );
}

function cellOf(key, value) {
  if (key === 'tookMs') return duration(value);
  if (key === 'longestWaitMs') return value < NOTABLE_MS ? '·' : duration(value);
  return value === 0 ? '·' : String(value);
}

export function duration(ms) {
  if (ms >= 995) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.round(ms)} ms`;
}
