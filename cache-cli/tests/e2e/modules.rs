//! Module files that move, swap and shadow each other.

use crate::harness::{Lab, one_lib};

const TWO: &str =
    "mod a;\nmod b;\npub fn text() -> String { format!(\"{} {}\", a::f(), b::f()) }\n";

fn f(text: &str) -> String {
    format!("pub fn f() -> &'static str {{ \"{text}\" }}\n")
}

#[test]
fn swapped_modules() {
    let lab = Lab::new();
    let files = one_lib(TWO).with("one/src/a.rs", &f("x")).with("one/src/b.rs", &f("y"));
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "x y\n");
        checkout.rename("one/src/a.rs", "one/src/t.rs");
        checkout.rename("one/src/b.rs", "one/src/a.rs");
        checkout.rename("one/src/t.rs", "one/src/b.rs");
        // A rename keeps mtimes, so that plain cargo would not look either.
        checkout.write("one/src/lib.rs", TWO);
        assert_eq!(checkout.build_and_run(), "y x\n");
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn a_module_file_becomes_a_directory() {
    let lab = Lab::new();
    let root = "mod foo;\npub fn text() -> String { format!(\"{} {}\", foo::f(), foo::file()) }\n";
    let module = format!("{}pub fn file() -> &'static str {{ file!() }}\n", f("x"));
    let files = one_lib(root).with("one/src/foo.rs", &module);
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "x one/src/foo.rs\n");
        checkout.rename("one/src/foo.rs", "one/src/foo/mod.rs");
        assert_eq!(checkout.build_and_run(), "x one/src/foo/mod.rs\n");
        checkout.rename("one/src/foo/mod.rs", "one/src/foo.rs");
        assert_eq!(checkout.build_and_run(), "x one/src/foo.rs\n");
    });
    first.runs()[..2].iter().for_each(|run| run.expect(&[], &["one"]));
    first.runs()[2].expect(&["one"], &[]);
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn a_second_file_for_a_module_is_the_same_error() {
    let lab = Lab::new();
    let root = "mod foo;\npub fn text() -> &'static str { foo::f() }\n";
    let files = one_lib(root).with("one/src/foo.rs", &f("x"));
    let (_, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "x\n");
        checkout.write("one/src/foo/mod.rs", f("z"));
        checkout.write("one/src/lib.rs", root);
        assert!(!checkout.cargo(&["build"]).ok(), "E0761");
        checkout.remove("one/src/foo/mod.rs");
        assert_eq!(checkout.build_and_run(), "x\n");
    });
    assert_eq!(second.runs()[1].misses(), ["one"]);
    second.runs()[2].expect(&["one"], &[]);
}

#[test]
fn a_module_path_that_a_cfg_chooses() {
    let lab = Lab::new();
    let root = "#[cfg_attr(feature = \"two\", path = \"two.rs\")]\nmod m;\npub fn text() -> &'static str { m::f() }\n";
    let files = one_lib(root)
        .package("one", "one", "[features]\ntwo = []\n")
        .package(
            "",
            "app",
            "[features]\ntwo = [\"one/two\"]\n[dependencies]\none = { path = \"one\" }\n[workspace]\nmembers = [\"one\"]\n",
        )
        .with("one/src/m.rs", &f("1"))
        .with("one/src/two.rs", &f("2"));
    let (first, second) = lab.oracle(&files, |checkout| {
        for (args, text) in [(&["build"][..], "1\n"), (&["build", "--features", "two"], "2\n")] {
            checkout.cargo(args).good();
            assert_eq!(checkout.program("target/debug/app"), text);
        }
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn a_new_module_is_noticed_and_an_unused_file_is_no_input() {
    let lab = Lab::new();
    let files = one_lib("pub fn text() -> &'static str { \"1\" }\n");
    lab.checkout("a", &files).build_and_run();
    let b = lab.checkout("b", &files.clone().with("one/src/unused.rs", "not Rust"));
    b.build_and_run();
    b.last().expect(&["one"], &[]);
    let c = lab.checkout(
        "c",
        &files
            .with("one/src/lib.rs", "mod m;\npub fn text() -> &'static str { m::f() }\n")
            .with("one/src/m.rs", &f("2")),
    );
    assert_eq!(c.build_and_run(), "2\n");
    c.last().expect(&[], &["one"]);
}

#[test]
fn the_target_of_a_linked_source_file_is_an_input() {
    let lab = Lab::new();
    let files = one_lib("mod m;\npub fn text() -> &'static str { m::f() }\n")
        .with("shared/m1.rs", &f("1"))
        .with("shared/m2.rs", &f("2"));
    for (name, target, results) in
        [("a", "m1", ("1\n", "miss")), ("b", "m1", ("1\n", "hit")), ("c", "m2", ("2\n", "miss"))]
    {
        let checkout = lab.checkout(name, &files);
        let link = checkout.path("one/src/m.rs");
        std::os::unix::fs::symlink(format!("../../shared/{target}.rs"), link).unwrap();
        assert_eq!(checkout.build_and_run(), results.0);
        let one = checkout.last().events.into_iter().find(|event| event.name == "one").unwrap();
        assert_eq!(one.result, results.1, "{name}");
    }
}
