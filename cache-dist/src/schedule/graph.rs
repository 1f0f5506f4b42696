//! What waits for what.

use std::time::Duration;

/// A unit and the units that it waits for.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What it takes.
    pub cost: Duration,
    /// Places of what it waits for, in the same list.
    pub needs: Vec<usize>,
}

/// For each unit the longest path from its start to the end of the build, itself included. Needs that
/// are out of range, or in a circle, count as none.
#[must_use]
pub fn tails(nodes: &[Node]) -> Vec<Duration> {
    let mut users = vec![Vec::new(); nodes.len()];
    let mut open: Vec<usize> = vec![0; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for need in node.needs.iter().filter(|need| **need < nodes.len()) {
            users[*need].push(i);
            open[*need] += 1;
        }
    }
    // From the end of the build to its beginning: a unit once all that use it are known.
    let mut tails: Vec<Duration> = nodes.iter().map(|node| node.cost).collect();
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|i| open[*i] == 0).collect();
    while let Some(i) = ready.pop() {
        let behind = users[i].iter().map(|user| tails[*user]).max().unwrap_or_default();
        tails[i] = nodes[i].cost + behind;
        for need in nodes[i].needs.iter().filter(|need| **need < nodes.len()) {
            open[*need] -= 1;
            if open[*need] == 0 {
                ready.push(*need);
            }
        }
    }
    tails
}
