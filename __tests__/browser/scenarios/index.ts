// Scenarios for Node and browsers. No file in this folder may import a module of Node.
export * from './credentials.js';
export * from './recovery.js';
export * from './secrecy.js';
export * from './session.js';
