//! `larder doctor` about remotes, against what is really there.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::servers::{AZURITE_KEY, address, doctor, prefix, remote, s3};
use crate::support::{Home, Ran};

fn says(found: &[String], parts: &[&str]) {
    let has = |finding: &String| parts.iter().all(|part| finding.contains(part));
    assert!(found.iter().any(has), "nothing with {parts:?} in {found:#?}");
}

/// The one thing that is broken.
fn broken(home: &Home, vars: &[(&str, &str)]) -> String {
    let ran = doctor(home, vars);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let mut found = remote(&ran);
    found.retain(|finding| finding.starts_with("BROKEN"));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// A home with a directory as remote, and its path.
fn directory() -> (Home, String) {
    let home = Home::new();
    let url = format!("file://{}", home.path("shared").display());
    (home, url)
}

#[test]
fn without_a_remote_there_is_nothing_to_try() {
    let home = Home::new();
    assert_eq!(remote(&doctor(&home, &[])), ["ok: none: the local store alone"]);
    let off = doctor(&home, &[("LARDER_REMOTE", "off"), ("SCCACHE_BUCKET", "b")]);
    assert_eq!(remote(&off), ["ok: switched off (environment, LARDER_REMOTE)"]);
}

#[test]
fn a_directory_is_written_read_and_left_empty() {
    let (home, url) = directory();
    let ran = doctor(&home, &[("LARDER_REMOTE", &url)]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let found = remote(&ran);
    assert_eq!(found.len(), 1, "{found:#?}");
    says(&found, &["ok: file://", "LARDER_REMOTE", "a probe was written and read again"]);
    let left = walk(&home.path("shared"));
    assert!(left.is_empty(), "{left:?}");
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    let below = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

#[test]
fn reading_writes_nothing() {
    let (home, url) = directory();
    fs::create_dir(home.path("shared")).expect("mkdir");
    let ran = doctor(&home, &[("LARDER_REMOTE", &url), ("LARDER_REMOTE_MODE", "read")]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    says(&remote(&ran), &["ok: file://", "only read"]);
    let names = fs::read_dir(home.path("shared")).expect("a directory").count();
    assert_eq!(names, 0);
}

#[test]
fn a_directory_that_cannot_be_written_needs_the_mode_read() {
    let (home, url) = directory();
    fs::create_dir(home.path("shared")).expect("mkdir");
    fs::set_permissions(home.path("shared"), fs::Permissions::from_mode(0o555)).expect("chmod");
    if fs::write(home.path("shared/probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let said = broken(&home, &[("LARDER_REMOTE", &url)]);
    assert!(said.contains("nothing can be written"), "{said}");
    assert!(said.contains("set remote.mode (now read-write, default) to read"), "{said}");
}

#[test]
fn what_lies_beside_and_what_is_not_ours_is_noted() {
    let (home, url) = directory();
    let key = "ab".repeat(32);
    let record = format!("shared/v1/records/ab/{key}");
    home.write("shared/photos/1.jpg", "x");
    home.write("shared/README", "x");
    home.write(&record, "not a record");
    let found = remote(&doctor(&home, &[("LARDER_REMOTE", &url)]));
    says(&found, &["note: 2 other names", "README, photos", "left alone", "LARDER_REMOTE name a"]);
    says(&found, &["note: 1 of 1 record", "not larder's", "remote.url"]);
    fs::write(home.path(&record), b"\x89ldo\x07\0\0\0of the future").expect("write");
    let found = remote(&doctor(&home, &[("LARDER_REMOTE", &url)]));
    says(&found, &["note: 1 of 1 record", "another version of larder", "-> use one version"]);
    assert_eq!(fs::read(home.path(&record)).expect("still there").get(..4), Some(&b"\x89ldo"[..]));
}

#[test]
fn keys_are_looked_at() {
    let (home, url) = directory();
    let trusted = |home: &Home| home.run(&["key", "show"]).out.trim().to_owned();
    assert_eq!(home.run(&["key", "new"]).code, Some(0));
    let public = trusted(&home);
    let mine = home.path(".config/larder/signing-key");
    let mine = mine.to_str().expect("UTF-8");
    let signs = [("LARDER_REMOTE", url.as_str()), ("LARDER_REMOTE_SIGNING_KEY", mine)];
    let reads = [("LARDER_REMOTE", url.as_str()), ("LARDER_REMOTE_TRUSTED_KEYS", public.as_str())];

    let ran = doctor(&home, &signs);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    says(&remote(&ran), &["a probe was written and read again"]);
    let said = broken(&home, &reads);
    assert!(said.contains("there is no key to sign with"), "{said}");
    assert!(said.contains("set remote.signing-key to a key's file, or remote.mode to read"));

    // A record without a signature, as somebody without the key could put it there.
    let project = home.project("p");
    let mut build = home.program("cargo");
    build.args(["build", "--offline"]).current_dir(&project).env("LARDER_REMOTE", &url);
    build.env("RUSTC_WRAPPER", env!("CARGO_BIN_EXE_larder"));
    assert!(build.status().expect("cargo runs").success());
    let mut push = home.larder();
    push.args(["push", "--wait"]).env("LARDER_REMOTE", &url);
    assert!(push.status().expect("larder runs").success());
    let mut stop = home.larder();
    assert!(stop.args(["agent", "--stop"]).env("LARDER_REMOTE", &url).status().is_ok());
    let found = remote(&doctor(&home, &[reads[0], reads[1], ("LARDER_REMOTE_MODE", "read")]));
    says(&found, &["ok: accepts what 1 trusted key signed"]);
    says(&found, &["are not signed, and do not count", "remote.signing-key"]);

    fs::set_permissions(mine, fs::Permissions::from_mode(0o644)).expect("chmod");
    says(&remote(&doctor(&home, &signs)), &["note: others can read", "chmod 600"]);
    fs::write(mine, "nonsense").expect("write");
    let said = broken(&home, &signs);
    assert!(said.contains("LARDER_REMOTE_SIGNING_KEY") && said.contains("not a secret"), "{said}");
}

#[test]
fn who_does_not_answer_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    drop(listener);
    let said = broken(&Home::new(), &[("LARDER_REMOTE", &url)]);
    assert!(said.contains("is unavailable") && said.contains("LARDER_REMOTE=off"), "{said}");
}

#[test]
fn a_mistake_in_the_settings_comes_first() {
    let home = Home::new();
    let (_, url) = directory();
    let ran = doctor(&home, &[("LARDER_REMOTE", &url), ("LARDER_REMOTE_MODE", "raed")]);
    assert_eq!(ran.code, Some(1));
    says(&remote(&ran), &["note: not used, because of the mistakes"]);
    assert!(ran.out.contains("LARDER_REMOTE_MODE = \"raed\""), "{}", ran.out);
    let said = broken(&home, &[("LARDER_REMOTE", "ftp://host/x")]);
    assert!(said.contains("LARDER_REMOTE: ftp:// is not supported; write s3://"), "{said}");
    let options = ("LARDER_REMOTE_OPTIONS", "regoin=x");
    let said = broken(&home, &[("LARDER_REMOTE", "s3://b"), options]);
    assert!(said.contains("regoin in LARDER_REMOTE_OPTIONS: there is no such option"), "{said}");
}

#[test]
fn sccaches_variables_are_named() {
    let home = Home::new();
    let found = remote(&doctor(&home, &[("SCCACHE_REDIS_ENDPOINT", "redis://h")]));
    says(&found, &["note: SCCACHE_REDIS_ENDPOINT is set for sccache and not used", "remote.url"]);
}

#[test]
fn s3_is_tried_and_each_wrong_setting_named() {
    let Some(home) = s3("s3") else { return };
    let ran = doctor(&home, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let found = remote(&ran);
    assert_eq!(found.len(), 1, "{found:#?}");
    says(&found, &["config.toml:2): answers in", "written and read again"]);
    says(&found, &["credentials from remote.options.secret_access_key ("]);
    let with = |option: &str| broken(&home, &[("LARDER_REMOTE_OPTIONS", option)]);
    let said = with("secret_access_key=guessed");
    let want = "access denied (secret_access_key in LARDER_REMOTE_OPTIONS)";
    assert!(said.contains(want) && !said.contains("guessed"), "{said}");
    let said = with("access_key_id=nobody");
    assert!(said.contains("access denied (access_key_id in LARDER_REMOTE_OPTIONS)"), "{said}");
    let said = with("access_key_id=reader,secret_access_key=reader-secret");
    assert!(said.contains("nothing can be written") && said.contains("remote.mode"), "{said}");
    let file = home.path(".config/larder/config.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, text.replace("s3://larder/", "s3://no-such-bucket/")).expect("write");
    let said = broken(&home, &[]);
    assert!(said.contains("config.toml:2): there is no bucket \"no-such-bucket\""), "{said}");
    assert!(said.contains("-> set remote.url ("), "{said}");
}

#[test]
fn a_bucket_of_sccache_is_used_below_a_prefix_of_our_own() {
    let Some(address) = address("LARDER_TEST_S3") else { return };
    let (home, prefix) = (Home::new(), prefix("sccache"));
    let vars = [
        ("SCCACHE_BUCKET", "larder"),
        ("SCCACHE_ENDPOINT", address.as_str()),
        ("SCCACHE_S3_KEY_PREFIX", prefix.as_str()),
        ("AWS_ACCESS_KEY_ID", "larder"),
        ("AWS_SECRET_ACCESS_KEY", "larder-secret"),
    ];
    let ran = doctor(&home, &vars);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let found = remote(&ran);
    let below = format!("below s3://larder/{prefix}/larder");
    says(
        &found,
        &["sccache's variables (environment, SCCACHE_BUCKET)", &below, "LARDER_REMOTE=off"],
    );
    says(&found, &["written and read again, credentials from AWS_SECRET_ACCESS_KEY"]);
    let mut wrong = vars;
    wrong[1].1 = "http://127.0.0.1:1";
    let said = broken(&home, &wrong);
    assert!(said.contains("unavailable") && said.contains("SCCACHE_ENDPOINT"), "{said}");
}

#[test]
fn azure_is_tried() {
    let Some(address) = address("LARDER_TEST_AZURE") else { return };
    let home = Home::new();
    let url = format!("az://larder/{}", prefix("azure"));
    let connection =
        format!("AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};BlobEndpoint={address};");
    let vars =
        [("LARDER_REMOTE", url.as_str()), ("AZURE_STORAGE_CONNECTION_STRING", connection.as_str())];
    let ran = doctor(&home, &vars);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    says(&remote(&ran), &["credentials from AccountKey in AZURE_STORAGE_CONNECTION_STRING"]);
    let wrong = connection.replace(AZURITE_KEY, "Z3Vlc3NlZA==");
    let said = broken(&home, &[vars[0], ("AZURE_STORAGE_CONNECTION_STRING", &wrong)]);
    assert!(said.contains("access denied (AccountKey in AZURE_STORAGE_CONNECTION"), "{said}");
}

#[test]
fn webdav_is_tried() {
    let Some(address) = address("LARDER_TEST_WEBDAV") else { return };
    let (home, name) = (Home::new(), prefix("webdav"));
    let vars = [
        ("SCCACHE_WEBDAV_ENDPOINT", format!("{address}/private")),
        ("SCCACHE_WEBDAV_KEY_PREFIX", name),
        ("SCCACHE_WEBDAV_USERNAME", "larder".into()),
        ("SCCACHE_WEBDAV_PASSWORD", "secret".into()),
    ];
    let mut vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (*name, &**value)).collect();
    let ran = doctor(&home, &vars);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    says(&remote(&ran), &["written and read again, credentials from SCCACHE_WEBDAV_PASSWORD"]);
    vars[3].1 = "guessed";
    let said = broken(&home, &vars);
    assert!(said.contains("access denied (SCCACHE_WEBDAV_PASSWORD)"), "{said}");
    assert!(!said.contains("guessed"), "{said}");
}

/// A server that answers each request, given its first line, as told, or never; for what a real one cannot
/// be made to say.
fn answering(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            match answer(head.lines().next().unwrap_or_default()) {
                Some(answer) => drop(stream.write_all(answer.as_bytes())),
                None => silent.push(stream),
            }
        }
    });
    address
}

/// An S3 server's refusal.
fn refusal(status: &str, code: &str, more: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>No.</Message>{more}</Error>");
    format!(
        "HTTP/1.1 {status}\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn clock_and_region_are_named() {
    let login = "access_key_id=a,secret_access_key=b,region=r";
    let said = |answer: String| {
        let options = format!("{login},endpoint={}", answering(move |_| Some(answer.clone())));
        let vars = [("LARDER_REMOTE", "s3://b"), ("LARDER_REMOTE_OPTIONS", options.as_str())];
        broken(&Home::new(), &vars)
    };
    let clock = said(refusal("403 Forbidden", "RequestTimeTooSkewed", ""));
    assert!(clock.contains("system clock: ") && clock.contains("Nov 2026"), "{clock}");
    assert!(clock.contains("-> set this machine's clock"), "{clock}");
    let region =
        refusal("400 Bad Request", "AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>");
    let region = said(region);
    assert!(region.contains("region in LARDER_REMOTE_OPTIONS: the bucket is in eu-north-1"));
}

#[test]
fn what_only_maintenance_needs_is_noted() {
    let address = answering(|request| {
        let lists = request.contains("list-type");
        let (status, code) =
            if lists { ("403 Forbidden", "AccessDenied") } else { ("404 Not Found", "NoSuchKey") };
        Some(refusal(status, code, ""))
    });
    let options = format!("access_key_id=a,secret_access_key=b,region=r,endpoint={address}");
    let vars = [("LARDER_REMOTE", "s3://b"), ("LARDER_REMOTE_OPTIONS", options.as_str())];
    let found = remote(&doctor(&Home::new(), &vars));
    says(&found, &["note: it cannot be listed, as `larder remote gc` does: access denied"]);
    let found =
        remote(&doctor(&Home::new(), &[&vars[..], &[("LARDER_REMOTE_MODE", "read")]].concat()));
    assert_eq!(found.len(), 1, "who only reads need not list: {found:#?}");
}

#[test]
fn who_accepts_and_never_answers_is_given_up() {
    let url = format!("{}/x", answering(|_| None));
    let said = broken(&Home::new(), &[("LARDER_REMOTE", &url)]);
    assert!(said.contains("unavailable") && said.contains("no answer within"), "{said}");
}

#[test]
fn the_state_of_a_remote_names_the_setting_too() {
    let home = Home::new();
    let status = |vars: &[(&str, &str)]| {
        let mut command = home.larder();
        command.args(["remote", "status"]).envs(vars.iter().copied());
        let ran = Ran::of(&command.output().expect("larder runs"));
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
        home.larder().args(["agent", "--stop"]).envs(vars.iter().copied()).status().expect("runs");
        ran.err
    };
    let none = status(&[]);
    assert!(none.contains("no remote is configured"), "{none}");
    let wrong = status(&[("LARDER_REMOTE", "bucket")]);
    assert!(wrong.contains("a mistake in the settings; see `larder config`"), "{wrong}");
    let unknown = status(&[("LARDER_REMOTE", "ftp://h/x")]);
    assert!(unknown.contains("larder: LARDER_REMOTE: ftp:// is not supported"), "{unknown}");
}
