// For runtimes that run a file: the options of conformance() as JSON in, its results as JSON out.
import { conformance } from './conformance.mjs';
import { standards } from './standards.mjs';

const { argv } = globalThis.process ?? (await import('node:process'));
const options = JSON.parse(argv[2]);
console.log(JSON.stringify([...(await conformance(options)), ...(await standards(options))]));
