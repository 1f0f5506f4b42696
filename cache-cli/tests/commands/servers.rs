//! The servers that `cargo xtask servers` starts, as a user configures them.

use std::env;
use std::process::Command;

use crate::support::{Home, Ran};

/// Published by Microsoft for the emulator's only account:
/// <https://learn.microsoft.com/azure/storage/common/storage-use-azurite>.
pub(crate) const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The address of a server; `None`, after saying so, when it does not run.
///
/// # Panics
/// When it does not run and `LARDER_REQUIRE_SERVERS` is 1.
pub(crate) fn address(variable: &str) -> Option<String> {
    let address = env::var(variable).ok();
    if address.is_none() {
        let why = format!("{variable} is not set; `cargo xtask servers` runs them");
        assert!(env::var("LARDER_REQUIRE_SERVERS").as_deref() != Ok("1"), "{why}");
        println!("skipped: {why}");
    }
    address
}

/// A place that no other test and run has.
pub(crate) fn prefix(name: &str) -> String {
    format!("doctor-{name}-{}", std::process::id())
}

/// A home whose configuration names the S3 server, in which `name` is the prefix.
pub(crate) fn s3(name: &str) -> Option<Home> {
    let address = address("LARDER_TEST_S3")?;
    let home = Home::new();
    let file = format!(
        "[remote]\nurl = \"s3://larder/{}\"\n\n[remote.options]\nendpoint = \"{address}\"\n\
         region = \"us-east-1\"\naccess_key_id = \"larder\"\nsecret_access_key = \"larder-secret\"\n",
        prefix(name)
    );
    home.write(".config/larder/config.toml", &file);
    Some(home)
}

/// `larder doctor` with these variables besides.
pub(crate) fn doctor(home: &Home, vars: &[(&str, &str)]) -> Ran {
    let mut command: Command = home.larder();
    command.arg("doctor").envs(vars.iter().copied());
    Ran::of(&command.output().expect("larder runs"))
}

/// What the doctor says about the remote: each finding, with its fix after ` -> `.
pub(crate) fn remote(ran: &Ran) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in ran.out.lines() {
        let mut words = line.split_whitespace();
        match (line.trim_start().strip_prefix("-> "), words.next(), words.next()) {
            (Some(fix), ..) if inside => {
                let last = found.last_mut().expect("a fix comes after what it is for");
                *last += " -> ";
                *last += fix;
            }
            (None, Some(level), Some("remote")) => {
                inside = true;
                let said = line.split_once("remote").expect("its name").1.trim();
                found.push(format!("{level}: {said}"));
            }
            _ => inside = false,
        }
    }
    found
}
