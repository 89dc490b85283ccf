/**
 * One session for all tabs of an origin.
 *
 * @module axios-attach-auth/web
 */
export { webStorageStore, type WebStorageOptions } from './stores/web-storage.js';
