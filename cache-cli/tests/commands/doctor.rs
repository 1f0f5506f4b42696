use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Home, Ran};

fn line<'r>(ran: &'r Ran, about: &str) -> &'r str {
    ran.out
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(about))
        .unwrap_or_else(|| panic!("no line about {about} in:\n{}", ran.out))
}

#[test]
fn a_sound_place_has_nothing_broken() {
    let home = Home::new();
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(line(&ran, "store").starts_with("ok"));
    assert!(line(&ran, "compiler").starts_with("ok"));
    assert!(line(&ran, "cargo").contains("does not use larder here"));
    assert!(line(&ran, "tracer").contains("in force"));
    assert!(fs::read_dir(home.store()).expect("a store").flatten().all(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        !name.contains("doctor") && !name.starts_with(".tmp")
    }));
}

#[test]
fn a_store_that_is_a_file_is_named_with_a_fix_and_builds_go_on() {
    let home = Home::new();
    home.write("store", "garbage");
    let project = home.project("p");
    let built = home.cargo(&project, &["build"]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, Some(1));
    let said = line(&ran, "store");
    assert!(said.starts_with("BROKEN") && said.contains("not a directory"), "{said}");
    assert!(ran.out.contains("-> let LARDER_DIR"), "{}", ran.out);
    assert!(line(&ran, "history").contains("no-store 3"), "{}", ran.out);
    // Counted where something can be written, apart from the counters of other stores.
    assert_eq!(home.stats()["uncacheable"]["no-store"], 3);
    assert_eq!(fs::read_to_string(home.store()).expect("read"), "garbage");
    let mut other = home.larder();
    other.env("LARDER_DIR", home.path("other"));
    let other = Ran::of(&other.args(["stats", "--json"]).output().expect("runs"));
    assert!(!other.out.contains("no-store"), "{}", other.out);
}

#[test]
fn a_store_without_write_permission_is_noted() {
    let home = Home::new();
    fs::create_dir(home.store()).expect("mkdir");
    fs::set_permissions(home.store(), fs::Permissions::from_mode(0o555)).expect("chmod");
    if fs::write(home.path("store/probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let ran = home.run(&["doctor"]);
    assert!(line(&ran, "store").contains("can be read but not written"), "{}", ran.out);
}

#[test]
fn a_store_of_garbage_is_noted_and_repaired() {
    let home = Home::new();
    for name in ["store/blobs-v1/ab/rubbish", "store/records-v1/rubbish", "store/memo-v1"] {
        home.write(name, "\0\u{1}garbage");
    }
    let project = home.project("p");
    let built = home.cargo(&project, &["build"]);
    assert_eq!((built.code, built.err.contains("larder")), (Some(0), false), "{}", built.err);
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("not its own"), "{}", ran.out);
    assert_eq!(home.run(&["verify"]).code, Some(1));
    assert_eq!(home.run(&["verify", "--repair"]).code, Some(0));
    assert_eq!(home.run(&["verify"]).code, Some(0));
}

#[test]
fn settings_that_cannot_be_used_are_broken() {
    let home = Home::new();
    let file = home.write(".config/larder/config.toml", "\nsize = \"many\"\n");
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, Some(1));
    let said = line(&ran, "settings");
    assert!(said.contains(&format!("{}:2: size = \"many\"", file.display())), "{said}");
    assert!(ran.out.contains("-> write a number with a unit"), "{}", ran.out);
}

#[test]
fn a_wrapper_that_hides_larder_is_broken() {
    let home = Home::new();
    assert_eq!(home.run(&["setup", "--yes"]).code, Some(0));
    let mut command = home.larder();
    command.arg("doctor").env("RUSTC_WRAPPER", "sccache");
    let ran = Ran::of(&command.output().expect("runs"));
    assert_eq!(ran.code, Some(1));
    let said = line(&ran, "cargo");
    assert!(said.contains("uses sccache here (environment, RUSTC_WRAPPER)"), "{said}");
}

#[test]
fn the_tracer_switched_off_is_noted() {
    let home = Home::new();
    let mut command = home.larder();
    command.arg("doctor").env("LARDER_TRACER", "off");
    let ran = Ran::of(&command.output().expect("runs"));
    assert!(line(&ran, "tracer").starts_with("note"), "{}", ran.out);
    assert!(line(&ran, "tracer").contains("off (environment, LARDER_TRACER)"), "{}", ran.out);
}
