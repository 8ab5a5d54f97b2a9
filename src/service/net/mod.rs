//! The network, as far as the library itself serves it.

#[allow(dead_code)] // until calls are dispatched to it
pub(crate) mod route;
#[allow(dead_code)] // likewise
pub(crate) mod socket;
