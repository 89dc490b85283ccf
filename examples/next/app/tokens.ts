import { randomUUID } from 'node:crypto';
import { NextResponse } from 'next/server';

/** Next loads this module once per route: what they share must be elsewhere. A real app has a database. */
const shared = globalThis as { tokens?: Set<string> };
const tokens = (shared.tokens ??= new Set<string>());

export const isGood = (token: string | undefined): boolean => tokens.has(token ?? '');

/** A new access token, and a new refresh token in an HttpOnly cookie. */
export function issue(spent?: string): NextResponse {
  if (spent !== undefined) tokens.delete(spent);
  const [accessToken, refreshToken] = [randomUUID(), randomUUID()];
  tokens.add(accessToken).add(refreshToken);
  const response = NextResponse.json({ access_token: accessToken, expires_in: 300 });
  response.cookies.set('refresh', refreshToken, { httpOnly: true, sameSite: 'strict', path: '/auth' });
  return response;
}
