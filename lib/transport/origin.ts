import type { InternalAxiosRequestConfig } from 'axios';
import { safeGet } from '../safe-read.js';

/** Where a call goes. */
export type Destination = {
  readonly kind: 'own' | 'foreign' | 'unknown';
  /** `null` for what reaches no server; RELATIVE where nobody can say which host will be asked (a mock). */
  readonly origin: string;
  readonly isSecure: boolean;
};

export interface OriginPolicy {
  readonly origins: ReadonlySet<string> | '*' | undefined;
  /** Plain http is allowed to these, besides loopback; true: anywhere. */
  readonly allowInsecure: ReadonlySet<string> | boolean;
}

/** As axios decides it: a relative URL is put behind the baseURL, an absolute one replaces it. */
const ABSOLUTE = /^([a-z][a-z\d+\-.]*:)?\/\//i;
/** An authority that ends before anything can be appended to it. */
const PLAIN_BASE = /^https?:\/\/[^\\/?#@\s]+(?:\/|$)/i;

/** As parsers decide it: what names a scheme or a host, well or badly, stands for itself. */
const STANDALONE = /^[\0-\x20]*(?:[a-z][a-z\d+\-.]*:|[\\/]{2})/i;
const RELATIVE = '';
const PLACEHOLDER = 'http://localhost/';

/** Hosts of this machine (RFC 6761 §6.3). */
export const loopback = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])\.?$/;

/** Says where calls of one instance go, and remembers the last base it has read. */
export class Destinations {
  readonly #policy: OriginPolicy;
  readonly #defaultBase: () => string | undefined;
  #base: string | undefined;
  #baseDestination: Destination | undefined;
  #ownBase: string | undefined;
  #ownOrigin: string | undefined;

  constructor(policy: OriginPolicy, defaultBase: () => string | undefined) {
    this.#policy = policy;
    this.#defaultBase = defaultBase;
  }

  /** Where this config would be sent. */
  of(config: InternalAxiosRequestConfig): Destination {
    const { baseURL, url = '' } = config;
    // A relative URL behind a plain base cannot leave the base's authority: no URL needs to be parsed.
    if (
      baseURL !== undefined &&
      (baseURL === this.#base || PLAIN_BASE.test(baseURL)) &&
      (config.allowAbsoluteUrls === false || !ABSOLUTE.test(url)) &&
      !hasSocketPath(config)
    ) {
      if (baseURL !== this.#base || this.#defaultBase() !== this.#ownBase) {
        this.#base = baseURL;
        this.#baseDestination = this.#judge(baseURL);
      }
      if (this.#baseDestination) return this.#baseDestination;
    }
    return hasSocketPath(config) && this.#policy.origins !== '*'
      ? { kind: 'foreign', origin: 'null', isSecure: true }
      : this.#judge(fullUrl(config));
  }

  /** The same for a URL that is already whole, as of a redirect. */
  #judge(fullUrl: string): Destination {
    const page = pageUrl();
    if (page === undefined && !isAbsolute(fullUrl)) return { kind: 'own', origin: RELATIVE, isSecure: true };
    const url = parse(fullUrl, page);
    // What no URL can be made of reaches no server: the adapter will say so.
    if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
      return { kind: 'foreign', origin: 'null', isSecure: true };
    return { kind: this.#kindOf(url.origin, page), origin: url.origin, isSecure: this.#isSecure(url) };
  }

  #kindOf(origin: string, page: string | undefined): Destination['kind'] {
    const { origins } = this.#policy;
    if (origins === '*') return 'own';
    if (origins) return origins.has(origin) ? 'own' : 'foreign';
    const base = this.#defaultBase();
    if (base !== this.#ownBase || this.#ownOrigin === undefined) {
      this.#ownBase = base;
      this.#ownOrigin = (base === undefined || base === '' ? parse(page ?? '', undefined) : parse(base, page))?.origin;
    }
    if (this.#ownOrigin === undefined) return 'unknown';
    return origin === this.#ownOrigin ? 'own' : 'foreign';
  }

  #isSecure(url: URL): boolean {
    const { allowInsecure } = this.#policy;
    if (url.protocol === 'https:' || allowInsecure === true || loopback.test(url.hostname)) return true;
    return allowInsecure !== false && allowInsecure.has(url.origin);
  }
}

/** The URL as axios will put it together, still without params. */
export function fullUrl(config: InternalAxiosRequestConfig): string {
  const { baseURL, url = '' } = config;
  if (baseURL === undefined || baseURL === '' || (ABSOLUTE.test(url) && config.allowAbsoluteUrls !== false)) return url;
  return url === '' ? baseURL : `${baseURL.replace(/\/?\/$/, '')}/${url.replace(/^\/+/, '')}`;
}

/** Before 1.15 axios takes whatever is like `false` for it, and 1.8.2 does not ask over xhr and fetch. */
export function isAbsoluteUrlDisputed(config: InternalAxiosRequestConfig): boolean {
  const isAllowed: unknown = config.allowAbsoluteUrls ?? true;
  return isAllowed !== true && ABSOLUTE.test(config.url ?? '');
}

/** A URL that stays relative reads as if it went to localhost, what is none as if it went nowhere. */
export function resolveUrl(url: string): URL {
  return parse(url, pageUrl()) ?? parse(url, PLACEHOLDER) ?? new URL('http://invalid/');
}

function parse(url: string, base: string | undefined): URL | undefined {
  try {
    return new URL(url, base);
  } catch {
    return undefined;
  }
}

function isAbsolute(url: string): boolean {
  // Parsers take no notice of these, wherever they stand.
  return STANDALONE.test(url.replace(/[\t\n\r]/g, ''));
}

function pageUrl(): string | undefined {
  const href = safeGet(safeGet(globalThis, 'document'), 'baseURI') ?? safeGet(safeGet(globalThis, 'location'), 'href');
  return typeof href === 'string' && /^https?:/.test(href) ? href : undefined;
}

function hasSocketPath(config: InternalAxiosRequestConfig): boolean {
  return Object.hasOwn(config, 'socketPath') && config.socketPath !== undefined && config.socketPath !== null;
}
