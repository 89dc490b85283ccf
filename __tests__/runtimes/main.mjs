// For runtimes that run a file: the options of conformance() as JSON in, its results as JSON out.
import { conformance } from './conformance.mjs';

const { argv } = globalThis.process ?? (await import('node:process'));
console.log(JSON.stringify(await conformance(JSON.parse(argv[2]))));
