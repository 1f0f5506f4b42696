//! Remotes on bad days, and remotes that are configured wrong: a build is as without one, and what is wrong
//! is said where a person looks.

use std::net::TcpListener;

use crate::bucket::Bucket;
use crate::harness::{Checkout, Lab};
use crate::machine::{Machine, Vars};
use crate::project::project;
use crate::proxy::{Fault, Rule};

/// A build that goes well, and one that does not.
fn scenario(checkout: &Checkout<'_>) {
    checkout.build_and_run();
    checkout.write("lib3/src/lib.rs", "pub fn value() -> u32 { \"four\" }\n");
    let failed = checkout.cargo(&["build"]);
    assert_eq!(failed.status.code(), Some(101));
}

/// Builds with a remote that is of no use, and compares with the same without one. Then `larder doctor` and
/// `larder remote status` must each say something with all of these in it.
#[track_caller]
fn as_without(vars: &Vars, said: &[&str]) {
    let lab = Lab::new();
    let oracle = lab.plain("plain/ws", &project());
    scenario(&oracle);
    let machine = Machine::new(vars).fetching_when_faster();
    let checkout = machine.checkout("ws", &project());
    scenario(&checkout);
    oracle.assert_same(&checkout);
    let has_all = |text: &str| said.iter().all(|part| text.contains(part));
    let doctor = machine.larder(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{}", doctor.describe());
    assert!(doctor.stdout.lines().any(|line| line.contains("BROKEN")), "{}", doctor.describe());
    assert!(has_all(&doctor.stdout), "{said:?} of\n{}", doctor.describe());
    // What a build left to be uploaded shows it at the latest.
    let pushed = machine.larder(&["push", "--wait"]);
    assert!(!pushed.ok() && machine.spooled() > 0, "{}", pushed.describe());
    let status = machine.larder(&["remote", "status"]);
    let status = [status.stdout, status.stderr].concat();
    assert!(has_all(&status), "{said:?} of\n{status}");
}

fn with_fault(fault: Fault, said: &[&str]) {
    let Some(bucket) = Bucket::s3() else { return };
    let (proxy, vars) = bucket.behind_proxy();
    proxy.add(Rule::always(fault));
    as_without(&vars, said);
}

fn with_wrong(name: &str, value: &str, said: &[&str]) {
    let Some(bucket) = Bucket::s3() else { return };
    as_without(&bucket.with(name, value), said);
}

/// A port that nobody listens at.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn a_server_that_is_not_there() {
    let vars = [
        ("LARDER_REMOTE", "s3://larder/x"),
        ("AWS_ENDPOINT_URL", &closed()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    as_without(&vars, &["unavailable", "127.0.0.1"]);
}

#[test]
fn a_server_that_accepts_and_never_answers() {
    with_fault(Fault::Hang, &["unavailable", "no answer"]);
}

#[test]
fn a_server_that_resets_connections() {
    with_fault(Fault::Reset, &["unavailable"]);
}

#[test]
fn a_server_that_fails() {
    with_fault(Fault::Answer("500 Internal Server Error", "<html>sorry</html>"), &["500"]);
}

#[test]
fn a_server_that_sends_us_elsewhere() {
    // Here without saying where to.
    with_fault(Fault::Answer("301 Moved Permanently", ""), &["301"]);
}

#[test]
fn answers_that_are_cut_off() {
    let Some(bucket) = Bucket::s3() else { return };
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let (proxy, vars) = bucket.behind_proxy();
    proxy.add(Rule::always(Fault::Truncate(30)).on("GET"));
    let lab = Lab::new();
    let oracle = lab.plain("plain/ws", &project());
    scenario(&oracle);
    let machine = Machine::new(&vars).fetching_when_faster();
    let checkout = machine.checkout("ws", &project());
    scenario(&checkout);
    oracle.assert_same(&checkout);
    assert!(machine.figure("failed") > 0, "{:#}", machine.status());
    assert!(machine.status()["trouble"].is_string(), "{:#}", machine.status());
    assert!(!machine.larder(&["doctor"]).ok());
}

#[test]
fn wrong_credentials() {
    with_wrong("AWS_SECRET_ACCESS_KEY", "guessed", &["AWS_SECRET_ACCESS_KEY", "denied"]);
}

#[test]
fn a_bucket_that_is_not_there() {
    with_wrong("LARDER_REMOTE", "s3://no-such-bucket/x", &["LARDER_REMOTE", "no-such-bucket"]);
}

#[test]
fn a_region_that_the_server_does_not_know() {
    // SeaweedFS takes any; this is what AWS answers.
    let refusal = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>No.</Message><Region>eu-north-1</Region></Error>";
    with_fault(Fault::Answer("400 Bad Request", refusal), &["AWS_REGION", "eu-north-1"]);
}

#[test]
fn a_directory_that_cannot_be_made() {
    let vars = [("LARDER_REMOTE".to_owned(), "file:///dev/null/cache".to_owned())];
    as_without(&vars, &["/dev/null/cache"]);
}
