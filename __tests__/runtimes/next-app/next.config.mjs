import { fileURLToPath } from 'node:url';

// Uses the packages of the folder that the app is copied into.
export default { turbopack: { root: fileURLToPath(new URL('../..', import.meta.url)) } };
