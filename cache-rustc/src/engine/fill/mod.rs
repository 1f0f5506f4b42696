//! Filling a target directory before cargo looks at it.
//!
//! One process per unit is a floor under a build that comes from the cache. cargo's first question to
//! the compiler comes before it looks into a target directory, so at that moment a build that is known
//! is put in place whole, and cargo finds its units fresh.
//!
//! ```text
//! each unit served   journal:  how it was started, and which outcome it got
//! cargo has ended    snapshot: the journal with cargo's fingerprints, as one record
//! cargo asks, in a   place:    each unit is looked up as if it had been started here; where the
//! fresh checkout               outcome is the recorded one, it is restored, its fingerprint last
//! ```
//!
//! Nothing is trusted: a unit's key is made anew from what is here, and its observation must hold. A
//! unit that does not get the recorded outcome is left to cargo, and so is all that depends on it, for
//! cargo compares fingerprints itself.

mod cargo;
mod codec;
mod entry;
mod journal;
mod look;
mod place;
mod places;
mod prime;
mod put;
mod snapshot;
mod under_way;

pub use cargo::CargoRun;
pub use journal::{Journal, Noted, Start};
pub use place::Filled;
pub use prime::ToPrime;
pub use snapshot::units_of;
