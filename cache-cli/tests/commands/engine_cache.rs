//! The cache of an engine as a remote.

use std::path::PathBuf;

use serde_json::json;

use crate::servers::{address, doctor, remote};
use crate::support::Home;

/// A home whose remote is this, with a project that was built there.
fn build(url: &str) -> (Home, PathBuf) {
    let home = Home::new();
    home.write(".config/larder/config.toml", &format!("[remote]\nurl = \"{url}\"\n"));
    // Starts the agent: a build would not wait for that.
    let status = home.run(&["remote", "status"]);
    assert_eq!(status.code, Some(0), "{}", status.err);
    let project = home.project("project");
    // What takes this long is waited for, however busy the machine is.
    let script = "fn main() { std::thread::sleep(std::time::Duration::from_secs(5)); }\n";
    home.write("project/leaf/build.rs", script);
    let ran = home.cargo(&project, &["build"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.err.contains("larder"), "nothing of its own: {}", ran.err);
    (home, project)
}

#[test]
fn what_one_machine_compiled_another_gets_from_an_engine() {
    let Some(url) = address("LARDER_TEST_REAPI") else { return };
    let (first, _) = build(&url);
    let pushed = first.run(&["push", "--wait"]);
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.out, pushed.err);
    let (second, project) = build(&url);
    let app = second.program(project.join("target/debug/app")).output().expect("it runs");
    assert_eq!(app.stdout, b"42\n");
    let stats = second.stats();
    assert_eq!(stats["hits"]["build-script-run"], json!(1), "{stats}");
}

#[test]
fn the_doctor_tries_the_engine_of_a_remote() {
    let Some(url) = address("LARDER_TEST_REAPI") else { return };
    let home = Home::new();
    let ran = doctor(&home, &[("LARDER_REMOTE", &url)]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let found = remote(&ran);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("a probe was written and read again"), "{found:#?}");
    let wrong = doctor(&home, &[("LARDER_REMOTE", &url), ("LARDER_REMOTE_OPTIONS", "tokn=x")]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.out);
    assert!(remote(&wrong)[0].contains("tokn"), "{:#?}", remote(&wrong));
}
