//! Bundles in real stores and on bad days.
#![cfg(feature = "bundle")]

#[cfg(feature = "object-store")]
mod backends;
mod collecting;
mod damage;
mod interrupted;
#[cfg(target_os = "linux")]
mod memory;
mod packing;
#[cfg(feature = "object-store")]
#[path = "../object/servers.rs"]
mod servers;
mod signed;
mod slow;
mod tools;
