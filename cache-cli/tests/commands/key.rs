use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

const STANDARD: &str = ".config/larder/signing-key";

#[test]
fn a_new_key_is_for_its_owner_alone_and_its_public_key_can_be_shown_again() {
    let home = Home::new();
    let made = home.run(&["key", "new"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let path = home.path(STANDARD);
    assert!(made.out.contains(&path.display().to_string()), "{}", made.out);
    assert_eq!(fs::metadata(&path).expect("key").permissions().mode() & 0o777, 0o600);
    let shown = home.run(&["key", "show"]);
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""));
    let trusted = format!("trusted-keys = [\"{}\"]", shown.out.trim());
    assert!(made.out.contains(&trusted), "{}", made.out);
    assert!(made.out.contains(&format!("signing-key = \"{}\"", path.display())), "{}", made.out);
    assert!(shown.out.starts_with("ed25519:"), "{}", shown.out);
    assert!(made.out.contains(shown.out.trim()), "{}", made.out);
    let secret = fs::read_to_string(&path).expect("key");
    let secret = secret.lines().find(|line| !line.starts_with('#')).expect("a line");
    let digits = secret.rsplit(':').next().expect("digits");
    assert!(!made.out.contains(digits) && !shown.out.contains(digits), "a secret stays one");
    assert!(!home.store().exists());
}

#[test]
fn a_key_is_never_replaced() {
    let home = Home::new();
    assert_eq!(home.run(&["key", "new", "team"]).code, Some(0));
    let before = fs::read(home.path("team")).expect("key");
    let again = home.run(&["key", "new", "team"]);
    assert_eq!((again.code, again.out.as_str()), (Some(1), ""));
    assert!(again.err.contains("team is there already"), "{}", again.err);
    assert_eq!(fs::read(home.path("team")).expect("key"), before);
}

#[test]
fn what_is_no_key_is_named_with_what_to_do() {
    let home = Home::new();
    let absent = home.run(&["key", "show"]);
    assert_eq!((absent.code, absent.out.as_str()), (Some(1), ""));
    assert!(absent.err.contains(STANDARD) && absent.err.contains("key new"), "{}", absent.err);
    home.write("other", "ssh-ed25519 AAAA\n");
    let other = home.run(&["key", "show", "other"]);
    assert_eq!(other.code, Some(1));
    assert!(other.err.contains("other: not a secret key"), "{}", other.err);
    assert!(!other.err.contains("AAAA"), "what may be a secret is not repeated: {}", other.err);
}

#[test]
fn a_key_that_others_can_read_is_pointed_out() {
    let home = Home::new();
    assert_eq!(home.run(&["key", "new", "team"]).code, Some(0));
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(home.path("team"), open).expect("chmod");
    let shown = home.run(&["key", "show", "team"]);
    assert_eq!(shown.code, Some(0));
    assert!(shown.err.contains("chmod 600 team"), "{}", shown.err);
}
