//! The jobs that an engine has of this machine, and what is done about those that do not end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cache_dist::schedule::{Fleet, Move, Sent, Situation, Unit, decide};

/// How often a job is sent at most.
const MOST: usize = 3;
/// Where actions share processors, one that is late mostly waits for others, and one more makes all later:
/// one is sent once more only past so many times what it was expected to take.
const STUCK: u32 = 4;

/// How long a wrapper whose job is not the one for a core does not ask again, for each so many jobs: who asks
/// has the token of a core meanwhile.
const LATER: Duration = Duration::from_millis(100);
const FOR_EACH: usize = 8;

/// A job.
#[derive(Clone, Copy, Debug)]
struct Job {
    unit: Unit,
    /// When it was sent, the last time.
    sent: Instant,
    times: usize,
    /// Whether it may be begun here as well.
    here: bool,
}

/// All jobs that are under way, by the numbers that they were given.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    given: u64,
    jobs: BTreeMap<u64, Job>,
    /// Those that were begun here as well.
    raced: BTreeMap<u64, Job>,
}

impl UnderWay {
    /// A job is sent. `here`: whether it may be begun here as well. Gives its number.
    pub(super) fn begin(&mut self, unit: Unit, here: bool, now: Instant) -> u64 {
        self.given += 1;
        self.jobs.insert(self.given, Job { unit, sent: now, times: 1, here });
        self.given
    }

    /// A job has ended, one way or another.
    pub(super) fn end(&mut self, number: u64) {
        self.jobs.remove(&number);
        self.raced.remove(&number);
    }

    /// A core of this machine is free, and a job's own wrapper has it: whether it is to begin the job.
    /// Otherwise another job is the one for it, or all will end sooner on the engine than they would here.
    pub(super) fn overtakes(&mut self, number: u64, fleet: &Fleet, now: Instant) -> bool {
        // One that waits for its turn to be sent.
        if !self.jobs.contains_key(&number) {
            return true;
        }
        let (numbers, sent) = self.sent(fleet, now);
        let situation = Situation { idle: 1, ..situation(&sent, sent.len(), fleet) };
        let Some(Move::Overtake(i)) = decide(&situation) else { return false };
        if numbers.get(i) != Some(&number) {
            return false;
        }
        self.raced.extend(self.jobs.remove_entry(&number));
        true
    }

    /// How long whoever was told to leave a core to others does not ask again.
    pub(super) fn pause(&self) -> Duration {
        LATER * u32::try_from(self.jobs.len().div_ceil(FOR_EACH).max(1)).unwrap_or(1)
    }

    /// Whether a job is to be sent once more, when the engine has so many actions of this machine.
    pub(super) fn again(
        &mut self,
        number: u64,
        fleet: &Fleet,
        in_flight: usize,
        now: Instant,
    ) -> bool {
        let (numbers, sent) = self.sent(fleet, now);
        let Some(Move::Again(i)) = decide(&situation(&sent, in_flight, fleet)) else {
            return false;
        };
        let Some(job) = self.jobs.get_mut(&number).filter(|_| numbers.get(i) == Some(&number))
        else {
            return false;
        };
        (job.times, job.sent) = (job.times + 1, now);
        true
    }

    fn sent(&self, fleet: &Fleet, now: Instant) -> (Vec<u64>, Vec<Sent>) {
        let sent = |job: &Job| {
            let elapsed = now.saturating_duration_since(job.sent);
            let stuck = !fleet.is_crowded() || elapsed > fleet.expected(&job.unit) * STUCK;
            Sent { unit: job.unit, elapsed, here: job.here, again: job.times < MOST && stuck }
        };
        self.jobs.iter().map(|(number, job)| (*number, sent(job))).unzip()
    }
}

fn situation<'a>(sent: &'a [Sent], in_flight: usize, fleet: &'a Fleet) -> Situation<'a> {
    Situation { idle: 0, local: &[], waiting: &[], sent, in_flight, fleet: Some(fleet) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_dist::schedule::Ran;

    const SECOND: Duration = Duration::from_secs(1);

    fn unit(cost: u32, tail: u32) -> Unit {
        Unit { cost: SECOND * cost, tail: SECOND * tail, upload: 0 }
    }

    /// An engine that runs actions as fast as this machine, and takes `share` of a processor for each.
    fn fleet(share: f64) -> Fleet {
        let mut fleet = Fleet::default();
        let alone = (SECOND * 10).mul_f64(share);
        for _ in 0..3 {
            let total = SECOND * 10 + Duration::from_millis(100);
            let ran = Ran { worker: "one", cost: SECOND * 10, run: SECOND * 10, ..Ran::default() };
            fleet.ran(&Ran { alone, total, in_flight: 1, ..ran });
        }
        fleet
    }

    #[test]
    fn a_free_core_takes_the_job_that_most_waits_for_and_each_but_once() {
        let (mut jobs, fleet, begun) = (UnderWay::default(), fleet(1.0), Instant::now());
        let short = jobs.begin(unit(2, 2), true, begun);
        let long = jobs.begin(unit(2, 9), true, begun);
        let now = begun + SECOND * 10;
        assert!(!jobs.overtakes(short, &fleet, now), "the other one is worth more");
        assert!(jobs.overtakes(long, &fleet, now));
        assert!(jobs.overtakes(short, &fleet, now), "the other one has its core");
        jobs.end(long);
        jobs.end(short);
        assert!(jobs.jobs.is_empty() && jobs.raced.is_empty());
    }

    #[test]
    fn what_will_end_sooner_there_is_left_to_the_engine() {
        let (mut jobs, fleet, begun) = (UnderWay::default(), fleet(1.0), Instant::now());
        let job = jobs.begin(unit(10, 10), true, begun);
        assert!(!jobs.overtakes(job, &fleet, begun + SECOND * 5));
        assert!(jobs.overtakes(job, &fleet, begun + SECOND * 25));
    }

    #[test]
    fn many_jobs_do_not_keep_a_core_busy_with_questions() {
        let mut jobs = UnderWay::default();
        let asked_in_a_second =
            |jobs: &UnderWay| jobs.jobs.len() as f64 / jobs.pause().as_secs_f64();
        for _ in 0..64 {
            jobs.begin(unit(2, 2), true, Instant::now());
            assert!(asked_in_a_second(&jobs) <= 80.0);
        }
    }

    #[test]
    fn what_may_not_be_begun_here_is_in_nobodys_way() {
        let (mut jobs, fleet, begun) = (UnderWay::default(), fleet(1.0), Instant::now());
        jobs.begin(unit(2, 9), false, begun);
        let job = jobs.begin(unit(2, 2), true, begun);
        assert!(jobs.overtakes(job, &fleet, begun + SECOND * 10));
    }

    #[test]
    fn a_job_that_is_late_is_sent_twice_more_and_not_while_it_runs_here() {
        let (mut jobs, fleet, begun) = (UnderWay::default(), fleet(1.0), Instant::now());
        let job = jobs.begin(unit(2, 2), true, begun);
        assert!(!jobs.again(job, &fleet, 1, begun + SECOND), "it is not late");
        let mut now = begun;
        for times in 1..=MOST {
            now += SECOND * 10;
            assert_eq!(jobs.again(job, &fleet, times, now), times < MOST, "{times}");
        }
        jobs.end(job);
        let raced = jobs.begin(unit(2, 2), true, begun);
        assert!(jobs.overtakes(raced, &fleet, now));
        assert!(!jobs.again(raced, &fleet, 1, now));
    }

    #[test]
    fn a_crowded_engine_is_given_once_more_only_what_is_stuck() {
        let (mut jobs, fleet, begun) = (UnderWay::default(), fleet(0.5), Instant::now());
        let job = jobs.begin(unit(10, 10), true, begun);
        assert!(!jobs.again(job, &fleet, 1, begun + SECOND * 30));
        assert!(jobs.again(job, &fleet, 1, begun + SECOND * 60));
    }
}
