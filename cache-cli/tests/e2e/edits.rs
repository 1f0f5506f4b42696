//! Edits of incrementally compiled crates: which states are stored, and that all are right.

use crate::harness::{Checkout, Files, Lab, app};

/// [`app`] with `leaf` in this state.
fn state(number: u32) -> Files {
    app().with("leaf/src/lib.rs", &leaf(number))
}

fn leaf(number: u32) -> String {
    format!("pub fn text() -> &'static str {{ \"leaf {number}\" }}\n")
}

fn incremental() -> Lab {
    let lab = Lab::new();
    lab.set_env("CARGO_INCREMENTAL", "1");
    lab
}

/// Brings `leaf` into a state, builds, and checks what the program says.
fn build(checkout: &Checkout<'_>, number: u32) {
    checkout.write("leaf/src/lib.rs", leaf(number));
    assert_eq!(checkout.build_and_run(), format!("app 1, mid 1, leaf {number}\n"));
}

/// Of the last build: units that missed, with the reason why they were not stored.
fn missed(checkout: &Checkout<'_>) -> Vec<(String, String)> {
    let events = checkout.last().events.into_iter().filter(|event| event.result == "miss");
    let mut missed: Vec<_> = events.map(|event| (event.name, event.not_stored)).collect();
    missed.sort();
    missed
}

fn all(why: &str) -> Vec<(String, String)> {
    ["app", "leaf", "mid"].map(|name| (name.into(), why.into())).into()
}

#[test]
fn going_back_and_forth_between_two_states_hits() {
    let lab = incremental();
    let a = lab.checkout("a", &state(1));
    for number in [1, 2] {
        build(&a, number);
        assert_eq!(missed(&a), all(""));
    }
    for number in [1, 2, 1, 2] {
        build(&a, number);
        assert_eq!(missed(&a), [], "{number}");
    }
}

#[test]
fn of_many_edits_the_first_are_stored() {
    let lab = incremental();
    let a = lab.checkout("a", &state(1));
    for number in [1, 2, 3] {
        build(&a, number);
        assert_eq!(missed(&a), all(""), "{number}");
    }
    for number in [4, 5, 6, 5] {
        build(&a, number);
        assert_eq!(missed(&a), all("edit-loop"), "{number}");
    }
    for number in [1, 3] {
        build(&a, number);
        assert_eq!(missed(&a), [], "{number}");
    }
    build(&a, 7);
    assert_eq!(missed(&a), all("edit-loop"), "hits in between change nothing");
}

#[test]
fn a_state_from_an_edit_loop_is_stored_by_a_first_build_elsewhere() {
    let lab = incremental();
    let a = lab.checkout("a", &state(1));
    for number in 1..=5 {
        build(&a, number);
    }
    assert_eq!(missed(&a), all("edit-loop"));
    let b = lab.checkout("b", &state(5));
    assert_eq!(b.build_and_run(), "app 1, mid 1, leaf 5\n");
    assert_eq!(missed(&b), all(""), "an empty target directory");
    let c = lab.checkout("c", &state(5));
    assert_eq!(c.build_and_run(), "app 1, mid 1, leaf 5\n");
    assert_eq!(missed(&c), []);
    a.cargo(&["clean"]).good();
    build(&a, 6);
    assert_eq!(missed(&a), all(""), "an empty target directory here");
}

#[test]
fn without_incremental_compilation_every_state_is_stored() {
    let lab = Lab::new();
    let a = lab.checkout("a", &state(1));
    for number in 1..=5 {
        build(&a, number);
        assert_eq!(missed(&a), all(""), "{number}");
    }
}

#[test]
fn refreshing_stores_every_state() {
    let lab = incremental();
    let a = lab.checkout("a", &state(1));
    lab.set_env("LARDER", "refresh");
    for number in 1..=5 {
        build(&a, number);
        assert_eq!(missed(&a), all(""), "{number}");
    }
}

#[test]
fn an_edit_after_a_hit_in_an_incremental_crate_is_right() {
    let lab = incremental();
    lab.oracle(&state(1), |checkout| {
        for number in [1, 2, 1, 3, 4, 5, 2, 6] {
            build(checkout, number);
            assert!(checkout.cargo(&["build"]).good().rebuilt().is_empty());
        }
    });
}
