// libsandlock for C++17 and later: sandlock.h with owners, exceptions, strings, ranges and lambdas.
//
// SPDX-License-Identifier: Apache-2.0
//
// sandlock.h is the manual. What a function here does, which statuses it gives and which threads may call it is said there, at the function
// of the same name. This header adds no rule of its own but these:
//
// Owners       policy, supervisor, process, result, report and pending own a handle, can be moved and not copied, and free it in the end;
//              destroying a process ends its sandbox. One that was moved from answers as C answers for NULL. get() is for calling C.
//
// Failures     A function that can fail throws sandlock::error. Its twin try_... returns expected<T> instead, a value or an error,
//              and throws nothing but std::bad_alloc and what the caller's own iterators and copies throw.
//
// Strings      need not end with a NUL. One that has a NUL inside is refused (INVALID_ARGUMENT), since C would read another one.
//
// Callbacks    may be lambdas with what they capture, and are destroyed when the library needs them no more, by one of its threads
//              maybe. No exception leaves them: a call whose handler throws is denied with EPERM, unless it was answered
//              before. What was thrown is given to who asked for it (supervisor_options::on_exception). Handlers and logs run
//              several at a time, so they are called as const: a mutable lambda is none. Observers and listeners are called one
//              at a time.
//
// Times        are std::chrono durations, rounded up. One that is negative is no time at all; to wait without limit is sandlock::forever.
#ifndef SANDLOCK_HPP
#define SANDLOCK_HPP

#include <sandlock.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

namespace sandlock {

// -------------------------------------------------------------------------------------------------------------------
// Constants: those of sandlock.h, by group
// -------------------------------------------------------------------------------------------------------------------

/// SANDLOCK_OK and SANDLOCK_ERROR_*. A later library may give others.
enum class status : std::int32_t {
    ok = SANDLOCK_OK,
    invalid_argument = SANDLOCK_ERROR_INVALID_ARGUMENT,
    state = SANDLOCK_ERROR_STATE,
    unsupported = SANDLOCK_ERROR_UNSUPPORTED,
    permission = SANDLOCK_ERROR_PERMISSION,
    not_found = SANDLOCK_ERROR_NOT_FOUND,
    system = SANDLOCK_ERROR_SYSTEM,
    child_setup = SANDLOCK_ERROR_CHILD_SETUP,
    exec = SANDLOCK_ERROR_EXEC,
    timeout = SANDLOCK_ERROR_TIMEOUT,
    stale = SANDLOCK_ERROR_STALE,
    buffer_too_small = SANDLOCK_ERROR_BUFFER_TOO_SMALL,
    would_deadlock = SANDLOCK_ERROR_WOULD_DEADLOCK,
    callback = SANDLOCK_ERROR_CALLBACK,
    limit = SANDLOCK_ERROR_LIMIT,
    internal = SANDLOCK_ERROR_INTERNAL,
};

/// SANDLOCK_STAGE_*; none is 0.
enum class stage : std::uint32_t {
    none = 0,
    arguments = SANDLOCK_STAGE_ARGUMENTS,
    policy = SANDLOCK_STAGE_POLICY,
    landlock = SANDLOCK_STAGE_LANDLOCK,
    seccomp = SANDLOCK_STAGE_SECCOMP,
    descriptors = SANDLOCK_STAGE_DESCRIPTORS,
    spawn = SANDLOCK_STAGE_SPAWN,
    process = SANDLOCK_STAGE_PROCESS,
    cwd = SANDLOCK_STAGE_CWD,
    limits = SANDLOCK_STAGE_LIMITS,
    privileges = SANDLOCK_STAGE_PRIVILEGES,
    exec = SANDLOCK_STAGE_EXEC,
    wait = SANDLOCK_STAGE_WAIT,
    supervisor = SANDLOCK_STAGE_SUPERVISOR,
    namespaces = SANDLOCK_STAGE_NAMESPACES,
    network = SANDLOCK_STAGE_NETWORK,
};

/// SANDLOCK_ACCESS_*, to be or-ed together.
enum class access : std::uint64_t {
    read = SANDLOCK_ACCESS_READ,
    execute = SANDLOCK_ACCESS_EXECUTE,
    write = SANDLOCK_ACCESS_WRITE,
    read_execute = SANDLOCK_ACCESS_READ_EXECUTE,
    all = SANDLOCK_ACCESS_ALL,
    optional = SANDLOCK_ACCESS_OPTIONAL,
};

/// SANDLOCK_SYSCALLS_*.
enum class syscalls : std::uint32_t {
    denylist = SANDLOCK_SYSCALLS_DENYLIST,
    allowlist = SANDLOCK_SYSCALLS_ALLOWLIST,
};

/// SANDLOCK_LIMIT_*.
enum class limit : std::uint32_t {
    cpu = SANDLOCK_LIMIT_CPU,
    nofile = SANDLOCK_LIMIT_NOFILE,
    fsize = SANDLOCK_LIMIT_FSIZE,
    core = SANDLOCK_LIMIT_CORE,
    data = SANDLOCK_LIMIT_DATA,
    as = SANDLOCK_LIMIT_AS,
    stack = SANDLOCK_LIMIT_STACK,
    nproc = SANDLOCK_LIMIT_NPROC,
    memlock = SANDLOCK_LIMIT_MEMLOCK,
    processes = SANDLOCK_LIMIT_PROCESSES,
    threads = SANDLOCK_LIMIT_THREADS,
    memory = SANDLOCK_LIMIT_MEMORY,
    cpu_total = SANDLOCK_LIMIT_CPU_TOTAL,
    wall = SANDLOCK_LIMIT_WALL,
    cpu_share = SANDLOCK_LIMIT_CPU_SHARE,
    disk = SANDLOCK_LIMIT_DISK,
};

/// As the value of a limit of the sandbox as a whole: no limit.
inline constexpr std::uint64_t unlimited = SANDLOCK_UNLIMITED;

/// SANDLOCK_FLAG_*.
enum class flag : std::uint32_t {
    no_aslr = SANDLOCK_FLAG_NO_ASLR,
    no_coredump = SANDLOCK_FLAG_NO_COREDUMP,
    no_huge_pages = SANDLOCK_FLAG_NO_HUGE_PAGES,
    all_threads = SANDLOCK_FLAG_ALL_THREADS,
    no_supervisor = SANDLOCK_FLAG_NO_SUPERVISOR,
    wait_for_descendants = SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS,
    memory_kills_largest = SANDLOCK_FLAG_MEMORY_KILLS_LARGEST,
    output_kills = SANDLOCK_FLAG_OUTPUT_KILLS,
    net_updates = SANDLOCK_FLAG_NET_UPDATES,
    port_remap = SANDLOCK_FLAG_PORT_REMAP,
};

/// SANDLOCK_NAMESPACE_*.
enum class ns : std::uint32_t {
    ipc = SANDLOCK_NAMESPACE_IPC,
    uts = SANDLOCK_NAMESPACE_UTS,
    net = SANDLOCK_NAMESPACE_NET,
    pid = SANDLOCK_NAMESPACE_PID,
    mount = SANDLOCK_NAMESPACE_MOUNT,
};

/// Whether a mount keeps the program from writing.
enum class mount_mode : std::uint64_t {
    read_only = 0,
    writable = SANDLOCK_MOUNT_WRITE,
};

/// SANDLOCK_REQUIRE, SANDLOCK_BEST_EFFORT, SANDLOCK_DISABLE.
enum class strictness : std::uint32_t {
    require = SANDLOCK_REQUIRE,
    best_effort = SANDLOCK_BEST_EFFORT,
    disable = SANDLOCK_DISABLE,
};

/// SANDLOCK_FEATURE_*.
enum class feature : std::uint32_t {
    all = SANDLOCK_FEATURE_ALL,
    files = SANDLOCK_FEATURE_FILES,
    files_refer = SANDLOCK_FEATURE_FILES_REFER,
    files_truncate = SANDLOCK_FEATURE_FILES_TRUNCATE,
    files_ioctl_dev = SANDLOCK_FEATURE_FILES_IOCTL_DEV,
    files_metadata = SANDLOCK_FEATURE_FILES_METADATA,
    network = SANDLOCK_FEATURE_NETWORK,
    signal_scope = SANDLOCK_FEATURE_SIGNAL_SCOPE,
    abstract_unix_scope = SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE,
    syscalls = SANDLOCK_FEATURE_SYSCALLS,
    no_new_privs = SANDLOCK_FEATURE_NO_NEW_PRIVS,
    capabilities = SANDLOCK_FEATURE_CAPABILITIES,
    descriptors = SANDLOCK_FEATURE_DESCRIPTORS,
    session = SANDLOCK_FEATURE_SESSION,
    parent_death = SANDLOCK_FEATURE_PARENT_DEATH,
    kill_all = SANDLOCK_FEATURE_KILL_ALL,
    limits = SANDLOCK_FEATURE_LIMITS,
    no_coredump = SANDLOCK_FEATURE_NO_COREDUMP,
    no_aslr = SANDLOCK_FEATURE_NO_ASLR,
    no_huge_pages = SANDLOCK_FEATURE_NO_HUGE_PAGES,
    supervisor = SANDLOCK_FEATURE_SUPERVISOR,
    processes = SANDLOCK_FEATURE_PROCESSES,
    ns_user = SANDLOCK_FEATURE_NS_USER,
    ns_ipc = SANDLOCK_FEATURE_NS_IPC,
    ns_uts = SANDLOCK_FEATURE_NS_UTS,
    ns_net = SANDLOCK_FEATURE_NS_NET,
    memory = SANDLOCK_FEATURE_MEMORY,
    ns_pid = SANDLOCK_FEATURE_NS_PID,
    ns_mount = SANDLOCK_FEATURE_NS_MOUNT,
    disk = SANDLOCK_FEATURE_DISK,
};

/// SANDLOCK_EVENT_*, to be or-ed together.
enum class events : std::uint64_t {
    exec = SANDLOCK_EVENT_EXEC,
    fork = SANDLOCK_EVENT_FORK,
    exit = SANDLOCK_EVENT_EXIT,
    denied = SANDLOCK_EVENT_DENIED,
    limit = SANDLOCK_EVENT_LIMIT,
    handler_failed = SANDLOCK_EVENT_HANDLER_FAILED,
    missing = SANDLOCK_EVENT_MISSING,
    all = SANDLOCK_EVENT_ALL,
};

/// SANDLOCK_PROTOCOL_*.
enum class protocol : std::uint32_t {
    tcp = SANDLOCK_PROTOCOL_TCP,
    udp = SANDLOCK_PROTOCOL_UDP,
};

/// SANDLOCK_STATE_*.
enum class state : std::uint32_t {
    enforced = SANDLOCK_STATE_ENFORCED,
    degraded = SANDLOCK_STATE_DEGRADED,
    waived = SANDLOCK_STATE_WAIVED,
    unavailable = SANDLOCK_STATE_UNAVAILABLE,
    not_requested = SANDLOCK_STATE_NOT_REQUESTED,
};

/// SANDLOCK_LEVEL_*.
enum class level : std::uint32_t {
    full = SANDLOCK_LEVEL_FULL,
    partial = SANDLOCK_LEVEL_PARTIAL,
    none = SANDLOCK_LEVEL_NONE,
};

/// SANDLOCK_REASON_*.
enum class reason : std::uint32_t {
    exited = SANDLOCK_REASON_EXITED,
    signaled = SANDLOCK_REASON_SIGNALED,
    timeout = SANDLOCK_REASON_TIMEOUT,
    limit = SANDLOCK_REASON_LIMIT,
    killed = SANDLOCK_REASON_KILLED,
    lost = SANDLOCK_REASON_LOST,
};

/// What a handler returns. One that returns nothing returns done.
enum class handled : std::int32_t {
    done = SANDLOCK_HANDLER_DONE,
    pass = SANDLOCK_HANDLER_PASS,
};

/// What becomes of a descriptor that was given to the program when that executes another.
enum class on_exec : std::uint64_t {
    close = 0,
    keep = SANDLOCK_FD_KEEP_ON_EXEC,
};

/// SANDLOCK_LOG_*.
enum class log_level : std::uint32_t {
    error = SANDLOCK_LOG_ERROR,
    warning = SANDLOCK_LOG_WARNING,
};

/// A standard stream.
enum class stream : std::uint32_t {
    input = 0,
    output = 1,
    errors = 2,
};

constexpr access operator|(access left, access right) noexcept
{
    return static_cast<access>(static_cast<std::uint64_t>(left) | static_cast<std::uint64_t>(right));
}

constexpr events operator|(events left, events right) noexcept
{
    return static_cast<events>(static_cast<std::uint64_t>(left) | static_cast<std::uint64_t>(right));
}

/// sandlock_version_number(): that of the library that is running.
inline std::uint32_t version_number() noexcept
{
    return sandlock_version_number();
}

/// sandlock_version_string().
inline std::string_view version_string() noexcept
{
    return sandlock_version_string();
}

/// sandlock_status_name(): "INVALID_ARGUMENT".
inline std::string_view status_name(status which) noexcept
{
    return sandlock_status_name(static_cast<std::int32_t>(which));
}

// -------------------------------------------------------------------------------------------------------------------
// Failures
// -------------------------------------------------------------------------------------------------------------------

/// Why a call failed; what() is the message. Thrown, and held by expected.
class error : public std::runtime_error {
public:
    /// What C has said. `raw` stays the caller's.
    error(std::int32_t status, const sandlock_error *raw)
        : std::runtime_error(raw ? sandlock_error_message(raw) : sandlock_status_name(status)),
          status_(static_cast<sandlock::status>(raw ? sandlock_error_status(raw) : status)),
          stage_(static_cast<sandlock::stage>(sandlock_error_stage(raw))), errno_(sandlock_error_errno(raw))
    {
    }

    /// What this header refuses, or a callback.
    error(sandlock::status status, sandlock::stage stage, const std::string &message)
        : std::runtime_error(message), status_(status), stage_(stage), errno_(0)
    {
    }

    sandlock::status status() const noexcept { return status_; }
    sandlock::stage stage() const noexcept { return stage_; }
    /// The errno that a system call reported, or 0.
    int errno_value() const noexcept { return errno_; }
    /// "exec: /nope: No such file or directory".
    std::string_view message() const noexcept { return what(); }

private:
    sandlock::status status_;
    sandlock::stage stage_;
    int errno_;
};

/// A value, or the error in its place. To take a value that is not there throws the error; to take an error that is not there,
/// std::bad_variant_access.
template <class T>
class [[nodiscard]] expected {
public:
    expected(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    expected(sandlock::error why) : held_(std::in_place_index<1>, std::move(why)) {}

    bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    sandlock::status status() const noexcept { return has_value() ? sandlock::status::ok : std::get_if<1>(&held_)->status(); }
    const sandlock::error &error() const & { return std::get<1>(held_); }
    sandlock::error error() && { return std::get<1>(std::move(held_)); }

    T &value() & { return *there(); }
    const T &value() const & { return *const_cast<expected *>(this)->there(); }
    T value() && { return std::move(*there()); }
    T &operator*() & { return *there(); }
    const T &operator*() const & { return value(); }
    T operator*() && { return std::move(*there()); }
    /// Not of a temporary, of which what it gives might be borrowed.
    T *operator->() & { return there(); }
    const T *operator->() const & { return &value(); }

private:
    T *there()
    {
        if (!has_value())
            throw std::get<1>(held_);
        return std::get_if<0>(&held_);
    }

    std::variant<T, sandlock::error> held_;
};

/// Success, or an error.
template <>
class [[nodiscard]] expected<void> {
public:
    expected() noexcept = default;
    expected(sandlock::error why) : why_(std::move(why)) {}

    bool has_value() const noexcept { return !why_; }
    explicit operator bool() const noexcept { return has_value(); }
    sandlock::status status() const noexcept { return why_ ? why_->status() : sandlock::status::ok; }
    /// std::bad_optional_access if there is none.
    const sandlock::error &error() const & { return why_.value(); }
    sandlock::error error() && { return std::move(why_).value(); }

    void value() const
    {
        if (why_)
            throw *why_;
    }

private:
    std::optional<sandlock::error> why_;
};

// -------------------------------------------------------------------------------------------------------------------
// Times
// -------------------------------------------------------------------------------------------------------------------

namespace detail {

/// A duration in another unit, rounded up; nothing if it is negative, no number, or beyond what 62 bits hold.
template <class Unit, class Rep, class Period>
std::optional<std::uint64_t> count_up(std::chrono::duration<Rep, Period> time)
{
    using exact = std::chrono::duration<std::int64_t, typename Unit::period>;
    using rough = std::chrono::duration<long double, typename Unit::period>;

    if (!(time >= time.zero()) || std::chrono::duration_cast<rough>(time).count() >= 4611686018427387904.0L)
        return std::nullopt;
    return static_cast<std::uint64_t>(std::chrono::ceil<exact>(time).count());
}

} // namespace detail

/// How long to wait: a duration, of which 24 days count at most, or forever.
class timeout {
public:
    template <class Rep, class Period>
    timeout(std::chrono::duration<Rep, Period> time)
    {
        constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();

        if (!(time > time.zero()))
            milliseconds_ = 0;
        else if (auto count = detail::count_up<std::chrono::milliseconds>(time); count && *count < most)
            milliseconds_ = static_cast<std::int32_t>(*count);
        else
            milliseconds_ = most;
    }

    static constexpr timeout never() noexcept { return timeout(); }
    constexpr std::int32_t milliseconds() const noexcept { return milliseconds_; }

private:
    constexpr timeout() noexcept = default;

    std::int32_t milliseconds_ = -1;
};

/// To wait without limit.
inline constexpr timeout forever = timeout::never();

// -------------------------------------------------------------------------------------------------------------------
// Lists of strings, and bytes
// -------------------------------------------------------------------------------------------------------------------

namespace detail {

using std::begin;
using std::end;

template <class T>
using bare = std::remove_cv_t<std::remove_reference_t<T>>;

template <class T>
inline constexpr bool is_string =
    std::is_convertible_v<T, std::string_view> || std::is_same_v<bare<T>, std::filesystem::path>;

template <class Range>
auto element_of(Range &range) -> decltype(begin(range) != end(range), *begin(range));

/// A path is a range of its parts, and no list.
template <class Range, class = void>
inline constexpr bool is_list = false;
template <class Range>
inline constexpr bool is_list<Range, std::void_t<decltype(element_of(std::declval<Range &>()))>> =
    !std::is_same_v<bare<Range>, std::filesystem::path> && is_string<decltype(element_of(std::declval<Range &>()))>;

template <class Range, class = void>
inline constexpr bool is_numbers = false;
template <class Range>
inline constexpr bool is_numbers<Range, std::void_t<decltype(element_of(std::declval<Range &>()))>> =
    std::is_integral_v<bare<decltype(element_of(std::declval<Range &>()))>>;

template <class Range, class = void>
inline constexpr bool is_bytes = false;
template <class Range>
inline constexpr bool is_bytes<Range, std::void_t<decltype(*std::data(std::declval<Range &>())),
                                                  decltype(std::size(std::declval<Range &>()))>> =
    sizeof(*std::data(std::declval<Range &>())) == 1;

inline sandlock::error refusal(const std::string &what)
{
    return {status::invalid_argument, stage::arguments, "arguments: " + what};
}

inline sandlock::error refusal_of_nul(const std::string &text)
{
    return refusal("\"" + std::string(text.c_str()) + "\" has a NUL byte behind it, and goes on");
}

inline bool has_nul(const std::string &text) noexcept
{
    return text.find('\0') != std::string::npos;
}

} // namespace detail

/// Arguments or rules: {"cat", "/etc/passwd"}, or any range of what is a string, a string view or a path. Copied. A null pointer ends
/// it, as in C.
class string_list {
public:
    string_list() = default;
    string_list(std::initializer_list<std::string_view> texts) : texts_(texts.begin(), texts.end()) {}
    string_list(std::initializer_list<const char *> texts) { copy(texts); }

    template <class Range, std::enable_if_t<detail::is_list<Range>, int> = 0>
    string_list(Range &&range)
    {
        copy(range);
    }

    /// The array that C wants, ended by NULL; valid while this is.
    expected<std::vector<const char *>> pointers() const
    {
        std::vector<const char *> all;

        all.reserve(texts_.size() + 1);
        for (const std::string &text : texts_) {
            if (detail::has_nul(text))
                return detail::refusal_of_nul(text);
            all.push_back(text.c_str());
        }
        all.push_back(nullptr);
        return all;
    }

private:
    template <class Range>
    void copy(Range &range)
    {
        for (auto &&text : range) {
            if constexpr (std::is_pointer_v<detail::bare<decltype(text)>>)
                if (!text)
                    break;
            if constexpr (std::is_same_v<detail::bare<decltype(text)>, std::filesystem::path>)
                texts_.emplace_back(text.native());
            else
                texts_.emplace_back(std::string_view(text));
        }
    }

    std::vector<std::string> texts_;
};

/// Bytes of the caller, not copied: a string, or whatever has data() and size() of something a byte large.
class bytes {
public:
    bytes() noexcept = default;
    bytes(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}

    /// A literal, without its NUL. A buffer is no string: say how much of it counts.
    template <std::size_t Size>
    bytes(const char (&literal)[Size]) noexcept : data_(literal), size_(Size - 1)
    {
    }
    template <std::size_t Size>
    bytes(char (&buffer)[Size]) = delete;

    template <class Range, std::enable_if_t<!std::is_same_v<detail::bare<Range>, bytes> &&
                                                (std::is_convertible_v<Range, std::string_view> || detail::is_bytes<Range>),
                                            int> = 0>
    bytes(const Range &range)
    {
        if constexpr (std::is_convertible_v<const Range &, std::string_view>) {
            std::string_view text = range;
            data_ = text.data();
            size_ = text.size();
        } else {
            data_ = std::data(range);
            size_ = std::size(range);
        }
    }

    const void *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

private:
    const void *data_ = nullptr;
    std::size_t size_ = 0;
};

// -------------------------------------------------------------------------------------------------------------------
// Calling C
// -------------------------------------------------------------------------------------------------------------------

namespace detail {

template <auto Free>
struct freeing {
    template <class Raw>
    void operator()(Raw *raw) const noexcept
    {
        Free(raw);
    }
};

template <class Raw, auto Free>
using handle = std::unique_ptr<Raw, freeing<Free>>;

/// What C is given for an argument.
inline const char *in_c(const std::string &text) noexcept
{
    return text.c_str();
}

template <class T>
constexpr auto in_c(const T &value) noexcept
{
    if constexpr (std::is_enum_v<T>)
        return static_cast<std::underlying_type_t<T>>(value);
    else
        return value;
}

inline const std::string *cut_short(const std::string &text) noexcept
{
    return has_nul(text) ? &text : nullptr;
}

template <class T>
constexpr const std::string *cut_short(const T &) noexcept
{
    return nullptr;
}

/// Calls `function`, which is given a place for its error behind the arguments.
template <class Function, class... Arguments>
expected<void> invoke(Function function, const Arguments &...arguments)
{
    const std::string *bad = nullptr;
    sandlock_error *raw = nullptr;

    static_cast<void>(((bad = cut_short(arguments)) || ...));
    if (bad)
        return refusal_of_nul(*bad);
    const sandlock_status status = function(in_c(arguments)..., &raw);
    const handle<sandlock_error, sandlock_error_free> owned(raw);
    if (status != SANDLOCK_OK)
        return sandlock::error(status, owned.get());
    return {};
}

/// Likewise for a function that makes something: a place for that comes before the one for the error.
template <class Owner, class Raw, class Function, class... Arguments>
expected<Owner> make(Function function, const Arguments &...arguments)
{
    Raw *raw = nullptr;

    if (auto done = invoke(function, arguments..., &raw); !done)
        return done.error();
    return Owner(raw);
}

/// Nothing if time was up, which is no failure where a time was given.
template <class T>
std::optional<T> unless_timed_out(expected<T> found)
{
    if (found.status() == status::timeout)
        return std::nullopt;
    return std::move(found).value();
}

} // namespace detail

// -------------------------------------------------------------------------------------------------------------------
// The kernel
// -------------------------------------------------------------------------------------------------------------------

/// What the kernel offers: the structure of C.
using capabilities = sandlock_capabilities;

inline expected<capabilities> try_probe()
{
    capabilities found = SANDLOCK_CAPABILITIES_INIT;

    if (auto done = detail::invoke(sandlock_probe, &found); !done)
        return done.error();
    return found;
}

/// sandlock_probe().
inline capabilities probe()
{
    return try_probe().value();
}

// -------------------------------------------------------------------------------------------------------------------
// Policy
// -------------------------------------------------------------------------------------------------------------------

/// What a program may do: sandlock_policy. What throws returns the policy, so that calls can be chained.
class policy {
public:
    /// Allows nothing.
    policy() : raw_(sandlock_policy_new()) {}
    /// Takes over a policy of C.
    explicit policy(sandlock_policy *owned) noexcept : raw_(owned) {}

    sandlock_policy *get() const noexcept { return raw_.get(); }

    static expected<policy> try_from_toml(std::string_view text)
    {
        // C takes no NULL, which an empty view may be.
        return detail::make<policy, sandlock_policy>(sandlock_policy_from_toml, text.empty() ? "" : text.data(), text.size());
    }

    static policy from_toml(std::string_view text) { return try_from_toml(text).value(); }

    expected<std::string> try_to_toml() const
    {
        sandlock_text *raw = nullptr;
        std::size_t length = 0;

        if (auto done = detail::invoke(sandlock_policy_to_toml, get(), &raw); !done)
            return done.error();
        const detail::handle<sandlock_text, sandlock_text_free> owned(raw);
        const char *data = sandlock_text_data(raw, &length);
        return std::string(data, length);
    }

    std::string to_toml() const { return try_to_toml().value(); }

    expected<policy> try_clone() const
    {
        if (sandlock_policy *copy = sandlock_policy_clone(get()))
            return policy(copy);
        return sandlock::error(status::state, stage::arguments, "arguments: this policy was moved from, or made before a fork");
    }

    /// An independent copy.
    policy clone() const { return try_clone().value(); }

    expected<void> try_check() const { return detail::invoke(sandlock_policy_check, get()); }
    const policy &check() const { return try_check().value(), *this; }

    expected<void> try_allow_path(const std::filesystem::path &path, access what)
    {
        return detail::invoke(sandlock_policy_allow_path, get(), path.native(), what);
    }
    policy &allow_path(const std::filesystem::path &path, access what) { return try_allow_path(path, what).value(), *this; }

    expected<void> try_set_syscall_default(syscalls mode)
    {
        return detail::invoke(sandlock_policy_set_syscall_default, get(), mode);
    }
    policy &set_syscall_default(syscalls mode) { return try_set_syscall_default(mode).value(), *this; }

    expected<void> try_allow_syscall(std::string_view name)
    {
        return detail::invoke(sandlock_policy_allow_syscall, get(), std::string(name));
    }
    policy &allow_syscall(std::string_view name) { return try_allow_syscall(name).value(), *this; }

    expected<void> try_deny_syscall(std::string_view name, int errno_value)
    {
        return detail::invoke(sandlock_policy_deny_syscall, get(), std::string(name), errno_value);
    }
    policy &deny_syscall(std::string_view name, int errno_value) { return try_deny_syscall(name, errno_value).value(), *this; }

    /// Any whole number; one that is negative would be no limit in C, and is refused.
    template <class Number, std::enable_if_t<std::is_integral_v<Number>, int> = 0>
    expected<void> try_set_limit(limit which, Number value)
    {
        if constexpr (std::is_signed_v<Number>)
            if (value < 0)
                return detail::refusal("a limit is negative");
        return detail::invoke(sandlock_policy_set_limit, get(), which, static_cast<std::uint64_t>(value));
    }
    template <class Number, std::enable_if_t<std::is_integral_v<Number>, int> = 0>
    policy &set_limit(limit which, Number value)
    {
        return try_set_limit(which, value).value(), *this;
    }

    /// A limit of time: cpu, cpu_total or wall.
    template <class Rep, class Period>
    expected<void> try_set_limit(limit which, std::chrono::duration<Rep, Period> time)
    {
        if (which != limit::cpu && which != limit::cpu_total && which != limit::wall)
            return detail::refusal("a limit of something else than time was given a time");
        const auto count = which == limit::cpu ? detail::count_up<std::chrono::seconds>(time)
                                               : detail::count_up<std::chrono::milliseconds>(time);
        if (!count)
            return detail::refusal("a limit of time is negative or too large");
        return try_set_limit(which, *count);
    }
    template <class Rep, class Period>
    policy &set_limit(limit which, std::chrono::duration<Rep, Period> time)
    {
        return try_set_limit(which, time).value(), *this;
    }

    expected<void> try_set_cgroup(const std::filesystem::path &path)
    {
        return detail::invoke(sandlock_policy_set_cgroup, get(), path.native());
    }
    policy &set_cgroup(const std::filesystem::path &path) { return try_set_cgroup(path).value(), *this; }

    /// No group is named, as in a new policy.
    expected<void> try_unset_cgroup() { return detail::invoke(sandlock_policy_set_cgroup, get(), none); }
    policy &unset_cgroup() { return try_unset_cgroup().value(), *this; }

    template <class Rep, class Period>
    expected<void> try_set_grace(int signal, std::chrono::duration<Rep, Period> time)
    {
        const auto count = detail::count_up<std::chrono::milliseconds>(time);

        if (!count)
            return detail::refusal("a time of grace is negative or too large");
        return detail::invoke(sandlock_policy_set_grace, get(), signal, *count);
    }
    template <class Rep, class Period>
    policy &set_grace(int signal, std::chrono::duration<Rep, Period> time)
    {
        return try_set_grace(signal, time).value(), *this;
    }

    expected<void> try_set_env(std::string_view name, std::string_view value)
    {
        return detail::invoke(sandlock_policy_set_env, get(), std::string(name), std::string(value));
    }
    policy &set_env(std::string_view name, std::string_view value) { return try_set_env(name, value).value(), *this; }

    /// The program does not get this variable.
    expected<void> try_unset_env(std::string_view name)
    {
        return detail::invoke(sandlock_policy_set_env, get(), std::string(name), none);
    }
    policy &unset_env(std::string_view name) { return try_unset_env(name).value(), *this; }

    expected<void> try_clear_env() { return detail::invoke(sandlock_policy_clear_env, get()); }
    policy &clear_env() { return try_clear_env().value(), *this; }

    expected<void> try_set_cwd(const std::filesystem::path &path)
    {
        return detail::invoke(sandlock_policy_set_cwd, get(), path.native());
    }
    policy &set_cwd(const std::filesystem::path &path) { return try_set_cwd(path).value(), *this; }

    expected<void> try_set_umask(std::uint32_t mask) { return detail::invoke(sandlock_policy_set_umask, get(), mask); }
    policy &set_umask(std::uint32_t mask) { return try_set_umask(mask).value(), *this; }

    expected<void> try_set_nice(int value) { return detail::invoke(sandlock_policy_set_nice, get(), value); }
    policy &set_nice(int value) { return try_set_nice(value).value(), *this; }

    /// Any range of whole numbers.
    template <class Range, std::enable_if_t<detail::is_numbers<Range>, int> = 0>
    expected<void> try_set_cpus(Range &&range)
    {
        constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
        std::vector<std::uint32_t> cpus;

        // What does not fit is no processor either, and C says so.
        for (auto cpu : range)
            cpus.push_back(static_cast<std::uint64_t>(cpu) > most ? most : static_cast<std::uint32_t>(cpu));
        return detail::invoke(sandlock_policy_set_cpus, get(), cpus.data(), cpus.size());
    }
    expected<void> try_set_cpus(std::initializer_list<int> cpus) { return try_set_cpus<std::initializer_list<int> &>(cpus); }
    template <class Range, std::enable_if_t<detail::is_numbers<Range>, int> = 0>
    policy &set_cpus(Range &&range)
    {
        return try_set_cpus(std::forward<Range>(range)).value(), *this;
    }
    policy &set_cpus(std::initializer_list<int> cpus) { return try_set_cpus(cpus).value(), *this; }

    expected<void> try_set_user(std::uint32_t uid, std::uint32_t gid)
    {
        return detail::invoke(sandlock_policy_set_user, get(), uid, gid);
    }
    policy &set_user(std::uint32_t uid, std::uint32_t gid) { return try_set_user(uid, gid).value(), *this; }

    expected<void> try_set_namespace(ns which, bool on = true)
    {
        return detail::invoke(sandlock_policy_set_namespace, get(), which, on);
    }
    policy &set_namespace(ns which, bool on = true) { return try_set_namespace(which, on).value(), *this; }

    expected<void> try_set_flag(flag which, bool on = true) { return detail::invoke(sandlock_policy_set_flag, get(), which, on); }
    policy &set_flag(flag which, bool on = true) { return try_set_flag(which, on).value(), *this; }

    expected<void> try_set_strictness(feature which, strictness how)
    {
        return detail::invoke(sandlock_policy_set_strictness, get(), which, how);
    }
    policy &set_strictness(feature which, strictness how) { return try_set_strictness(which, how).value(), *this; }

    /// A directory of the host; "" is a file system in memory.
    expected<void> try_set_root(const std::filesystem::path &path)
    {
        return detail::invoke(sandlock_policy_set_root, get(), path.native());
    }
    policy &set_root(const std::filesystem::path &path) { return try_set_root(path).value(), *this; }

    /// The host's root, as in a new policy.
    expected<void> try_unset_root() { return detail::invoke(sandlock_policy_set_root, get(), none); }
    policy &unset_root() { return try_unset_root().value(), *this; }

    expected<void> try_add_mount(const std::filesystem::path &source, const std::filesystem::path &target,
                                 mount_mode mode = mount_mode::read_only)
    {
        return detail::invoke(sandlock_policy_add_mount, get(), source.native(), target.native(), mode);
    }
    policy &add_mount(const std::filesystem::path &source, const std::filesystem::path &target,
                      mount_mode mode = mount_mode::read_only)
    {
        return try_add_mount(source, target, mode).value(), *this;
    }

    expected<void> try_add_memory_mount(const std::filesystem::path &target, std::uint64_t size)
    {
        return detail::invoke(sandlock_policy_add_memory_mount, get(), target.native(), size);
    }
    policy &add_memory_mount(const std::filesystem::path &target, std::uint64_t size)
    {
        return try_add_memory_mount(target, size).value(), *this;
    }

    expected<void> try_allow_net(std::string_view rule)
    {
        return detail::invoke(sandlock_policy_allow_net, get(), std::string(rule));
    }
    policy &allow_net(std::string_view rule) { return try_allow_net(rule).value(), *this; }

    expected<void> try_deny_net(std::string_view rule)
    {
        return detail::invoke(sandlock_policy_deny_net, get(), std::string(rule));
    }
    policy &deny_net(std::string_view rule) { return try_deny_net(rule).value(), *this; }

    expected<void> try_allow_bind(std::string_view ports)
    {
        return detail::invoke(sandlock_policy_allow_bind, get(), std::string(ports));
    }
    policy &allow_bind(std::string_view ports) { return try_allow_bind(ports).value(), *this; }

    expected<void> try_deny_bind(std::string_view ports)
    {
        return detail::invoke(sandlock_policy_deny_bind, get(), std::string(ports));
    }
    policy &deny_bind(std::string_view ports) { return try_deny_bind(ports).value(), *this; }

    /// 0 is never.
    expected<void> try_set_net_refresh(std::chrono::seconds interval)
    {
        if (interval.count() < 0 || interval.count() > std::numeric_limits<std::uint32_t>::max())
            return detail::refusal("an interval is negative or too large");
        return detail::invoke(sandlock_policy_set_net_refresh, get(), static_cast<std::uint32_t>(interval.count()));
    }
    policy &set_net_refresh(std::chrono::seconds interval) { return try_set_net_refresh(interval).value(), *this; }

private:
    static constexpr const char *none = nullptr;

    detail::handle<sandlock_policy, sandlock_policy_free> raw_;
};

/// sandlock_confine_self(): confines the calling thread, for good.
inline expected<void> try_confine_self(const policy &policy)
{
    return detail::invoke(sandlock_confine_self, policy.get());
}

inline void confine_self(const policy &policy)
{
    try_confine_self(policy).value();
}

// -------------------------------------------------------------------------------------------------------------------
// Result and report
// -------------------------------------------------------------------------------------------------------------------

/// What a run used.
struct usage {
    /// peak_rss is an upper bound only (SANDLOCK_USAGE_PEAK_RSS_IS_BOUND).
    bool peak_rss_is_bound = false;
    std::chrono::microseconds wall{0};
    std::chrono::microseconds user{0};
    std::chrono::microseconds system{0};
    /// Bytes.
    std::uint64_t peak_rss = 0;
};

/// What became of a run: sandlock_result.
class result {
public:
    /// Takes over a result of C.
    explicit result(sandlock_result *owned) noexcept : raw_(owned) {}

    const sandlock_result *get() const noexcept { return raw_.get(); }

    sandlock::reason reason() const noexcept { return static_cast<sandlock::reason>(sandlock_result_reason(get())); }
    /// The program exited by itself, with 0.
    bool succeeded() const noexcept { return reason() == sandlock::reason::exited && exit_code() == 0; }
    /// -1 if it did not exit by itself.
    int exit_code() const noexcept { return sandlock_result_exit_code(get()); }
    /// 0 if none ended it.
    int signal() const noexcept { return sandlock_result_signal(get()); }

    /// The limit of the sandbox as a whole that was exceeded.
    std::optional<sandlock::limit> limit() const noexcept
    {
        if (const std::uint32_t which = sandlock_result_limit(get()))
            return static_cast<sandlock::limit>(which);
        return std::nullopt;
    }
    std::uint64_t limit_value() const noexcept { return sandlock_result_limit_value(get()); }
    std::uint64_t limit_reading() const noexcept { return sandlock_result_limit_reading(get()); }

    /// What was captured; belongs to the result. Of a result that is about to go, a copy.
    std::string_view output() const & noexcept { return text(sandlock_result_stdout); }
    std::string output() const && { return std::string(text(sandlock_result_stdout)); }
    std::string_view errors() const & noexcept { return text(sandlock_result_stderr); }
    std::string errors() const && { return std::string(text(sandlock_result_stderr)); }
    /// Bytes that came beyond the cap.
    std::uint64_t truncated(stream which) const noexcept
    {
        return sandlock_result_truncated(get(), static_cast<int>(which));
    }

    expected<sandlock::usage> try_usage() const
    {
        sandlock_usage raw = SANDLOCK_USAGE_INIT;
        sandlock::usage found;

        if (auto done = detail::invoke(sandlock_result_usage, get(), &raw); !done)
            return done.error();
        found.peak_rss_is_bound = (raw.flags & SANDLOCK_USAGE_PEAK_RSS_IS_BOUND) != 0;
        found.wall = std::chrono::microseconds(raw.wall_us);
        found.user = std::chrono::microseconds(raw.user_us);
        found.system = std::chrono::microseconds(raw.system_us);
        found.peak_rss = raw.peak_rss;
        return found;
    }
    sandlock::usage usage() const { return try_usage().value(); }

private:
    std::string_view text(const std::uint8_t *(*function)(const sandlock_result *, std::size_t *)) const noexcept
    {
        std::size_t length = 0;
        const std::uint8_t *data = function(get(), &length);

        return {reinterpret_cast<const char *>(data), length};
    }

    detail::handle<sandlock_result, sandlock_result_free> raw_;
};

/// What became of one feature.
struct report_entry {
    sandlock::feature feature{};
    strictness requested{};
    sandlock::state state{};
    int errno_value = 0;
    std::string name;
    std::string mechanism;
    std::string detail;
};

/// What was enforced on a program: sandlock_report.
class report {
public:
    /// Takes over a report of C.
    explicit report(sandlock_report *owned) noexcept : raw_(owned) {}

    const sandlock_report *get() const noexcept { return raw_.get(); }

    sandlock::level level() const noexcept { return static_cast<sandlock::level>(sandlock_report_level(get())); }
    /// One line of JSON; belongs to the report.
    std::string_view json() const & noexcept { return sandlock_report_json(get()); }
    std::string json() const && { return sandlock_report_json(get()); }

    /// One row for each feature.
    expected<std::vector<report_entry>> try_rows() const
    {
        std::vector<report_entry> rows(sandlock_report_count(get()));

        for (std::size_t i = 0; i < rows.size(); i++) {
            sandlock_report_entry raw = SANDLOCK_REPORT_ENTRY_INIT;
            if (auto done = detail::invoke(sandlock_report_row, get(), i, &raw); !done)
                return done.error();
            rows[i] = {static_cast<sandlock::feature>(raw.feature), static_cast<strictness>(raw.requested),
                       static_cast<sandlock::state>(raw.state), raw.errno_value, raw.name, raw.mechanism, raw.detail};
        }
        return rows;
    }
    std::vector<report_entry> rows() const { return try_rows().value(); }

private:
    detail::handle<sandlock_report, sandlock_report_free> raw_;
};

// -------------------------------------------------------------------------------------------------------------------
// Calls: what handlers look at, and what was put off
// -------------------------------------------------------------------------------------------------------------------

namespace detail {

struct notification_calls {
    using raw = sandlock_notification;
    static constexpr auto syscall = sandlock_notification_syscall;
    static constexpr auto syscall_name = sandlock_notification_syscall_name;
    static constexpr auto arg = sandlock_notification_arg;
    static constexpr auto pid = sandlock_notification_pid;
    static constexpr auto read = sandlock_notification_read;
    static constexpr auto read_string = sandlock_notification_read_string;
    static constexpr auto write = sandlock_notification_write;
    static constexpr auto let_run = sandlock_notification_continue;
    static constexpr auto deny = sandlock_notification_deny;
    static constexpr auto give = sandlock_notification_return;
    static constexpr auto give_fd = sandlock_notification_return_fd;
    static constexpr auto give_fd_at = sandlock_notification_return_fd_at;
    static constexpr auto give_bytes = sandlock_notification_return_bytes;
    static constexpr auto kill = sandlock_notification_kill;
};

struct pending_calls {
    using raw = sandlock_pending;
    static constexpr auto syscall = sandlock_pending_syscall;
    static constexpr auto syscall_name = sandlock_pending_syscall_name;
    static constexpr auto arg = sandlock_pending_arg;
    static constexpr auto pid = sandlock_pending_pid;
    static constexpr auto read = sandlock_pending_read;
    static constexpr auto read_string = sandlock_pending_read_string;
    static constexpr auto write = sandlock_pending_write;
    static constexpr auto let_run = sandlock_pending_continue;
    static constexpr auto deny = sandlock_pending_deny;
    static constexpr auto give = sandlock_pending_return;
    static constexpr auto give_fd = sandlock_pending_return_fd;
    static constexpr auto give_fd_at = sandlock_pending_return_fd_at;
    static constexpr auto give_bytes = sandlock_pending_return_bytes;
    static constexpr auto kill = sandlock_pending_kill;
};

} // namespace detail

/// What can be asked of a system call, and answered: the same for notification and pending.
template <class Self, class Calls>
class answerable {
public:
    int syscall() const noexcept { return Calls::syscall(raw()); }
    std::string_view syscall_name() const noexcept { return Calls::syscall_name(raw()); }
    /// As it was in the register: an int has rubbish in its upper half.
    std::uint64_t arg(std::uint32_t index) const noexcept { return Calls::arg(raw(), index); }
    int pid() const noexcept { return Calls::pid(raw()); }

    /// How many bytes of the caller's memory could be read.
    expected<std::size_t> try_read(std::uint64_t address, void *buffer, std::size_t length)
    {
        std::size_t count = 0;

        if (auto done = detail::invoke(Calls::read, raw(), address, buffer, length, &count); !done)
            return done.error();
        return count;
    }
    std::size_t read(std::uint64_t address, void *buffer, std::size_t length)
    {
        return try_read(address, buffer, length).value();
    }

    /// A string of the caller's memory, of less than `capacity` bytes. Those are 16 MiB at most: the program may have chosen them.
    expected<std::string> try_read_string(std::uint64_t address, std::size_t capacity = 4096)
    {
        if (capacity > std::size_t{16} << 20)
            return detail::refusal("a string of more than 16 MiB");
        std::string text(capacity, '\0');
        std::size_t length = 0;

        if (auto done = detail::invoke(Calls::read_string, raw(), address, text.data(), capacity, &length); !done)
            return done.error();
        text.resize(length);
        return text;
    }
    std::string read_string(std::uint64_t address, std::size_t capacity = 4096)
    {
        return try_read_string(address, capacity).value();
    }

    expected<void> try_write(std::uint64_t address, bytes data)
    {
        return detail::invoke(Calls::write, raw(), address, data.data(), data.size());
    }
    void write(std::uint64_t address, bytes data) { try_write(address, data).value(); }

    /// Lets the call run: no decision on what its pointers point to.
    expected<void> try_let_run() { return detail::invoke(Calls::let_run, raw()); }
    void let_run() { try_let_run().value(); }

    expected<void> try_deny(int errno_value) { return detail::invoke(Calls::deny, raw(), errno_value); }
    void deny(int errno_value) { try_deny(errno_value).value(); }

    expected<void> try_return_value(std::int64_t value) { return detail::invoke(Calls::give, raw(), value); }
    void return_value(std::int64_t value) { try_return_value(value).value(); }

    expected<void> try_return_fd(int fd, on_exec then = on_exec::close)
    {
        return detail::invoke(Calls::give_fd, raw(), fd, then);
    }
    void return_fd(int fd, on_exec then = on_exec::close) { try_return_fd(fd, then).value(); }

    expected<void> try_return_fd_at(int fd, int number, on_exec then = on_exec::close)
    {
        return detail::invoke(Calls::give_fd_at, raw(), fd, number, then);
    }
    void return_fd_at(int fd, int number, on_exec then = on_exec::close) { try_return_fd_at(fd, number, then).value(); }

    /// A file in memory that contains these bytes.
    expected<void> try_return_bytes(bytes data, on_exec then = on_exec::close)
    {
        // C takes no NULL, which an empty view may be.
        return detail::invoke(Calls::give_bytes, raw(), data.size() ? data.data() : "", data.size(), then);
    }
    void return_bytes(bytes data, on_exec then = on_exec::close) { try_return_bytes(data, then).value(); }

    expected<void> try_kill() { return detail::invoke(Calls::kill, raw()); }
    void kill() { try_kill().value(); }

private:
    friend Self;
    answerable() = default;

    typename Calls::raw *raw() const noexcept { return static_cast<const Self *>(this)->get(); }
};

/// A call that was put off or taken from the queue: sandlock_pending. Destroyed without an answer, it is denied with EPERM.
class pending : public answerable<pending, detail::pending_calls> {
public:
    /// Takes over a pending call of C.
    explicit pending(sandlock_pending *owned) noexcept : raw_(owned) {}

    sandlock_pending *get() const noexcept { return raw_.get(); }

private:
    detail::handle<sandlock_pending, sandlock_pending_free> raw_;
};

/// A call that a handler looks at: sandlock_notification. The handler's thread's, until it returns.
class notification : public answerable<notification, detail::notification_calls> {
public:
    explicit notification(sandlock_notification *borrowed) noexcept : raw_(borrowed) {}
    notification(const notification &) = delete;
    notification &operator=(const notification &) = delete;

    sandlock_notification *get() const noexcept { return raw_; }

    /// Puts the answer off: to be kept, and answered by any thread.
    expected<pending> try_defer() { return detail::make<pending, sandlock_pending>(sandlock_notification_defer, get()); }
    pending defer() { return try_defer().value(); }

private:
    sandlock_notification *raw_;
};

/// Something that has happened in a sandbox: sandlock_event. What it gives is valid until the observer returns.
class event {
public:
    explicit event(const sandlock_event *borrowed) noexcept : raw_(borrowed) {}
    event(const event &) = delete;
    event &operator=(const event &) = delete;

    const sandlock_event *get() const noexcept { return raw_; }

    events kind() const noexcept { return static_cast<events>(sandlock_event_kind(raw_)); }
    int pid() const noexcept { return sandlock_event_pid(raw_); }
    std::chrono::system_clock::time_point time() const noexcept
    {
        const std::chrono::nanoseconds since(static_cast<std::int64_t>(sandlock_event_time_ns(raw_)));

        return std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(since));
    }
    int syscall() const noexcept { return sandlock_event_syscall(raw_); }
    std::string_view syscall_name() const noexcept { return sandlock_event_syscall_name(raw_); }
    int errno_value() const noexcept { return sandlock_event_errno(raw_); }
    std::optional<std::string_view> path() const noexcept { return text_or_none(sandlock_event_path(raw_)); }
    bool advisory() const noexcept { return sandlock_event_advisory(raw_); }
    std::size_t argument_count() const noexcept { return sandlock_event_argument_count(raw_); }
    std::optional<std::string_view> argument(std::size_t index) const noexcept
    {
        return text_or_none(sandlock_event_argument(raw_, index));
    }
    /// -1 if it did not exit.
    int exit_code() const noexcept { return sandlock_event_exit_code(raw_); }
    int signal() const noexcept { return sandlock_event_signal(raw_); }
    std::string_view text() const noexcept { return sandlock_event_text(raw_); }

private:
    static std::optional<std::string_view> text_or_none(const char *text) noexcept
    {
        if (text)
            return text;
        return std::nullopt;
    }

    const sandlock_event *raw_;
};

// -------------------------------------------------------------------------------------------------------------------
// Supervisor
// -------------------------------------------------------------------------------------------------------------------

/// Is told what callbacks have thrown, by any thread of the library, several at a time. What it throws itself is dropped.
using exception_sink = std::function<void(std::exception_ptr)>;

namespace detail {

/// A callback on the heap, with who is told what it throws; C has a pointer to it, and destroys it.
template <class Function>
struct callback {
    template <class From>
    callback(From &&from, std::shared_ptr<const exception_sink> to) : function(std::forward<From>(from)), sink(std::move(to))
    {
    }

    void complain() const noexcept
    {
        try {
            if (sink && *sink)
                (*sink)(std::current_exception());
        } catch (...) {
            // Nobody is left to be told.
        }
    }

    static void destroy(void *data) noexcept { delete static_cast<callback *>(data); }

    static std::int32_t handle(sandlock_notification *raw, void *data) noexcept
    {
        constexpr std::int32_t failed = -1; // neither DONE nor PASS: the call is denied
        const callback &self = *static_cast<const callback *>(data);

        try {
            notification call(raw);
            if constexpr (std::is_void_v<std::invoke_result_t<const Function &, notification &>>) {
                self.function(call);
                return SANDLOCK_HANDLER_DONE;
            } else {
                return static_cast<std::int32_t>(self.function(call));
            }
        } catch (const error &why) {
            // Nobody waits for the answer any more, which is no fault of the handler. If it was another call's, this one is
            // unanswered, and denied for that.
            if (why.status() == status::stale)
                return SANDLOCK_HANDLER_DONE;
            self.complain();
            return failed;
        } catch (...) {
            self.complain();
            return failed;
        }
    }

    static void observe(const sandlock_event *raw, void *data) noexcept
    {
        callback &self = *static_cast<callback *>(data);

        try {
            const event happened(raw);
            self.function(happened);
        } catch (...) {
            self.complain();
        }
    }

    static void log(std::uint32_t level, const char *message, void *data) noexcept
    {
        const callback &self = *static_cast<const callback *>(data);

        try {
            self.function(static_cast<log_level>(level), std::string_view(message));
        } catch (...) {
            self.complain();
        }
    }

    static void listen(std::uint32_t which, const std::uint8_t *data, std::size_t length, void *user_data) noexcept
    {
        callback &self = *static_cast<callback *>(user_data);

        try {
            const char *text = reinterpret_cast<const char *>(data);
            self.function(static_cast<stream>(which), length ? std::string_view(text, length) : std::string_view());
        } catch (...) {
            self.complain();
        }
    }

    Function function;
    std::shared_ptr<const exception_sink> sink;
};

} // namespace detail

/// What a supervisor has done: the structure of C.
using stats = sandlock_stats;

struct supervisor_options {
    /// How long a handler may look at a call; 0 is 30 seconds.
    std::chrono::milliseconds deadline{0};
    /// Is told what handlers, observers and logs have thrown.
    exception_sink on_exception{};
};

/// What traced programs lacked.
struct suggestions {
    std::size_t count = 0;
    /// Policy calls in C, one to a line.
    std::string text;
};

/// Who answers the system calls of programs: sandlock_supervisor.
class supervisor {
public:
    explicit supervisor(const supervisor_options &options = {}) : supervisor(try_make(options).value()) {}
    /// Takes over a supervisor of C. Nobody is told what callbacks throw.
    explicit supervisor(sandlock_supervisor *owned) noexcept : raw_(owned) {}

    static expected<supervisor> try_make(const supervisor_options &options = {})
    {
        sandlock_supervisor_options raw = SANDLOCK_SUPERVISOR_OPTIONS_INIT;

        if (options.deadline.count() < 0 || options.deadline.count() > std::numeric_limits<std::uint32_t>::max())
            return detail::refusal("a deadline is negative or too large");
        raw.deadline_ms = static_cast<std::uint32_t>(options.deadline.count());
        auto made = detail::make<supervisor, sandlock_supervisor>(sandlock_supervisor_new, &raw);
        if (made && options.on_exception)
            made->sink_ = std::make_shared<const exception_sink>(options.on_exception);
        return made;
    }

    sandlock_supervisor *get() const noexcept { return raw_.get(); }

    /// Has `handler`, called with a notification &, look at these calls. It returns handled, or nothing for handled::done.
    template <class Handler>
    expected<void> try_add_handler(std::string_view syscall, Handler &&handler)
    {
        using function = std::decay_t<Handler>;
        static_assert(std::is_invocable_v<const function &, notification &>,
                      "a handler is called with a sandlock::notification &, by several threads at a time, so as const");
        using answer = std::invoke_result_t<const function &, notification &>;
        static_assert(std::is_void_v<answer> || std::is_same_v<answer, handled>, "a handler returns sandlock::handled or nothing");
        return give<function>(std::forward<Handler>(handler), [&](auto *owned, auto destroy, const std::string &name) {
            return detail::invoke(sandlock_supervisor_add_handler, get(), name, detail::callback<function>::handle,
                                  static_cast<void *>(owned), destroy, std::uint64_t{0});
        }, syscall);
    }
    template <class Handler>
    supervisor &add_handler(std::string_view syscall, Handler &&handler)
    {
        return try_add_handler(syscall, std::forward<Handler>(handler)).value(), *this;
    }

    /// Puts these calls in the queue, for next().
    expected<void> try_add_queue(std::string_view syscall)
    {
        return detail::invoke(sandlock_supervisor_add_handler, get(), std::string(syscall),
                              static_cast<sandlock_handler_fn>(nullptr), static_cast<void *>(nullptr),
                              static_cast<sandlock_destroy_fn>(nullptr), std::uint64_t{0});
    }
    supervisor &add_queue(std::string_view syscall) { return try_add_queue(syscall).value(), *this; }

    /// Has `log` told what goes wrong: it is called with a log_level and a std::string_view, by several threads at a time.
    template <class Log>
    expected<void> try_set_log(Log &&log)
    {
        using function = std::decay_t<Log>;
        static_assert(std::is_invocable_v<const function &, log_level, std::string_view>,
                      "a log is called with a level and a text, by several threads at a time, so as const");
        return give<function>(std::forward<Log>(log), [&](auto *owned, auto destroy, const std::string &) {
            return detail::invoke(sandlock_supervisor_set_log, get(), detail::callback<function>::log,
                                  static_cast<void *>(owned), destroy);
        });
    }
    template <class Log>
    supervisor &set_log(Log &&log)
    {
        return try_set_log(std::forward<Log>(log)).value(), *this;
    }

    expected<void> try_unset_log()
    {
        return detail::invoke(sandlock_supervisor_set_log, get(), static_cast<sandlock_log_fn>(nullptr),
                              static_cast<void *>(nullptr), static_cast<sandlock_destroy_fn>(nullptr));
    }
    supervisor &unset_log() { return try_unset_log().value(), *this; }

    /// Has `observer`, called with a const event &, told of events of these kinds.
    template <class Observer>
    expected<void> try_observe(events kinds, Observer &&observer)
    {
        using function = std::decay_t<Observer>;
        static_assert(std::is_invocable_v<function &, const event &>, "an observer is called with a const sandlock::event &");
        return give<function>(std::forward<Observer>(observer), [&](auto *owned, auto destroy, const std::string &) {
            return detail::invoke(sandlock_supervisor_observe, get(), kinds, detail::callback<function>::observe,
                                  static_cast<void *>(owned), destroy);
        });
    }
    template <class Observer>
    supervisor &observe(events kinds, Observer &&observer)
    {
        return try_observe(kinds, std::forward<Observer>(observer)).value(), *this;
    }

    /// Readable while next() has something to give. Borrowed.
    int fd() const noexcept { return sandlock_supervisor_fd(get()); }

    /// TIMEOUT if none came.
    expected<pending> try_next(timeout time = forever)
    {
        return detail::make<pending, sandlock_pending>(sandlock_supervisor_next, get(), time.milliseconds());
    }
    /// The next call of the queue, or nothing if none came.
    std::optional<pending> next(timeout time = forever) { return detail::unless_timed_out(try_next(time)); }

    expected<sandlock::stats> try_stats() const
    {
        sandlock::stats found = SANDLOCK_STATS_INIT;

        if (auto done = detail::invoke(sandlock_supervisor_stats, get(), &found); !done)
            return done.error();
        return found;
    }
    sandlock::stats stats() const { return try_stats().value(); }

    expected<void> try_trace() { return detail::invoke(sandlock_supervisor_trace, get()); }
    supervisor &trace() { return try_trace().value(), *this; }

    /// What the programs that were traced have lacked so far.
    expected<suggestions> try_suggest() const
    {
        sandlock_suggestions *raw = nullptr;

        if (auto done = detail::invoke(sandlock_trace_suggest, get(), &raw); !done)
            return done.error();
        const detail::handle<sandlock_suggestions, sandlock_suggestions_free> owned(raw);
        return suggestions{sandlock_suggestions_count(raw), sandlock_suggestions_text(raw)};
    }
    suggestions suggest() const { return try_suggest().value(); }

private:
    /// Hands a callback over to C, which destroys it whether `install` succeeds or not.
    template <class Function, class From, class Install>
    expected<void> give(From &&from, Install install, std::string_view syscall = {})
    {
        using callback = detail::callback<Function>;
        const std::string name(syscall);
        auto owned = std::make_unique<callback>(std::forward<From>(from), sink_);

        if (detail::has_nul(name))
            return detail::refusal_of_nul(name);
        return install(owned.release(), static_cast<sandlock_destroy_fn>(callback::destroy), name);
    }

    detail::handle<sandlock_supervisor, sandlock_supervisor_free> raw_;
    std::shared_ptr<const exception_sink> sink_;
};

// -------------------------------------------------------------------------------------------------------------------
// Process
// -------------------------------------------------------------------------------------------------------------------

/// A descriptor that is closed in the end, or -1.
class descriptor {
public:
    descriptor() noexcept = default;
    explicit descriptor(int owned) noexcept : fd_(owned) {}
    descriptor(descriptor &&other) noexcept : fd_(other.release()) {}
    descriptor &operator=(descriptor &&other) noexcept
    {
        if (this != &other) {
            close();
            fd_ = other.release();
        }
        return *this;
    }
    ~descriptor() { close(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// The caller's from now on.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void close() noexcept
    {
        if (fd_ >= 0)
            ::close(std::exchange(fd_, -1));
    }

private:
    int fd_ = -1;
};

/// Where a standard stream comes from or goes to: SANDLOCK_STDIO_*.
class stdio {
public:
    static constexpr stdio inherit() noexcept { return {SANDLOCK_STDIO_INHERIT, -1}; }
    static constexpr stdio null() noexcept { return {SANDLOCK_STDIO_NULL, -1}; }
    static constexpr stdio pipe() noexcept { return {SANDLOCK_STDIO_PIPE, -1}; }
    static constexpr stdio capture() noexcept { return {SANDLOCK_STDIO_CAPTURE, -1}; }
    /// The host's descriptor, which stays the host's.
    static constexpr stdio fd(int fd) noexcept { return {SANDLOCK_STDIO_FD, fd}; }
    static constexpr stdio pty() noexcept { return {SANDLOCK_STDIO_PTY, -1}; }

    constexpr std::uint32_t mode() const noexcept { return mode_; }
    constexpr std::int32_t number() const noexcept { return fd_; }

private:
    constexpr stdio(std::uint32_t mode, std::int32_t fd) noexcept : mode_(mode), fd_(fd) {}

    std::uint32_t mode_;
    std::int32_t fd_;
};

/// A descriptor of the host that the program gets, and the number that it has there, 3 or above.
struct passed_fd {
    int host;
    int program;
};

/// How to start a program.
struct spawn_options {
    stdio input = stdio::inherit();
    stdio output = stdio::inherit();
    stdio errors = stdio::inherit();
    /// Most bytes kept of each captured stream; 0 is 16 MiB.
    std::uint64_t capture_limit = 0;
    /// They stay the host's.
    std::vector<passed_fd> pass_fds{};
    /// Of the sandbox's thread in the host; "" is "sandlock".
    std::string name{};
    /// Of the terminal, if a stream has stdio::pty(); 0 is 24 and 80.
    std::uint16_t pty_rows = 0;
    std::uint16_t pty_columns = 0;
    /// How long the start may take, in which handlers may have to answer calls of it: TIMEOUT beyond, and nothing runs.
    timeout start_timeout = forever;
};

/// A process of a sandbox.
struct member {
    int pid = 0;
    std::uint64_t rss_bytes = 0;
    std::chrono::microseconds cpu{0};
    std::string name;
};

/// A port of a sandbox.
struct port {
    sandlock::protocol protocol{};
    /// The number that the program knows.
    std::uint16_t inside = 0;
    /// Where the host finds it.
    std::uint16_t outside = 0;
};

/// A sandbox and its program: sandlock_process. Destroying it kills a sandbox that still runs, and reaps it.
class process {
public:
    /// Takes over a process of C.
    explicit process(sandlock_process *owned) noexcept : raw_(owned) {}

    sandlock_process *get() const noexcept { return raw_.get(); }

    int pid() const noexcept { return sandlock_process_pid(get()); }
    /// Readable when the program has ended. Borrowed.
    int pidfd() const noexcept { return sandlock_process_pidfd(get()); }

    /// The host's end of a stream with stdio::pipe(); an empty one if there is none or it was taken.
    descriptor take_stdio(stream which) noexcept
    {
        return descriptor(sandlock_process_take_stdio(get(), static_cast<int>(which)));
    }
    /// The host's end of the program's terminal, likewise.
    descriptor take_pty() noexcept { return descriptor(sandlock_process_take_pty(get())); }

    /// TIMEOUT if the program runs on.
    expected<result> try_wait(timeout time = forever)
    {
        return detail::make<result, sandlock_result>(sandlock_process_wait, get(), time.milliseconds());
    }
    result wait() { return try_wait().value(); }
    /// Nothing if the program runs on.
    std::optional<result> wait_for(timeout time) { return detail::unless_timed_out(try_wait(time)); }

    /// TIMEOUT if the program runs on, and the conversation with it.
    expected<result> try_communicate(bytes input, timeout time = forever)
    {
        return detail::make<result, sandlock_result>(sandlock_process_communicate, get(), input.data(), input.size(),
                                                     time.milliseconds());
    }
    result communicate(bytes input) { return try_communicate(input).value(); }
    /// Nothing if the program runs on.
    std::optional<result> communicate_for(bytes input, timeout time)
    {
        return detail::unless_timed_out(try_communicate(input, time));
    }

    /// Has `listener` told of captured output while it comes (sandlock_process_stream()): it is called with a stream and a
    /// std::string_view, which is empty when that stream has ended. `on_exception` is told what it throws.
    template <class Listener>
    expected<void> try_listen(Listener &&listener, const exception_sink &on_exception = {})
    {
        using function = std::decay_t<Listener>;
        using callback = detail::callback<function>;
        static_assert(std::is_invocable_v<function &, stream, std::string_view>, "a listener is called with a stream and a text");
        auto sink = std::make_shared<const exception_sink>(on_exception);
        auto owned = std::make_unique<callback>(std::forward<Listener>(listener), std::move(sink));

        return detail::invoke(sandlock_process_stream, get(), callback::listen, static_cast<void *>(owned.release()),
                              callback::destroy);
    }
    template <class Listener>
    process &listen(Listener &&listener, const exception_sink &on_exception = {})
    {
        return try_listen(std::forward<Listener>(listener), on_exception).value(), *this;
    }

    expected<void> try_kill() { return detail::invoke(sandlock_process_kill, get()); }
    void kill() { try_kill().value(); }

    expected<void> try_signal(int number) { return detail::invoke(sandlock_process_signal, get(), number); }
    void signal(int number) { try_signal(number).value(); }

    expected<void> try_pause() { return detail::invoke(sandlock_process_pause, get()); }
    void pause() { try_pause().value(); }

    expected<void> try_resume() { return detail::invoke(sandlock_process_resume, get()); }
    void resume() { try_resume().value(); }

    expected<void> try_resize(std::uint16_t rows, std::uint16_t columns)
    {
        return detail::invoke(sandlock_process_resize, get(), rows, columns);
    }
    void resize(std::uint16_t rows, std::uint16_t columns) { try_resize(rows, columns).value(); }

    expected<sandlock::stats> try_stats() const
    {
        sandlock::stats found = SANDLOCK_STATS_INIT;

        if (auto done = detail::invoke(sandlock_process_stats, get(), &found); !done)
            return done.error();
        return found;
    }
    sandlock::stats stats() const { return try_stats().value(); }

    expected<sandlock::report> try_report() const
    {
        if (sandlock_report *made = sandlock_process_report(get()))
            return sandlock::report(made);
        return sandlock::error(status::state, stage::arguments,
                               "arguments: this process was moved from, or made before a fork");
    }
    sandlock::report report() const { return try_report().value(); }

    /// The processes of the sandbox, at this moment.
    expected<std::vector<member>> try_list()
    {
        sandlock_members *raw = nullptr;

        if (auto done = detail::invoke(sandlock_process_list, get(), &raw); !done)
            return done.error();
        const detail::handle<sandlock_members, sandlock_members_free> owned(raw);
        std::vector<member> all(sandlock_members_count(raw));
        for (std::size_t i = 0; i < all.size(); i++) {
            sandlock_member one = SANDLOCK_MEMBER_INIT;
            if (auto done = detail::invoke(sandlock_members_get, raw, i, &one); !done)
                return done.error();
            all[i] = {one.pid, one.rss_bytes, std::chrono::microseconds(one.cpu_us), one.name};
        }
        return all;
    }
    std::vector<member> list() { return try_list().value(); }

    /// The ports that the sandbox is bound to, under flag::port_remap.
    expected<std::vector<port>> try_ports() const
    {
        sandlock_ports *raw = nullptr;

        if (auto done = detail::invoke(sandlock_process_ports, get(), &raw); !done)
            return done.error();
        const detail::handle<sandlock_ports, sandlock_ports_free> owned(raw);
        std::vector<port> all(sandlock_ports_count(raw));
        for (std::size_t i = 0; i < all.size(); i++) {
            sandlock_port one = SANDLOCK_PORT_INIT;
            if (auto done = detail::invoke(sandlock_ports_get, raw, i, &one); !done)
                return done.error();
            all[i] = {static_cast<sandlock::protocol>(one.protocol), one.inside, one.outside};
        }
        return all;
    }
    std::vector<port> ports() const { return try_ports().value(); }

    /// `allow` and `deny` decide from now on, below the ceiling of the policy: of an empty `allow`, nothing is allowed.
    expected<void> try_update_net(const string_list &allow, const string_list &deny = {})
    {
        const auto allowed = allow.pointers();
        const auto denied = deny.pointers();

        if (!allowed)
            return allowed.error();
        if (!denied)
            return denied.error();
        return detail::invoke(sandlock_process_update_net, get(), allowed->data(), denied->data());
    }
    void update_net(const string_list &allow, const string_list &deny = {}) { try_update_net(allow, deny).value(); }

    /// What the policy allows is allowed again, but for `deny`.
    expected<void> try_reset_net(const string_list &deny = {})
    {
        const auto denied = deny.pointers();

        if (!denied)
            return denied.error();
        return detail::invoke(sandlock_process_update_net, get(), static_cast<const char *const *>(nullptr), denied->data());
    }
    void reset_net(const string_list &deny = {}) { try_reset_net(deny).value(); }

private:
    detail::handle<sandlock_process, sandlock_process_free> raw_;
};

// -------------------------------------------------------------------------------------------------------------------
// Starting programs
// -------------------------------------------------------------------------------------------------------------------

namespace detail {

/// C runs a program unsupervised if it is given NULL. Who names a supervisor that is none must not get that.
inline sandlock::error refusal_of_none()
{
    return refusal("this supervisor was moved from");
}

inline expected<process> spawn(const policy &policy, sandlock_supervisor *supervisor, const string_list &argv,
                               const spawn_options &options)
{
    sandlock_spawn_options raw = SANDLOCK_SPAWN_OPTIONS_INIT;
    std::vector<std::int32_t> host;
    std::vector<std::int32_t> program;
    const auto arguments = argv.pointers();

    if (!arguments)
        return arguments.error();
    if (has_nul(options.name))
        return refusal_of_nul(options.name);
    for (const passed_fd &passed : options.pass_fds) {
        host.push_back(passed.host);
        program.push_back(passed.program);
    }
    raw.stdin_mode = options.input.mode();
    raw.stdin_fd = options.input.number();
    raw.stdout_mode = options.output.mode();
    raw.stdout_fd = options.output.number();
    raw.stderr_mode = options.errors.mode();
    raw.stderr_fd = options.errors.number();
    raw.capture_limit = options.capture_limit;
    raw.pass_fds = host.data();
    raw.pass_fds_as = program.data();
    raw.pass_fd_count = host.size();
    raw.name = options.name.empty() ? nullptr : options.name.c_str();
    raw.pty_rows = options.pty_rows;
    raw.pty_columns = options.pty_columns;
    // To C 0 is no limit; no time at all is as little as it knows.
    if (const std::int32_t time = options.start_timeout.milliseconds(); time >= 0)
        raw.start_timeout_ms = time > 0 ? static_cast<std::uint32_t>(time) : 1;
    return make<process, sandlock_process>(sandlock_spawn, policy.get(), supervisor, arguments->data(), &raw);
}

inline expected<result> run(const policy &policy, sandlock_supervisor *supervisor, const string_list &argv, timeout time)
{
    const auto arguments = argv.pointers();

    if (!arguments)
        return arguments.error();
    return make<result, sandlock_result>(sandlock_run, policy.get(), supervisor, arguments->data(), time.milliseconds());
}

} // namespace detail

/// sandlock_spawn(): starts a program under the policy.
inline expected<process> try_spawn(const policy &policy, const string_list &argv, const spawn_options &options = {})
{
    return detail::spawn(policy, nullptr, argv, options);
}
inline expected<process> try_spawn(const policy &policy, supervisor &supervisor, const string_list &argv,
                                   const spawn_options &options = {})
{
    if (!supervisor.get())
        return detail::refusal_of_none();
    return detail::spawn(policy, supervisor.get(), argv, options);
}
[[nodiscard]] inline process spawn(const policy &policy, const string_list &argv, const spawn_options &options = {})
{
    return try_spawn(policy, argv, options).value();
}
[[nodiscard]] inline process spawn(const policy &policy, supervisor &supervisor, const string_list &argv,
                                   const spawn_options &options = {})
{
    return try_spawn(policy, supervisor, argv, options).value();
}

/// sandlock_run(): runs a program to its end, with empty input, and its output captured. If the time passes it is killed, and the
/// result says so: that is a success.
inline expected<result> try_run(const policy &policy, const string_list &argv, timeout time = forever)
{
    return detail::run(policy, nullptr, argv, time);
}
inline expected<result> try_run(const policy &policy, supervisor &supervisor, const string_list &argv, timeout time = forever)
{
    if (!supervisor.get())
        return detail::refusal_of_none();
    return detail::run(policy, supervisor.get(), argv, time);
}
inline result run(const policy &policy, const string_list &argv, timeout time = forever)
{
    return try_run(policy, argv, time).value();
}
inline result run(const policy &policy, supervisor &supervisor, const string_list &argv, timeout time = forever)
{
    return try_run(policy, supervisor, argv, time).value();
}

} // namespace sandlock

#endif // SANDLOCK_HPP
