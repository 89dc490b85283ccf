export { publishEvents } from './node/publish-events.js';
export { fileStore } from './stores/file.js';
