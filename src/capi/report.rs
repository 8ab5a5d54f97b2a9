//! What was enforced.

use std::ffi::{CString, c_char};
use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::report::Report;

use super::boundary::{free, required, status, value};
use super::constants::{SANDLOCK_LEVEL_NONE, sandlock_status};
use super::error::sandlock_error;
use super::structs::{Extensible, init, write};

/// What was enforced on a program: one row per feature. Made by sandlock_process_report(), owned by its caller, never changed,
/// independent of the process. Any thread, concurrently. Free it with sandlock_report_free().
pub struct sandlock_report {
    report: Arc<Report>,
    /// Made when somebody asks for one: bindings keep the reports of all programs, and hardly anybody reads them.
    texts: OnceLock<Texts>,
}

struct Texts {
    rows: Vec<TextRow>,
    json: CString,
}

struct TextRow {
    name: CString,
    mechanism: CString,
    detail: CString,
}

impl sandlock_report {
    pub(super) fn new(report: Arc<Report>) -> Self {
        Self {
            report,
            texts: OnceLock::new(),
        }
    }

    fn texts(&self) -> &Texts {
        self.texts.get().unwrap_or_else(|| {
            // Before the lock is taken: a fork of the host has a moment less to come in between.
            let made = Texts::of(&self.report);
            self.texts.get_or_init(|| made)
        })
    }
}

impl Texts {
    fn of(report: &Report) -> Self {
        // Texts come from the library and have no NUL.
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let rows = report.rows().iter().map(|row| TextRow {
            name: text(row.feature.name()),
            mechanism: text(&row.mechanism),
            detail: text(&row.detail),
        });
        Self {
            rows: rows.collect(),
            json: text(&report.to_json()),
        }
    }
}

/// What became of one feature. Start from SANDLOCK_REPORT_ENTRY_INIT or sandlock_report_entry_init(). The strings belong to the
/// report and are never NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_report_entry {
    /// sizeof(sandlock_report_entry), set by the caller.
    pub size: usize,
    /// SANDLOCK_FEATURE_*.
    pub feature: u32,
    /// How strictly it was asked for: SANDLOCK_REQUIRE, SANDLOCK_BEST_EFFORT or SANDLOCK_DISABLE.
    pub requested: u32,
    /// SANDLOCK_STATE_*.
    pub state: u32,
    /// The errno behind a state that is not ENFORCED, or 0.
    pub errno_value: i32,
    /// The feature's name: "files".
    pub name: *const c_char,
    /// What enforces it, in kernel terms: "landlock". Empty if nothing does.
    pub mechanism: *const c_char,
    /// What else there is to know: the ABI used, what is missing.
    pub detail: *const c_char,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_report_entry {
    const NAME: &'static str = "sandlock_report_entry";
    const FIRST_SIZE: usize = 48;
}

const EMPTY: sandlock_report_entry = sandlock_report_entry {
    size: size_of::<sandlock_report_entry>(),
    feature: 0,
    requested: 0,
    state: 0,
    errno_value: 0,
    name: std::ptr::null(),
    mechanism: std::ptr::null(),
    detail: std::ptr::null(),
};

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: report
/// -------------------------------------------------------------------------------------------------------------------
///
/// The report in one word: SANDLOCK_LEVEL_*. SANDLOCK_LEVEL_NONE if `report` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_report_level(report: *const sandlock_report) -> u32 {
    value(SANDLOCK_LEVEL_NONE, || {
        required(report, "report").map_or(SANDLOCK_LEVEL_NONE, |report| report.report.level().number())
    })
}

/// How many rows there are: one per feature that this version knows. 0 if `report` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_report_count(report: *const sandlock_report) -> usize {
    value(0, || {
        required(report, "report").map_or(0, |report| report.report.rows().len())
    })
}

/// Sets `entry` to SANDLOCK_REPORT_ENTRY_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_report_entry_init(entry: *mut sandlock_report_entry) {
    value((), || init(entry, EMPTY));
}

/// Row `index`, from 0; rows are in the order of SANDLOCK_FEATURE_*. The strings in `*out` live as long as `report`.
///
/// INVALID_ARGUMENT: NULL, an index past the last row, a size that is not set. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_report_row(
    report: *const sandlock_report,
    index: usize,
    out: *mut sandlock_report_entry,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let report = required(report, "report")?;
        let (rows, texts) = (report.report.rows(), &report.texts().rows);
        let (row, text) = rows
            .get(index)
            .zip(texts.get(index))
            .ok_or_else(|| Error::argument(format_args!("row {index} of a report that has {}", rows.len())))?;
        write(
            out,
            &sandlock_report_entry {
                feature: row.feature.number(),
                requested: row.requested.number(),
                state: row.state.number(),
                errno_value: row.errno,
                name: text.name.as_ptr(),
                mechanism: text.mechanism.as_ptr(),
                detail: text.detail.as_ptr(),
                ..EMPTY
            },
        )
    })
}

/// The report as one line of JSON: {"level": "full", "features": [{"feature", "requested", "state", "mechanism", "detail",
/// "errno"}, ...]}, names in lower case. The string belongs to `report`. Never NULL; "null" if `report` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_report_json(report: *const sandlock_report) -> *const c_char {
    value(c"null".as_ptr(), || {
        required(report, "report").map_or(c"null".as_ptr(), |report| report.texts().json.as_ptr())
    })
}

/// Frees a report. NULL is allowed. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_report_free(report: *mut sandlock_report) {
    // SAFETY: NULL or a report that this library made and nobody freed.
    unsafe { free(report) }
}
