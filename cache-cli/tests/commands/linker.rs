//! What commands say of the chosen linker.

use std::path::Path;

use crate::installed::installed;
use crate::support::{Home, Ran};

/// `larder doctor` with this linker chosen, and only `bin` below the home and directories without
/// any linker to choose on `PATH`.
fn doctor(home: &Home, linker: &str) -> Ran {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let has_none = |dir: &Path| !["mold", "wild"].iter().any(|name| dir.join(name).exists());
    let rest = std::env::split_paths(&usual).filter(|dir| has_none(dir) || dir.join("cc").exists());
    let path = std::env::join_paths([home.path("bin")].into_iter().chain(rest)).expect("PATH");
    let mut command = home.larder();
    command.arg("doctor").env("LARDER_LINKER", linker).env("PATH", path);
    Ran::of(&command.output().expect("runs"))
}

/// What is said of the linker, with the fix in the same line.
#[track_caller]
fn said(ran: &Ran) -> String {
    let mut lines = ran.out.lines().skip_while(|line| !line.contains(" linker "));
    let (first, second) = (lines.next(), lines.next().unwrap_or_default());
    let first = first.unwrap_or_else(|| panic!("nothing about a linker:\n{}", ran.out));
    let fix = second.trim_start().strip_prefix("-> ").map(|fix| format!(" -> {fix}"));
    first.split_whitespace().collect::<Vec<_>>().join(" ") + &fix.unwrap_or_default()
}

const GOES_ON: &str = "links go on as without this setting";
const DEFAULT: &str = "set link.linker, or LARDER_LINKER, to default";

#[test]
fn no_chosen_linker_is_fine() {
    let home = Home::new();
    let ran = doctor(&home, "default");
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert_eq!(said(&ran), "ok linker the compiler's own choice (link.linker = default)");
}

#[test]
fn an_installed_linker_is_tried() {
    let Some(mold) = installed("mold") else { return };
    let home = Home::new();
    home.write_program("bin/mold", &format!("#!/bin/sh\nexec {} \"$@\"\n", mold.display()));
    let ran = doctor(&home, "mold");
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let said = said(&ran);
    assert!(said.starts_with("ok linker mold: mold "), "{said}");
    let place = format!("{} (environment, LARDER_LINKER)", home.path("bin/mold").display());
    assert!(said.ends_with(&format!("{place}; a test program links with it and runs")), "{said}");
}

#[test]
fn a_linker_that_is_not_installed_is_broken() {
    let home = Home::new();
    let file = home.write(".config/larder/config.toml", "[link]\nlinker = \"wild\"\n");
    let ran = doctor(&home, "");
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let want = format!(
        "BROKEN linker link.linker = wild ({}:2): there is no program wild in PATH; {GOES_ON} \
         -> install it (cargo install --locked wild-linker), or {DEFAULT}",
        file.display()
    );
    assert_eq!(said(&ran), want);
}

#[test]
fn a_linker_that_does_not_work_is_broken() {
    let home = Home::new();
    let failing = |text: &str| {
        home.write_program("bin/wild", &format!("#!/bin/sh\n{text}\n"));
        let ran = doctor(&home, "wild");
        assert_eq!(ran.code, Some(1), "{}", ran.out);
        let said = said(&ran);
        assert!(said.starts_with("BROKEN linker link.linker = wild (environment"), "{said}");
        assert!(said.contains(GOES_ON) && said.ends_with(DEFAULT), "{said}");
        said
    };
    assert!(failing("exit 3").contains("does not run: --version: exit status: 3"));
    let text =
        "if [ \"$1\" = --version ]; then echo 'wild 0'; else echo 'no can do' >&2; exit 3; fi";
    let said = failing(text);
    assert!(said.contains("linking a test program failed (exit status: 1)"), "{said}");
}

/// The name alone does not make a linker wild.
#[test]
fn another_linker_under_that_name_is_broken() {
    let home = Home::new();
    home.write_program(
        "bin/wild",
        "#!/bin/sh\nfor arg; do shift; [ \"$arg\" = --no-fork ] || set -- \"$@\" \"$arg\"; done\n\
         exec ld \"$@\"\n",
    );
    let ran = doctor(&home, "wild");
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let said = said(&ran);
    assert!(said.contains("took another linker for a test program, which says: "), "{said}");
}

#[test]
fn a_trial_compares_linkers() {
    if installed("mold").is_none() {
        return;
    }
    let home = Home::new();
    let project = home.project("p");
    let temp = home.path("temp");
    std::fs::create_dir(&temp).expect("mkdir");
    let mut command = home.larder();
    command.args(["try", "--linker", "mold"]).arg(&project).env("TMPDIR", &temp);
    command.env("LARDER_LINKER", "lld");
    let ran = Ran::of(&command.output().expect("runs"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for text in [
        "cold, default",
        "cold, mold ",
        "again, default",
        "again, mold ",
        "1 unit compiled, 1 linked; medians of 5",
        "mold linked 1 of 1 programs and shared libraries",
    ] {
        assert!(ran.out.contains(text), "{text} in {}", ran.out);
    }
    assert_eq!(std::fs::read_dir(&temp).expect("listed").count(), 0, "nothing is left");
    assert!(!home.store().exists(), "the user's store is untouched");
}

#[test]
fn a_trial_of_a_linker_that_is_missing_or_unknown_is_refused() {
    let home = Home::new();
    let project = home.project("p").display().to_string();
    let ran = home.run(&["try", "--linker", "mould", &project]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("not a known value; write mold (known: wild, mold, lld)"),
        "{}",
        ran.err
    );
    let mut command = home.larder();
    // No directory but the toolchain's own.
    let sysroot = home.program("rustc").args(["--print", "sysroot"]).output().expect("rustc runs");
    let bare = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim_end()).join("bin");
    command.args(["try", "--linker", "wild", &project]).env("PATH", &bare);
    let ran = Ran::of(&command.output().expect("runs"));
    assert_eq!(ran.code, Some(1));
    let want = "larder: wild: there is no program wild in PATH; install it (cargo install";
    assert!(ran.err.contains(want), "{}", ran.err);
}
