import { isGood } from '../../tokens';

export function GET(request: Request) {
  const isSignedIn = isGood(request.headers.get('authorization')?.replace('Bearer ', ''));
  console.log(`GET /api/me ${isSignedIn ? 200 : 401}`);
  return isSignedIn ? Response.json({ user: 'ada' }) : Response.json({}, { status: 401 });
}
