//! Checks the indexes of the entries in a complete export, and finds the line that is missing or moved.

use thiserror::Error;
use vigie_audit::export::Fault;
use vigie_audit::tree::LeafIndex;

/// The fault in the order of the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum OrderFault {
    /// Lines are missing, added, or moved.
    #[error(transparent)]
    Lines(#[from] Fault),
    /// A line has a wrong index.
    #[error("the line of entry {index} has the number {found}")]
    Number { index: LeafIndex, found: u64 },
}

/// Finds the fault in indexes that must be 0, 1, 2 and so on below `size`. Returns `None` if they are. If
/// they are not, `read` is called several times.
///
/// # Errors
///
/// An index cannot be read.
pub(super) fn fault<E, I: Iterator<Item = Result<u64, E>>>(
    read: impl Fn() -> I,
    size: u64,
) -> Result<Option<OrderFault>, E> {
    let mut place = 0;
    let mut found = None;
    for number in read() {
        let number = number?;
        if number != place || place >= size {
            found = Some(number);
            break;
        }
        place += 1;
    }
    let at = LeafIndex(place);
    let Some(found) = found else {
        let dropped = Fault::Dropped { index: at, count: size - place };
        return Ok((place < size).then(|| dropped.into()));
    };
    let rest = |from: u64| skipped(read(), from);
    let after = found.saturating_add(1)..size;
    if place == size {
        let count = u64::try_from(rest(place)?.count()).unwrap_or(u64::MAX);
        let fault = match count {
            1 if found < size => Fault::Doubled { index: LeafIndex(found), place: at },
            _ => Fault::Added { place: at, count },
        };
        return Ok(Some(fault.into()));
    }
    let fault = if found > place && found < size && same(rest(place)?, found..size)? {
        Fault::Dropped { index: at, count: found - place }
    } else if let Some(steps) = moved_on(rest(place)?, place, size)? {
        Fault::Moved { index: at, place: LeafIndex(place + steps) }
    } else if found > place && same(rest(place)?, [found].into_iter().chain(place..found).chain(after))? {
        Fault::Moved { index: LeafIndex(found), place: at }
    } else if same(rest(place + 1)?, place..size)? {
        match found < size {
            true => Fault::Doubled { index: LeafIndex(found), place: at },
            false => Fault::Added { place: at, count: 1 },
        }
    } else if same(rest(place + 1)?, place + 1..size)? {
        return Ok(Some(OrderFault::Number { index: at, found }));
    } else {
        Fault::Several { first: at }
    };
    Ok(Some(fault.into()))
}

/// Returns by how many places the index `place` is late, if moving it back would put the rest in order;
/// otherwise `None`.
fn moved_on<E>(
    mut rest: impl Iterator<Item = Result<u64, E>>,
    place: u64,
    size: u64,
) -> Result<Option<u64>, E> {
    let mut steps = 0;
    while let Some(number) = rest.next().transpose()? {
        if number == place {
            return Ok(same(rest, place + steps + 1..size)?.then_some(steps));
        }
        steps += 1;
        if number != place + steps {
            break;
        }
    }
    Ok(None)
}

/// Returns whether `numbers` equals `expected`, including their lengths.
fn same<E>(
    mut numbers: impl Iterator<Item = Result<u64, E>>,
    mut expected: impl Iterator<Item = u64>,
) -> Result<bool, E> {
    loop {
        match (numbers.next().transpose()?, expected.next()) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}

/// Skips the first `count` numbers.
fn skipped<E, I: Iterator<Item = Result<u64, E>>>(mut numbers: I, count: u64) -> Result<I, E> {
    for _ in 0..count {
        if numbers.next().transpose()?.is_none() {
            break;
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn fault_of(numbers: &[u64], size: u64) -> Option<OrderFault> {
        let Ok(fault) = fault(|| numbers.iter().map(|number| Ok::<_, Infallible>(*number)), size);
        fault
    }

    const fn at(index: usize) -> LeafIndex {
        LeafIndex(index as u64)
    }

    #[test]
    fn every_single_fault_of_the_order_is_named() {
        for size in 0..9_usize {
            let all: Vec<u64> = (0..size as u64).collect();
            let check = |change: &dyn Fn(&mut Vec<u64>)| {
                let mut numbers = all.clone();
                change(&mut numbers);
                fault_of(&numbers, size as u64)
            };
            assert_eq!(check(&|_| ()), None);
            for index in 0..size {
                let dropped = check(&|numbers| numbers.retain(|number| *number != index as u64));
                assert_eq!(dropped, Some(Fault::Dropped { index: at(index), count: 1 }.into()));
                let renamed = check(&|numbers| numbers[index] = 77);
                assert_eq!(renamed, Some(OrderFault::Number { index: at(index), found: 77 }));
                for to in 0..=size {
                    let doubled = check(&|numbers| numbers.insert(to, index as u64));
                    // If the copy is directly before the original, either of the two may be named.
                    let place = at(if to == index { to + 1 } else { to });
                    assert_eq!(doubled, Some(Fault::Doubled { index: at(index), place }.into()));
                }
                for to in (0..size).filter(|to| *to != index) {
                    let moved = check(&|numbers| {
                        let number = numbers.remove(index);
                        numbers.insert(to, number);
                    });
                    // If two neighbours are swapped, the first of them is named.
                    let (index, to) = if to + 1 == index { (to, index) } else { (index, to) };
                    assert_eq!(moved, Some(Fault::Moved { index: at(index), place: at(to) }.into()));
                }
            }
            let added = check(&|numbers| numbers.extend([99, 100]));
            assert_eq!(added, Some(Fault::Added { place: at(size), count: 2 }.into()));
        }
        assert_eq!(fault_of(&[1, 0, 3, 2], 4), Some(Fault::Several { first: at(0) }.into()));
        assert_eq!(fault_of(&[0, u64::MAX], 3), Some(Fault::Several { first: at(1) }.into()));
        assert_eq!(fault_of(&[], 1 << 62), Some(Fault::Dropped { index: at(0), count: 1 << 62 }.into()));
    }

    #[test]
    fn numbers_that_cannot_be_read_are_no_fault_of_the_order() {
        let read = || [Ok(0), Err("broken"), Ok(2)].into_iter();
        assert_eq!(fault(read, 3), Err("broken"));
    }
}
