//! Both at once: whoever ends first is used, and nothing is said or made twice.

use crate::support::{engine, lab_on, project, sent};

#[test]
fn a_race_gives_the_same_as_no_race() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    lab.set_env("LARDER_EXECUTE_LOCAL", "race");
    let (plain, checkout) = (lab.plain("a/ws", &project()), lab.checkout("b/ws", &project()));
    for checkout in [&plain, &checkout] {
        checkout.build_and_run();
    }
    plain.assert_same(&checkout);
    let sent = sent(&checkout.last());
    // Once it is known how slow this engine is, small units stay here.
    let stays = |sent: &String| sent.starts_with("failed: not-worth: ");
    let raced = |sent: &String| ["used", "overtook", "too-late"].contains(&sent.as_str());
    assert!(sent.values().all(|sent| raced(sent) || stays(sent)), "{sent:?}");
    assert!(sent.values().any(raced), "{sent:?}");
}
