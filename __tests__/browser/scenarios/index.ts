// What plays in Node and in a browser alike: nothing in this folder may import a module of Node.
export * from './credentials.js';
export * from './recovery.js';
export * from './secrecy.js';
export * from './session.js';
