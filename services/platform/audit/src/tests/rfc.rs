//! The tree as RFC 6962 defines it, implemented literally and slowly.

use crate::tree::NodeHash;

/// Returns the largest power of two that is smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// Section 2.1: the Merkle Tree Hash.
pub(super) fn mth(d: &[Vec<u8>]) -> NodeHash {
    match d {
        [] => NodeHash::EMPTY,
        [d0] => NodeHash::of_entry(d0),
        d => NodeHash::of_children(&mth(&d[..k(d.len())]), &mth(&d[k(d.len())..])),
    }
}

/// Section 2.1.1: the Merkle audit path of the (m+1)th input.
pub(super) fn path(m: usize, d: &[Vec<u8>]) -> Vec<NodeHash> {
    let n = d.len();
    if n == 1 {
        return Vec::new();
    }
    let k = k(n);
    let (mut path, other) =
        if m < k { (path(m, &d[..k]), mth(&d[k..])) } else { (path(m - k, &d[k..]), mth(&d[..k])) };
    path.push(other);
    path
}

/// Section 2.1.2: the Merkle consistency proof for a previous tree of the first m inputs.
pub(super) fn proof(m: usize, d: &[Vec<u8>]) -> Vec<NodeHash> {
    subproof(m, d, true)
}

fn subproof(m: usize, d: &[Vec<u8>], complete: bool) -> Vec<NodeHash> {
    let n = d.len();
    if m == n {
        return if complete { Vec::new() } else { vec![mth(d)] };
    }
    let k = k(n);
    let (mut proof, other) = if m <= k {
        (subproof(m, &d[..k], complete), mth(&d[k..]))
    } else {
        (subproof(m - k, &d[k..], false), mth(&d[..k]))
    };
    proof.push(other);
    proof
}
