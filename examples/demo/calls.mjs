/** Groups a log of sends by call, with the waits between the sends. */
export function callsIn(entries) {
  const byCall = new Map();
  entries.forEach((entry, index) => {
    const key = entry.call ?? `send ${index}`;
    byCall.set(key, [...(byCall.get(key) ?? []), entry]);
  });
  return [...byCall.values()].map((sends) => ({
    at: sends[0].at,
    who: sends[0].call?.split('#')[0] ?? '',
    method: sends[0].method,
    path: sends[0].path,
    isRefresh: sends.some(({ isRefresh }) => isRefresh),
    sends,
    waits: sends.slice(1).map(({ at }, index) => Math.max(0, at - (sends[index].endedAt ?? at))),
  }));
}

/** Merges calls with the same history at about the same time. Their waits become ranges. */
export function alike(calls) {
  const groups = [];
  const isShort = calls.filter(hasRetried).length <= MOST_RETRIED;
  for (const call of calls) {
    const way = isShort && hasRetried(call) ? undefined : wayOf(call);
    const group = groups.findLast(
      (earlier) => way !== undefined && earlier.way === way && call.at - earlier.calls.at(-1).at < TOGETHER_MS,
    );
    if (group) group.calls.push(call);
    else groups.push({ way, calls: [call] });
  }
  return groups.map(({ calls: [first, ...rest] }) => ({
    ...first,
    count: 1 + rest.length,
    waits: first.waits.map((_, index) => rangeOf([first, ...rest].map(({ waits }) => waits[index]))),
  }));
}

const TOGETHER_MS = 100;
const MOST_RETRIED = 12;

/** Its waits get their own line. */
function hasRetried({ sends }) {
  return sends.slice(0, -1).some(({ status }) => !isAnsweredAtOnce(status));
}

/** The reason of a send without a wait: a refusal of the credentials, or a redirect. */
export function isAnsweredAtOnce(status) {
  return status === 401 || status === 403 || (status >= 300 && status < 400);
}

function wayOf({ who, method, sends }) {
  return JSON.stringify([
    who,
    method,
    ...sends.map(({ path, status, credential, isRefresh }) => [path, status, credential, isRefresh]),
  ]);
}

function rangeOf(values) {
  return { least: Math.min(...values), most: Math.max(...values) };
}

export function totalsOf(entries) {
  const calls = callsIn(entries);
  const count = (test) => entries.filter(test).length;
  return {
    calls: calls.length,
    sends: entries.length,
    ok: count(({ status }) => status >= 200 && status < 400),
    unauthorized: count(({ status }) => status === 401),
    throttled: count(({ status }) => status === 429),
    serverErrors: count(({ status }) => status >= 500),
    lost: count(({ status }) => typeof status !== 'number'),
    longestWaitMs: Math.max(0, ...calls.flatMap(({ waits }) => waits)),
    refreshes: count(({ isRefresh }) => isRefresh),
  };
}
