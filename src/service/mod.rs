//! Trapped calls that the library itself carries out, one folder for each subject.
//!
//! A service knows particular system calls. How calls are trapped, and answered, is the supervisor's business.

pub(crate) mod metadata;
