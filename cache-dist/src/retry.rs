//! Trying again, with pauses that grow.

use std::time::Duration;

use crate::{Limits, RemoteError, Result};

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(5);

/// Runs `attempt` until it succeeds, fails for good, or was repeated often enough. Only
/// [`RemoteError::Unavailable`] is worth repeating: everything else is an answer, or has taken its
/// time already.
pub(crate) async fn retrying<T, F>(limits: &Limits, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut tries = 0;
    loop {
        match attempt().await {
            Err(RemoteError::Unavailable(_)) if tries < limits.retries => {
                tokio::time::sleep(pause(limits, tries)).await;
                tries += 1;
            }
            other => return other,
        }
    }
}

/// The pause after so many repetitions: between a half and the whole of what doubling gives, so
/// that many clients do not come back at once.
pub(crate) fn pause(limits: &Limits, tries: u32) -> Duration {
    let whole = limits.pause.saturating_mul(1 << tries.min(16)).min(LONGEST);
    let random = getrandom::u32().unwrap_or(u32::MAX);
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// A request with a limit on its time.
///
/// # Errors
/// [`RemoteError::TimedOut`], saying `what` was waited for.
pub(crate) async fn within<T>(
    time: Duration,
    what: &str,
    request: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(time, request).await {
        Ok(result) => result,
        Err(_) => Err(RemoteError::TimedOut(format!("{what}: no answer in {time:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn limits(retries: u32) -> Limits {
        Limits { retries, pause: Duration::from_micros(1), ..Limits::default() }
    }

    #[tokio::test]
    async fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let mut tries = 0;
        let result: Result<()> = retrying(&limits(3), || {
            tries += 1;
            ready(Err(RemoteError::Unavailable("still".into())))
        })
        .await;
        assert!(matches!(result, Err(RemoteError::Unavailable(_))));
        assert_eq!(tries, 4);
        let mut tries = 0;
        let result: Result<()> = retrying(&limits(3), || {
            tries += 1;
            ready(Err(RemoteError::Failed("for good".into())))
        })
        .await;
        assert!(matches!(result, Err(RemoteError::Failed(_))));
        assert_eq!(tries, 1);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let limits = Limits { pause: Duration::from_millis(100), ..Limits::default() };
        for (tries, most) in [(0, 100), (1, 200), (3, 800), (40, 5000)] {
            let pause = pause(&limits, tries);
            assert!(pause <= Duration::from_millis(most), "{tries}: {pause:?}");
            assert!(pause >= Duration::from_millis(most / 2), "{tries}: {pause:?}");
        }
    }
}
