//! The committed header is what cbindgen makes of the source, and states the same facts. `make header` writes it.

use std::path::Path;

fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is readable");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // One file per C type, in the order in which the manual explains them.
    for file in [
        "constants",
        "version",
        "error",
        "probe",
        "policy",
        "mounts",
        "net",
        "toml",
        "supervisor",
        "notification",
        "pending",
        "event",
        "trace",
        "spawn",
        "process",
        "interaction",
        "members",
        "ports",
        "result",
        "report",
    ] {
        builder = builder.with_src(root.join(format!("src/capi/{file}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("the C API is readable").write(&mut text);
    String::from_utf8(text).expect("the header is UTF-8")
}

#[test]
fn committed_header_is_what_the_source_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/sandlock.h");
    let generated = generate();
    if std::env::var_os("SANDLOCK_WRITE_HEADER").is_some() {
        std::fs::write(&path, &generated).expect("the header is writable");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "include/sandlock.h is out of date: run `make header`"
    );
}

#[test]
fn header_states_the_version_of_the_crate() {
    let text = format!("#define SANDLOCK_VERSION_STRING \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(generate().contains(&text));
}

#[test]
fn header_declares_every_exported_function_and_no_other() {
    let header = generate();
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with(" *") && !line.starts_with('/') && !line.starts_with('#'))
        .filter_map(|line| line.split_once('(').map(|(before, _)| before))
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("sandlock_"))
        .collect();
    declared.sort_unstable();
    let exports = include_str!("../scripts/exports.txt");
    let exported: Vec<&str> = exports.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(declared, exported);
}

/// The manual is mostly prose: 60 to 85 per cent of its lines.
#[test]
fn header_is_mostly_prose() {
    let header = generate();
    let lines: Vec<&str> = header.lines().filter(|line| !line.trim().is_empty()).collect();
    let prose = lines
        .iter()
        .filter(|line| line.trim_start().starts_with(['*', '/']))
        .count();
    let percent = prose * 100 / lines.len();
    assert!((60..=85).contains(&percent), "{percent} %");
}
