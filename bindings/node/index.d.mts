import * as sandlock from './index.js';

export * from './index.js';
export default sandlock;
