//! What cargo thinks afterwards: a restore leaves nothing stale and makes nothing wrongly fresh.

use std::process::Command;

use crate::harness::{Checkout, Lab, Run, app, one_lib};

const JSON: &[&str] = &["build", "--message-format=json"];

#[track_caller]
fn no_op(checkout: &Checkout<'_>) {
    let run = checkout.cargo(JSON).good();
    assert!(run.freshness().iter().all(|(_, fresh)| *fresh), "{}", run.describe());
    assert!(run.events.is_empty(), "no compiler was asked: {}", run.describe());
}

#[test]
fn the_next_build_is_a_no_op_and_stays_one() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        for _ in 0..3 {
            no_op(checkout);
        }
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn an_edit_rebuilds_what_plain_cargo_rebuilds() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.write("src/main.rs", "fn main() { println!(\"app 2, {}\", mid::text()); }\n");
        assert_eq!(checkout.build_and_run(), "app 2, mid 1, leaf 1\n");
        checkout.write("mid/src/lib.rs", "pub fn text() -> String { \"mid 2\".into() }\n");
        assert_eq!(checkout.build_and_run(), "app 2, mid 2\n");
        checkout.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 2\" }\n");
        assert_eq!(checkout.build_and_run(), "app 2, mid 2\n");
        no_op(checkout);
    });
    let names = |run: &Run| run.rebuilt().into_iter().collect::<Vec<_>>().join(" ");
    let rebuilt: Vec<_> = second.runs().iter().map(names).collect();
    assert_eq!(rebuilt, ["app leaf mid", "app", "app mid", "app leaf mid", ""]);
}

#[test]
fn an_edit_after_a_restore_is_compiled() {
    let lab = Lab::new();
    lab.checkout("a", &app()).build_and_run();
    let b = lab.checkout("b", &app());
    b.build_and_run();
    b.last().expect(&["leaf", "mid"], &[]);
    b.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"new\" }\n");
    assert_eq!(b.build_and_run(), "app 1, mid 1, new\n");
    b.last().expect(&[], &["leaf", "mid"]);
}

#[test]
fn a_deleted_target_is_restored() {
    let lab = Lab::new();
    let (first, _) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.remove("target");
        checkout.build_and_run();
        no_op(checkout);
        checkout.cargo(&["clean"]).good();
        checkout.build_and_run();
    });
    first.runs()[1].expect(&["leaf", "mid"], &[]);
}

#[test]
fn a_touched_source_is_looked_up_and_hits() {
    let lab = Lab::new();
    let (first, _) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        let source = std::fs::read(checkout.path("leaf/src/lib.rs")).unwrap();
        checkout.write("leaf/src/lib.rs", source);
        checkout.build_and_run();
        no_op(checkout);
    });
    first.runs()[1].expect(&["leaf", "mid"], &[]);
}

#[test]
fn a_restore_in_one_checkout_makes_no_other_stale() {
    let lab = Lab::new();
    let checkouts = ["a", "b", "c"].map(|name| lab.checkout(name, &app()));
    for checkout in &checkouts {
        checkout.build_and_run();
    }
    checkouts.iter().for_each(no_op);
    checkouts[1].remove("target");
    checkouts[1].build_and_run();
    checkouts.iter().for_each(no_op);
}

#[test]
fn two_checkouts_with_different_sources_do_not_disturb_each_other() {
    let lab = Lab::new();
    let a = lab.checkout("a", &app());
    let b = lab.checkout(
        "b",
        &app().with("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf b\" }\n"),
    );
    for _ in 0..2 {
        assert_eq!(a.build_and_run(), "app 1, mid 1, leaf 1\n");
        assert_eq!(b.build_and_run(), "app 1, mid 1, leaf b\n");
        a.remove("target");
        b.remove("target");
    }
    assert_eq!(b.runs()[1].hits(), ["leaf", "mid"]);
}

#[test]
fn sources_that_go_back_in_time() {
    // As a checkout of an older commit with restored mtimes does; cargo looks at mtimes only, and
    // the wrapper must add nothing to that.
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        let old = checkout.path("leaf/src/lib.rs");
        checkout.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"old\" }\n");
        let touched = Command::new("touch").args(["-d", "2001-01-01"]).arg(&old).status();
        assert!(touched.unwrap().success());
        checkout.build_and_run();
        checkout.remove("target");
        assert_eq!(checkout.build_and_run(), "app 1, mid 1, old\n");
        no_op(checkout);
    });
    assert!(second.runs()[1].rebuilt().is_empty(), "cargo's own blind spot");
}

#[test]
fn sources_with_mtimes_in_the_future() {
    let lab = Lab::new();
    lab.oracle(&app(), |checkout| {
        let source = checkout.path("leaf/src/lib.rs");
        let touched = Command::new("touch").args(["-d", "2040-01-01"]).arg(&source).status();
        assert!(touched.unwrap().success());
        checkout.build_and_run();
        let run = checkout.cargo(&["build"]).good();
        assert!(run.rebuilt().contains("leaf"), "cargo's own view");
        checkout.program("target/debug/app");
    });
}

#[test]
fn a_target_directory_copied_from_another_checkout() {
    let lab = Lab::new();
    let copy = |from: &Checkout<'_>, to: &Checkout<'_>| {
        let copied =
            Command::new("cp").arg("-a").args([from.path("target"), to.path("target")]).status();
        assert!(copied.unwrap().success());
    };
    let changed = app().with("leaf/src/lib.rs", "pub fn text() -> &'static str { \"copy\" }\n");
    let scenario = |from: &Checkout<'_>, to: &Checkout<'_>| {
        from.build_and_run();
        for (path, content) in &changed.0 {
            to.write(path, content);
        }
        copy(from, to);
        to.cargo(&["build"]).good();
        let text = to.program("target/debug/app");
        assert_eq!(text, "app 1, mid 1, copy\n");
        no_op(to);
        no_op(from);
    };
    let (plain, plain_copy) = (lab.plain("p", &app()), lab.plain("q", &changed));
    scenario(&plain, &plain_copy);
    let (a, b) = (lab.checkout("a", &app()), lab.checkout("b", &changed));
    scenario(&a, &b);
    plain.assert_same(&a);
    plain_copy.assert_same(&b);
}

#[test]
fn with_and_without_the_wrapper_share_a_target_directory() {
    let lab = Lab::new();
    let a = lab.checkout("a", &app());
    let without =
        |args: &[&str]| a.cargo_with(args, |cargo| cargo.env_remove("RUSTC_WRAPPER")).good();
    a.build_and_run();
    assert!(without(&["build"]).rebuilt().is_empty());
    a.remove("target");
    without(&["build"]);
    no_op(&a);
    a.write("mid/src/lib.rs", "pub fn text() -> String { \"mid 2\".into() }\n");
    assert_eq!(a.build_and_run(), "app 1, mid 2\n");
    assert!(without(&["build"]).rebuilt().is_empty());
}

#[test]
fn a_full_hit_starts_no_compiler_for_what_is_cached() {
    let lab = Lab::new();
    let counter = lab.count_compilers();
    let (a, b) = (lab.checkout("a", &app()), lab.checkout("b", &app()));
    a.build_and_run();
    assert_eq!(counter.compiled(), ["app", "leaf", "mid"]);
    b.build_and_run();
    b.last().expect(&["leaf", "mid"], &[]);
    let compiled: Vec<_> =
        b.last().events.into_iter().filter(|event| event.result != "hit").map(|e| e.name).collect();
    assert_eq!(counter.compiled(), compiled, "what was not restored is compiled, nothing else");
}

#[test]
fn incremental_compilation_is_right_whether_it_is_cached_or_not() {
    let lab = Lab::new();
    lab.oracle(&one_lib("pub fn text() -> u8 { 1 }\n"), |checkout| {
        for text in ["1", "2", "2", "1"] {
            let source = format!("pub fn text() -> u8 {{ {text} }}\n");
            if std::fs::read(checkout.path("one/src/lib.rs")).unwrap() != source.as_bytes() {
                checkout.write("one/src/lib.rs", source);
            }
            checkout.cargo_with(&["build"], |cargo| cargo.env("CARGO_INCREMENTAL", "1")).good();
            assert_eq!(checkout.program("target/debug/app").trim_end(), text);
        }
    });
}

#[test]
fn restored_files_are_no_trouble_when_the_wrapper_is_taken_away() {
    let lab = Lab::new();
    let (first, second) = (lab.checkout("a", &app()), lab.checkout("b", &app()));
    for checkout in [&first, &second] {
        checkout.build_and_run();
        checkout.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 2\" }\n");
        let without =
            checkout.cargo_with(&["build"], |cargo| cargo.env_remove("RUSTC_WRAPPER")).good();
        assert_eq!(without.rebuilt().len(), 3);
        assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 2\n");
        checkout.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 3\" }\n");
        checkout.cargo_with(&["build"], |cargo| cargo.env("LARDER", "off")).good();
        assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 3\n");
        checkout.cargo(&["clean"]).good();
    }
    second.runs()[0].expect(&["leaf", "mid"], &[]);
    let third = lab.checkout("c", &app());
    assert_eq!(third.build_and_run(), "app 1, mid 1, leaf 1\n");
    third.last().expect(&["leaf", "mid"], &[]);
}
