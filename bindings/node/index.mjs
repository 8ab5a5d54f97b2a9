import sandlock from './index.js';

export const { Policy, Supervisor, Process, Call, SandlockError, PASS } = sandlock;
export const { spawn, run, probe, version, versionNumber, constants } = sandlock;
export default sandlock;
