//! The network of a sandbox whose policy has rules for it, as its program sees it.

pub(crate) mod hosts;
