import type { InternalAxiosRequestConfig } from 'axios';
import { safeGet } from '../safe-read.js';
import { hasSocketPath } from './platform.node.js';

/** The destination of a call. */
export type Destination = {
  readonly kind: 'own' | 'foreign' | 'unknown';
  /** `null` for a URL that reaches no server. Empty for a relative one, whose host is unknown (a mock). */
  readonly origin: string;
  readonly isSecure: boolean;
};

export interface OriginPolicy {
  readonly origins: ReadonlySet<string> | '*' | undefined;
  /** Plain http is allowed to these, besides loopback; true: anywhere. */
  readonly allowInsecure: ReadonlySet<string> | boolean;
}

/** By the rule of axios: a relative URL is appended to the baseURL, an absolute one replaces it. */
const ABSOLUTE = /^([a-z][a-z\d+\-.]*:)?\/\//i;
/** An authority that ends before anything can be appended to it. */
const PLAIN_BASE = /^https?:\/\/[^\\/?#@\s]+(?:\/|$)/i;

/** By the rule of URL parsers: a URL with a scheme or a host, even an invalid one, is absolute. */
const STANDALONE = /^[\0-\x20]*(?:[a-z][a-z\d+\-.]*:|[\\/]{2})/i;
export const RELATIVE = '';
const UNREACHABLE: Destination = { kind: 'foreign', origin: 'null', isSecure: true };
const PLACEHOLDER = 'http://localhost/';

/** Hosts of this machine (RFC 6761 §6.3). */
export const loopback = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])\.?$/;

/** Determines the destinations of an instance's calls. It caches the last base URL that it parsed. */
export class OriginRules {
  private _base: string | undefined = undefined;
  private _ownBase: string | undefined = undefined;
  private _ofBase: Destination | undefined = undefined;

  /** `defaultBase` reads the instance's `defaults.baseURL`. */
  constructor(
    private readonly _policy: OriginPolicy,
    private readonly _defaultBase: () => string | undefined,
  ) {}

  /** Returns where this config would be sent. */
  destinationOf(config: InternalAxiosRequestConfig): Destination {
    const { baseURL, url = '' } = config;
    if (hasSocketPath(config) && this._policy.origins !== '*') return { ...UNREACHABLE, origin: 'unix:' };
    // A relative URL behind a plain base cannot leave the base's authority: no URL needs to be parsed.
    const isBelow = config.allowAbsoluteUrls === false || !ABSOLUTE.test(url);
    if (baseURL === undefined || !isBelow || !PLAIN_BASE.test(baseURL)) return this._judge(fullUrl(config));
    const ownBase = this._defaultBase();
    if (!this._ofBase || baseURL !== this._base || ownBase !== this._ownBase) {
      this._base = baseURL;
      this._ownBase = ownBase;
      this._ofBase = this._judge(baseURL);
    }
    return this._ofBase;
  }

  private _judge(fullUrl: string): Destination {
    const base = documentBase();
    if (base === undefined && !isAbsolute(fullUrl)) return { kind: 'own', origin: RELATIVE, isSecure: true };
    const url = parseUrl(fullUrl, base);
    // An invalid URL reaches no server: the adapter reports it.
    if (!url || !/^https?:$/.test(url.protocol)) return UNREACHABLE;
    return { kind: this._kindOf(url.origin), origin: url.origin, isSecure: this._isSecure(url) };
  }

  private _kindOf(origin: string): Destination['kind'] {
    const { origins } = this._policy;
    if (origins === '*') return 'own';
    if (origins) return origins.has(origin) ? 'own' : 'foreign';
    // Not the document's base: an injected `<base href>` must not make its origin an own one.
    const own = parseUrl(this._defaultBase() ?? '', pageUrl())?.origin;
    return own === undefined ? 'unknown' : origin === own ? 'own' : 'foreign';
  }

  private _isSecure(url: URL): boolean {
    const { allowInsecure } = this._policy;
    if (url.protocol === 'https:' || allowInsecure === true || loopback.test(url.hostname)) return true;
    return allowInsecure !== false && allowInsecure.has(url.origin);
  }
}

/** Returns the URL that axios will build, without params. */
export function fullUrl(config: InternalAxiosRequestConfig): string {
  const { baseURL, url = '' } = config;
  if (baseURL === undefined || baseURL === '' || (ABSOLUTE.test(url) && config.allowAbsoluteUrls !== false)) return url;
  return url === '' ? baseURL : `${baseURL.replace(/\/?\/$/, '')}/${url.replace(/^\/+/, '')}`;
}

/** Parses a URL. One that stays relative reads as if it went to localhost, an invalid one as `http://invalid/`. */
export function resolveUrl(url: string): URL {
  // Hash and an empty query, which only some platforms send. As text, since React Native's URL has no setters.
  const text = url.replace(/^([^?#]*)\?(?=#|$)|#.*$/gs, '$1');
  return parseUrl(text, documentBase()) ?? parseUrl(text, PLACEHOLDER) ?? new URL('http://invalid/');
}

/** undefined: it is not valid. */
export function parseUrl(url: unknown, base?: string): URL | undefined {
  try {
    return new URL(String(url), base);
  } catch {
    return undefined;
  }
}

function isAbsolute(url: string): boolean {
  // Parsers ignore these anywhere.
  return STANDALONE.test(url.replace(/[\t\n\r]/g, ''));
}

/** The base that the browser resolves relative URLs against. */
function documentBase(): string | undefined {
  return httpUrl(safeGet(safeGet(globalThis, 'document'), 'baseURI')) ?? pageUrl();
}

function pageUrl(): string | undefined {
  return httpUrl(safeGet(safeGet(globalThis, 'location'), 'href'));
}

function httpUrl(href: unknown): string | undefined {
  return typeof href === 'string' && /^https?:/.test(href) ? href : undefined;
}
