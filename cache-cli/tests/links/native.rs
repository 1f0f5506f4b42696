//! Archives and shared libraries behind `-l` in every spelling, and where they are found.

use crate::harness::{Checkout, Files, Lab, Run};
use crate::support::{
    DECLARATION, MAIN, all_hits, archive, expect, follows, foreign, oracle, rebuild, shared,
};

const SAYS: [&str; 2] = ["foo 1", "foo 2"];

/// An archive in `libs` whose content changes, linked with these flags.
#[track_caller]
fn archive_follows(files: &Files, name: &str) {
    let make = |value: u8| {
        move |lab: &Lab, checkout: &Checkout<'_>| archive(lab, checkout, "libs", name, value)
    };
    follows(files, make(1), make(2), make(1), SAYS);
}

fn flags(library: &str) -> Files {
    foreign(&["-L", "native=libs", "-l", library])
}

fn linked(attribute: &str, flags: &[&str]) -> Files {
    foreign(flags).with("src/main.rs", &format!("{attribute}\n{DECLARATION}{MAIN}"))
}

#[test]
fn archive_named_static() {
    archive_follows(&flags("static=foo"), "foo");
}

#[test]
fn archive_named_whole() {
    archive_follows(&flags("static:+whole-archive=foo"), "foo");
}

#[test]
fn archive_named_unbundled() {
    archive_follows(&flags("static:-bundle=foo"), "foo");
}

#[test]
fn archive_named_by_file() {
    archive_follows(&foreign(&["-C", "link-arg=libs/libfoo.a"]), "foo");
}

#[test]
fn archive_renamed() {
    let flags = ["-L", "native=libs", "-l", "static=inner:foo"];
    archive_follows(&linked("#[link(name = \"inner\")]", &flags), "foo");
}

#[test]
fn archive_named_bare() {
    archive_follows(&flags("foo"), "foo");
}

#[test]
fn archive_named_bare_with_the_systems_linker() {
    let flags = ["-L", "native=libs", "-l", "foo", "-C", "linker-features=-lld"];
    archive_follows(&foreign(&flags), "foo");
}

#[test]
fn archive_named_in_a_directory_of_any_kind() {
    archive_follows(&foreign(&["-Llibs", "-lstatic=foo"]), "foo");
}

#[test]
fn archive_named_by_link_argument() {
    archive_follows(&foreign(&["-C", "link-args=-Llibs -lfoo"]), "foo");
}

#[test]
fn archive_named_in_source_as_static() {
    let files = linked("#[link(name = \"foo\", kind = \"static\")]", &["-L", "native=libs"]);
    archive_follows(&files, "foo");
}

#[test]
fn archive_named_in_source() {
    archive_follows(&linked("#[link(name = \"foo\")]", &["-L", "native=libs"]), "foo");
}

const RPATH: &str = "link-arg=-Wl,-rpath,$ORIGIN/../../libs";

#[test]
fn shared_library() {
    let files = foreign(&["-L", "native=libs", "-l", "dylib=foo", "-C", RPATH]);
    let make = |value: u8| {
        move |lab: &Lab, checkout: &Checkout<'_>| shared(lab, checkout, "libs", "foo", value)
    };
    follows(&files, make(1), make(2), make(1), SAYS);
}

#[test]
fn archive_that_appears_earlier_in_the_compilers_search() {
    for library in ["static=foo", "foo"] {
        follows(
            &foreign(&["-L", "native=early", "-L", "native=libs", "-l", library]),
            |lab, checkout| {
                checkout.write("early/readme", "");
                archive(lab, checkout, "libs", "foo", 1);
            },
            |lab, checkout| archive(lab, checkout, "early", "foo", 2),
            |_, checkout| checkout.remove("early/libfoo.a"),
            SAYS,
        );
    }
}

#[test]
fn archive_that_appears_earlier_in_the_system_linkers_search() {
    let lld = "linker-features=-lld";
    follows(
        &foreign(&["-L", "native=early", "-L", "native=libs", "-l", "foo", "-C", lld]),
        |lab, checkout| {
            checkout.write("early/readme", "");
            archive(lab, checkout, "libs", "foo", 1);
        },
        |lab, checkout| archive(lab, checkout, "early", "foo", 2),
        |_, checkout| checkout.remove("early/libfoo.a"),
        SAYS,
    );
}

#[test]
fn archive_in_a_directory_that_appears() {
    follows(
        &foreign(&["-L", "native=early", "-L", "native=libs", "-l", "foo"]),
        |lab, checkout| archive(lab, checkout, "libs", "foo", 1),
        |lab, checkout| archive(lab, checkout, "early", "foo", 2),
        |_, checkout| checkout.remove("early"),
        SAYS,
    );
}

#[test]
fn shared_library_that_appears_beside_the_archive() {
    follows(
        &foreign(&["-L", "native=libs", "-l", "foo", "-C", RPATH]),
        |lab, checkout| archive(lab, checkout, "libs", "foo", 1),
        |lab, checkout| shared(lab, checkout, "libs", "foo", 2),
        |_, checkout| checkout.remove("libs/libfoo.so"),
        SAYS,
    );
}

/// The linker's driver looks where this variable says.
#[test]
fn archive_found_through_the_environment() {
    let lab = Lab::new();
    let (first, second) =
        oracle(&lab, &foreign(&["-l", "foo"]), &["target/debug/app"], |checkout| {
            archive(&lab, checkout, "one", "foo", 1);
            archive(&lab, checkout, "two", "foo", 2);
            for (dir, says) in [("one", SAYS[0]), ("two", SAYS[1]), ("one", SAYS[0])] {
                lab.set_env("LIBRARY_PATH", dir);
                assert_eq!(rebuild(checkout), says);
            }
        });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

/// `app` uses `a`, which uses `foo-sys`, whose archive its build script makes from a C file.
fn sys(kind: &str) -> Files {
    let build = BUILD.replace("KIND", kind);
    Files::default()
        .package(
            "",
            "app",
            "[dependencies]\na = { path = \"a\" }\n[workspace]\nmembers = [\"a\", \"foo-sys\"]\n",
        )
        .with("src/main.rs", "fn main() { println!(\"foo {}\", a::value()); }\n")
        .package("a", "a", "[dependencies]\nfoo-sys = { path = \"../foo-sys\" }\n")
        .with("a/src/lib.rs", "pub fn value() -> i32 { unsafe { foo_sys::foo_value() } }\n")
        .package("foo-sys", "foo-sys", "links = \"foo\"\nbuild = \"build.rs\"\n")
        .with("foo-sys/src/lib.rs", "extern \"C\" { pub fn foo_value() -> i32; }\n")
        .with("foo-sys/foo.c", "int foo_value(void) { return 1; }\n")
        .with("foo-sys/build.rs", &build)
}

const BUILD: &str = r#"
use std::process::Command;
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let object = format!("{out}/foo.o");
    let library = format!("{out}/libfoo.a");
    let _ = std::fs::remove_file(&library);
    assert!(Command::new("cc").args(["-c", "-fPIC", "foo.c", "-o", &object]).status().unwrap().success());
    assert!(Command::new("ar").args(["rcsD", &library, &object]).status().unwrap().success());
    println!("cargo:rerun-if-changed=foo.c");
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=KIND=foo");
}
"#;

fn archive_behind_two_crates(kind: &str) {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &sys(kind), &["target/debug/app"], |checkout| {
        assert_eq!(checkout.build_and_run(), "foo 1\n");
        checkout.write("foo-sys/foo.c", "int foo_value(void) { return 2; }\n");
        assert_eq!(checkout.build_and_run(), "foo 2\n");
        checkout.write("foo-sys/foo.c", "int foo_value(void) { return 1; }\n");
        checkout.remove("target");
        assert_eq!(checkout.build_and_run(), "foo 1\n");
        let again = checkout.cargo(&["build"]).good();
        assert!(again.rebuilt().is_empty(), "{}", again.describe());
    });
    expect(&first.runs()[0], "bin", "app", "miss");
    expect(&first.runs()[1], "bin", "app", "miss");
    expect(&first.runs()[2], "bin", "app", "hit");
    let built = second.runs();
    for run in &built[..3] {
        let others = run.events.iter().filter(|event| !event.runs_a_script());
        assert!(others.clone().count() > 0 && others.clone().all(|event| event.result == "hit"));
    }
    // Over what the run before left, the script runs as it would without the wrapper.
    let served: Vec<_> = built[..3].iter().map(Run::scripts).collect();
    assert_eq!(served, [[("foo-sys", "hit")], [("foo-sys", "miss")], [("foo-sys", "hit")]]);
}

#[test]
fn archive_of_a_build_script_behind_two_crates() {
    archive_behind_two_crates("static");
}

#[test]
fn unbundled_archive_of_a_build_script_behind_two_crates() {
    archive_behind_two_crates("static:-bundle");
}

#[test]
fn whole_archive_of_a_build_script_behind_two_crates() {
    archive_behind_two_crates("static:+whole-archive");
}

#[test]
fn bare_archive_of_a_build_script_behind_two_crates() {
    archive_behind_two_crates("dylib");
}

/// Only the archive changes, and nobody tells cargo: every unit is looked up again.
#[test]
fn changed_archive_is_noticed_by_whoever_links_it() {
    let lab = Lab::new();
    for (name, kind) in [("bundled", "static"), ("unbundled", "static:-bundle"), ("bare", "dylib")]
    {
        let files = sys(kind)
            .with("foo-sys/build.rs", "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    println!(\"cargo:rustc-link-search=native={}/libs\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n    println!(\"cargo:rustc-link-lib=KIND=foo\");\n}\n".replace("KIND", kind).as_str());
        let checkout = |at: &str, value: u8| {
            let checkout = lab.checkout(&format!("{name}/{at}"), &files);
            archive(&lab, &checkout, "foo-sys/libs", "foo", value);
            checkout
        };
        for (at, value, result) in
            [("a", 1, "miss"), ("b", 1, "hit"), ("c", 2, "miss"), ("d", 1, "hit")]
        {
            let checkout = checkout(at, value);
            assert_eq!(checkout.build_and_run(), format!("foo {value}\n"), "{kind} {at}");
            expect(&checkout.last(), "bin", "app", result);
        }
    }
}

/// A directory that is searched for crates may be searched for libraries too.
#[test]
fn archive_that_appears_among_the_outputs() {
    let lab = Lab::new();
    let flags =
        ["-L", "native=target/debug/deps", "-L", "native=libs", "-l", "foo", "-Ctarget-cpu=x86-64"];
    let (first, _) = oracle(&lab, &foreign(&flags), &["target/debug/app"], |checkout| {
        archive(&lab, checkout, "libs", "foo", 1);
        assert_eq!(rebuild(checkout), SAYS[0]);
        checkout.remove("target");
        archive(&lab, checkout, "target/debug/deps", "foo", 2);
        assert_eq!(checkout.build_and_run().trim_end(), SAYS[1], "{}", checkout.last().describe());
    });
    expect(&first.runs()[1], "bin", "app", "miss");
}

/// What a symbolic link points to is what is linked.
#[test]
fn archive_behind_a_symbolic_link() {
    follows(
        &flags("foo"),
        |lab, checkout| {
            archive(lab, checkout, "one", "foo", 1);
            archive(lab, checkout, "two", "foo", 2);
            std::os::unix::fs::symlink("one", checkout.path("libs")).expect("a link");
        },
        |_, checkout| {
            std::fs::remove_file(checkout.path("libs")).expect("removal");
            std::os::unix::fs::symlink("two", checkout.path("libs")).expect("a link");
        },
        |_, checkout| {
            std::fs::remove_file(checkout.path("libs")).expect("removal");
            std::os::unix::fs::symlink("one", checkout.path("libs")).expect("a link");
        },
        SAYS,
    );
}

/// A thin archive holds names of objects, whose content counts.
#[test]
fn thin_archive() {
    let make = |value: u8| {
        move |lab: &Lab, checkout: &Checkout<'_>| {
            crate::support::object(lab, checkout, "libs/foo.o", value);
            checkout.remove_if_there("libs/libfoo.a");
            crate::support::tool(
                lab,
                &checkout.root,
                "ar",
                &["rcsDT", "libs/libfoo.a", "libs/foo.o"],
            );
        }
    };
    let change = |lab: &Lab, checkout: &Checkout<'_>| {
        crate::support::object(lab, checkout, "libs/foo.o", 2);
    };
    follows(&flags("foo"), make(1), change, make(1), SAYS);
}
