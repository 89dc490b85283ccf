import type { NextRequest } from 'next/server';
import { isGood, issue } from '../../tokens';

export function POST(request: NextRequest) {
  console.log('POST /auth/refresh');
  const token = request.cookies.get('refresh')?.value;
  return isGood(token) ? issue(token) : Response.json({ error: 'invalid_grant' }, { status: 400 });
}
