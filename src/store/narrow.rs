//! `narrow`, `widen`: the events of requests in a journal. They are most of it, and there each number takes as many
//! bytes as in memory, 14 an event, and not the 32 of whole 64-bit numbers: less than half to write, and to read again.

use super::{column, schema};
use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt16Type, UInt32Type};
use arrow_array::{Array, ArrayRef, ListArray, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::{Arc, LazyLock};

/// The columns of events, and what one of their numbers is in memory.
const LISTS: [(&str, DataType); 4] = [
    ("event_us", DataType::UInt32),
    ("event_kind", DataType::UInt16),
    ("event_tokens", DataType::UInt32),
    ("event_bytes", DataType::UInt32),
];

fn narrow_type(name: &str) -> Option<&'static DataType> {
    LISTS.iter().find(|(list, _)| *list == name).map(|(_, number)| number)
}

fn element(of: &DataType) -> Arc<Field> {
    Arc::new(Field::new("element", of.clone(), false))
}

/// The columns of a journal.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |field: &Arc<Field>| match narrow_type(field.name()) {
            Some(number) => {
                let list = DataType::List(element(number));
                Arc::new(Field::new(field.name(), list, field.is_nullable()))
            }
            None => field.clone(),
        };
        Arc::new(Schema::new(schema::schema().fields().iter().map(field).collect::<Vec<_>>()))
    });
    SCHEMA.clone()
}

/// A batch of today's columns, for a journal.
pub(super) fn narrow(batch: &RecordBatch) -> RecordBatch {
    let fields = batch.schema();
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| match narrow_type(field.name()) {
        Some(DataType::UInt16) => cast::<Int64Type, UInt16Type>(column, |n| n as u16),
        Some(_) => cast::<Int64Type, UInt32Type>(column, |n| n as u32),
        None => Some(column.clone()),
    };
    let columns = fields.fields().iter().zip(batch.columns()).map(column);
    let columns = columns.collect::<Option<Vec<_>>>().expect("events are lists of whole numbers");
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}

/// Back again. A batch whose events are wide stays as it is; `None`: they are something else.
pub(super) fn widen(batch: &RecordBatch) -> Option<RecordBatch> {
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let number = match (narrow_type(field.name()), field.data_type()) {
            (Some(_), DataType::List(element)) => Some(element.data_type().clone()),
            _ => None,
        };
        let wide = match number {
            None | Some(DataType::Int64) => column.clone(),
            Some(DataType::UInt16) => cast::<UInt16Type, Int64Type>(column, i64::from)?,
            Some(DataType::UInt32) => cast::<UInt32Type, Int64Type>(column, i64::from)?,
            Some(_) => return None,
        };
        fields.push(Arc::new(Field::new(field.name(), wide.data_type().clone(), field.is_nullable())));
        columns.push(wide);
    }
    RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), columns).ok()
}

/// A list of numbers of another width.
fn cast<From: ArrowPrimitiveType, To: ArrowPrimitiveType>(
    column: &ArrayRef,
    number: impl Fn(From::Native) -> To::Native,
) -> Option<ArrayRef> {
    let list = column.as_any().downcast_ref::<ListArray>()?;
    let values = list.values().as_any().downcast_ref::<PrimitiveArray<From>>()?;
    let values = PrimitiveArray::<To>::from_iter_values(values.values().iter().map(|value| number(*value)));
    let element = if To::DATA_TYPE == DataType::Int64 { column::element() } else { element(&To::DATA_TYPE) };
    let list = ListArray::try_new(element, list.offsets().clone(), Arc::new(values), list.nulls().cloned());
    Some(Arc::new(list.ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::{encode, sample};
    use super::*;

    #[test]
    fn a_batch_comes_back_as_it_went() {
        let wide = encode::batch(&sample::identity("a", 0), 5, &sample::records(200));
        let narrow = narrow(&wide);
        assert_eq!(widen(&narrow).unwrap().columns(), wide.columns());
        assert_eq!(widen(&wide).unwrap().columns(), wide.columns());
        let bytes = |batch: &RecordBatch| batch.get_array_memory_size();
        assert!(bytes(&narrow) < bytes(&wide), "{} and {}", bytes(&narrow), bytes(&wide));
    }
}
