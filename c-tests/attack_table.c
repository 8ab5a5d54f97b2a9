/* Every protection against the attack that it is there to stop: the attack must succeed bare, be refused confined, and
 * succeed again when only that protection is switched off. */
#include "support.h"

#include <mqueue.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

extern char **environ;

#define MOST 10

struct setting {
    uint32_t disable[MOST];  /* features */
    const char *allow[3];    /* system calls */
    const char *net[3];      /* rules: whom the program may reach, */
    const char *bind[2];     /* and where it may serve */
};

enum { READ_PROC = 1, USE_TERMINALS = 2, READ_RANDOM = 4, WRITE_SHM = 8, EXECUTE_WRITABLE = 16 };
/* The system and what the policy grants of the tree, and nothing else; of that, the programs with their set-user-ID bits. */
enum { NARROW_VIEW = 1, READ_ONLY_VIEW = 2 };
enum { AS_ROOT = 1, AS_USER = 2, AS_ANY = 3 };

struct attack_case {
    const char *name;
    const char *program;
    const char *arguments[5];
    unsigned grants;
    struct setting base;       /* holds confined and ablated */
    struct setting ablation;   /* holds ablated only: the protection under test is off */
    uint32_t limit;            /* set confined only */
    uint64_t limit_value;
    uint32_t namespace;        /* set confined only */
    unsigned view;             /* likewise: what the program sees, NARROW_VIEW or READ_ONLY_VIEW */
    int user;                  /* likewise: the program goes by another user */
    unsigned who;              /* 0 is AS_ANY */
    const char *needs;         /* what the machine must offer for the attack to succeed bare */
    int no_ablation;           /* the protection cannot be switched off by this user; see the case as root */
};

#define LANDLOCK                                                                                              \
    SANDLOCK_FEATURE_FILES, SANDLOCK_FEATURE_NETWORK, SANDLOCK_FEATURE_SIGNAL_SCOPE,                          \
        SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE, SANDLOCK_FEATURE_KILL_ALL

#define ATTACK(file, title, ...) .name = title, .program = "attack_" file, .arguments = {__VA_ARGS__}
#define FILES(title, ...) ATTACK("files", title, __VA_ARGS__)
#define SOCKETS(title, ...) ATTACK("sockets", title, __VA_ARGS__)
#define SYSTEM(title, ...) ATTACK("system", title, __VA_ARGS__)
#define FORKS(title, ...) ATTACK("forks", title, __VA_ARGS__)
#define NAMESPACES(title, ...) ATTACK("namespaces", title, __VA_ARGS__), .needs = "userns"
/* Limits of a sandbox as a whole are kept by the same readings whoever runs it, and each takes seconds to reach. */
#define MEMORY(title, ...) ATTACK("memory", title, __VA_ARGS__), .who = AS_USER
#define DISK(title, ...) ATTACK("disk", title, __VA_ARGS__), .who = AS_USER
#define DESTINATIONS(title, ...) ATTACK("destinations", title, __VA_ARGS__)
#define PROCESSES(title, ...) ATTACK("processes", title, __VA_ARGS__)
#define OFF(feature) .ablation = {.disable = {SANDLOCK_FEATURE_##feature}}
#define UNIX_OFF .ablation = {.disable = {SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_FEATURE_NETWORK}}
#define REACHING(...) .base = {.net = {__VA_ARGS__}}
#define REACHING_ALSO(...) .ablation = {.net = {__VA_ARGS__}}
#define SERVING(...) .base = {.bind = {__VA_ARGS__}}
#define SERVING_ALSO(...) .ablation = {.bind = {__VA_ARGS__}}
/* Without the feature the rules mean nothing, and to allow a call by name lifts what the filter says of it. */
#define RULES_OFF(...) .ablation = {.disable = {SANDLOCK_FEATURE_NETWORK}, .allow = {__VA_ARGS__}}
#define APART(which) .namespace = SANDLOCK_NAMESPACE_##which
#define SEEING(what) .view = what##_VIEW
#define LIMIT(which, amount) .limit = SANDLOCK_LIMIT_##which, .limit_value = (amount)

/* In arguments and rules: %T the tree, %P another process of the user, %A an address in it, %t a TCP port, %a an abstract
 * socket, %S a program that is set-user-ID for somebody else, %m System V shared memory, %q a message queue, %h the host's name,
 * %u its user, %i the type of a handle on the secret file, %I its bytes, %c a TCP port where nobody listens, %v a UDP port, %x one of IPv6,
 * %l the first of some free ports in a row, %L the fourth, %b the sixth. Nobody must ever come to the TCP port %o, the UDP port %w, the abstract
 * socket, %T/socket and %T/datagrams: if somebody does, the attack has succeeded, whatever it says itself. */
static const struct attack_case cases[] = {
    {FILES("read_ungranted_file", "read", "%T/secret"), OFF(FILES)},
    {FILES("list_ungranted_directory", "list", "%T"), OFF(FILES)},
    {FILES("write_file_granted_for_reading", "write", "%T/readable/file"), OFF(FILES)},
    {FILES("create_file_with_creat", "creat", "%T/denied/new"), OFF(FILES)},
    {FILES("open_with_openat2", "openat2", "%T/secret"), OFF(FILES)},
    {FILES("reopen_path_descriptor", "reopen", "%T/secret"), .grants = READ_PROC, OFF(FILES)},
    {FILES("truncate_file_granted_for_reading", "truncate", "%T/readable/file"), OFF(FILES_TRUNCATE)},
    {FILES("rename_into_readable_directory", "rename", "%T/writeonly/file", "%T/writable/moved"), OFF(FILES)},
    {FILES("rename_ungranted_directory", "rename", "%T/denied", "%T/writable/denied"), OFF(FILES)},
    {FILES("link_into_readable_directory", "link", "%T/secret", "%T/writable/linked"), OFF(FILES)},
    {FILES("remove_file_granted_for_reading", "remove", "%T/readable/file"), OFF(FILES)},
    {FILES("execute_file_granted_for_reading", "execute", "%T/readable/program"), OFF(FILES)},
    {FILES("ioctl_on_device_granted_for_reading", "device-ioctl", "/dev/urandom"), .grants = READ_RANDOM,
        OFF(FILES_IOCTL_DEV)},
    {FILES("make_device_against_filter", "mknod", "%T/writable/device"), .who = AS_ROOT,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}},
        .ablation = {.disable = {SANDLOCK_FEATURE_SYSCALLS}}},
    {FILES("make_device_against_landlock", "mknod", "%T/writable/device"), .who = AS_ROOT,
        .base = {.allow = {"mknod", "mknodat"}},
        .ablation = {.disable = {SANDLOCK_FEATURE_FILES}}},
    {FILES("change_mode", "chmod", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_mode_by_descriptor", "fchmod", "%T/readable/file"), OFF(FILES_METADATA)},
    {FILES("change_mode_by_fchmodat2", "fchmodat2", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_owner", "chown", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_times", "utimensat", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_extended_attribute", "setxattr", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_flags_by_ioctl", "setflags", "%T/readable/file"), OFF(FILES_METADATA)},
    {FILES("make_whiteout_device", "whiteout", "%T/writable/file", "%T/writable/moved"), OFF(SYSCALLS)},
    {FILES("take_lease", "lease", "%T/readable/file"), OFF(SYSCALLS)},
    {FILES("make_btrfs_subvolume_by_ioctl", "request", "%T/readable", "5000940e"), OFF(FILES_METADATA)},
    {FILES("destroy_btrfs_subvolume_by_ioctl", "request", "%T/readable", "5000940f"), OFF(FILES_METADATA)},
    {FILES("encrypt_directory_by_ioctl", "request", "%T/readable", "800c6613"), OFF(FILES_METADATA)},
    {FILES("remove_encryption_key_by_ioctl", "request", "%T/readable", "c0406618"), OFF(FILES_METADATA)},
    {FILES("read_memory_of_another_process_in_proc", "proc-mem", "%P", "%A"), .grants = READ_PROC,
        .ablation = {.disable = {LANDLOCK}}},
    {FILES("use_inherited_descriptor", "use-descriptor", "77"), OFF(DESCRIPTORS)},

    {SOCKETS("connect_by_tcp", "tcp-connect", "%t"), OFF(NETWORK)},
    {SOCKETS("bind_tcp_port", "tcp-bind"), OFF(NETWORK)},
    {SOCKETS("listen_on_unbound_socket", "listen-unbound"), OFF(SYSCALLS)},
    {SOCKETS("connect_by_mptcp", "mptcp", "%t"), OFF(SYSCALLS)},
    {SOCKETS("connect_by_fast_open_sendto", "fastopen-sendto", "%t"), OFF(SYSCALLS)},
    {SOCKETS("connect_by_fast_open_sendmsg", "fastopen-sendmsg", "%t"), OFF(SYSCALLS)},
    {SOCKETS("send_by_udp", "udp", "%t"), OFF(SYSCALLS)},
    {SOCKETS("ask_netlink", "netlink"), OFF(SYSCALLS)},
    {SOCKETS("list_interfaces_by_ioctl", "interfaces"), OFF(SYSCALLS)},
    {SOCKETS("make_vsock_socket", "socket", "40", "1", "0"), OFF(SYSCALLS)},
    {SOCKETS("make_raw_socket", "socket", "2", "3", "1"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SOCKETS("make_packet_socket", "socket", "17", "3", "0"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SOCKETS("make_raw_socket_against_capabilities", "socket", "2", "3", "1"), .who = AS_ROOT,
        .base = {.allow = {"socket"}}, OFF(CAPABILITIES)},
    /* From ABI 9 on, Landlock keeps these as well. */
    {SOCKETS("connect_to_unix_socket_of_host", "unix", "%T/socket"), UNIX_OFF},
    {SOCKETS("connect_to_abstract_socket_of_host", "unix", "%a"), .base = {.allow = {"socket"}},
        OFF(ABSTRACT_UNIX_SCOPE)},
    {SOCKETS("redirect_unix_datagram_pair", "unix-pair", "%T/datagrams"), UNIX_OFF},
    {SOCKETS("redirect_unix_raw_pair", "unix-raw-pair", "%T/datagrams"), UNIX_OFF},

    /* Rules about destinations and ports. */
    {SOCKETS("connect_where_no_rule_allows", "tcp-connect", "%o"), REACHING("tcp://127.0.0.1:%t"),
        REACHING_ALSO("tcp://127.0.0.1:%o")},
    {SOCKETS("connect_where_a_name_does_not_lead", "tcp-connect", "%o"), REACHING("tcp://localhost:%t"),
        REACHING_ALSO("tcp://localhost:%o")},
    {SOCKETS("connect_to_a_port_by_landlock", "tcp-connect", "%o"), REACHING("tcp://*:%t"), REACHING_ALSO("tcp://*:%o")},
    {SOCKETS("connect_to_abstract_socket_despite_rules", "unix", "%a"), REACHING("unix:%T/writable/*"),
        REACHING_ALSO("unix:%a")},
    {SOCKETS("redirect_unix_datagram_pair_despite_rules", "unix-pair", "%T/datagrams"), REACHING("unix:%T/writable/*"),
        REACHING_ALSO("unix:%T/datagrams")},
    {SOCKETS("redirect_unix_raw_pair_despite_rules", "unix-raw-pair", "%T/datagrams"), REACHING("unix:%T/writable/*"),
        RULES_OFF("socketpair", "sendto")},
    {SOCKETS("connect_by_mptcp_despite_rules", "mptcp", "%o"),
        .base = {.net = {"127.0.0.1:%t"}, .allow = {"socket"}}, OFF(NETWORK)},
    {SOCKETS("connect_by_fast_open_sendto_despite_rules", "fastopen-sendto", "%o"),
        .base = {.net = {"127.0.0.1:%t"}, .allow = {"sendto"}}, OFF(NETWORK)},
    {SOCKETS("connect_by_fast_open_sendmsg_despite_rules", "fastopen-sendmsg", "%o"),
        .base = {.net = {"127.0.0.1:%t"}, .allow = {"sendmsg"}}, OFF(NETWORK)},
    {DESTINATIONS("connect_by_fast_open_sendmmsg", "fastopen-sendmmsg", "%o"),
        .base = {.net = {"127.0.0.1:%t"}, .allow = {"sendmmsg"}}, OFF(NETWORK)},
    {DESTINATIONS("connect_by_fast_open_option", "fastopen-option", "%o"), REACHING("tcp://127.0.0.1:%t"),
        REACHING_ALSO("tcp://127.0.0.1:%o")},
    {DESTINATIONS("connect_to_mapped_address", "connect-mapped", "%o"), REACHING("tcp://127.0.0.1:%t", "tcp://[::/0]"),
        REACHING_ALSO("tcp://127.0.0.1:%o")},
    {DESTINATIONS("send_to_mapped_address", "send-mapped", "%w"), REACHING("udp://127.0.0.1:%v", "udp://[::/0]"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("send_to_ipv4_by_ipv6", "send-ipv4-by-ipv6", "%w"), REACHING("udp://127.0.0.1:%v", "udp://[::/0]"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("send_without_a_family", "send-without-family", "%w"), REACHING("udp://127.0.0.1:%v"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("send_elsewhere_than_connected", "send-elsewhere", "%v", "%w"), REACHING("udp://127.0.0.1:%v"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("send_second_message_elsewhere", "send-second", "%v", "%w"), REACHING("udp://127.0.0.1:%v"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("connect_to_any_address", "connect-to-any", "%v"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("join_a_group", "join", "ip"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("join_a_group_of_a_source", "join", "ip-source"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("join_a_group_of_any_family", "join", "group"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("join_a_group_of_any_family_and_source", "join", "source"), REACHING("udp://127.0.0.1:%v"),
        RULES_OFF("socket")},
    {DESTINATIONS("join_a_group_of_ipv6", "join", "ipv6"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("join_a_group_of_any_family_by_ipv6", "join", "group-ipv6"), REACHING("udp://127.0.0.1:%v"),
        RULES_OFF("socket")},
    {DESTINATIONS("record_the_route", "options", "record", "%v"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("record_the_route_by_message", "options-message", "record", "%v"), REACHING("udp://127.0.0.1:%v"),
        RULES_OFF("socket")},
    {DESTINATIONS("record_the_route_of_tcp", "options-tcp", "record"), REACHING("tcp://127.0.0.1:%t"),
        OFF(NETWORK)},
    {DESTINATIONS("route_through_another_host", "options", "route", "%v"), .who = AS_ROOT, REACHING("udp://127.0.0.1:%v"),
        RULES_OFF("socket")},
    {DESTINATIONS("route_a_message_through_another_host", "options-message", "route", "%v"), .who = AS_ROOT,
        REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("route_tcp_through_another_host", "options-tcp", "route"), .who = AS_ROOT, REACHING("tcp://127.0.0.1:%t"),
        OFF(NETWORK)},
    {DESTINATIONS("route_by_segments", "routing-header", "%x"), REACHING("udp://[::1]:%x"), RULES_OFF("socket")},
    {DESTINATIONS("route_tcp_by_segments", "routing-header-tcp"), REACHING("tcp://[::1]"), OFF(NETWORK)},
    {DESTINATIONS("route_a_message_by_header", "routing-header-message", "57", "%x"), REACHING("udp://[::1]:%x"),
        RULES_OFF("socket")},
    {DESTINATIONS("route_a_message_by_old_header", "routing-header-message", "5", "%x"), REACHING("udp://[::1]:%x"),
        RULES_OFF("socket")},
    {DESTINATIONS("route_by_message_for_all", "routing-header-options"), REACHING("udp://[::1]:%x"),
        RULES_OFF("socket")},
    {DESTINATIONS("change_protocol_of_socket", "ulp"), REACHING("tcp://127.0.0.1:%t"), OFF(NETWORK)},
    {DESTINATIONS("change_address_while_connecting", "race-connect", "%c", "%o"), .who = AS_USER, REACHING("tcp://127.0.0.1:%c"),
        REACHING_ALSO("tcp://127.0.0.1:%o")},
    {DESTINATIONS("change_address_while_sending", "race-sendto", "%v", "%w"), .who = AS_USER, REACHING("udp://127.0.0.1:%v"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("change_address_of_message", "race-sendmsg", "%v", "%w"), .who = AS_USER, REACHING("udp://127.0.0.1:%v"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("change_place_of_second_address", "race-sendmmsg", "%v", "%w"), .who = AS_USER, REACHING("udp://127.0.0.1:%v"),
        REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("change_socket_while_sending", "race-socket-sendmsg", "%t", "%w"), .who = AS_USER,
        REACHING("tcp://127.0.0.1:%t", "udp://127.0.0.1:%v"), REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("change_socket_while_connecting", "race-socket-connect", "%w"), .who = AS_USER,
        REACHING("tcp://127.0.0.1:%w", "udp://127.0.0.1:%v"), REACHING_ALSO("udp://127.0.0.1:%w")},
    {DESTINATIONS("change_socket_while_binding", "race-socket-bind", "%l"), .who = AS_USER,
        .base = {.net = {"udp://127.0.0.1:%v"}, .bind = {"%l"}}, SERVING_ALSO("udp://%l")},
    {DESTINATIONS("listen_at_another_port", "listen", "%b"), SERVING("%l"), SERVING_ALSO("%b")},
    {DESTINATIONS("listen_at_a_port_beyond_a_range", "listen", "%b"), SERVING("%l-%L"), SERVING_ALSO("%b")},
    {DESTINATIONS("listen_at_a_port_of_udp", "listen", "%b"), .base = {.bind = {"%l", "udp://%b"}}, SERVING_ALSO("%b")},
    {SOCKETS("listen_unbound_beside_a_port", "listen-unbound"), SERVING("%l"), SERVING_ALSO("*")},
    {SOCKETS("listen_unbound_despite_rules", "listen-unbound"), REACHING("127.0.0.1"), SERVING_ALSO("*")},
    {DESTINATIONS("listen_where_the_kernel_likes", "listen-elsewhere", "%l", "%L"), SERVING("%l-%L"), SERVING_ALSO("*")},
    {DESTINATIONS("listen_after_a_refusal", "listen-after-refusal"),
        .base = {.net = {"tcp://127.0.0.1:1"}, .bind = {"%l"}}, SERVING_ALSO("*")},
    {DESTINATIONS("choose_free_port", "option", "0", "51"), REACHING("udp://127.0.0.1:%v"), RULES_OFF("socket")},
    {DESTINATIONS("choose_interface_by_name", "option", "1", "25"), REACHING("tcp://127.0.0.1:1"), OFF(NETWORK)},
    {DESTINATIONS("choose_interface_by_number", "option", "1", "62"), REACHING("tcp://127.0.0.1:1"), OFF(NETWORK)},
    {DESTINATIONS("choose_interface_of_ipv4", "option", "0", "50"), REACHING("tcp://127.0.0.1:1"), OFF(NETWORK)},
    {DESTINATIONS("choose_interface_of_ipv6", "option", "41", "76"), REACHING("tcp://127.0.0.1:1"), OFF(NETWORK)},
    {DESTINATIONS("let_go_of_port_while_listening", "race-listen", "%l", "%L"), .who = AS_USER,
        SERVING("%l-%L"), SERVING_ALSO("*")},
    {DESTINATIONS("change_port_while_binding", "race-bind", "stream", "%l", "%b"), .who = AS_USER, SERVING("%l-%L"), SERVING_ALSO("%b")},
    {DESTINATIONS("change_port_of_udp_while_binding", "race-bind", "datagram", "%l", "%b"), .who = AS_USER, SERVING("udp://%l"),
        SERVING_ALSO("udp://%b")},
    {DESTINATIONS("connect_to_unix_socket_by_root_in_proc", "unix-root", "%T/socket"), .grants = READ_PROC,
        REACHING("unix:%T/writable/*"), REACHING_ALSO("unix:%T/socket")},
    {DESTINATIONS("connect_to_unix_socket_by_descriptor", "unix-descriptor", "%T/socket"), .grants = READ_PROC,
        REACHING("unix:%T/writable/*"), REACHING_ALSO("unix:%T/socket")},
    {DESTINATIONS("connect_to_unix_socket_from_its_directory", "unix-directory", "%T/socket"),
        REACHING("unix:%T/writable/*"), REACHING_ALSO("unix:%T/socket")},
    {DESTINATIONS("connect_to_unix_socket_by_link", "unix-link", "%T/writable", "%T/socket"),
        REACHING("unix:%T/writable/*"), REACHING_ALSO("unix:%T/socket")},
    {DESTINATIONS("send_to_unix_socket", "unix-datagram", "%T/datagrams"), REACHING("unix:%T/writable/*"),
        REACHING_ALSO("unix:%T/datagrams")},
    {DESTINATIONS("send_elsewhere_than_to_own_unix_socket", "unix-datagram-elsewhere", "%T/writable", "%T/datagrams"),
        REACHING("unix:%T/writable/*"), REACHING_ALSO("unix:%T/datagrams")},
    {DESTINATIONS("swap_link_for_unix_socket", "unix-race-link", "%T/writable", "%T/socket"), .who = AS_USER,
        REACHING("unix:%T/writable/spot"), REACHING_ALSO("unix:%T/socket")},
    {DESTINATIONS("swap_directory_of_unix_socket", "unix-race-parent", "%T/writable", "%T/socket"), .who = AS_USER,
        REACHING("unix:%T/writable/*"), REACHING_ALSO("unix:%T/socket")},
    {DESTINATIONS("change_path_of_unix_socket", "unix-race-datagram", "%T/writable", "%T/datagrams"), .who = AS_USER,
        REACHING("unix:%T/writable/own"), REACHING_ALSO("unix:%T/datagrams")},
    {SYSTEM("set_up_io_uring_despite_rules", "io-uring"),
        .base = {.net = {"127.0.0.1", "unix:%T/writable/*"}, .allow = {"io_uring_setup"}}, OFF(NETWORK)},
    {SOCKETS("make_vsock_socket_despite_rules", "socket", "40", "1", "0"), REACHING("127.0.0.1", "unix:%T/writable/*"),
        RULES_OFF("socket")},
    {SOCKETS("make_raw_unix_socket", "socket", "1", "3", "0"), REACHING("127.0.0.1", "unix:%T/writable/*"),
        RULES_OFF("socket")},
    {SOCKETS("make_raw_socket_despite_rules", "socket", "2", "3", "1"), .who = AS_ROOT,
        REACHING("127.0.0.1", "icmp://127.0.0.1"), RULES_OFF("socket")},
    {SOCKETS("make_raw_udp_socket", "socket", "2", "3", "17"), .who = AS_ROOT, REACHING("*", "icmp://*"),
        RULES_OFF("socket")},
    {SOCKETS("make_packet_socket_despite_rules", "socket", "17", "3", "0"), .who = AS_ROOT, REACHING("*", "icmp://*"),
        RULES_OFF("socket")},
    {SOCKETS("make_sock_diag_socket", "socket", "16", "3", "4"), REACHING("127.0.0.1"), RULES_OFF("socket")},
    {SOCKETS("make_uevent_socket", "socket", "16", "3", "15"), REACHING("*"), RULES_OFF("socket")},
    {SOCKETS("make_generic_netlink_socket", "socket", "16", "3", "16"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_netfilter_socket", "family", "16", "3", "12"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_audit_socket", "family", "16", "3", "9"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_sctp_streams", "family", "2", "1", "132"), REACHING("127.0.0.1"), RULES_OFF("socket")},
    {DESTINATIONS("reach_sctp_messages", "family", "2", "5", "132"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_dccp", "family", "10", "6", "33"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_udplite", "family", "2", "2", "136"), REACHING("udp://*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_mptcp_over_ipv6", "family", "10", "1", "262"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_echo_without_a_rule", "family", "2", "2", "1"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_smc", "family", "43", "1", "0"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_tipc", "family", "30", "2", "0"), REACHING("*", "unix:%T/writable/*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_bluetooth", "family", "31", "3", "1"), REACHING("*"), RULES_OFF("socket")},
    {DESTINATIONS("reach_kernel_ciphers", "family", "38", "5", "0"), REACHING("*"), RULES_OFF("socket")},

    {SYSTEM("user_namespace_by_unshare", "unshare-user"), OFF(SYSCALLS)},
    {SYSTEM("user_namespace_by_clone", "clone-user"), OFF(SYSCALLS)},
    {SYSTEM("user_namespace_by_clone3", "clone3-user"), OFF(SYSCALLS)},
    {SYSTEM("join_namespace", "setns"), OFF(SYSCALLS)},
    {SYSTEM("mount_by_old_interface", "mount"), .base = {.disable = {SANDLOCK_FEATURE_FILES}}, OFF(SYSCALLS)},
    {SYSTEM("mount_by_new_interface", "new-mount"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SYSTEM("take_mount_tree", "open-tree"), OFF(SYSCALLS)},
    {SYSTEM("change_root", "chroot"), .who = AS_ROOT, OFF(SYSCALLS)},
#ifdef __x86_64__
    {SYSTEM("getpid_by_32_bit_gate", "int80-getpid"), .needs = "ia32", OFF(SYSCALLS)},
    {SYSTEM("mount_by_32_bit_gate", "int80-mount"), .needs = "ia32",
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, OFF(SYSCALLS)},
    {SYSTEM("getpid_by_x32", "x32-getpid"), .needs = "x32", OFF(SYSCALLS)},
#endif
    {SYSTEM("set_up_io_uring", "io-uring"), OFF(SYSCALLS)},
    {SYSTEM("load_bpf", "bpf"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SYSTEM("open_perf_event", "perf"), OFF(SYSCALLS)},
    {SYSTEM("open_userfaultfd", "userfaultfd"), OFF(SYSCALLS)},
    {SYSTEM("watch_files_by_fanotify", "fanotify"), OFF(SYSCALLS)},
    {SYSTEM("add_key", "add-key"), OFF(SYSCALLS)},
    {SYSTEM("sysv_shared_memory", "shmget"), OFF(SYSCALLS)},
    {SYSTEM("sysv_shared_memory_by_group", "shmget"), .ablation = {.allow = {"@sysv-ipc"}}},
    {SYSTEM("posix_message_queue", "mq-open"), .base = {.disable = {SANDLOCK_FEATURE_FILES}}, OFF(SYSCALLS)},
    {SYSTEM("take_file_handle", "file-handle"), OFF(SYSCALLS)},
    {SYSTEM("change_personality", "personality"), OFF(SYSCALLS)},
    {SYSTEM("set_dumpable", "dumpable"), OFF(SYSCALLS)},
    {SYSTEM("read_kernel_log", "syslog"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SYSTEM("type_into_terminal", "tiocsti", "0"), .grants = USE_TERMINALS, .needs = "tiocsti", OFF(SYSCALLS)},
    {SYSTEM("type_into_terminal_with_high_bit", "tiocsti", "1"), .grants = USE_TERMINALS, .needs = "tiocsti",
        OFF(SYSCALLS)},

    /* Two features share the scope: the domain of the program and that of the thread that kills it. */
    {PROCESSES("signal_another_process", "kill", "%P"),
        .ablation = {.disable = {SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_FEATURE_KILL_ALL}}},
    /* The thread that kills is one of the host's, and in a domain with the program. */
    {PROCESSES("signal_threads_of_the_host", "threads"), .grants = READ_PROC,
        .base = {.disable = {SANDLOCK_FEATURE_SIGNAL_SCOPE}}, OFF(KILL_ALL)},
    {PROCESSES("trace_against_filter", "ptrace", "%P"), .base = {.disable = {LANDLOCK}}, OFF(SYSCALLS)},
    {PROCESSES("trace_against_landlock", "ptrace", "%P"), .base = {.allow = {"ptrace"}},
        .ablation = {.disable = {LANDLOCK}}},
    {PROCESSES("read_memory_against_filter", "vm-readv", "%P", "%A"), .base = {.disable = {LANDLOCK}},
        OFF(SYSCALLS)},
    {PROCESSES("read_memory_against_landlock", "vm-readv", "%P", "%A"),
        .base = {.allow = {"process_vm_readv"}}, .ablation = {.disable = {LANDLOCK}}},
    {PROCESSES("take_descriptor_against_filter", "pidfd-getfd", "%P"), .base = {.disable = {LANDLOCK}},
        OFF(SYSCALLS)},
    {PROCESSES("take_descriptor_against_landlock", "pidfd-getfd", "%P"), .base = {.allow = {"pidfd_getfd"}},
        .ablation = {.disable = {LANDLOCK}}},
    {PROCESSES("limit_another_process", "prlimit", "%P"), OFF(SYSCALLS)},
    {PROCESSES("renice_another_process", "renice", "%P"), OFF(SYSCALLS)},
    {PROCESSES("pin_another_process", "affinity", "%P"), OFF(SYSCALLS)},
    {PROCESSES("make_children_of_the_host", "adopt-out"), OFF(SYSCALLS)},
    {PROCESSES("share_session_of_host", "session"), OFF(SESSION)},
    {PROCESSES("become_root_by_setuid_program", "run-setuid", "%S"), .who = AS_USER, .no_ablation = 1},
    {PROCESSES("become_another_user_by_setuid_program", "run-setuid", "%S"), .who = AS_ROOT, OFF(NO_NEW_PRIVS)},
    {PROCESSES("use_capability_of_host", "capability", "%T/foreign"), .who = AS_ROOT, OFF(CAPABILITIES)},
    {PROCESSES("raise_limit_as_root", "raise-limit"), .who = AS_ROOT, .needs = "sys-resource", OFF(CAPABILITIES)},

    {PROCESSES("take_memory_beyond_address_space", "memory", "300"), LIMIT(AS, 256 << 20)},
    {PROCESSES("take_memory_beyond_data", "heap", "200"), LIMIT(DATA, 128 << 20)},
    {PROCESSES("open_too_many_descriptors", "descriptors", "100"), LIMIT(NOFILE, 64)},
    {PROCESSES("start_too_many_processes", "processes", "200"), .who = AS_USER, LIMIT(NPROC, 100)},
    {PROCESSES("write_too_large_a_file", "disk", "%T/writable/large", "8"), LIMIT(FSIZE, 4 << 20)},
    {PROCESSES("use_too_much_time", "time", "1300"), LIMIT(CPU, 1)},
    {PROCESSES("use_too_much_stack", "stack", "6000"), LIMIT(STACK, 1 << 20)},
    {FORKS("have_too_many_processes_by_fork", "fork", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_clone", "clone", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_clone3", "clone3", "12"), LIMIT(PROCESSES, 11),
        .base = {.allow = {"clone3"}}, .ablation = {.disable = {SANDLOCK_FEATURE_PROCESSES}}},
    {FORKS("have_too_many_daemons", "daemons", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_zombies", "zombies", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_racing_threads", "race", "30"), LIMIT(PROCESSES, 29)},
    {FORKS("have_too_many_processes_with_names_that_are_no_text", "disguised", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_daemons_without_a_main_thread", "headless", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_adoption", "adopted", "7"), LIMIT(PROCESSES, 6)},
    {FORKS("have_too_many_threads", "threads", "12"), LIMIT(THREADS, 11)},
    {PROCESSES("lock_too_much_memory", "lock", "2"), LIMIT(MEMLOCK, 1 << 20)},

    {NAMESPACES("attach_shared_memory_of_host", "attach-memory", "%m"), .base = {.allow = {"@sysv-ipc"}}, APART(IPC)},
    {NAMESPACES("open_message_queue_of_host", "open-queue", "%q"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}, .allow = {"mq_open"}}, APART(IPC)},
    {NAMESPACES("learn_name_of_host", "host-name", "%h"), APART(UTS)},
    {NAMESPACES("learn_user_of_host", "user", "%u"), .user = 1},
    {NAMESPACES("open_handle_on_process", "open-process", "%P"), APART(PID)},
    {NAMESPACES("see_process_in_proc", "look-up-process", "%P"), .grants = READ_PROC, APART(MOUNT)},
    {NAMESPACES("see_process_by_its_processors", "ask-for-affinity", "%P"), APART(PID)},
    {PROCESSES("signal_another_process_against_namespace", "kill", "%P"), .needs = "userns",
        .base = {.disable = {LANDLOCK}}, APART(PID)},
    {PROCESSES("trace_against_namespace", "ptrace", "%P"), .needs = "userns",
        .base = {.disable = {LANDLOCK}, .allow = {"ptrace"}}, APART(PID)},
    {PROCESSES("read_memory_against_namespace", "vm-readv", "%P", "%A"), .needs = "userns",
        .base = {.disable = {LANDLOCK}, .allow = {"process_vm_readv"}}, APART(PID)},
    {FILES("read_file_that_is_not_mounted", "read", "%T/secret"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {FILES("list_directory_that_is_not_mounted", "list", "%T/denied"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("climb_out_by_dots", "climb", "%T/writable", "%T/secret"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("climb_out_by_descriptors", "climb-by-descriptors", "%T/writable", "%T/secret"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_root_in_proc", "root-of", "self", "%T/secret"), .grants = READ_PROC,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_absolute_link", "link", "%T/writable", "%T/secret"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_climbing_link", "link", "%T/writable", "%T/secret", "climbing"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_chroot", "chroot", "%T/writable", "%T/secret"), .who = AS_ROOT,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}, .allow = {"chroot"}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_file_handle", "handle", "%T/writable", "%i", "%I"), .who = AS_ROOT,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}, .allow = {"open_by_handle_at"}}, SEEING(NARROW)},
    {FILES("write_file_that_is_mounted_for_reading", "write", "%T/writable/file"), .needs = "userns",
        SEEING(READ_ONLY)},
    {FILES("change_mode_of_file_that_is_mounted_for_reading", "chmod", "%T/writable/file"), .needs = "userns",
        .who = AS_USER, SEEING(READ_ONLY)},
    {PROCESSES("become_another_user_by_program_that_is_mounted", "run-setuid", "%S"), .who = AS_ROOT, .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_NO_NEW_PRIVS}}, SEEING(NARROW)},
    {SOCKETS("connect_by_tcp_against_namespace", "tcp-connect", "%t"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_NETWORK}}, APART(NET)},
    {SOCKETS("connect_to_abstract_socket_against_namespace", "unix", "%a"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE}, .allow = {"socket"}}, APART(NET)},
    {MEMORY("hold_too_much_memory_by_malloc", "malloc", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_by_mapping", "mmap", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("map_more_memory_than_there_can_be", "mmap", "700"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_shared_memory", "shared", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_in_a_memfd", "memfd", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_in_a_mapped_memfd", "mapped-memfd", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_secret_memory", "secret", "300"), .ablation = {.allow = {"memfd_secret"}},
        LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_without_a_main_thread", "headless", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_a_memfd_without_a_main_thread", "headless-memfd", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_in_tmpfs", "tmpfs", "300", "/dev/shm"), .grants = WRITE_SHM,
        LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_by_a_fork_tree", "tree", "300", "20"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_shared_by_many", "shared-tree", "300", "20"), LIMIT(MEMORY, 128 << 20)},
    {DISK("fill_the_disk_with_small_files", "files", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_with_one_file", "large", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_by_a_fork_tree", "tree", "96", "%T/writable", "20"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_with_deleted_files", "deleted", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_through_memory", "mapped", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_through_memory_alone", "mapped-deleted", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_through_memory_later", "mapped-later", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_with_files_of_a_ruleset", "ruled", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_with_deleted_programs", "executed", "96", "%T/writable"), .grants = READ_PROC | EXECUTE_WRITABLE,
        LIMIT(DISK, 32 << 20)},
    {DISK("reserve_the_disk", "reserve", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {MEMORY("compute_in_many_processes", "burn", "1000", "4"), LIMIT(CPU_TOTAL, 300)},
    {MEMORY("sleep_too_long", "sleep", "1000"), LIMIT(WALL, 300)},
    {MEMORY("hide_memory_behind_more_descriptors_than_can_be_looked_at", "descriptors", "4000", "60"),
        LIMIT(MEMORY, 128 << 20)},
    {MEMORY("outrun_the_throttle_by_timers", "outrun", "15", "1000", "1"), LIMIT(CPU_SHARE, 5)},
    {MEMORY("outrun_the_throttle_by_fast_timers", "outrun", "15", "150", "4"), LIMIT(CPU_SHARE, 5)},
};

/* --- the world around the attacks --- */

static const char *tree;
static int tcp_port, closed_port, udp_port, udp6_port, forbidden_tcp_port, forbidden_udp_port, free_port;
static pid_t victim;
static char abstract_name[32];
static char known_byte = 42;
/* Where nobody must come: the Unix sockets of the tree, the abstract one, TCP, UDP. */
static int forbidden[5] = {-1, -1, -1, -1, -1};

static void make_files(void)
{
    static const char *const directories[] = {"readable", "writable", "writeonly", "denied"};
    char command[PATH_MAX * 2];
    size_t i;

    snprintf(command, sizeof command, "rm -rf %s/* && mkdir", tree);
    for (i = 0; i < sizeof directories / sizeof *directories; i++) {
        strcat(command, " ");
        strcat(command, in_tree(tree, directories[i]));
    }
    snprintf(command + strlen(command), sizeof command - strlen(command), " && cp /bin/true %s/readable/program", tree);
    if (system(command))
        exit(2);
    write_text(in_tree(tree, "secret"), "secret\n");
    write_text(in_tree(tree, "readable/file"), "readable\n");
    write_text(in_tree(tree, "writable/file"), "writable\n");
    write_text(in_tree(tree, "writeonly/file"), "not to be read\n");
    write_text(in_tree(tree, "foreign"), "of another user\n");
    chmod(in_tree(tree, "foreign"), 0600);
    if (getuid() == 0 && chown(in_tree(tree, "foreign"), 65534, 65534))
        perror("chown");
}

static int listen_unix(const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = (socklen_t)(sizeof(sa_family_t) + strlen(name));
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (name[0] == '@') {
        memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    } else {
        length = sizeof address;
        snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
        unlink(name);
    }
    if (bind(fd, (struct sockaddr *)&address, length) || (type == SOCK_STREAM && listen(fd, 100))) {
        perror("cannot listen");
        exit(2);
    }
    return fd;
}

/* A socket that is bound on every address, or to one of loopback's; -1 if the port is taken. */
static int bind_port(int family, int type, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 address6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int bound = family == AF_INET ? bind(fd, (struct sockaddr *)&address, sizeof address)
                                  : bind(fd, (struct sockaddr *)&address6, sizeof address6);

    if (bound) {
        close(fd);
        return -1;
    }
    return fd;
}

static int serve_port(int family, int type, int listening, int *port)
{
    int fd = bind_port(family, type, 0);
    struct sockaddr_in6 address;
    socklen_t length = sizeof address;

    if (fd < 0 || (listening && listen(fd, 100)) || getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("cannot serve");
        exit(2);
    }
    *port = ntohs(address.sin6_port); /* of either family */
    return fd;
}

static int is_free(int port)
{
    int tcp = bind_port(AF_INET6, SOCK_STREAM, port), udp = bind_port(AF_INET6, SOCK_DGRAM, port);

    close(tcp);
    close(udp);
    return tcp >= 0 && udp >= 0;
}

/* Ports in a row that the kernel gives to nobody who asks for any. */
static void find_free_ports(void)
{
    enum { COUNT = 6 };
    int found = 0;

    for (free_port = 20000 + getpid() % 500 * 20; found < COUNT; free_port++) {
        found = is_free(free_port) ? found + 1 : 0;
        if (free_port > 32000)
            exit(2);
    }
    free_port -= COUNT;
}

static void make_servers(void)
{
    serve_port(AF_INET, SOCK_STREAM, 1, &tcp_port);
    serve_port(AF_INET, SOCK_STREAM, 0, &closed_port);
    serve_port(AF_INET, SOCK_DGRAM, 0, &udp_port);
    serve_port(AF_INET6, SOCK_DGRAM, 0, &udp6_port);
    snprintf(abstract_name, sizeof abstract_name, "@sandlock-test-%d", getpid());
    forbidden[2] = listen_unix(abstract_name, SOCK_STREAM);
    forbidden[3] = serve_port(AF_INET, SOCK_STREAM, 1, &forbidden_tcp_port);
    forbidden[4] = serve_port(AF_INET, SOCK_DGRAM, 0, &forbidden_udp_port);
    find_free_ports();
}

/* The sockets of the tree are made anew with it. */
static void make_unix_servers(void)
{
    close(forbidden[0]);
    close(forbidden[1]);
    forbidden[0] = listen_unix(in_tree(tree, "socket"), SOCK_STREAM);
    forbidden[1] = listen_unix(in_tree(tree, "datagrams"), SOCK_DGRAM);
}

/* True if somebody has come where nobody must since this was last asked. */
static int somebody_came(void)
{
    int i, came = 0;

    for (i = 0; i < 5; i++) {
        char bytes[64];
        int fd;
        if (i == 1 || i == 4) {
            while (recv(forbidden[i], bytes, sizeof bytes, 0) >= 0)
                came = 1;
            continue;
        }
        while ((fd = accept4(forbidden[i], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
            came = 1;
            close(fd);
        }
    }
    return came;
}

/* Another process of the same user, which anything may be tried on. */
static void make_victim(void)
{
    victim = fork();
    if (victim == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
}

static int shared_memory = -1;
static char queue_name[32];

static void make_ipc(void)
{
    mqd_t queue;

    shared_memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    snprintf(queue_name, sizeof queue_name, "/sandlock-test-%d", getpid());
    queue = mq_open(queue_name, O_CREAT | O_RDWR, 0600, NULL);
    if (shared_memory < 0 || queue < 0)
        perror("cannot make shared memory or a message queue");
    mq_close(queue);
}

static void remove_ipc(void)
{
    shmctl(shared_memory, IPC_RMID, NULL);
    mq_unlink(queue_name);
}

/* What names the secret file to whoever may open files by handles. */
static void handle_of_secret(int *type, char *bytes)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } found = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    unsigned i;
    int mount;

    if (name_to_handle_at(AT_FDCWD, in_tree(tree, "secret"), &found.handle, &mount, 0))
        perror("name_to_handle_at");
    *type = found.handle.handle_type;
    for (i = 0; i < found.handle.handle_bytes && i < MAX_HANDLE_SZ; i++)
        sprintf(bytes + i * 2, "%02x", found.handle.f_handle[i]);
}

/* What % and a letter stand for. */
static size_t meaning_of(char letter, char *text, size_t room)
{
    char bytes[MAX_HANDLE_SZ * 2 + 1] = "";
    int type = 0;

    switch (letter) {
    case 'T': return (size_t)snprintf(text, room, "%s", tree);
    case 'P': return (size_t)snprintf(text, room, "%d", victim);
    case 'A': return (size_t)snprintf(text, room, "%lx", (unsigned long)&known_byte);
    case 't': return (size_t)snprintf(text, room, "%d", tcp_port);
    case 'c': return (size_t)snprintf(text, room, "%d", closed_port);
    case 'o': return (size_t)snprintf(text, room, "%d", forbidden_tcp_port);
    case 'v': return (size_t)snprintf(text, room, "%d", udp_port);
    case 'x': return (size_t)snprintf(text, room, "%d", udp6_port);
    case 'w': return (size_t)snprintf(text, room, "%d", forbidden_udp_port);
    case 'l': return (size_t)snprintf(text, room, "%d", free_port);
    case 'L': return (size_t)snprintf(text, room, "%d", free_port + 3);
    case 'b': return (size_t)snprintf(text, room, "%d", free_port + 5);
    case 'a': return (size_t)snprintf(text, room, "%s", abstract_name);
    case 'S': return (size_t)snprintf(text, room, "%s", program(getuid() ? "attack_setuid_root" : "attack_setuid_nobody"));
    case 'm': return (size_t)snprintf(text, room, "%d", shared_memory);
    case 'q': return (size_t)snprintf(text, room, "%s", queue_name);
    case 'h': gethostname(text, room); return strlen(text);
    case 'u': return (size_t)snprintf(text, room, "%u", getuid());
    case 'i':
    case 'I':
        handle_of_secret(&type, bytes);
        return letter == 'I' ? (size_t)snprintf(text, room, "%s", bytes) : (size_t)snprintf(text, room, "%d", type);
    default: abort();
    }
}

static const char *expand(const char *text)
{
    enum { ROOM = PATH_MAX + 64 };
    static char buffers[32][ROOM];
    static unsigned next;
    char *buffer = buffers[next++ % 32];
    size_t length = 0;

    for (; *text && length < ROOM - 1; text++) {
        if (*text == '%')
            length += meaning_of(*++text, buffer + length, ROOM - length);
        else
            buffer[length++] = *text;
    }
    buffer[length < ROOM ? length : ROOM - 1] = 0;
    return buffer;
}

/* --- the three runs --- */

enum { ATTACK_SUCCEEDED = 0, ATTACK_REFUSED = 1, ATTACK_IMPOSSIBLE = 2 };

static int run_bare(const char *const *argv)
{
    pid_t pid;
    int status;

    if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) || waitpid(pid, &status, 0) != pid)
        return ATTACK_IMPOSSIBLE;
    if (somebody_came())
        return ATTACK_SUCCEEDED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ATTACK_REFUSED;
}

static void apply(sandlock_policy *policy, const struct setting *setting)
{
    int i;

    for (i = 0; i < MOST && setting->disable[i]; i++) {
        sandlock_policy_set_strictness(policy, setting->disable[i], SANDLOCK_DISABLE, NULL);
        /* The filter that puts calls before the library refuses what would slip past it. */
        if (setting->disable[i] == SANDLOCK_FEATURE_SYSCALLS)
            sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    }
    for (i = 0; i < 3 && setting->allow[i]; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, setting->allow[i], NULL));
    for (i = 0; i < 3 && setting->net[i]; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, expand(setting->net[i]), NULL));
    for (i = 0; i < 2 && setting->bind[i]; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_bind(policy, expand(setting->bind[i]), NULL));
}

/* A root in memory with the system, the test programs, and what the policy grants of the tree. */
static void narrow_view(sandlock_policy *policy, uint64_t writing)
{
    static const char *const system[] = {"/usr", "/bin", "/lib", "/lib64"};
    static const char *const granted[] = {"readable", "writable", "writeonly", "foreign"};
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, "", NULL));
    for (i = 0; i < sizeof system / sizeof *system; i++)
        if (access(system[i], F_OK) == 0)
            CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, system[i], system[i], 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, program_directory(), program_directory(), 0, NULL));
    for (i = 0; i < sizeof granted / sizeof *granted; i++) {
        const char *path = in_tree(tree, granted[i]);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, path, path, writing, NULL));
    }
}

static int run_under_policy(const struct attack_case *attack, const char *const *argv, int ablated)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int outcome = ATTACK_IMPOSSIBLE;

    allow(policy, in_tree(tree, "readable"), SANDLOCK_ACCESS_READ);
    allow(policy, in_tree(tree, "writable"), SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, in_tree(tree, "writeonly"), SANDLOCK_ACCESS_WRITE);
    allow(policy, in_tree(tree, "foreign"), SANDLOCK_ACCESS_READ);
    if (attack->grants & EXECUTE_WRITABLE)
        allow(policy, in_tree(tree, "writable"), SANDLOCK_ACCESS_READ_EXECUTE);
    if (attack->grants & READ_PROC)
        allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    if (attack->grants & USE_TERMINALS) {
        allow(policy, "/dev/ptmx", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
        allow(policy, "/dev/pts", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    }
    if (attack->grants & WRITE_SHM)
        allow(policy, "/dev/shm", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    if (attack->grants & READ_RANDOM)
        allow(policy, "/dev/urandom", SANDLOCK_ACCESS_READ);
    apply(policy, &attack->base);
    /* A root host's capabilities are a layer of their own; the others are shown without it. */
    if (getuid() == 0 && !attack->limit && attack->ablation.disable[0] != SANDLOCK_FEATURE_CAPABILITIES)
        sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_CAPABILITIES, SANDLOCK_DISABLE, NULL);
    if (ablated)
        apply(policy, &attack->ablation);
    else if (attack->limit)
        sandlock_policy_set_limit(policy, attack->limit, attack->limit_value, NULL);
    else if (attack->namespace)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, attack->namespace, true, NULL));
    else if (attack->view)
        narrow_view(policy, attack->view == READ_ONLY_VIEW ? 0 : SANDLOCK_MOUNT_WRITE);
    else if (attack->user)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, 7, 7, NULL));
    /* Of two limits that would refuse, the other is out of the way. */
    if (attack->limit == SANDLOCK_LIMIT_NPROC)
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED, NULL);
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    if (sandlock_spawn(policy, NULL, argv, &options, &process, &error) ||
        sandlock_process_wait(process, 30000, &result, &error)) {
        printf("# %s: %s\n", attack->name, sandlock_error_message(error));
    } else if (sandlock_result_reason(result) == SANDLOCK_REASON_EXITED) {
        outcome = sandlock_result_exit_code(result);
    } else {
        outcome = ATTACK_REFUSED; /* killed by a signal */
    }
    if (somebody_came())
        outcome = ATTACK_SUCCEEDED;
    if (outcome == ATTACK_IMPOSSIBLE)
        printf("# %s: %s", attack->name, output(result));
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    if (attack->grants & WRITE_SHM)
        remove_leftovers();
    return outcome;
}

/* Makes the files anew, and says what they are called now. */
static void make_world(const struct attack_case *attack, const char **argv)
{
    size_t i;

    make_files();
    make_unix_servers();
    for (i = 0; i < 5 && attack->arguments[i]; i++)
        argv[i + 1] = expand(attack->arguments[i]);
}

static void run_case(const struct attack_case *attack)
{
    const char *argv[7] = {program(attack->program)};

    if (attack->needs && !expected(attack->needs)) {
        test_absent = attack->needs;
        return;
    }
    make_world(attack, argv);
    if (!CHECK(run_under_policy(attack, argv, 0) == ATTACK_REFUSED))
        printf("# %s: not refused confined\n", attack->name);
    if (!attack->no_ablation && !CHECK(run_under_policy(attack, argv, 1) == ATTACK_SUCCEEDED))
        printf("# %s: did not succeed without the protection\n", attack->name);
    make_world(attack, argv);
    if (!CHECK(run_bare(argv) == ATTACK_SUCCEEDED))
        printf("# %s: did not succeed bare\n", attack->name);
}

int main(int argc, char **argv)
{
    unsigned who = getuid() == 0 ? AS_ROOT : AS_USER;
    int failed = 0, secret;
    size_t i;

    tree = strdup(make_tree());
    make_files();
    make_servers();
    make_victim();
    make_ipc();
    secret = open(in_tree(tree, "secret"), O_RDONLY);
    dup2(secret, 77); /* inheritable, as a careless host would leave it */
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 1 && strcmp(argv[1], cases[i].name))
            continue;
        if (!((cases[i].who ? cases[i].who : AS_ANY) & who))
            continue;
        test_failures = 0;
        test_absent = NULL;
        run_case(&cases[i]);
        if (test_absent)
            printf("absent attack_%s: the machine was not declared to offer %s\n", cases[i].name, test_absent);
        else
            printf("%s attack_%s\n", test_failures ? "not ok" : "ok", cases[i].name);
        fflush(stdout);
        failed |= test_failures;
    }
    kill(victim, SIGKILL);
    remove_ipc();
    remove_tree(tree);
    return failed != 0;
}
