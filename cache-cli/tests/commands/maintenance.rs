use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Home;

fn blobs(dir: &Path) -> Vec<PathBuf> {
    let shards = fs::read_dir(dir.join("blobs-v1")).into_iter().flatten().flatten();
    shards
        .flat_map(|shard| fs::read_dir(shard.path()).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn verify_finds_a_flipped_byte_and_repair_sets_it_aside() {
    let home = Home::new();
    let project = home.project("p");
    assert_eq!(home.cargo(&project, &["build"]).code, Some(0));
    let ran = home.run(&["verify"]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("everything is as it should be"), "{}", ran.out);

    let blob = blobs(&home.store()).pop().expect("a blob");
    let mut bytes = fs::read(&blob).expect("read");
    bytes[0] ^= 1;
    fs::remove_file(&blob).expect("remove");
    fs::write(&blob, bytes).expect("write");
    let ran = home.run(&["verify"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("1 blobs with other bytes"), "{}", ran.out);
    assert!(ran.out.contains("larder verify --repair"), "{}", ran.out);
    assert_eq!(home.run(&["verify", "--repair"]).code, Some(0));
    assert_eq!(home.run(&["verify"]).code, Some(0));
    assert!(home.run(&["stats"]).out.contains("set aside"));
}

#[test]
fn gc_says_what_it_removed_and_what_is_in_use() {
    let home = Home::new();
    let project = home.project("p");
    assert_eq!(home.cargo(&project, &["build"]).code, Some(0));
    let ran = home.run(&["gc", "--size", "0"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("still over 0 B"), "fresh records stay: {}", ran.out);
    let ran = home.run(&["gc", "--size", "some"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("--size some: not a size; write a number"), "{}", ran.err);
}
