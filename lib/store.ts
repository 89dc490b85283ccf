/**
 * Stores of your own, a store in memory, and sealing.
 *
 * @module axios-attach-auth/store
 */
export { memoryStore } from './stores/memory.js';
export { aesGcm, type Seal, type SealKey, type SealKeySource } from './stores/seal.js';
export { tokenStore, type SealOptions } from './stores/shared-store.js';
export type { SessionStore } from './session/store.js';
export type { StoredSession, TokenStore } from './stores/token-store.js';
