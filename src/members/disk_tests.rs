//! Trees as the accounting sees them, in real directories.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::members;

const MIB: u64 = 1 << 20;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sandlock-disk-{name}-{}", sys::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn trees(&self) -> Trees {
        Trees::open([c_path(&self.0)].iter().map(CString::as_c_str)).unwrap()
    }

    fn fill(&self, name: &str, mebibytes: u64) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, vec![1; usize::try_from(mebibytes * MIB).unwrap()]).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::set_permissions(self.0.join("closed"), fs::Permissions::from_mode(0o700));
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// What is read, in whole mebibytes: directories and inodes take a little.
fn mebibytes(trees: &mut Trees) -> u64 {
    let reading = trees.look(&[], u64::MAX, &mut || true).unwrap();
    assert!(reading.whole);
    reading.bytes / MIB
}

#[test]
fn growth_counts_and_what_was_there_before_does_not() {
    let directory = Directory::new("growth");
    let old = directory.fill("old", 3);
    let mut trees = directory.trees();
    assert_eq!(trees.look(&[], u64::MAX, &mut || true).unwrap().bytes, 0);
    directory.fill("new", 2);
    fs::create_dir_all(directory.0.join("a/b")).unwrap();
    directory.fill("a/b/deep", 1);
    assert_eq!(mebibytes(&mut trees), 3);
    let file = File::options().append(true).open(&old).unwrap();
    (&file).write_all(&vec![1; 4 << 20]).unwrap();
    assert_eq!(mebibytes(&mut trees), 7);
    // Room made by removing what was there before is not given to what is new.
    fs::remove_file(&old).unwrap();
    assert_eq!(mebibytes(&mut trees), 3);
    fs::remove_dir_all(directory.0.join("a")).unwrap();
    assert_eq!(mebibytes(&mut trees), 2);
}

#[test]
fn names_of_one_file_count_once_and_holes_and_links_elsewhere_not_at_all() {
    let (directory, elsewhere) = (Directory::new("names"), Directory::new("elsewhere"));
    let mut trees = directory.trees();
    let file = directory.fill("file", 2);
    for index in 0..10 {
        fs::hard_link(&file, directory.0.join(format!("link{index}"))).unwrap();
    }
    File::create(directory.0.join("sparse"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    elsewhere.fill("outside", 5);
    symlink(&elsewhere.0, directory.0.join("symlink")).unwrap();
    assert_eq!(mebibytes(&mut trees), 2);
    let two = [c_path(&directory.0), c_path(&directory.0.join("."))];
    let mut twice = Trees::open(two.iter().map(CString::as_c_str)).unwrap();
    directory.fill("more", 1);
    assert_eq!(mebibytes(&mut twice), 1);
}

#[test]
fn single_files_and_missing_paths_are_trees_too() {
    let directory = Directory::new("single");
    let (one, other) = (directory.fill("one", 1), directory.fill("other", 1));
    let paths = [c_path(&one), c_path(&directory.0.join("missing"))];
    let mut trees = Trees::open(paths.iter().map(CString::as_c_str)).unwrap();
    fs::write(&other, vec![1; 8 << 20]).unwrap();
    fs::write(&one, vec![1; 4 << 20]).unwrap();
    assert_eq!(mebibytes(&mut trees), 3);
}

#[test]
fn large_trees_are_remembered_as_far_as_they_have_not_changed() {
    let directory = Directory::new("large");
    let old = directory.fill("old", 2);
    for index in 0..FIRST_FILES + 10 {
        fs::write(directory.0.join(format!("{index}")), b"").unwrap();
    }
    // All of it lies before the last tick of the clock that stamps files.
    let written = directory::now();
    while directory::now() == written {
        std::thread::yield_now();
    }
    let mut trees = directory.trees();
    assert!(!trees.all_known);
    assert_eq!(mebibytes(&mut trees), 0);
    File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .write_all_at(&[1; 4096], 2 * MIB)
        .unwrap();
    let grown = trees.look(&[], u64::MAX, &mut || true).unwrap().bytes;
    assert!((4096..MIB).contains(&grown), "{grown}");
    directory.fill("new", 1);
    assert_eq!(mebibytes(&mut trees), 1);
    // What had changed before it was first seen counts whole.
    let mut unseen = directory.trees();
    unseen.before.clear();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
    unseen.began = directory::now();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(mebibytes(&mut unseen) >= 2);
}

#[test]
fn files_without_a_name_count_while_somebody_has_them() {
    let directory = Directory::new("nameless");
    let own = [members::look(sys::process::id()).unwrap().unwrap()];
    let mut trees = directory.trees();
    let look = |trees: &mut Trees| trees.look(&own, u64::MAX, &mut || true).unwrap().bytes / MIB;
    // Of other tests in this process.
    let before = look(&mut trees);
    let path = directory.fill("gone", 64);
    let open = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let after = look(&mut trees);
    assert!(after >= before + 64, "{before} {after}");
    drop(open);
}

#[test]
fn what_cannot_be_listed_makes_the_reading_that_of_the_file_system() {
    let directory = Directory::new("closed");
    let mut trees = directory.trees();
    let mut path = directory.0.clone();
    // Deeper than a path can name: by descriptors only.
    path.push("x".repeat(200));
    fs::create_dir(&path).unwrap();
    let mut fd = fs::File::open(&path).unwrap();
    for _ in 0..25 {
        let inner = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())).join("x".repeat(200));
        fs::create_dir(&inner).unwrap();
        fd = fs::File::open(&inner).unwrap();
    }
    let reading = trees.look(&[], u64::MAX, &mut || true).unwrap();
    assert!(!reading.whole);
}

#[test]
fn look_ends_when_it_is_told_to_or_knows_enough() {
    let directory = Directory::new("ends");
    let mut trees = directory.trees();
    for name in ["a", "b", "c", "d"] {
        fs::create_dir(directory.0.join(name)).unwrap();
        directory.fill(&format!("{name}/file"), 2);
    }
    assert_eq!(trees.look(&[], u64::MAX, &mut || false), None);
    let enough = trees.look(&[], MIB, &mut || true).unwrap();
    assert!(enough.bytes / MIB == 2, "{enough:?}");
}
