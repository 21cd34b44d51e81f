//! Samples: whole and valid inputs of each format.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files of the repository.
pub fn files(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| read(&root().join(name))).collect()
}

/// Every file below a folder of the repository with this ending.
pub fn below(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for path in entries {
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|own| own == ending) => found.push(read(&path)),
                false => {}
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} below {folder}");
    found
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn json_lines() -> Vec<Vec<u8>> {
    texts(&[
        "{\"prompt\": \"one\", \"output_tokens\": 12, \"class\": \"a\"}\n{\"prompt\": [1, 2, 3]}\n",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"h\\u00e9\"}]}], \"tools\": [{}]}\n",
        "[{\"role\": \"system\", \"content\": null}, {\"role\": \"user\", \"content\": \"x\", \"name\": \"y\"}]\n{\"prompt\": \"z\"}",
        "[{\"prompt\": \"a\"},\n {\"prompt\": \"b\", \"max_tokens\": 3.0}]",
        "\u{feff}{\"question\": \"q\", \"answer\": \"a b c\"}\r\n{\"instruction\": \"i\", \"input\": \"j\", \"output\": \"o\"}\r\n",
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}, {\"from\": \"gpt\", \"value\": \"b\"}]}\n",
    ])
}

pub fn tables() -> Vec<Vec<u8>> {
    texts(&[
        "prompt,output_tokens,class\n\"one, \"\"two\"\"\nthree\",7,x\nfour,,y\n",
        "\u{feff}prompt;n\r\na;1\r\n\"b;c\";2\r\n",
        "sep=;\r\nmessages;x\r\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"hi\"\"}]\";1\r",
        "Request tokens\tResponse tokens\n1\t2\n3.0\t0\n",
        "date,model_id,request_goodput:,mean_ttft_ms\n日期,模型ID,请求有效吞吐量,平均首令牌时间(ms)\n20250301-101010,m,None,553.04\n",
    ])
}

pub fn conversations() -> Vec<Vec<u8>> {
    texts(&[
        "[{\"id\": \"a\", \"conversations\": [{\"from\": \"system\", \"value\": \"s\"}, {\"from\": \"human\", \"value\": \"p\"},\n {\"from\": \"gpt\", \"value\": \"r\"}]}, {\"conversations\": []}]",
        "{\"conversations\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"t\"}]}, {\"role\": \"assistant\", \"content\": \"c\"}]}\n",
    ])
}

pub fn batches() -> Vec<Vec<u8>> {
    texts(&[
        "{\"custom_id\": \"r\", \"url\": \"/v1/chat/completions\", \"body\": {\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"h\"}], \"tools\": [{\"a\": 1.50}], \"max_tokens\": 5, \"stream\": true}}\n",
        "{\"body\": {\"prompt\": \"a\\/b\", \"stop\": [\"x\"], \"temperature\": null, \"stream_options\": {}}}\n{\"body\": {\"prompt\": [[1, 2], [3]]}}\n",
    ])
}

pub fn plans() -> Vec<Vec<u8>> {
    texts(&[
        "model: m\nbase_url: http://127.0.0.1:8000\ntokenizer: none   # or a path\ninput_output:\n  - [128, 64]\n  - [512, 64]\nconcurrency_prompts:\n  - [1, 5]\n",
        "x-all: &all {seed: 7, repeats: \"2\"}\n<<: *all\nrequest_rate: .inf\nmetadata: {tp: 8, name: 'a''b'}\ntext: |\n  two\n  lines\n",
        "- 1\n- [a, {b: ~}]\n- !!str 5\n- \"\\u00e9\\x41\"\n---\nsecond: document\n",
    ])
}

pub fn heads() -> Vec<Vec<u8>> {
    texts(&[
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\nkeep-alive: timeout=5, max=100\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many\r\ncontent-length: 2\r\nretry-after: 3\r\nconnection: close\r\n\r\n{}",
        "HTTP/1.0 200 OK\nContent-Type: application/json\nContent-Length: 5, 5\n\nabcde",
        "HTTP/1.1 301 Moved\r\nlocation: http://x/\r\ncontent-encoding: gzip\r\n\r\n",
    ])
}

pub fn chunks() -> Vec<Vec<u8>> {
    texts(&[
        "5\r\nhello\r\n6;name=\"v\"\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n",
        "A\r\n0123456789\r\n000\r\n\r\n",
    ])
}

pub fn events() -> Vec<Vec<u8>> {
    let mut all = below("tests/data/wire", "txt");
    all.extend(texts(&[
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n",
        "event: error\r\ndata: {\"error\": {\"message\": \"m\", \"code\": 500}}\r\n\r\n: ping\r\n\r\n",
        "{\"choices\":[{\"message\":{\"content\":\"a\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":null}}",
        "data: {\"token\":{\"id\":1,\"text\":\"a\"},\"generated_text\":\"ab\",\"details\":{\"finish_reason\":\"length\",\"generated_tokens\":2}}\n\n",
        "data: {\"text_output\":\"a\"}\n\ndata: {\"text\": [\"x\", \"y\"]}\n\n",
    ]));
    all
}
