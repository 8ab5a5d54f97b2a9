//! Roots and mounts as text.

use std::ffi::CString;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn message(text: &str) -> String {
    Policy::from_toml(text).unwrap_err().message().to_owned()
}

#[test]
fn root_and_mounts_are_written_before_path_rules_and_read_back() {
    let mut policy = Policy::new();
    policy.root = Root::directory(c"/srv/\xff").unwrap();
    for mount in [
        Mount::bind(c"/usr", c"/usr", false),
        Mount::bind(c"/home/u/x", c"/work", true),
        Mount::memory(c"/tmp", 64 << 20),
        Mount::memory(c"/tmp/odd", 1000),
    ] {
        policy.add_mount(mount.unwrap()).unwrap();
    }
    let root = "[filesystem]\nroot = \"/srv/\\u0000ff\"\n";
    let mounts = "mounts = [\n    { source = \"/usr\", target = \"/usr\" },\n    \
                  { source = \"/home/u/x\", target = \"/work\", write = true },\n    \
                  { target = \"/tmp\", memory = \"64MiB\" },\n    { target = \"/tmp/odd\", memory = 1000 },\n]\n";
    assert_eq!(policy.to_toml(), format!("{root}{mounts}"));
    assert_eq!(Policy::from_toml(&policy.to_toml()).as_ref(), Ok(&policy));

    policy.root = Root::Memory;
    policy.mounts.truncate(1);
    let text = "[[filesystem]]\nroot = \"memory\"\nmounts = [{ source = \"/usr\", target = \"/usr\" }]\nread = [\"/a\"]\n\
                write = [\"/b\"]\n\n[[filesystem]]\nread = [\"/c\"]\n";
    let rules = "[[filesystem]]\nread = [\"/a\"]\nwrite = [\"/b\"]\n[[filesystem]]\nread = [\"/c\"]\n";
    policy.paths = Policy::from_toml(rules).unwrap().paths;
    assert_eq!(policy.to_toml(), text);
    assert_eq!(Policy::from_toml(text), Ok(policy));
}

#[test]
fn every_form_of_a_root_and_a_mount_is_read() {
    let read = |text: &str| Policy::from_toml(text).unwrap();
    assert_eq!(read("filesystem.root = \"host\""), Policy::new());
    assert_eq!(read("filesystem.root = \"memory\"").root, Root::Memory);
    assert_eq!(read("filesystem.root = \"//a/\"").root, Root::Directory(c"/a".into()));
    let bound = Mount::bind(c"/a", c"/b", false).unwrap();
    for text in [
        "filesystem.mounts = [{ source = \"/a/\", target = \"/b\" }]",
        "filesystem.mounts = [{ target = \"/b\", write = false, source = \"/a\" }]",
        "[[filesystem.mounts]]\nsource = \"/a\"\ntarget = \"/b\"",
    ] {
        assert_eq!(read(text).mounts, std::slice::from_ref(&bound), "{text}");
    }
    // Those of several tables are made one after the other.
    let text = "[[filesystem]]\nmounts = [{ source = \"/a\", target = \"/b\" }]\n\
                [[filesystem]]\nmounts = [{ target = \"/b/c\", memory = \"1KiB\" }]";
    assert_eq!(read(text).mounts, [bound, Mount::memory(c"/b/c", 1024).unwrap()]);
}

#[test]
fn what_is_wrong_has_a_place() {
    for (text, expected) in [
        (
            "filesystem.root = 1",
            "line 1, column 19: filesystem.root must be an absolute path, \"memory\" or \"host\", not an integer",
        ),
        (
            "filesystem.root = \"srv\"",
            "line 1, column 19: filesystem.root must be an absolute path, \"memory\" or \"host\", not \"srv\"",
        ),
        (
            "filesystem.root = \"/a\\u0000b\"",
            "line 1, column 19: filesystem.root has a NUL that two hexadecimal digits, 80 to ff, do not follow",
        ),
        (
            "filesystem.root = \"/proc/1\"",
            "line 1, column 19: filesystem.root: root \"/proc/1\" lies in /proc, which shows the host",
        ),
        (
            "[[filesystem]]\nroot = \"/a\"\n[[filesystem]]\nroot = \"memory\"",
            "line 4, column 1: filesystem.root is said a second time",
        ),
        (
            "filesystem.mounts = \"/a\"",
            "line 1, column 21: filesystem.mounts must be an array of tables, not a string",
        ),
        (
            "filesystem.mounts = [\n\"/a\"]",
            "line 2, column 1: filesystem.mounts must be an array of tables with \"target\", and \"source\" or \"memory\", not a string",
        ),
        (
            "filesystem.mounts = [{ source = \"/a\", targt = \"/b\" }]",
            "line 1, column 39: unknown key \"filesystem.mounts.targt\"; known are source, target, write, memory",
        ),
        (
            "filesystem.mounts = [{ source = \"/a\" }]",
            "line 1, column 22: filesystem.mounts: a table without \"target\"",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\" }]",
            "line 1, column 22: filesystem.mounts: a table with neither \"source\" nor \"memory\"",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", source = \"/a\", memory = 1 }]",
            "line 1, column 22: filesystem.mounts: a table with both \"source\" and \"memory\"",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", write = true, memory = 1 }]",
            "line 1, column 22: filesystem.mounts: \"write\" is for \"source\"; memory is always writable",
        ),
        (
            "filesystem.mounts = [{ target = 1, source = \"/a\" }]",
            "line 1, column 33: filesystem.mounts.target must be a path, not an integer",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", source = \"/a\", write = 1 }]",
            "line 1, column 62: filesystem.mounts.write must be true or false, not an integer",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", memory = true }]",
            "line 1, column 48: filesystem.mounts.memory must be a number of bytes, or a string like \"256MiB\", not a boolean",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", memory = \"unlimited\" }]",
            "line 1, column 48: filesystem.mounts.memory must be a number of bytes, or a string like \"256MiB\", not \"unlimited\"",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", memory = -1 }]",
            "line 1, column 48: filesystem.mounts.memory is out of range",
        ),
        (
            "filesystem.mounts = [{ target = \"/a\", memory = 0 }]",
            "line 1, column 22: filesystem.mounts: size 0 is not within 1 to 9223372036854775807",
        ),
        (
            "filesystem.mounts = [{ target = \"a\", source = \"/a\" }]",
            "line 1, column 22: filesystem.mounts: target \"a\" is not absolute",
        ),
        (
            "filesystem.mounts = [\n { target = \"/a\", memory = 1 },\n { target = \"/a/\", memory = 1 }]",
            "line 3, column 2: filesystem.mounts: target \"/a\" is a mount already",
        ),
    ] {
        assert_eq!(message(text), format!("policy: {expected}"), "{text}");
    }
}

/// An absolute path of any bytes, short, so that some lie in others.
fn place() -> impl Strategy<Value = CString> {
    let name = prop_oneof!["[a-c]", "[a-z.-]{1,8}", "\\PC{1,4}"].prop_map(String::into_bytes);
    let name = prop_oneof![name, vec(any::<u8>(), 1..4)];
    vec(name, 1..4).prop_filter_map("no path", |names| {
        let path: Vec<u8> = names.iter().flat_map(|name| [b"/", name.as_slice()].concat()).collect();
        CString::new(path).ok()
    })
}

pub(in super::super) fn root() -> impl Strategy<Value = Root> {
    let directory = place().prop_filter_map("no root", |path| Root::directory(&path).ok());
    prop_oneof![Just(Root::Host), Just(Root::Memory), directory]
}

pub(in super::super) fn mount() -> impl Strategy<Value = Mount> {
    let bind = (place(), place(), any::<bool>());
    let bind = bind.prop_map(|(source, target, write)| Mount::bind(&source, &target, write));
    let size = prop_oneof![
        any::<u64>(),
        (1..1024_u64, 0..50_u32).prop_map(|(number, shift)| number << shift)
    ];
    let memory = (place(), size).prop_map(|(target, size)| Mount::memory(&target, size));
    prop_oneof![bind, memory].prop_filter_map("no mount", |mount| mount.ok())
}
