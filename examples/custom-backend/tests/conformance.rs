//! The contract, as a test of one's own backend.

use std::sync::Arc;

use cache_storage::conformance;
use cache_storage::layers::{Clock, StackOptions, SystemClock};
use custom_backend::Folder;
use futures::executor::block_on;

#[test]
fn the_backend_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    block_on(conformance::all(&Folder::open(dir.path()).unwrap()));
    let left = std::fs::read_dir(dir.path().join("new")).unwrap().count();
    assert_eq!(left, 0, "files that were never published");
}

#[test]
fn it_takes_layers_as_those_of_the_crate_do() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let stack = StackOptions { deadline: None, ..StackOptions::default() }
        .wrap(Arc::new(Folder::open(dir.path()).unwrap()), &clock);
    block_on(conformance::all(&*stack.store));
}
