export { memoryStore } from './stores/memory.js';
export { sharedStore as tokenStore } from './stores/shared-session.js';
export type { SessionStore } from './session/store.js';
export type { StoredSession, TokenStore } from './stores/token-store.js';
