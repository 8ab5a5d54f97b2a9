//! What a program in a mount namespace of its own finds there.
//!
//! Sources are opened first, for the host's files as they were. Then the new root, if there is to be one, is laid over the old, where no
//! path of this process leads yet: paths begin at the old one still. Everything else is mounted by descriptors within the new root, as a
//! process would see it whose root that is, so that no link in it leads out. In the end the new root takes the old one's place, and the
//! old one is let go of, with all that was mounted there: nothing leads to it any more.

use core::ffi::CStr;
use core::sync::atomic::Ordering;

use crate::plan::{MountPlan, MountSource, NewRoot, Places, PlannedMount, Record};
use crate::sys::fd::Descriptor;
use crate::sys::mount::{self, NO_DEVICES, NO_SUID, READ_ONLY};
use crate::sys::{self, Errno};

/// Bytes of a root in memory: it holds directories and empty files only.
const ROOT_SIZE: &CStr = c"1048576";

/// Does all that `plan` says.
pub(super) fn mount_all(plan: &MountPlan<'_>, record: &Record) -> sys::Result<()> {
    record.begin_part(0);
    mount::seclude()?;
    for (index, planned) in plan.mounts.iter().enumerate() {
        record.begin_part(part_of(index));
        planned.parked.store(open_source(planned)?.leave(), Ordering::Relaxed);
    }
    record.begin_part(MountPlan::ROOT);
    let root = lay_root(plan.root)?;
    for (index, planned) in plan.mounts.iter().enumerate() {
        record.begin_part(part_of(index).saturating_add(1));
        let source = Descriptor::take_over(planned.parked.swap(-1, Ordering::Relaxed));
        make(&root, &planned.places);
        mount::attach(&source, &mount::open_in(&root, planned.target)?)?;
    }
    record.begin_part(MountPlan::PROC);
    make(&root, &plan.places_of_proc);
    match mount::open_in(&root, c"proc") {
        Ok(place) => mount::attach(&mount::new_proc()?, &place)?,
        // A root without one.
        Err(Errno(libc::ENOENT)) => {}
        Err(errno) => return Err(errno),
    }
    record.begin_part(MountPlan::ENTER);
    match plan.root {
        NewRoot::Unchanged => Ok(()),
        NewRoot::Directory(_) => mount::enter(&root),
        NewRoot::Memory => {
            mount::enter(&root)?;
            // Not what is mounted in it.
            mount::restrict_alone(&root, READ_ONLY)
        }
    }
}

fn part_of(index: usize) -> usize {
    index.saturating_mul(2).saturating_add(MountPlan::MOUNTS)
}

fn open_source(planned: &PlannedMount<'_>) -> sys::Result<Descriptor> {
    match planned.source {
        MountSource::Path(path) => {
            let tree = mount::copy_tree(path)?;
            let attributes = if planned.write { NO_SUID } else { NO_SUID | READ_ONLY };
            mount::restrict(&tree, attributes)?;
            Ok(tree)
        }
        // As /tmp is.
        MountSource::Memory(size) => mount::new_memory(size, c"1777", NO_SUID | NO_DEVICES),
    }
}

/// The root, where it stays, or laid over the present one.
fn lay_root(root: NewRoot<'_>) -> sys::Result<Descriptor> {
    let present = mount::open_root()?;
    let new = match root {
        NewRoot::Unchanged => return Ok(present),
        NewRoot::Directory(path) => {
            let tree = mount::copy_tree(path)?;
            mount::restrict(&tree, READ_ONLY | NO_SUID)?;
            tree
        }
        NewRoot::Memory => mount::new_memory(ROOT_SIZE, c"755", NO_SUID | NO_DEVICES)?,
    };
    mount::attach(&new, &present)?;
    Ok(new)
}

/// Makes what something is mounted on. What cannot be made is missed when it is mounted on.
fn make(root: &Descriptor, places: &Places<'_>) {
    if places.places.is_empty() {
        return;
    }
    let Ok(base) = mount::open_in(root, places.base) else {
        return;
    };
    for place in places.places {
        let _ = mount::make_in(&base, place.parent, place.name, place.file);
    }
}
