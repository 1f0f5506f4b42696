use super::*;

const RULES: Rules = Rules { cores: 2, racing: true };

fn fleet() -> Fleet {
    Fleet::new(Duration::from_millis(150))
}

fn once(graph: &Graph, rules: Rules, speeds: Vec<f64>) -> Outcome {
    build(graph, rules, Engine::new(speeds, 5), &mut fleet())
}

#[test]
fn the_same_build_comes_out_the_same() {
    let graph = Graph::eza(2);
    let run = || once(&graph, RULES, mixed(16, 3));
    let (first, second) = (run(), run());
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[test]
fn every_unit_is_done_once_and_no_more_cores_are_used_than_there_are() {
    for graph in [Graph::eza(2), Graph::larder(2)] {
        for workers in [0, 16] {
            let outcome = once(&graph, RULES, mixed(workers, 3));
            assert_eq!(outcome.here + outcome.there, graph.units.len());
            assert!(outcome.most_here <= RULES.cores);
            assert_eq!(outcome.there == 0, workers == 0 || outcome.here == graph.units.len());
        }
    }
}

#[test]
fn no_build_beats_its_longest_path_or_its_work() {
    for graph in [Graph::eza(2), Graph::larder(2)] {
        // Libraries need not wait for the whole of what they use: each unit counts up to its metadata.
        let mut least = vec![Duration::ZERO; graph.units.len()];
        for (i, unit) in graph.units.iter().enumerate() {
            least[i] = unit
                .needs
                .iter()
                .map(|need| least[*need] + graph.units[*need].metadata)
                .max()
                .unwrap_or_default();
        }
        let path = least.iter().max().copied().unwrap_or_default();
        // The fastest worker is a quarter faster, and luck gives a twentieth.
        let bound = path.mul_f64(0.75);
        assert!(once(&graph, RULES, mixed(64, 3)).time >= bound);
        let alone = once(&graph, RULES, Vec::new()).time;
        assert!(alone >= (graph.work() / 2).max(path));
        assert!(alone <= graph.work());
    }
}

/// The aim: slow workers cost a tenth at most.
#[test]
fn racing_makes_up_for_slow_workers() {
    let graph = Graph::larder(2);
    let absent = run(&graph, RULES, |seed| without_slow(&mixed(64, seed)));
    let racing = run(&graph, RULES, |seed| mixed(64, seed));
    let patient = run(&graph, Rules { racing: false, ..RULES }, |seed| mixed(64, seed));
    assert!(racing.time <= absent.time.mul_f64(1.1), "{racing:?} next to {absent:?}");
    assert!(patient.time > racing.time, "{patient:?} next to {racing:?}");
}
