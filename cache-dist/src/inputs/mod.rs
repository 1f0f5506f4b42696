//! What an action finds around it: a tree of files, named by one digest.

mod build;
mod digests;
mod directory;
mod scan;

pub use build::InputBuilder;
pub(crate) use build::names;
pub use digests::FileDigests;
pub use directory::{Directory, InputFile, Node};
pub use scan::scan;
