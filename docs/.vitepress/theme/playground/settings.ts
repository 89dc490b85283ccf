/** The form of the server's hint on a 429. */
export const HINTS = ['retry-after', 'ratelimit', 'none'] as const;
/** The hand-written pair that runs beside the package. */
export const PAIRS = ['queue', 'flag'] as const;

export interface Settings {
  /** Widgets of the dashboard. Each loads at once, and again after 3.5 s. */
  readonly calls: number;
  /** Seconds for which the server accepts an access token. */
  readonly life: number;
  /** Widgets whose first 401 arrives after the first refresh. */
  readonly late: number;
  /** Requests that the server takes in a second. 0: no limit. */
  readonly limit: number;
  readonly hints: (typeof HINTS)[number];
  readonly pair: (typeof PAIRS)[number];
  /** Determines all latencies and all jitter. */
  readonly seed: number;
}

export const RANGES = {
  calls: { min: 1, max: 24, step: 1 },
  life: { min: 3, max: 10, step: 1 },
  late: { min: 0, max: 6, step: 1 },
  limit: { min: 0, max: 30, step: 5 },
  seed: { min: 1, max: 9999, step: 1 },
} as const;

export const DEFAULTS: Settings = {
  calls: 12,
  life: 8,
  late: 3,
  limit: 0,
  hints: 'retry-after',
  pair: 'queue',
  seed: 1,
};

export const PRESETS: readonly { readonly name: string; readonly settings: Settings }[] = [
  { name: 'Late 401s', settings: DEFAULTS },
  { name: 'No queue', settings: { ...DEFAULTS, late: 0, pair: 'flag' } },
  { name: 'Short tokens', settings: { ...DEFAULTS, life: 3 } },
  { name: 'Rate limit', settings: { ...DEFAULTS, calls: 24, late: 0, limit: 5 } },
  { name: 'All at once', settings: { ...DEFAULTS, calls: 18, life: 5, late: 4, limit: 10 } },
];

/** Returns the settings as the text after `#` of a link. */
export function toHash(settings: Settings): string {
  return new URLSearchParams(Object.entries(settings).map(([name, value]) => [name, String(value)])).toString();
}

/** Returns the settings of a link. A missing or invalid value becomes the default, and any other number the nearest valid one. */
export function fromHash(hash: string): Settings {
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const number = (name: keyof typeof RANGES): number => {
    const text = given.get(name) ?? '';
    if (!/^\d{1,9}$/.test(text)) return DEFAULTS[name];
    const { min, max, step } = RANGES[name];
    return Math.min(Math.max(min + Math.round((Number(text) - min) / step) * step, min), max);
  };
  const oneOf = <T extends string>(name: keyof Settings, values: readonly T[], fallback: T): T =>
    values.find((value) => value === given.get(name)) ?? fallback;
  return {
    calls: number('calls'),
    life: number('life'),
    late: number('late'),
    limit: number('limit'),
    hints: oneOf('hints', HINTS, DEFAULTS.hints),
    pair: oneOf('pair', PAIRS, DEFAULTS.pair),
    seed: number('seed'),
  };
}
