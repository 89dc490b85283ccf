export { fileStore } from './stores/file.js';
