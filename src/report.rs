//! What was enforced on a program: one row per feature, as data and as JSON.
//!
//! ```
//! use sandlock::report::Level;
//! use sandlock::{Access, Feature, Policy, Sandbox, SpawnOptions};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! let process = Sandbox::new(policy).spawn(None, ["true"], SpawnOptions::default())?;
//!
//! // Everything is required, so whatever this kernel lacked would have failed the spawn.
//! assert_eq!(process.report().level(), Level::Full);
//! assert_eq!(process.report().row(Feature::Files).unwrap().mechanism, "landlock");
//! assert!(process.report().to_json().starts_with("{\"level\":\"full\","));
//! # Ok::<(), sandlock::Error>(())
//! ```

use std::fmt::Write;

use crate::feature::{Feature, State, Strictness, numbered};

numbered! {
    /// The report in one word.
    Level {
        /// Every feature that a policy asks for by default or by request is enforced.
        Full = 1, "full";
        /// Some feature is degraded, waived or unavailable.
        Partial = 2, "partial";
        /// Nothing is enforced.
        None = 3, "none";
    }
}

/// What became of one feature. Texts may change between releases.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The feature.
    pub feature: Feature,
    /// How strictly it was asked for.
    pub requested: Strictness,
    /// What became of it.
    pub state: State,
    /// What enforces it, in kernel terms; empty if nothing does.
    pub mechanism: String,
    /// What else there is to know: the ABI used, what is missing.
    pub detail: String,
    /// The errno behind a state that is not enforced, or 0.
    pub errno: i32,
}

/// All rows, in the order of [`Feature::ALL`]. Never changes; any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// A report of these rows.
    pub(crate) fn new(mut rows: Vec<Row>) -> Self {
        rows.sort_by_key(|row| row.feature);
        Self { rows }
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of `feature`.
    pub fn row(&self, feature: Feature) -> Option<&Row> {
        self.rows.iter().find(|row| row.feature == feature)
    }

    /// The report in one word.
    pub fn level(&self) -> Level {
        let mut enforced = false;
        let mut complete = true;
        for row in &self.rows {
            match row.state {
                State::Enforced => enforced = true,
                State::Degraded => {
                    enforced = true;
                    complete = false;
                }
                State::Waived | State::Unavailable => complete = false,
                State::NotRequested => {}
            }
        }
        match (enforced, complete) {
            (false, _) => Level::None,
            (true, false) => Level::Partial,
            (true, true) => Level::Full,
        }
    }

    /// The report as one line of JSON: `{"level": "full", "features": [{"feature", "requested", "state", "mechanism", "detail", "errno"}, …]}`.
    pub fn to_json(&self) -> String {
        let mut json = format!("{{\"level\":\"{}\",\"features\":[", self.level().name());
        for (index, row) in self.rows.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(
                json,
                "{comma}{{\"feature\":\"{}\",\"requested\":\"{}\",\"state\":\"{}\",\"mechanism\":{},\"detail\":{},\"errno\":{}}}",
                row.feature.name(),
                row.requested.name(),
                row.state.name(),
                json_string(&row.mechanism),
                json_string(&row.detail),
                row.errno,
            );
        }
        json.push_str("]}");
        json
    }
}

fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(feature: Feature, state: State) -> Row {
        Row {
            feature,
            requested: Strictness::Require,
            state,
            mechanism: "a \"b\"\n".to_owned(),
            detail: String::new(),
            errno: 0,
        }
    }

    #[test]
    fn level_is_full_only_if_nothing_asked_for_is_missing() {
        let level =
            |states: &[State]| Report::new(states.iter().map(|&state| row(Feature::Files, state)).collect()).level();
        assert_eq!(level(&[State::Enforced, State::NotRequested]), Level::Full);
        assert_eq!(level(&[State::Enforced, State::Waived]), Level::Partial);
        assert_eq!(level(&[State::Enforced, State::Unavailable]), Level::Partial);
        assert_eq!(level(&[State::Degraded]), Level::Partial);
        assert_eq!(level(&[State::Waived, State::Unavailable]), Level::None);
        assert_eq!(level(&[State::NotRequested]), Level::None);
    }

    #[test]
    fn json_escapes_what_must_be_escaped() {
        let report = Report::new(vec![row(Feature::Files, State::Enforced)]);
        assert_eq!(
            report.to_json(),
            "{\"level\":\"full\",\"features\":[{\"feature\":\"files\",\"requested\":\"require\",\
             \"state\":\"enforced\",\"mechanism\":\"a \\\"b\\\"\\u000a\",\"detail\":\"\",\"errno\":0}]}"
        );
    }
}
