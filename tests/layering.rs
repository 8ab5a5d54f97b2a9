//! Who may use whom: the table of the house, held against the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules that it may use besides its own.
const TABLE: &[(&str, &[&str])] = &[
    (
        "capi",
        &[
            "sandbox",
            "supervisor",
            "process",
            "policy",
            "probe",
            "report",
            "error",
            "feature",
        ],
    ),
    (
        "sandbox",
        &[
            "spawn",
            "lock",
            "supervisor",
            "service",
            "process",
            "policy",
            "compile",
            "probe",
            "error",
            "feature",
        ],
    ),
    (
        "spawn",
        &[
            "compile",
            "kept",
            "lock",
            "plan",
            "child",
            "supervisor",
            "members",
            "policy",
            "process",
            "probe",
            "report",
            "sys",
            "error",
            "feature",
        ],
    ),
    (
        "service",
        &["lock", "supervisor", "policy", "members", "sys", "error", "feature"],
    ),
    ("members", &["process", "sys"]),
    ("supervisor", &["lock", "members", "process", "sys", "error"]),
    ("compile", &["policy", "probe", "report", "sys", "error", "feature"]),
    ("process", &["lock", "report", "sys", "error", "feature"]),
    ("child", &["plan", "sys"]),
    ("plan", &["sys"]),
    ("policy", &["error", "feature"]),
    ("probe", &["kept", "members", "sys"]),
    ("report", &["feature"]),
    ("error", &["feature"]),
    ("feature", &[]),
    ("kept", &["sys"]),
    ("lock", &[]),
    ("sys", &[]),
];

/// Modules in which nothing may come from `std`.
const CORE_ONLY: &[&str] = &["child", "plan", "sys"];

fn source_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Source text by top-level module, without comments and tests.
fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let mut modules: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let name = first.trim_end_matches(".rs").to_owned();
        if name == "lib" || file.to_str().unwrap().ends_with("_tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code: String = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        modules.entry(name).or_default().push((file, code));
    }
    modules
}

/// Names that follow `crate::` in `code`, nested use lists included.
fn used(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (position, _) in code.match_indices("crate::") {
        let rest = &code[position + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => {
                        names.insert(first_word(&item));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    names.insert(first_word(&item));
                    break;
                }
                item.push(character);
            }
        } else {
            names.insert(first_word(rest));
        }
    }
    names.remove("");
    names
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let modules = modules();
    let known: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        modules.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        known,
        "the table lists every module"
    );
    let mut wrong = Vec::new();
    for (name, allowed) in TABLE {
        for (file, code) in &modules[*name] {
            for other in used(code) {
                if other != *name && known.contains(other.as_str()) && !allowed.contains(&other.as_str()) {
                    wrong.push(format!("{}: {name} uses {other}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn table_allows_nothing_that_is_not_used() {
    let modules = modules();
    for (name, allowed) in TABLE {
        let all: BTreeSet<String> = modules[*name].iter().flat_map(|(_, code)| used(code)).collect();
        for other in *allowed {
            assert!(all.contains(*other), "{name} does not use {other} any more");
        }
    }
}

#[test]
fn code_between_clone_and_exec_uses_core_and_libc_only() {
    for name in CORE_ONLY {
        for (file, code) in &modules()[*name] {
            for word in [
                "std::",
                "alloc::",
                "landlock::{",
                "format!",
                "vec!",
                "println!",
                "panic!",
            ] {
                assert!(!code.contains(word), "{} contains {word}", file.display());
            }
        }
    }
}

#[test]
fn only_the_c_face_has_unmangled_symbols() {
    for (name, files) in modules() {
        for (file, code) in files {
            assert!(name == "capi" || !code.contains("no_mangle"), "{}", file.display());
        }
    }
}
