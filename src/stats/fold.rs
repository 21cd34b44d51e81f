//! `Fold`: what is kept of records that go by one after the other, in bounded memory.
//!
//! Whoever reads rows needs one loop; whatever is computed from them is a fold, and several folds are a
//! fold. Rows may be split among copies in any way: merged, they say what one would have said.

use crate::record::{Fields, Record};

/// Something that is computed from records in one pass.
pub trait Fold: Sized + Send {
    /// What it reads of a record; all else may be blank.
    fn fields(&self) -> Fields;

    fn add(&mut self, record: &Record);

    /// Adds what another part of the rows gave to a copy of this.
    fn merge(&mut self, other: Self);

    /// A copy of this with nothing in it.
    fn fresh(&self) -> Self;
}

macro_rules! together {
    ($($one:ident $place:tt),+) => {
        impl<$($one: Fold),+> Fold for ($($one,)+) {
            fn fields(&self) -> Fields {
                Fields::NONE$(.with(self.$place.fields()))+
            }

            fn add(&mut self, record: &Record) {
                $(self.$place.add(record);)+
            }

            fn merge(&mut self, other: Self) {
                $(self.$place.merge(other.$place);)+
            }

            fn fresh(&self) -> Self {
                ($(self.$place.fresh(),)+)
            }
        }
    };
}

together!(A 0, B 1);
together!(A 0, B 1, C 2);
together!(A 0, B 1, C 2, D 3);

impl<F: Fold> Fold for Option<F> {
    fn fields(&self) -> Fields {
        self.as_ref().map_or(Fields::NONE, Fold::fields)
    }

    fn add(&mut self, record: &Record) {
        self.iter_mut().for_each(|fold| fold.add(record));
    }

    fn merge(&mut self, other: Self) {
        self.iter_mut().zip(other).for_each(|(fold, other)| fold.merge(other));
    }

    fn fresh(&self) -> Self {
        self.as_ref().map(Fold::fresh)
    }
}

#[cfg(test)]
mod tests;
