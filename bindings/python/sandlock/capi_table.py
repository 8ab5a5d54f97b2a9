"""The C API, written from include/sandlock.h by gen_capi.py: not to be edited."""

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, Dict, Tuple

SANDLOCK_VERSION_STRING = "0.1.0"
SANDLOCK_VERSION_NUMBER = 1000
SANDLOCK_STAGE_ARGUMENTS = 1
SANDLOCK_STAGE_POLICY = 2
SANDLOCK_STAGE_LANDLOCK = 3
SANDLOCK_STAGE_SECCOMP = 4
SANDLOCK_STAGE_DESCRIPTORS = 5
SANDLOCK_STAGE_SPAWN = 6
SANDLOCK_STAGE_PROCESS = 7
SANDLOCK_STAGE_CWD = 8
SANDLOCK_STAGE_LIMITS = 9
SANDLOCK_STAGE_PRIVILEGES = 10
SANDLOCK_STAGE_EXEC = 11
SANDLOCK_STAGE_WAIT = 12
SANDLOCK_STAGE_SUPERVISOR = 13
SANDLOCK_STAGE_NAMESPACES = 14
SANDLOCK_STAGE_NETWORK = 15
SANDLOCK_ACCESS_READ = 1
SANDLOCK_ACCESS_EXECUTE = 2
SANDLOCK_ACCESS_WRITE = 4
SANDLOCK_ACCESS_READ_EXECUTE = 3
SANDLOCK_ACCESS_ALL = 7
SANDLOCK_ACCESS_OPTIONAL = 256
SANDLOCK_SYSCALLS_DENYLIST = 1
SANDLOCK_SYSCALLS_ALLOWLIST = 2
SANDLOCK_LIMIT_CPU = 1
SANDLOCK_LIMIT_NOFILE = 2
SANDLOCK_LIMIT_FSIZE = 3
SANDLOCK_LIMIT_CORE = 4
SANDLOCK_LIMIT_DATA = 5
SANDLOCK_LIMIT_AS = 6
SANDLOCK_LIMIT_STACK = 7
SANDLOCK_LIMIT_NPROC = 8
SANDLOCK_LIMIT_MEMLOCK = 9
SANDLOCK_LIMIT_PROCESSES = 10
SANDLOCK_LIMIT_THREADS = 11
SANDLOCK_LIMIT_MEMORY = 12
SANDLOCK_LIMIT_CPU_TOTAL = 13
SANDLOCK_LIMIT_WALL = 14
SANDLOCK_LIMIT_CPU_SHARE = 15
SANDLOCK_LIMIT_DISK = 16
SANDLOCK_UNLIMITED = 18446744073709551615
SANDLOCK_FLAG_NO_ASLR = 1
SANDLOCK_FLAG_NO_COREDUMP = 2
SANDLOCK_FLAG_NO_HUGE_PAGES = 3
SANDLOCK_FLAG_ALL_THREADS = 4
SANDLOCK_FLAG_NO_SUPERVISOR = 5
SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS = 6
SANDLOCK_FLAG_MEMORY_KILLS_LARGEST = 7
SANDLOCK_FLAG_OUTPUT_KILLS = 8
SANDLOCK_FLAG_NET_UPDATES = 9
SANDLOCK_FLAG_PORT_REMAP = 10
SANDLOCK_NAMESPACE_IPC = 1
SANDLOCK_NAMESPACE_UTS = 2
SANDLOCK_NAMESPACE_NET = 3
SANDLOCK_NAMESPACE_PID = 4
SANDLOCK_NAMESPACE_MOUNT = 5
SANDLOCK_MOUNT_WRITE = 1
SANDLOCK_REQUIRE = 1
SANDLOCK_BEST_EFFORT = 2
SANDLOCK_DISABLE = 3
SANDLOCK_FEATURE_ALL = 0
SANDLOCK_FEATURE_FILES = 1
SANDLOCK_FEATURE_FILES_REFER = 2
SANDLOCK_FEATURE_FILES_TRUNCATE = 3
SANDLOCK_FEATURE_FILES_IOCTL_DEV = 4
SANDLOCK_FEATURE_FILES_METADATA = 5
SANDLOCK_FEATURE_NETWORK = 6
SANDLOCK_FEATURE_SIGNAL_SCOPE = 7
SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE = 8
SANDLOCK_FEATURE_SYSCALLS = 9
SANDLOCK_FEATURE_NO_NEW_PRIVS = 10
SANDLOCK_FEATURE_CAPABILITIES = 11
SANDLOCK_FEATURE_DESCRIPTORS = 12
SANDLOCK_FEATURE_SESSION = 13
SANDLOCK_FEATURE_PARENT_DEATH = 14
SANDLOCK_FEATURE_KILL_ALL = 15
SANDLOCK_FEATURE_LIMITS = 16
SANDLOCK_FEATURE_NO_COREDUMP = 17
SANDLOCK_FEATURE_NO_ASLR = 18
SANDLOCK_FEATURE_NO_HUGE_PAGES = 19
SANDLOCK_FEATURE_SUPERVISOR = 20
SANDLOCK_FEATURE_PROCESSES = 21
SANDLOCK_FEATURE_NS_USER = 22
SANDLOCK_FEATURE_NS_IPC = 23
SANDLOCK_FEATURE_NS_UTS = 24
SANDLOCK_FEATURE_NS_NET = 25
SANDLOCK_FEATURE_MEMORY = 26
SANDLOCK_FEATURE_NS_PID = 27
SANDLOCK_FEATURE_NS_MOUNT = 28
SANDLOCK_FEATURE_DISK = 29
SANDLOCK_EVENT_EXEC = 1
SANDLOCK_EVENT_FORK = 2
SANDLOCK_EVENT_EXIT = 4
SANDLOCK_EVENT_DENIED = 8
SANDLOCK_EVENT_LIMIT = 16
SANDLOCK_EVENT_HANDLER_FAILED = 32
SANDLOCK_EVENT_MISSING = 64
SANDLOCK_EVENT_ALL = 127
SANDLOCK_PROTOCOL_TCP = 1
SANDLOCK_PROTOCOL_UDP = 2
SANDLOCK_STATE_ENFORCED = 1
SANDLOCK_STATE_DEGRADED = 2
SANDLOCK_STATE_WAIVED = 3
SANDLOCK_STATE_UNAVAILABLE = 4
SANDLOCK_STATE_NOT_REQUESTED = 5
SANDLOCK_LEVEL_FULL = 1
SANDLOCK_LEVEL_PARTIAL = 2
SANDLOCK_LEVEL_NONE = 3
SANDLOCK_STDIO_INHERIT = 0
SANDLOCK_STDIO_NULL = 1
SANDLOCK_STDIO_PIPE = 2
SANDLOCK_STDIO_CAPTURE = 3
SANDLOCK_STDIO_FD = 4
SANDLOCK_STDIO_PTY = 5
SANDLOCK_REASON_EXITED = 1
SANDLOCK_REASON_SIGNALED = 2
SANDLOCK_REASON_TIMEOUT = 3
SANDLOCK_REASON_LIMIT = 4
SANDLOCK_REASON_KILLED = 5
SANDLOCK_REASON_LOST = 6
SANDLOCK_USAGE_PEAK_RSS_IS_BOUND = 1
SANDLOCK_HANDLER_DONE = 0
SANDLOCK_HANDLER_PASS = 1
SANDLOCK_FD_KEEP_ON_EXEC = 1
SANDLOCK_LOG_ERROR = 1
SANDLOCK_LOG_WARNING = 2
SANDLOCK_OK = 0
SANDLOCK_ERROR_INVALID_ARGUMENT = -1
SANDLOCK_ERROR_STATE = -2
SANDLOCK_ERROR_UNSUPPORTED = -3
SANDLOCK_ERROR_PERMISSION = -4
SANDLOCK_ERROR_NOT_FOUND = -5
SANDLOCK_ERROR_SYSTEM = -6
SANDLOCK_ERROR_CHILD_SETUP = -7
SANDLOCK_ERROR_EXEC = -8
SANDLOCK_ERROR_TIMEOUT = -9
SANDLOCK_ERROR_STALE = -10
SANDLOCK_ERROR_BUFFER_TOO_SMALL = -11
SANDLOCK_ERROR_WOULD_DEADLOCK = -12
SANDLOCK_ERROR_CALLBACK = -13
SANDLOCK_ERROR_LIMIT = -14
SANDLOCK_ERROR_INTERNAL = -15


class sandlock_capabilities(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('landlock_abi', c_uint32),
        ('landlock_errno', c_int32),
        ('seccomp_filter', c_uint32),
        ('seccomp_notify', c_uint32),
        ('close_range', c_uint32),
        ('process_limit', c_uint32),
        ('notify_wait_killable', c_uint32),
        ('notify_sync_wake_up', c_uint32),
        ('notify_addfd', c_uint32),
        ('notify_addfd_send', c_uint32),
        ('user_namespaces', c_uint32),
        ('user_namespaces_errno', c_int32),
    ]


class sandlock_supervisor_options(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('deadline_ms', c_uint32),
    ]


class sandlock_stats(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('received', c_uint64),
        ('continued', c_uint64),
        ('denied', c_uint64),
        ('returned', c_uint64),
        ('killed', c_uint64),
        ('overdue', c_uint64),
        ('failed', c_uint64),
        ('dropped', c_uint64),
        ('deferred', c_uint64),
        ('queued', c_uint64),
        ('worst_latency_us', c_uint64),
        ('events_lost', c_uint64),
    ]


class sandlock_spawn_options(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('stdin_mode', c_uint32),
        ('stdout_mode', c_uint32),
        ('stderr_mode', c_uint32),
        ('stdin_fd', c_int32),
        ('stdout_fd', c_int32),
        ('stderr_fd', c_int32),
        ('capture_limit', c_uint64),
        ('pass_fds', POINTER(c_int32)),
        ('pass_fds_as', POINTER(c_int32)),
        ('pass_fd_count', c_size_t),
        ('name', c_char_p),
        ('pty_rows', c_uint16),
        ('pty_columns', c_uint16),
        ('start_timeout_ms', c_uint32),
    ]


class sandlock_member(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('pid', c_int32),
        ('rss_bytes', c_uint64),
        ('cpu_us', c_uint64),
        ('name', c_char_p),
    ]


class sandlock_port(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('protocol', c_uint32),
        ('inside', c_uint16),
        ('outside', c_uint16),
    ]


class sandlock_usage(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('flags', c_uint64),
        ('wall_us', c_uint64),
        ('user_us', c_uint64),
        ('system_us', c_uint64),
        ('peak_rss', c_uint64),
    ]


class sandlock_report_entry(Structure):
    _fields_ = [
        ('size', c_size_t),
        ('feature', c_uint32),
        ('requested', c_uint32),
        ('state', c_uint32),
        ('errno_value', c_int32),
        ('name', c_char_p),
        ('mechanism', c_char_p),
        ('detail', c_char_p),
    ]


sandlock_handler_fn = CFUNCTYPE(c_int32, c_void_p, c_void_p)
sandlock_destroy_fn = CFUNCTYPE(None, c_void_p)
sandlock_log_fn = CFUNCTYPE(None, c_uint32, c_char_p, c_void_p)
sandlock_observer_fn = CFUNCTYPE(None, c_void_p, c_void_p)
sandlock_output_fn = CFUNCTYPE(None, c_uint32, c_void_p, c_size_t, c_void_p)

# Name: type of the result, types of the arguments.
FUNCTIONS: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {
    'sandlock_version_number': (c_uint32, ()),
    'sandlock_version_string': (c_char_p, ()),
    'sandlock_status_name': (c_char_p, (c_int32,)),
    'sandlock_error_status': (c_int32, (c_void_p,)),
    'sandlock_error_errno': (c_int32, (c_void_p,)),
    'sandlock_error_stage': (c_uint32, (c_void_p,)),
    'sandlock_error_message': (c_char_p, (c_void_p,)),
    'sandlock_error_free': (None, (c_void_p,)),
    'sandlock_capabilities_init': (None, (POINTER(sandlock_capabilities),)),
    'sandlock_probe': (c_int32, (POINTER(sandlock_capabilities), POINTER(c_void_p),)),
    'sandlock_policy_new': (c_void_p, ()),
    'sandlock_policy_clone': (c_void_p, (c_void_p,)),
    'sandlock_policy_free': (None, (c_void_p,)),
    'sandlock_policy_allow_path': (c_int32, (c_void_p, c_char_p, c_uint64, POINTER(c_void_p),)),
    'sandlock_policy_set_syscall_default': (c_int32, (c_void_p, c_uint32, POINTER(c_void_p),)),
    'sandlock_policy_allow_syscall': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_deny_syscall': (c_int32, (c_void_p, c_char_p, c_int32, POINTER(c_void_p),)),
    'sandlock_policy_set_limit': (c_int32, (c_void_p, c_uint32, c_uint64, POINTER(c_void_p),)),
    'sandlock_policy_set_cgroup': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_set_grace': (c_int32, (c_void_p, c_int32, c_uint64, POINTER(c_void_p),)),
    'sandlock_policy_set_env': (c_int32, (c_void_p, c_char_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_clear_env': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_policy_set_cwd': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_set_umask': (c_int32, (c_void_p, c_uint32, POINTER(c_void_p),)),
    'sandlock_policy_set_nice': (c_int32, (c_void_p, c_int32, POINTER(c_void_p),)),
    'sandlock_policy_set_cpus': (c_int32, (c_void_p, POINTER(c_uint32), c_size_t, POINTER(c_void_p),)),
    'sandlock_policy_set_user': (c_int32, (c_void_p, c_uint32, c_uint32, POINTER(c_void_p),)),
    'sandlock_policy_set_namespace': (c_int32, (c_void_p, c_uint32, c_bool, POINTER(c_void_p),)),
    'sandlock_policy_set_flag': (c_int32, (c_void_p, c_uint32, c_bool, POINTER(c_void_p),)),
    'sandlock_policy_set_strictness': (c_int32, (c_void_p, c_uint32, c_uint32, POINTER(c_void_p),)),
    'sandlock_policy_check': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_policy_set_root': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_add_mount': (c_int32, (c_void_p, c_char_p, c_char_p, c_uint64, POINTER(c_void_p),)),
    'sandlock_policy_add_memory_mount': (c_int32, (c_void_p, c_char_p, c_uint64, POINTER(c_void_p),)),
    'sandlock_policy_allow_net': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_deny_net': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_allow_bind': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_deny_bind': (c_int32, (c_void_p, c_char_p, POINTER(c_void_p),)),
    'sandlock_policy_set_net_refresh': (c_int32, (c_void_p, c_uint32, POINTER(c_void_p),)),
    'sandlock_process_update_net': (c_int32, (c_void_p, POINTER(c_char_p), POINTER(c_char_p), POINTER(c_void_p),)),
    'sandlock_policy_from_toml': (c_int32, (c_char_p, c_size_t, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_policy_to_toml': (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_text_data': (c_char_p, (c_void_p, POINTER(c_size_t),)),
    'sandlock_text_free': (None, (c_void_p,)),
    'sandlock_supervisor_options_init': (None, (POINTER(sandlock_supervisor_options),)),
    'sandlock_supervisor_new': (c_int32, (POINTER(sandlock_supervisor_options), POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_supervisor_add_handler': (c_int32, (c_void_p, c_char_p, sandlock_handler_fn, c_void_p, sandlock_destroy_fn, c_uint64, POINTER(c_void_p),)),
    'sandlock_supervisor_set_log': (c_int32, (c_void_p, sandlock_log_fn, c_void_p, sandlock_destroy_fn, POINTER(c_void_p),)),
    'sandlock_supervisor_fd': (c_int, (c_void_p,)),
    'sandlock_supervisor_next': (c_int32, (c_void_p, c_int32, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_stats_init': (None, (POINTER(sandlock_stats),)),
    'sandlock_supervisor_stats': (c_int32, (c_void_p, POINTER(sandlock_stats), POINTER(c_void_p),)),
    'sandlock_supervisor_free': (None, (c_void_p,)),
    'sandlock_notification_syscall': (c_int32, (c_void_p,)),
    'sandlock_notification_syscall_name': (c_char_p, (c_void_p,)),
    'sandlock_notification_arg': (c_uint64, (c_void_p, c_uint32,)),
    'sandlock_notification_pid': (c_int32, (c_void_p,)),
    'sandlock_notification_read': (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_void_p),)),
    'sandlock_notification_read_string': (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_void_p),)),
    'sandlock_notification_write': (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, POINTER(c_void_p),)),
    'sandlock_notification_continue': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_notification_deny': (c_int32, (c_void_p, c_int32, POINTER(c_void_p),)),
    'sandlock_notification_return': (c_int32, (c_void_p, c_int64, POINTER(c_void_p),)),
    'sandlock_notification_return_fd': (c_int32, (c_void_p, c_int, c_uint64, POINTER(c_void_p),)),
    'sandlock_notification_return_fd_at': (c_int32, (c_void_p, c_int, c_int, c_uint64, POINTER(c_void_p),)),
    'sandlock_notification_return_bytes': (c_int32, (c_void_p, c_void_p, c_size_t, c_uint64, POINTER(c_void_p),)),
    'sandlock_notification_kill': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_notification_defer': (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_pending_syscall': (c_int32, (c_void_p,)),
    'sandlock_pending_syscall_name': (c_char_p, (c_void_p,)),
    'sandlock_pending_arg': (c_uint64, (c_void_p, c_uint32,)),
    'sandlock_pending_pid': (c_int32, (c_void_p,)),
    'sandlock_pending_read': (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_void_p),)),
    'sandlock_pending_read_string': (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_void_p),)),
    'sandlock_pending_write': (c_int32, (c_void_p, c_uint64, c_void_p, c_size_t, POINTER(c_void_p),)),
    'sandlock_pending_continue': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_pending_deny': (c_int32, (c_void_p, c_int32, POINTER(c_void_p),)),
    'sandlock_pending_return': (c_int32, (c_void_p, c_int64, POINTER(c_void_p),)),
    'sandlock_pending_return_fd': (c_int32, (c_void_p, c_int, c_uint64, POINTER(c_void_p),)),
    'sandlock_pending_return_fd_at': (c_int32, (c_void_p, c_int, c_int, c_uint64, POINTER(c_void_p),)),
    'sandlock_pending_return_bytes': (c_int32, (c_void_p, c_void_p, c_size_t, c_uint64, POINTER(c_void_p),)),
    'sandlock_pending_kill': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_pending_free': (None, (c_void_p,)),
    'sandlock_supervisor_observe': (c_int32, (c_void_p, c_uint64, sandlock_observer_fn, c_void_p, sandlock_destroy_fn, POINTER(c_void_p),)),
    'sandlock_event_kind': (c_uint64, (c_void_p,)),
    'sandlock_event_pid': (c_int32, (c_void_p,)),
    'sandlock_event_time_ns': (c_uint64, (c_void_p,)),
    'sandlock_event_syscall': (c_int32, (c_void_p,)),
    'sandlock_event_syscall_name': (c_char_p, (c_void_p,)),
    'sandlock_event_errno': (c_int32, (c_void_p,)),
    'sandlock_event_path': (c_char_p, (c_void_p,)),
    'sandlock_event_advisory': (c_bool, (c_void_p,)),
    'sandlock_event_argument_count': (c_size_t, (c_void_p,)),
    'sandlock_event_argument': (c_char_p, (c_void_p, c_size_t,)),
    'sandlock_event_exit_code': (c_int32, (c_void_p,)),
    'sandlock_event_signal': (c_int32, (c_void_p,)),
    'sandlock_event_text': (c_char_p, (c_void_p,)),
    'sandlock_supervisor_trace': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_trace_suggest': (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_suggestions_count': (c_size_t, (c_void_p,)),
    'sandlock_suggestions_text': (c_char_p, (c_void_p,)),
    'sandlock_suggestions_free': (None, (c_void_p,)),
    'sandlock_spawn_options_init': (None, (POINTER(sandlock_spawn_options),)),
    'sandlock_spawn': (c_int32, (c_void_p, c_void_p, POINTER(c_char_p), POINTER(sandlock_spawn_options), POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_run': (c_int32, (c_void_p, c_void_p, POINTER(c_char_p), c_int32, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_confine_self': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_process_pid': (c_int32, (c_void_p,)),
    'sandlock_process_pidfd': (c_int, (c_void_p,)),
    'sandlock_process_take_stdio': (c_int, (c_void_p, c_int,)),
    'sandlock_process_wait': (c_int32, (c_void_p, c_int32, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_process_kill': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_process_signal': (c_int32, (c_void_p, c_int32, POINTER(c_void_p),)),
    'sandlock_process_stats': (c_int32, (c_void_p, POINTER(sandlock_stats), POINTER(c_void_p),)),
    'sandlock_process_pause': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_process_resume': (c_int32, (c_void_p, POINTER(c_void_p),)),
    'sandlock_process_list': (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_process_report': (c_void_p, (c_void_p,)),
    'sandlock_process_free': (None, (c_void_p,)),
    'sandlock_process_communicate': (c_int32, (c_void_p, c_void_p, c_size_t, c_int32, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_process_stream': (c_int32, (c_void_p, sandlock_output_fn, c_void_p, sandlock_destroy_fn, POINTER(c_void_p),)),
    'sandlock_process_take_pty': (c_int, (c_void_p,)),
    'sandlock_process_resize': (c_int32, (c_void_p, c_uint16, c_uint16, POINTER(c_void_p),)),
    'sandlock_member_init': (None, (POINTER(sandlock_member),)),
    'sandlock_members_count': (c_size_t, (c_void_p,)),
    'sandlock_members_get': (c_int32, (c_void_p, c_size_t, POINTER(sandlock_member), POINTER(c_void_p),)),
    'sandlock_members_free': (None, (c_void_p,)),
    'sandlock_port_init': (None, (POINTER(sandlock_port),)),
    'sandlock_process_ports': (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_void_p),)),
    'sandlock_ports_count': (c_size_t, (c_void_p,)),
    'sandlock_ports_get': (c_int32, (c_void_p, c_size_t, POINTER(sandlock_port), POINTER(c_void_p),)),
    'sandlock_ports_free': (None, (c_void_p,)),
    'sandlock_result_reason': (c_uint32, (c_void_p,)),
    'sandlock_result_limit': (c_uint32, (c_void_p,)),
    'sandlock_result_limit_value': (c_uint64, (c_void_p,)),
    'sandlock_result_limit_reading': (c_uint64, (c_void_p,)),
    'sandlock_result_exit_code': (c_int32, (c_void_p,)),
    'sandlock_result_signal': (c_int32, (c_void_p,)),
    'sandlock_result_stdout': (c_void_p, (c_void_p, POINTER(c_size_t),)),
    'sandlock_result_stderr': (c_void_p, (c_void_p, POINTER(c_size_t),)),
    'sandlock_result_truncated': (c_uint64, (c_void_p, c_int,)),
    'sandlock_usage_init': (None, (POINTER(sandlock_usage),)),
    'sandlock_result_usage': (c_int32, (c_void_p, POINTER(sandlock_usage), POINTER(c_void_p),)),
    'sandlock_result_free': (None, (c_void_p,)),
    'sandlock_report_level': (c_uint32, (c_void_p,)),
    'sandlock_report_count': (c_size_t, (c_void_p,)),
    'sandlock_report_entry_init': (None, (POINTER(sandlock_report_entry),)),
    'sandlock_report_row': (c_int32, (c_void_p, c_size_t, POINTER(sandlock_report_entry), POINTER(c_void_p),)),
    'sandlock_report_json': (c_char_p, (c_void_p,)),
    'sandlock_report_free': (None, (c_void_p,)),
}
