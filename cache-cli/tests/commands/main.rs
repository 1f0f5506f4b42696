//! The commands that people use, run as they run them.

mod config;
mod doctor;
mod maintenance;
mod setup;
mod stats;
mod support;
mod trial;
mod usage;
mod why;
