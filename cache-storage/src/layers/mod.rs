//! Stores around stores: each layer does one thing, keeps the contract of [`Store`](crate::Store),
//! and passes the conformance suite around any store that does.
//!
//! # In front of a remote
//!
//! [`StackOptions`] composes these, here from the caller to the backend, with the reason for each
//! place:
//!
//! | layer | does | stands here because |
//! |---|---|---|
//! | [`ReadOnly`] | refuses writes | a refused write should touch nothing below |
//! | [`KnownAbsent`] | remembers what is absent | an answer from memory should not even wait for others; what [`Signed`] refuses is absent too |
//! | [`Coalesced`] | makes equal requests one | all who ask share one answer that was checked once |
//! | [`Signed`] | only records of trusted keys exist | what is shared and remembered is trusted |
//! | [`Verified`] | checks every blob's digest | a damaged blob is an answer: it says nothing to the layers below, and opens no circuit |
//! | [`Limited`] | limits what is under way, AIMD | when the circuit below opens, all who wait here are answered at once instead of one deadline after another |
//! | [`Breaker`] | leaves a store alone that fails | sees each deadline that passed, and not the time spent waiting for a place |
//! | [`Deadline`] | gives up what takes too long | so that "does not answer" is an error like others to the layers above, and bounds each request alone |
//! | [`Metered`] | counts requests, bytes, times | right at the backend: what it counts is what went over the wire |
//!
//! # In front of both
//!
//! [`Tiered`] puts a fast store, usually a [`DiskStore`](crate::DiskStore), in front of such a stack.
//!
//! # Time
//!
//! Layers that need the time take a [`Clock`]: [`SystemClock`] needs no runtime, tests use
//! [`ManualClock`](crate::testing::ManualClock). No layer but [`Tiered`], by its [`Spawner`], starts
//! work of its own; no layer draws random numbers, except [`SecretKey::generate`].
//!
//! # Files
//!
//! [`ReadOnly`] and [`Tiered`] hand on the files of the store inside. The others stand in front of
//! stores that have none, and hide them otherwise: a link would go past what they are for.

mod breaker;
mod clock;
mod coalesced;
mod deadline;
mod flights;
mod key;
mod known_absent;
mod limited;
mod metered;
mod owned;
mod read_only;
mod signed;
mod stack;
mod support;
#[cfg(test)]
mod tests;
mod tiered;
mod verified;

pub use breaker::{Breaker, BreakerOptions, BreakerSnapshot, Circuit};
pub use clock::{Clock, SystemClock};
pub use coalesced::{CoalesceOptions, Coalesced, Meeting, Turn, Turns, Wanted};
pub use deadline::{Deadline, DeadlineOptions};
pub use key::{KeyError, PublicKey, SecretKey};
pub use known_absent::{KnownAbsent, KnownAbsentOptions};
pub use limited::{LimitOptions, Limited};
pub use metered::{Figures, MeterSnapshot, Metered};
pub use read_only::ReadOnly;
pub use signed::{Ignored, Signed, SignedOptions};
pub use stack::{Stack, StackOptions};
pub use tiered::{Spawner, Tiered, Written};
pub use verified::Verified;

pub(crate) use support::locked;
