use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn unit(cost: u64, tail: u64) -> Unit {
    Unit { cost: seconds(cost), tail: seconds(tail), upload: 0 }
}

fn waiting(cost: u64, tail: u64) -> Waiting {
    Waiting { unit: unit(cost, tail), here: true, there: true }
}

fn sent(cost: u64, tail: u64, elapsed: u64) -> Sent {
    Sent { unit: unit(cost, tail), elapsed: seconds(elapsed), here: true, again: true }
}

/// Workers of these speeds, equally likely.
fn fleet(speeds: &[f64]) -> Fleet {
    let mut fleet = Fleet::new(Duration::from_millis(100));
    for round in 0..3 {
        for (i, speed) in speeds.iter().enumerate() {
            let run = seconds(10).div_f64(*speed);
            fleet.ran(&Ran {
                worker: &format!("w{i}"),
                cost: seconds(10),
                run,
                total: run + Duration::from_millis(100),
                in_flight: round,
                ..Ran::default()
            });
        }
    }
    fleet
}

const NOTHING: Situation<'_> =
    Situation { idle: 0, local: &[], waiting: &[], sent: &[], in_flight: 0, fleet: None };

#[test]
fn an_idle_core_takes_the_unit_that_most_waits_for() {
    let all = [waiting(1, 5), waiting(1, 9), waiting(1, 7)];
    let fleet = fleet(&[1.0]);
    let now = Situation { idle: 1, waiting: &all, fleet: Some(&fleet), ..NOTHING };
    assert_eq!(decide(&now), Some(Move::Here(1)));
    assert_eq!(decide(&Situation { fleet: None, ..now }), Some(Move::Here(1)));
}

#[test]
fn an_idle_core_first_takes_what_can_run_nowhere_else() {
    let fleet = fleet(&[1.0]);
    let mut all = [waiting(1, 5), waiting(1, 9)];
    all[0].there = false;
    let late = [sent(10, 50, 60)];
    let now = Situation { idle: 1, waiting: &all, sent: &late, fleet: Some(&fleet), ..NOTHING };
    assert_eq!(decide(&now), Some(Move::Here(0)));
}

#[test]
fn where_workers_differ_much_spare_seats_are_used_at_once() {
    let now_sent = [Sent { here: false, ..sent(10, 50, 0) }];
    let uneven = fleet(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.125]);
    let even = fleet(&[1.0, 0.9, 1.1]);
    let now = Situation { sent: &now_sent, in_flight: 1, fleet: Some(&uneven), ..NOTHING };
    assert_eq!(decide(&now), Some(Move::Again(0)));
    assert_eq!(decide(&Situation { fleet: Some(&even), ..now }), None);
    assert_eq!(decide(&Situation { in_flight: uneven.window() - 1, ..now }), None);
}

#[test]
fn without_an_idle_core_what_is_worth_it_is_sent() {
    let fleet = fleet(&[1.0]);
    let mut tiny = waiting(1, 9);
    tiny.unit.cost = Duration::from_millis(10);
    let all = [waiting(5, 5), waiting(5, 4), tiny];
    let soon = [Duration::from_millis(20)];
    let now = Situation { local: &soon, waiting: &all, fleet: Some(&fleet), ..NOTHING };
    // The tiny one and one more are sooner done here; the third would wait for both.
    assert_eq!(decide(&now), Some(Move::There(1)));
    let late = [seconds(60)];
    assert_eq!(decide(&Situation { local: &late, ..now }), Some(Move::There(2)));
    assert_eq!(decide(&Situation { local: &late, fleet: None, ..now }), None);
}

#[test]
fn no_more_is_sent_than_the_engine_takes() {
    let fleet = fleet(&[1.0]);
    let (all, late) = ([waiting(5, 5)], [seconds(60)]);
    let now = Situation { local: &late, waiting: &all, fleet: Some(&fleet), ..NOTHING };
    let full = Situation { in_flight: fleet.window(), ..now };
    assert_eq!(decide(&full), None);
    assert_eq!(decide(&Situation { in_flight: fleet.window() - 1, ..now }), Some(Move::There(0)));
}

#[test]
fn a_much_faster_engine_gets_it_though_a_core_is_idle() {
    let fast = fleet(&[4.0]);
    let all = [waiting(8, 8)];
    let now = Situation { idle: 1, waiting: &all, fleet: Some(&fast), ..NOTHING };
    assert_eq!(decide(&now), Some(Move::There(0)));
    let mut here_only = all;
    here_only[0].there = false;
    assert_eq!(decide(&Situation { waiting: &here_only, ..now }), Some(Move::Here(0)));
}

#[test]
fn a_straggler_is_overtaken_and_nobody_else() {
    let fleet = fleet(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.125]);
    let on_time = [sent(10, 50, 5)];
    let now = Situation { idle: 1, sent: &on_time, in_flight: 1, fleet: Some(&fleet), ..NOTHING };
    assert!(fleet.left(&on_time[0].unit, seconds(5)) > seconds(5));
    let late = [sent(10, 50, 15)];
    assert_eq!(decide(&Situation { sent: &late, ..now }), Some(Move::Overtake(0)));
    let nearly_done = [sent(10, 50, 75)];
    assert_eq!(decide(&Situation { sent: &nearly_done, ..now }), None);
    let urgent = [waiting(1, 60)];
    let both = Situation { sent: &late, waiting: &urgent, ..now };
    assert_eq!(decide(&both), Some(Move::Here(0)), "what more work waits for goes first");
    let less = [waiting(1, 40)];
    assert_eq!(decide(&Situation { waiting: &less, ..both }), Some(Move::Overtake(0)));
}

#[test]
fn a_core_that_would_lie_idle_overtakes_for_less() {
    // What is left there exceeds the time here by half a second.
    let fleet = fleet(&[0.5]);
    let late = [Sent { elapsed: Duration::from_millis(9_600), ..sent(10, 50, 0) }];
    let now = Situation { idle: 1, sent: &late, in_flight: 1, fleet: Some(&fleet), ..NOTHING };
    assert_eq!(decide(&now), Some(Move::Overtake(0)));
    let small = [waiting(1, 1)];
    assert_eq!(decide(&Situation { waiting: &small, ..now }), Some(Move::Here(0)));
    let sooner = [Sent { elapsed: Duration::from_millis(10_200), ..late[0] }];
    assert_eq!(decide(&Situation { sent: &sooner, ..now }), None, "it will end sooner there");
    let mut fast = fleet.clone();
    // A fast engine should have ended this long ago.
    for _ in 0..50 {
        let run = seconds(2);
        fast.ran(&Ran { worker: "w0", cost: seconds(10), run, total: run, ..Ran::default() });
    }
    let stuck = [sent(10, 50, 4)];
    let now = Situation { fleet: Some(&fast), sent: &stuck, ..now };
    assert_eq!(decide(&now), Some(Move::Overtake(0)));
    assert_eq!(decide(&Situation { waiting: &small, ..now }), Some(Move::There(0)));
    assert_eq!(decide(&Situation { sent: &[sent(10, 50, 2)], ..now }), None);
}

#[test]
fn without_a_core_a_straggler_is_sent_once_more() {
    let fleet = fleet(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.125]);
    let mut late = [sent(10, 50, 15)];
    late[0].here = false;
    let now = Situation { sent: &late, in_flight: 1, fleet: Some(&fleet), ..NOTHING };
    assert_eq!(decide(&now), Some(Move::Again(0)));
    let twice = [Sent { again: false, ..late[0] }];
    assert_eq!(decide(&Situation { sent: &twice, ..now }), None);
}

#[test]
fn a_lost_engine_has_everything_overtaken() {
    let running = [sent(10, 50, 1)];
    let now = Situation { idle: 1, sent: &running, in_flight: 1, ..NOTHING };
    assert_eq!(decide(&now), Some(Move::Overtake(0)));
}

#[test]
fn what_was_given_up_makes_the_engine_slower() {
    let mut fleet = fleet(&[1.0]);
    let before = fleet.expected(&unit(10, 10));
    for _ in 0..3 {
        fleet.gave_up(seconds(10), seconds(30));
    }
    assert!(fleet.expected(&unit(10, 10)) > before.mul_f64(1.5));
}

#[test]
fn the_window_follows_the_queue() {
    let mut fleet = fleet(&[1.0]);
    let before = fleet.window();
    let ran = Ran { cost: seconds(1), run: seconds(1), total: seconds(1), ..Ran::default() };
    for _ in 0..20 {
        fleet.ran(&Ran { in_flight: fleet.window(), ..ran });
    }
    assert_eq!(fleet.window(), before + 20);
    for _ in 0..100 {
        fleet.ran(&Ran { queued: seconds(3), total: seconds(4), ..ran });
    }
    assert_eq!(fleet.window(), 2);
    assert!(fleet.expected(&unit(1, 1)) < seconds(2), "queueing is no overhead");
}

#[test]
fn tails_are_the_longest_paths_to_the_end() {
    let node = |cost, needs: &[usize]| Node { cost: seconds(cost), needs: needs.to_vec() };
    let nodes = [node(1, &[]), node(5, &[0]), node(2, &[0]), node(3, &[1, 2]), node(9, &[7])];
    assert_eq!(tails(&nodes), [9, 8, 5, 3, 9].map(seconds));
    let circle = [node(1, &[1]), node(2, &[0])];
    assert_eq!(tails(&circle), [1, 2].map(seconds), "nonsense does not hang");
}
