//! `Cells`: where a sweep is, for the progress line.

use crate::record::Nanos;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which cell of how many a sweep is at.
#[derive(Debug, Default)]
pub struct Cells(Mutex<Cell>);

/// `of` 0: no sweep.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    at: usize,
    of: usize,
    /// When the sweep's first cell and this one began.
    first: Nanos,
    began: Nanos,
}

impl Cells {
    fn lock(&self) -> MutexGuard<'_, Cell> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sweep is at cell `at` of `of`, from 1 on, since `now`; 0 of 0 when it has ended.
    pub fn set(&self, at: usize, of: usize, now: Nanos) {
        let mut cell = self.lock();
        let first = if at <= 1 { now } else { cell.first };
        *cell = Cell { at, of, first, began: now };
    }

    /// `[2/8] ` inside a sweep, else nothing.
    pub fn label(&self) -> String {
        match *self.lock() {
            Cell { of: 0, .. } => String::new(),
            Cell { at, of, .. } => format!("[{at}/{of}] "),
        }
    }

    /// What the cells after this one take, if each takes what those before it took on average;
    /// `None` outside a sweep and in its first and last cells.
    pub fn left(&self) -> Option<Duration> {
        let Cell { at, of, first, began } = *self.lock();
        let (before, after) = (at.checked_sub(1).filter(|n| *n > 0)?, of.checked_sub(at).filter(|n| *n > 0)?);
        let taken = Duration::from_nanos((began - first).max(0) as u64);
        Some(taken.mul_f64(after as f64 / before as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cells_that_are_left_take_as_long_as_those_before() {
        let cells = Cells::default();
        assert_eq!((cells.label(), cells.left()), (String::new(), None));
        cells.set(1, 4, 1_000);
        assert_eq!((cells.label().as_str(), cells.left()), ("[1/4] ", None));
        cells.set(3, 4, 2_000_001_000);
        assert_eq!(cells.left(), Some(Duration::from_secs(1)));
        cells.set(4, 4, 3_000_001_000);
        assert_eq!(cells.left(), None);
        cells.set(0, 0, 4_000_001_000);
        assert_eq!(cells.label(), "");
    }
}
