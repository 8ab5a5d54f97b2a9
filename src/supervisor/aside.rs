//! Threads of a sandbox that do one thing which may take long, apart from the warden and from the attendant.

/// What such a thread does.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Asides;

impl Asides {
    pub(super) fn start(&self, work: Work, _run: impl FnOnce(Work) + Send + 'static) -> Result<(), Work> {
        Err(work)
    }
}
