import { parseArgs } from 'node:util';
import { startApi } from './api.mjs';
import { Lab, untilQuiet } from './lab.mjs';
import { startOidc } from './oidc.mjs';
import { startRecorder } from './recorder.mjs';
import { printHead, printOutcome, printStart, printSummary, printTable } from './report.mjs';
import { scenarios } from './scenarios/index.mjs';

const USAGE = `npm run demo                     every scenario, against servers that it starts on loopback
npm run demo -- --httpbin URL    those that httpbin can serve, against a running httpbin
`;

// The reader of the output (`| head`) may stop.
process.stdout.on('error', () => process.exit(1));

try {
  const { values } = parseArgs({ options: { httpbin: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) process.stdout.write(USAGE);
  else process.exitCode = await demo(values.httpbin);
} catch (error) {
  console.error(`\n    ${error.message}\n`);
  process.exit(1);
}

async function demo(httpbin) {
  const startedAt = performance.now();
  const servers = httpbin === undefined ? await startAll() : { api: await startRecorder(httpbin) };
  try {
    printStart(
      httpbin === undefined
        ? [`API ${servers.api.origin}`, `oidc-provider ${servers.oidc.origin}`]
        : [`httpbin ${httpbin}`],
    );
    const server = httpbin === undefined ? ['api', 'oidc'] : ['httpbin'];
    const isServed = ({ servedBy }) => servedBy.some((name) => server.includes(name));
    const outcomes = [];
    for (const scenario of scenarios.filter(isServed)) {
      outcomes.push(await runScenario(scenario, outcomes.length + 1, servers, httpbin !== undefined));
    }
    printTable(outcomes);
    printSummary(outcomes, performance.now() - startedAt, httpbin === undefined ? [] : notServed(outcomes));
    return outcomes.every(({ isKept }) => isKept) ? 0 : 1;
  } finally {
    await Promise.all(Object.values(servers).map((server) => server.close()));
  }
}

function notServed(outcomes) {
  const served = outcomes.map(({ scenario }) => scenario.name);
  return scenarios.map(({ name }) => name).filter((name) => !served.includes(name));
}

async function startAll() {
  const [api, oidc] = await Promise.all([startApi(), startOidc()]);
  return { api, oidc };
}

async function runScenario(scenario, number, servers, isHttpbin) {
  printHead(number, scenario);
  servers.api.log.clear();
  const lab = new Lab(servers, { isHttpbin });
  const startedAt = performance.now();
  let entries;
  let error;
  try {
    entries = await scenario.run(lab);
  } catch (thrown) {
    error = thrown;
  }
  const tookMs = performance.now() - startedAt;
  entries ??= lab.entries;
  await untilQuiet(entries);
  const isKept = error === undefined && lab.checks.every((check) => check.isKept);
  printOutcome({ entries, checks: lab.checks, error });
  return { scenario, entries, checks: lab.checks, isKept, tookMs };
}
