import { conformance } from '../../conformance.mjs';

export const runtime = 'edge';
export const GET = async ({ url }) => Response.json(await conformance(Object.fromEntries(new URL(url).searchParams)));
