/**
 * One session for all processes of a machine, and events on a diagnostics channel.
 *
 * @module axios-attach-auth/node
 */
export { publishEvents } from './node/publish-events.js';
export { fileStore } from './stores/file.js';
