//! Both at once: whoever ends first is used, and nothing is said or made twice.

use crate::support::{engine, lab_on, project, sent, varied};

#[test]
fn a_race_gives_the_same_as_no_race() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    // Brings the toolchain, without which nothing is sent in a race.
    lab.checkout("first/ws", &project()).build_and_run();
    lab.set_env("LARDER_EXECUTE_LOCAL", "race");
    let another = varied(project(), "another");
    let (plain, checkout) = (lab.plain("a/ws", &another), lab.checkout("b/ws", &another));
    for checkout in [&plain, &checkout] {
        checkout.build_and_run();
    }
    plain.assert_same(&checkout);
    let sent = sent(&checkout.last());
    // An engine that shares this machine's processors is not worth much.
    let stays = |sent: &String| sent.starts_with("failed: not-worth: ");
    let raced = |sent: &String| ["used", "overtook", "too-late"].contains(&sent.as_str());
    assert!(sent.values().all(|sent| raced(sent) || stays(sent)), "{sent:?}");
    assert!(sent.values().any(raced), "{sent:?}");
}

#[test]
fn nothing_waits_for_the_toolchain_to_be_brought() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    lab.set_env("LARDER_EXECUTE_LOCAL", "race");
    let (plain, checkout) = (lab.plain("a/ws", &project()), lab.checkout("b/ws", &project()));
    for checkout in [&plain, &checkout] {
        checkout.build_and_run();
    }
    plain.assert_same(&checkout);
    let run = checkout.last();
    let units = run.events.iter().filter(|event| event.result == "miss" && !event.runs_a_script());
    let first = units.map(|event| event.sent.as_str()).next();
    assert_eq!(first, Some("failed: not-ready: the engine is being given the toolchain"));
}
