//! A build that is not known is like one that is.

use crate::bucket::Bucket;
use crate::machine::{Machine, some_machine};
use crate::project::with_libraries;

#[test]
fn another_lock_file_takes_the_nearest_index_and_fetches_the_difference() {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    some_machine(|| {
        let second = Machine::new(&bucket.vars);
        let counter = second.count_compilers();
        second.status();
        let checkout = second.checkout("ws", &with_libraries(9));
        assert_eq!(checkout.build_and_run(), "9 made\n");
        let status = second.status();
        let asked = |what: &str| status["requests"][what].as_u64().unwrap_or(0);
        let compiled = counter.compiled();
        // Two keys of the build, of which one is there, and each unit that the index does not name.
        if compiled == ["app", "lib8"] && asked("ReadBlob") == 2 && asked("GetRecord") <= 2 + 3 {
            Ok(())
        } else {
            Err(format!("compiled {compiled:?}; {status:#}"))
        }
    });
}
