export { webStorageStore, type WebStorageOptions } from './stores/web-storage.js';
