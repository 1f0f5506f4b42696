use std::fs;

use crate::support::Home;

const OTHERS: &str = "# mine\n[net]\nretry = 3 # often\n\n[build]\njobs = 2 # few\n";

#[test]
fn the_change_is_shown_and_written_and_undone() {
    let home = Home::new();
    let file = home.write("cargo-home/config.toml", OTHERS);
    let line = format!("rustc-wrapper = \"{}\"", env!("CARGO_BIN_EXE_larder"));

    let asked = home.run(&["setup"]);
    assert_eq!(asked.code, Some(1));
    assert!(asked.out.contains(&format!(" + {line}\n")), "{}", asked.out);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    assert_eq!(fs::read_to_string(&file).expect("read"), OTHERS, "nothing without a yes");

    let ran = home.run(&["setup", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(fs::read_to_string(&file).expect("read"), format!("{OTHERS}{line}\n"));
    assert!(home.run(&["setup", "--yes"]).out.contains("already"));
    assert!(home.run(&["doctor"]).out.contains("cargo     uses larder here"));

    let undone = home.run(&["setup", "--undo", "--yes"]);
    assert!(undone.out.contains(&format!(" - {line}\n")), "{}", undone.out);
    assert_eq!(fs::read_to_string(&file).expect("read"), OTHERS);
    assert!(home.run(&["setup", "--undo", "--yes"]).out.contains("nothing to undo"));
}

#[test]
fn a_file_that_setup_made_is_gone_after_undo() {
    let home = Home::new();
    assert_eq!(home.run(&["setup", "--yes"]).code, Some(0));
    let file = home.path("cargo-home/config.toml");
    assert!(file.exists());
    assert_eq!(home.run(&["setup", "--undo", "--yes"]).code, Some(0));
    assert!(!file.exists());
}

#[test]
fn another_wrapper_is_left_alone() {
    let home = Home::new();
    let text = "[build]\nrustc-wrapper = \"sccache\"\n";
    let file = home.write("cargo-home/config.toml", text);
    let ran = home.run(&["setup", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(&file.display().to_string()), "{}", ran.err);
    assert!(ran.err.contains("build.rustc-wrapper is \"sccache\" already"), "{}", ran.err);
    assert_eq!(home.run(&["setup", "--undo", "--yes"]).code, Some(0));
    assert_eq!(fs::read_to_string(&file).expect("read"), text);
}

#[test]
fn a_link_and_its_targets_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let home = Home::new();
    let real = home.write("dotfiles/cargo.toml", OTHERS);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).expect("chmod");
    fs::create_dir_all(home.path("cargo-home")).expect("mkdir");
    let link = home.path("cargo-home/config.toml");
    symlink(&real, &link).expect("link");
    assert_eq!(home.run(&["setup", "--yes"]).code, Some(0));
    assert!(fs::symlink_metadata(&link).expect("stat").is_symlink());
    assert_eq!(fs::metadata(&real).expect("stat").permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&real).expect("read").contains("rustc-wrapper"));
}
