use std::fs;

use crate::support::{Home, Ran};

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

const SCCACHE: &str = "[build]\nrustc-wrapper = \"/usr/bin/sccache\" # fast\n";
const THEIRS: &str = "[cache.disk]\nsize = \"10G\"\n\n[cache.webdav]\nendpoint = \"http://127.0.0.1:1/dav\"\n\
    key_prefix = \"team\"\nusername = \"me\"\npassword = \"hush\"\n";

#[test]
fn sccache_is_replaced_with_what_it_was_told_and_comes_back() {
    let home = Home::new();
    let cargo = home.write("cargo-home/config.toml", SCCACHE);
    let theirs = home.write(".config/sccache/config", THEIRS);
    let data = home.write(".cache/sccache/a/b/object", "theirs");
    let own = home.path(".config/larder/config.toml");

    let asked = home.run(&["setup", "--from", "sccache"]);
    assert_eq!(asked.code, Some(1));
    assert!(
        asked.out.contains(" - rustc-wrapper = \"/usr/bin/sccache\" # fast\n"),
        "{}",
        asked.out
    );
    let line = format!(
        "rustc-wrapper = \"{}\" # fast # was \"/usr/bin/sccache\"",
        env!("CARGO_BIN_EXE_larder")
    );
    assert!(asked.out.contains(&format!(" + {line}\n")), "{}", asked.out);
    for line in [
        "size = \"10G\" # from sccache",
        "url = \"http://127.0.0.1:1/dav/team/larder\" # from sccache",
        "username = \"me\" # from sccache",
        "password = (not shown) # from sccache",
    ] {
        assert!(asked.out.contains(&format!(" + {line}\n")), "{line} in {}", asked.out);
    }
    assert!(!asked.out.contains("hush"), "{}", asked.out);
    assert_eq!(fs::read_to_string(&cargo).expect("read"), SCCACHE, "nothing without a yes");
    assert!(!own.exists());

    let ran = home.run(&["setup", "--from", "sccache", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("sccache's own store") && ran.out.contains("is left as it is"));
    assert_eq!(fs::read_to_string(&cargo).expect("read"), format!("[build]\n{line}\n"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&own).expect("written").permissions().mode() & 0o777, 0o600);
    let shown = home.run(&["config"]);
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""));
    assert!(shown.out.contains("http://127.0.0.1:1/dav/team/larder"), "{}", shown.out);
    assert!(shown.out.contains("10.0 GiB"), "{}", shown.out);
    let again = home.run(&["setup", "--from", "sccache", "--yes"]);
    assert!(again.out.contains("already") && !again.out.contains("written"), "{}", again.out);

    let undone = home.run(&["setup", "--undo", "--yes"]);
    assert_eq!(undone.code, Some(0), "{}", undone.err);
    assert!(!undone.out.contains("hush"), "{}", undone.out);
    assert_eq!(fs::read_to_string(&cargo).expect("read"), SCCACHE);
    assert!(!own.exists());
    assert_eq!(fs::read_to_string(&theirs).expect("theirs"), THEIRS);
    assert_eq!(fs::read_to_string(&data).expect("theirs"), "theirs");
}

#[test]
fn what_was_configured_before_stays() {
    let home = Home::new();
    home.write(".config/sccache/config", THEIRS);
    let text = "size = \"5G\" # enough\n\n[remote]\nurl = \"s3://mine\"\n";
    let own = home.write(".config/larder/config.toml", text);
    let ran = home.run(&["setup", "--from", "sccache", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("note: remote.url is set already and stays"), "{}", ran.out);
    assert_eq!(fs::read_to_string(&own).expect("read"), text);
    let text = "[remote]\nmode = \"read\"\n";
    fs::write(&own, text).expect("write");
    assert_eq!(home.run(&["setup", "--from", "sccache", "--yes"]).code, Some(0));
    assert!(fs::read_to_string(&own).expect("read").contains("/dav/team/larder"));
    assert_eq!(home.run(&["setup", "--undo", "--yes"]).code, Some(0));
    assert_eq!(fs::read_to_string(&own).expect("read"), text);
}

#[test]
fn secrets_of_the_environment_are_not_written() {
    let home = Home::new();
    let mut command = home.larder();
    command.args(["setup", "--from", "sccache", "--yes"]);
    command.env("SCCACHE_WEBDAV_ENDPOINT", "http://127.0.0.1:1").env("RUSTC_WRAPPER", "sccache");
    command.env("SCCACHE_WEBDAV_TOKEN", "hush");
    let ran = Ran::of(&command.output().expect("larder runs"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let own = fs::read_to_string(home.path(".config/larder/config.toml")).expect("written");
    assert!(own.contains("url = \"http://127.0.0.1:1/larder\"") && !own.contains("hush"), "{own}");
    let want = "SCCACHE_WEBDAV_TOKEN is a secret and not written to a file; from now on set \
                LARDER_REMOTE_OPTIONS=\"bearer_token=…\"";
    assert!(ran.out.contains(want), "{}", ran.out);
    assert!(ran.out.contains("environment, RUSTC_WRAPPER says \"sccache\""), "{}", ran.out);
}
