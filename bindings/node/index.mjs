import sandlock from './index.js';

export const { Policy, Supervisor, Process, Call, SandlockError, PASS, spawn, run, probe, version, constants } = sandlock;
export default sandlock;
