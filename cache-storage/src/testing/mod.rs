//! What tests of stores and layers need: stores that fail when told, and a clock that stands still
//! until it is moved.
//!
//! Nothing here is meant for a store that is used; but it is part of the crate's interface, so that
//! a backend or layer in another crate can be tested as those here are.

mod clock;
mod faulty;

pub use clock::ManualClock;
pub use faulty::{Call, Fault, FaultyStore};
