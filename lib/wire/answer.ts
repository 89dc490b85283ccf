import type { AxiosResponse } from 'axios';

/** A response header by its name in any case; several lines of one name are joined by commas. */
export function headerOf(response: AxiosResponse, name: string): string | undefined {
  const lines = headerLines(response, name);
  return lines.length === 0 ? undefined : lines.join(', ');
}

/** The same, line by line where the adapter kept them apart. */
export function headerLines(response: AxiosResponse, name: string): string[] {
  const headers = response.headers as unknown;
  if (typeof headers !== 'object' || headers === null) return [];
  const get = (headers as { get?: unknown }).get;
  const value: unknown = typeof get === 'function' ? get.call(headers, name) : lookUp(headers, name);
  const lines = Array.isArray(value) ? (value as unknown[]) : [value];
  return lines.filter((line) => typeof line === 'string' || typeof line === 'number').map(String);
}

function lookUp(headers: object, name: string): unknown {
  const key = Object.keys(headers).find((candidate) => candidate.toLowerCase() === name);
  return key === undefined ? undefined : (headers as Record<string, unknown>)[key];
}
