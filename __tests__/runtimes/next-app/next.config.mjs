import { fileURLToPath } from 'node:url';

// Its packages are those of the folder that it is copied below.
export default { turbopack: { root: fileURLToPath(new URL('../..', import.meta.url)) } };
