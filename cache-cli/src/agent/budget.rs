//! What is worth waiting for.

use std::time::Duration;

use super::history::Figures;

/// The first question to a remote that nobody knows: what a person does not notice.
const UNKNOWN: Duration = Duration::from_millis(300);
/// A remote that takes longer to answer is not waited for.
const SLOW: Duration = Duration::from_millis(400);
/// Throughput of a remote of which only the latency is known, in bytes a second: 50 Mbit/s.
const GUESS: u64 = 6 << 20;
/// After so many answers in a row that there is nothing, nobody waits for the next.
const ABSENCES: u32 = 6;
/// Added to each wait, since estimates are.
const SLACK: Duration = Duration::from_millis(20);

/// Where waiting is always worth it: until the next word, which comes sooner, or a deadline ends the request.
pub(super) const PATIENT: Duration = Duration::from_secs(30);

/// How long to wait for the answer to something small before going on without.
pub(super) fn question(figures: &Figures) -> Duration {
    match figures.latency_us.map(Duration::from_micros) {
        _ if figures.failed > 0 => Duration::ZERO,
        None => UNKNOWN,
        Some(latency) if latency > SLOW => Duration::ZERO,
        Some(latency) => latency * 3 + SLACK,
    }
}

/// How long to wait for the answer about one outcome, when so many answers before it were that there is none.
/// There are many of these in a build, and one that nobody has built before has them all in vain.
pub(super) fn small_question(figures: &Figures, absences: u32) -> Duration {
    match figures.latency_us.map(Duration::from_micros) {
        Some(latency) if figures.failed == 0 && latency <= SLACK && absences < ABSENCES => {
            latency * 2
        }
        _ => Duration::ZERO,
    }
}

/// How long so many bytes take, after others that are under way.
pub(super) fn transfer(figures: &Figures, bytes: u64) -> Duration {
    let rate = figures.throughput.unwrap_or(GUESS).max(1);
    let latency = Duration::from_micros(figures.latency_us.unwrap_or(0));
    latency + Duration::from_micros(bytes.saturating_mul(1_000_000) / rate)
}

/// How long to wait for an outcome that takes `transfer` to come and `cost` to make. `None`: not worth it.
pub(super) fn outcome(transfer: Duration, cost: Duration) -> Option<Duration> {
    (transfer < cost).then(|| (transfer + transfer / 2 + SLACK).min(cost))
}

/// What a build of so much CPU time takes here at best, less a fifth: bringing it is to be better than that,
/// not as good.
pub(super) fn local(cost: Duration, cores: usize) -> Duration {
    let cores = u32::try_from(cores.max(1)).unwrap_or(u32::MAX);
    cost / cores * 4 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(latency_ms: u64, throughput: u64) -> Figures {
        Figures {
            latency_us: Some(latency_ms * 1000),
            throughput: Some(throughput),
            measured: 1,
            failed: 0,
        }
    }

    #[test]
    fn a_remote_that_is_slow_or_failed_is_not_waited_for() {
        assert_eq!(question(&Figures::default()), UNKNOWN);
        assert!(question(&figures(30, 1)) > Duration::from_millis(60));
        assert_eq!(question(&figures(2000, 1)), Duration::ZERO);
        assert_eq!(question(&Figures { failed: 1, ..figures(1, 1) }), Duration::ZERO);
        assert_eq!(small_question(&figures(100, 1), 0), Duration::ZERO);
        assert_eq!(small_question(&Figures::default(), 0), Duration::ZERO);
        assert!(small_question(&figures(1, 1), ABSENCES - 1) > Duration::ZERO);
        assert_eq!(small_question(&figures(1, 1), ABSENCES), Duration::ZERO);
    }

    #[test]
    fn what_comes_slower_than_it_is_made_is_made() {
        let second = Duration::from_secs(1);
        assert_eq!(transfer(&figures(500, 1_000_000), 2_000_000), second * 5 / 2);
        assert_eq!(outcome(second * 2, second), None);
        assert_eq!(outcome(second * 9 / 10, second), Some(second), "never longer than making it");
        assert!(outcome(second / 10, second).is_some_and(|wait| wait < second / 4));
        assert_eq!(local(second * 5, 2), second * 2);
    }
}
