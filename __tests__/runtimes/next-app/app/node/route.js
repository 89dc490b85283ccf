import { conformance } from '../../conformance.mjs';

export const dynamic = 'force-dynamic';
export const GET = async ({ url }) => Response.json(await conformance(Object.fromEntries(new URL(url).searchParams)));
