//! What a cached compile *is*, with no file system, network, clock or process in sight.
//!
//! - [`Digest`]: a BLAKE3 digest; names blobs and keys.
//! - [`Recipe`]: the named fields of an invocation known before it runs. Its digest, a
//!   [`RecipeKey`], names a [`Record`].
//! - [`Observation`]: what one execution really read, as a list of [`Fact`]s.
//! - [`Outcome`]: what the execution left: streams and [`Output`]s.
//! - [`Record`]: one recipe with a short list of entries (observation and outcome), newest first.
//! - [`Roots`], [`Template`] and [`TextTemplate`]: paths and texts with the place taken out.
//! - [`wire`]: the versioned binary format of records.
//!
//! - [`boundary`]: where a path begins and ends in a text.
//! - [`wire`]: the versioned binary format of records.
//!
//! Paths are plain bytes here, as Unix has them; a platform with other paths converts at its edge.
//!
//! # Example
//!
//! One compile, recorded in one checkout and read in another:
//!
//! ```
//! use cache_core::{
//!     Content, Digest, Entry, Fact, Observation, Outcome, Output, Recipe, Record, Role, RootName,
//!     Roots, TextTemplate,
//! };
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut here = Roots::new();
//! here.add(RootName::new("workspace")?, b"/home/ann/project")?;
//!
//! // Known before it runs: the key.
//! let mut recipe = Recipe::new();
//! recipe.push("toolchain", "rustc 1.95.0").push("arg", "--crate-type=lib");
//!
//! // Known after: what was read, and what was left.
//! let read = Fact::File {
//!     path: here.template(b"/home/ann/project/src/lib.rs"),
//!     digest: Digest::of(b"pub fn f() {}"),
//! };
//! let warning = b"warning: odd\n --> /home/ann/project/src/lib.rs:1:1\n";
//! let (stderr, bound_to) = TextTemplate::locate(warning, &here, <[u8]>::to_vec);
//! assert!(bound_to.is_empty());
//! let outcome = Outcome {
//!     stderr,
//!     outputs: vec![Output {
//!         role: Role::Rlib,
//!         path: here.template(b"/home/ann/project/target/libf.rlib"),
//!         content: Content::Blob { digest: Digest::of(b"the library"), size: 11 },
//!         mode: 0o644,
//!     }],
//!     ..Outcome::default()
//! };
//! let mut record = Record { recipe: recipe.clone(), entries: Vec::new() };
//! record.add(Entry { observation: Observation::new(vec![read]), outcome, created: 1_790_000_000 });
//! let bytes = record.encode(); // stored under recipe.key()
//!
//! // Another checkout reads it in terms of its own place.
//! let mut there = Roots::new();
//! there.add(RootName::new("workspace")?, b"/build/7")?;
//! let record = Record::decode(&bytes)?;
//! assert_eq!(record.recipe, recipe);
//! let outcome = &record.entries[0].outcome;
//! let stderr = outcome.stderr.expand(&there, <[u8]>::to_vec).ok_or("unknown root")?;
//! assert_eq!(stderr, b"warning: odd\n --> /build/7/src/lib.rs:1:1\n");
//! let rlib = there.expand(&outcome.outputs[0].path).ok_or("unknown root")?;
//! assert_eq!(rlib, b"/build/7/target/libf.rlib");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod boundary;
mod digest;
mod observation;
mod outcome;
mod recipe;
mod record;
mod roots;
mod template;
mod text;
pub mod wire;

pub use digest::{Digest, Hasher, ParseDigestError};
pub use observation::{EnvValue, Fact, NodeKind, Observation};
pub use outcome::{Content, Outcome, Output, Role};
pub use recipe::{Field, Recipe, RecipeKey};
pub use record::{Entry, MAX_ENTRIES, Record};
pub use roots::{RootName, Roots, RootsError};
pub use template::Template;
pub use text::{Segment, TextTemplate};
