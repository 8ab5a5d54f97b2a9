import type { Readable, Writable, Duplex } from 'node:stream';

/** Paths, names and arguments are bytes; strings are taken as UTF-8, and one with half of a surrogate pair is a TypeError. */
export type Bytes = string | Uint8Array;
export type Int = number | bigint;

export type Access = 'read' | 'execute' | 'write' | 'read-execute' | 'read-write' | 'write-execute' | 'all';
export type Limit =
  | 'cpu' | 'nofile' | 'fsize' | 'core' | 'data' | 'as' | 'stack' | 'nproc' | 'memlock'
  | 'processes' | 'threads' | 'memory' | 'cpu-total' | 'wall' | 'cpu-share' | 'disk';
export type Flag =
  | 'no-aslr' | 'no-coredump' | 'no-huge-pages' | 'all-threads' | 'no-supervisor' | 'wait-for-descendants'
  | 'memory-kills-largest' | 'output-kills' | 'net-updates' | 'port-remap';
export type Namespace = 'ipc' | 'uts' | 'net' | 'pid' | 'mount';
export type Strictness = 'require' | 'best-effort' | 'disable';
export type Feature =
  | 'all' | 'files' | 'files-refer' | 'files-truncate' | 'files-ioctl-dev' | 'files-metadata' | 'network' | 'signal-scope'
  | 'abstract-unix-scope' | 'syscalls' | 'no-new-privs' | 'capabilities' | 'descriptors' | 'session' | 'parent-death'
  | 'kill-all' | 'limits' | 'no-coredump' | 'no-aslr' | 'no-huge-pages' | 'supervisor' | 'processes' | 'ns-user' | 'ns-ipc'
  | 'ns-uts' | 'ns-net' | 'memory' | 'ns-pid' | 'ns-mount' | 'disk';
export type Reason = 'exited' | 'signaled' | 'timeout' | 'limit' | 'killed' | 'lost';
export type EventKind = 'exec' | 'fork' | 'exit' | 'denied' | 'limit' | 'handler-failed' | 'missing';
export type Status =
  | 'INVALID_ARGUMENT' | 'STATE' | 'UNSUPPORTED' | 'PERMISSION' | 'NOT_FOUND' | 'SYSTEM' | 'CHILD_SETUP' | 'EXEC' | 'TIMEOUT'
  | 'STALE' | 'BUFFER_TOO_SMALL' | 'WOULD_DEADLOCK' | 'CALLBACK' | 'LIMIT' | 'INTERNAL' | 'UNKNOWN';
export type Stage =
  | '' | 'arguments' | 'policy' | 'landlock' | 'seccomp' | 'descriptors' | 'spawn' | 'process' | 'cwd' | 'limits'
  | 'privileges' | 'exec' | 'wait' | 'supervisor' | 'namespaces' | 'network';

/** What the library could not do, and why. Its message is for people; branch on status and errno. */
export class SandlockError extends Error {
  /** "SANDLOCK_" and the status. */
  readonly code: string;
  readonly status: Status;
  readonly statusNumber: number;
  /** The step that failed. */
  readonly stage: Stage;
  /** 0 if no system call failed. */
  readonly errno: number;
  /** "ENOENT"; empty if no system call failed. */
  readonly errnoName: string;
}

/** What a program may do. A new one allows nothing. See sandlock.h for what each method means. */
export class Policy {
  constructor();
  static fromToml(text: Bytes): Policy;
  toToml(): string;
  clone(): Policy;
  /** Rejects with every problem that spawn() would have with it on this kernel. */
  check(): Promise<void>;
  allowPath(path: Bytes, access?: Access | Access[], options?: { optional?: boolean }): this;
  setSyscallDefault(mode: 'denylist' | 'allowlist'): this;
  allowSyscall(nameOrGroup: string): this;
  denySyscall(nameOrGroup: string, errno?: number): this;
  setLimit(limit: Limit, value: Int | 'unlimited'): this;
  setCgroup(path: Bytes | null): this;
  setGrace(signal: number, milliseconds: Int): this;
  /** null takes the variable away. */
  setEnv(name: Bytes, value: Bytes | null): this;
  clearEnv(): this;
  setCwd(path: Bytes): this;
  setUmask(mask: number): this;
  setNice(value: number): this;
  setCpus(cpus: number[]): this;
  setUser(uid: number, gid: number): this;
  setNamespace(which: Namespace, on?: boolean): this;
  setFlag(flag: Flag, on?: boolean): this;
  setStrictness(feature: Feature, level: Strictness): this;
  /** '' is a root in memory, null the host's. */
  setRoot(path: Bytes | null): this;
  addMount(source: Bytes, target: Bytes, options?: { write?: boolean }): this;
  addMemoryMount(target: Bytes, size: Int): this;
  allowNet(rule: string): this;
  denyNet(rule: string): this;
  allowBind(ports: string | number): this;
  denyBind(ports: string | number): this;
  setNetRefresh(seconds: number): this;
}

/** Leaves a call to the next handler. A call that all leave runs. */
export const PASS: unique symbol;

/** A system call that waits for an answer. The first answer counts; later ones throw. */
export class Call {
  private constructor();
  readonly syscall: number;
  readonly name: string;
  /** The thread that calls. */
  readonly pid: number;
  /** Six registers: of an int the upper half is rubbish. */
  readonly args: bigint[];
  readonly answered: boolean;
  readonly deferred: boolean;
  /** Argument `index` as an int. */
  int(index: number): number;
  /** The handler may end without an answer: it is given later. A call that is dropped unanswered is denied when it is collected. */
  defer(): this;
  read(address: Int, length: number): Buffer;
  readBytes(address: Int, capacity?: number): Buffer;
  /** As UTF-8: what is none becomes U+FFFD, so compare bytes where that matters. */
  readString(address: Int, capacity?: number): string;
  write(address: Int, data: Bytes): void;
  /** Lets the call run: no decision on what its pointers point to. */
  continue(): void;
  /** EPERM unless another errno is given. */
  deny(errno?: number): void;
  return(value: Int): void;
  returnFd(fd: number, options?: { keepOnExec?: boolean }): void;
  returnFdAt(fd: number, number: number, options?: { keepOnExec?: boolean }): void;
  returnBytes(data: Bytes, options?: { keepOnExec?: boolean }): void;
  /** Ends the sandbox. */
  kill(): void;
}

/** Answers the call by its methods, or returns PASS. A call that it has neither answered nor deferred when it ends is denied, and so
 * is one for which it throws. */
export type Handler = (call: Call) => void | typeof PASS | Promise<void | typeof PASS>;

export interface Event {
  kind: EventKind;
  pid: number;
  /** Since the epoch. */
  timeNs: bigint;
  syscall: number;
  syscallName: string;
  errno: number;
  exitCode: number;
  signal: number;
  advisory: boolean;
  path?: string;
  arguments: string[];
  text: string;
}

export interface Stats {
  received: number;
  continued: number;
  denied: number;
  returned: number;
  killed: number;
  overdue: number;
  failed: number;
  dropped: number;
  deferred: number;
  queued: number;
  worstLatencyUs: number;
  eventsLost: number;
}

export class Supervisor {
  constructor(options?: {
    /** How long an async handler may look at a call, milliseconds; then it is denied. 30,000 unless given. */
    deadline?: number;
    /** Told of handlers that fail, and of observers and logs that do, for which there is no call. Without it the first failure of each
     * is a process warning, and so is what it throws itself. */
    onError?: ((error: unknown, call: Call | null) => void) | null;
  });
  handle(selector: string, handler: Handler): this;
  observe(kinds: EventKind | 'all' | EventKind[], observer: (event: Event) => void): this;
  setLog(log: ((level: 'error' | 'warning', line: string) => void) | null): this;
  trace(): this;
  suggest(): { count: number; text: string };
  stats(): Stats;
  close(): void;
}

export interface Result {
  reason: Reason;
  limit: Limit | null;
  limitValue: bigint;
  limitReading: bigint;
  exitCode: number;
  signal: number;
  stdout: Buffer;
  stderr: Buffer;
  stdoutDropped: number;
  stderrDropped: number;
  usage: { peakRssIsBound: boolean; wallUs: number; userUs: number; systemUs: number; peakRss: number };
}

export interface Report {
  level: 'full' | 'partial' | 'none';
  features: {
    feature: Feature;
    requested: Strictness;
    state: 'enforced' | 'degraded' | 'waived' | 'unavailable' | 'not-requested';
    mechanism: string;
    detail: string;
    errno: number;
  }[];
}

export type Stdio = 'inherit' | 'null' | 'ignore' | 'pipe' | 'capture' | 'pty' | number;

export interface CommonOptions {
  supervisor?: Supervisor | null;
  /** Aborting kills the sandbox. */
  signal?: AbortSignal | null;
  /** Most bytes kept of each captured stream; 16 MiB unless given. */
  captureLimit?: number;
  /** Descriptors for the program besides its streams. */
  passFds?: (number | { fd: number; as?: number })[];
  /** Of the sandbox's thread in the host. */
  name?: string;
}

export interface SpawnOptions extends CommonOptions {
  /** "inherit" unless given. */
  stdin?: Stdio;
  stdout?: Stdio;
  stderr?: Stdio;
  /** Of the terminal, with "pty". */
  rows?: number;
  columns?: number;
}

export interface RunOptions extends CommonOptions {
  input?: Bytes | null;
  /** Milliseconds; then the sandbox is killed and the result says "timeout". null, Infinity and negative numbers: without limit. */
  timeout?: number | null;
}

export interface WaitOptions {
  /** Milliseconds; then it rejects with TIMEOUT and the program runs on. null, Infinity and negative numbers: without limit. */
  timeout?: number | null;
  /** Aborting ends the wait, not the program. */
  signal?: AbortSignal | null;
}

export class Process {
  private constructor();
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly pty: Duplex | null;
  /** null while it runs. */
  readonly result: Result | null;
  wait(options?: WaitOptions): Promise<Result>;
  /** For pipes that were not taken: gives input, collects output. */
  communicate(input?: Bytes | null, options?: WaitOptions): Promise<Result>;
  /** All of the sandbox, by SIGKILL: an argument is a TypeError. */
  kill(): Promise<void>;
  signal(number: number): void;
  pause(): Promise<void>;
  resume(): Promise<void>;
  list(): Promise<{ pid: number; rssBytes: number; cpuUs: number; name: string }[]>;
  ports(): Promise<{ protocol: 'tcp' | 'udp'; inside: number; outside: number }[]>;
  updateNet(rules?: { allow?: string[] | null; deny?: string[] | null }): Promise<void>;
  resize(rows: number, columns: number): void;
  report(): Report;
  stats(): Stats;
  ref(): this;
  unref(): this;
}

export interface Capabilities {
  landlockAbi: number;
  landlockErrno: number;
  seccompFilter: boolean;
  seccompNotify: boolean;
  closeRange: boolean;
  processLimit: boolean;
  notifyWaitKillable: boolean;
  notifySyncWakeUp: boolean;
  notifyAddfd: boolean;
  notifyAddfdSend: boolean;
  userNamespaces: boolean;
  userNamespacesErrno: number;
}

/** That the streams which the options ask for are there. */
export type Piped<O> = (O extends { stdin: 'pipe' } ? { readonly stdin: Writable } : unknown) &
  (O extends { stdout: 'pipe' } ? { readonly stdout: Readable } : unknown) &
  (O extends { stderr: 'pipe' } ? { readonly stderr: Readable } : unknown);

export function spawn<O extends SpawnOptions>(policy: Policy, argv: Bytes[], options?: O): Promise<Process & Piped<O>>;
export function run(policy: Policy, argv: Bytes[], options?: RunOptions): Promise<Result>;
export function probe(): Promise<Capabilities>;
export const version: string;
export const versionNumber: number;
export const constants: Readonly<Record<string, number | bigint>>;
