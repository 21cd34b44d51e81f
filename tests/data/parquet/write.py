"""Writes the Parquet files of this folder as other programs do: python3 write.py (needs pyarrow; here 26.0.1)."""
import json
import pyarrow as pa
import pyarrow.parquet as pq

turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string())]))
chats = [
    [{"role": "system", "content": "Be brief.", "name": None}, {"role": "user", "content": f"Question {i}, é 日本?", "name": "anna"},
     {"role": "assistant", "content": "word " * (i + 1), "name": None}]
    for i in range(20)
]
pq.write_table(pa.table({"prompt_id": pa.array(range(20)), "messages": pa.array(chats, turns)}), "messages-snappy.parquet")

shared = [[{"from": "human", "value": f"hello {i}"}, {"from": "gpt", "value": "one two three"}] for i in range(20)]
pq.write_table(
    pa.table({"conversations": pa.array(shared, pa.large_list(pa.struct([("from", pa.large_string()), ("value", pa.large_string())])))}),
    "conversations-zstd.parquet", compression="zstd")

words = pa.array([f"Which word is number {i % 4}?" for i in range(40)])
pq.write_table(
    pa.table({"Question": words.dictionary_encode(), "answer": pa.array(["word"] * 40, pa.large_string()),
              "score": pa.array([i / 7 if i % 3 else None for i in range(40)]),
              "when": pa.array([i * 1000 for i in range(40)], pa.timestamp("ms")),
              "image": pa.array([b"\x89PNG"] * 40)}),
    "question-gzip.parquet", compression="gzip", row_group_size=16)

jsons = [json.dumps([{"role": "user", "content": f"text {i}", "x": 1.50}]) for i in range(12)]
pq.write_table(
    pa.table({"messages": jsons, "max_tokens": pa.array([5] * 12, pa.int32())}),
    "json-text-plain.parquet", compression="none", use_dictionary=False, data_page_version="2.0", write_page_checksum=True)

pq.write_table(
    pa.table({"Request tokens": pa.array([10, 20, 0], pa.uint16()), "Response tokens": pa.array([1.0, 2.0, 3.0])}),
    "lengths-lz4.parquet", compression="lz4")

pq.write_table(pa.table({"prompt": ["a"] * 10}), "prompt-brotli.parquet", compression="brotli")
