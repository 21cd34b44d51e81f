//! What files of other programs look like: each kind with what becomes of it.

use super::testing::{error, read, read_how, skipped};
use super::{DataFormat, How, parse};
use crate::record::{Key, Verbatim};
use crate::workload::{Ask, PromptRow};

/// The prompts of a file, one below the other.
fn prompts(text: &[u8], format: DataFormat) -> Result<(Vec<String>, Option<String>), String> {
    let rows = parse("file", text, &How { format, ..How::default() }).map_err(|error| error.message)?;
    let of = |row: &PromptRow| match &row.ask {
        Ask::Text(text) => text.to_string(),
        Ask::Verbatim(asked) => asked.json.to_string(),
        Ask::Tokens(n) => n.to_string(),
    };
    Ok((rows.rows.iter().map(of).collect(), rows.skipped.map(|skipped| skipped.to_string())))
}

/// `a` and `b` are good prompts, and between them stands what is not.
#[test]
fn a_line_that_is_broken_costs_no_other() {
    const UTF8: &str = "the text is not UTF-8";
    let good = |name: &str| format!("{{\"prompt\": \"{name} good prompt\"}}\n").into_bytes();
    for (line, told) in [
        (&b"{\"prompt\": \"nul \0 byte\"}"[..], "line 2 column 17: a byte is 0"),
        (b"{\"prompt\": \"caf\xe9\"}", &format!("line 2 column 16: {UTF8}")),
        (b"caf\xe9", &format!("line 2 column 4: {UTF8}")),
        (
            b"{\"prompt\": \"tab\there\"}",
            "line 2 column 15: a tab or another control character stands in a text as it is",
        ),
        (b"{\"prompt\": \"a\",}", "line 2 column 16: expected the name of a field in quotes"),
        (b"{\"prompt\": \"a\"} {\"prompt\": \"b\"}", "line 2 column 17: more text behind the JSON"),
        (b"{\"prompt\": \"\"}", "line 2 column 12: the prompt is empty"),
        (b"{\"prompt\": \" \\n\\t\"}", "line 2 column 12: the prompt is empty"),
        (b"{\"prompt\": NaN}", "line 2: prompt or messages is missing"),
        (b"{\"prompt\": [\"a\", NaN]}", "line 2 column 18: expected value"),
        (b"{\"prompt\": [[[1]]]}", "line 2 column 13: expected token ids (whole numbers) or texts"),
        (b"{\"prompt\": [[\"a\"]]}", "line 2 column 13: expected token ids (whole numbers) or texts"),
        (b"{\"prompt\": {\"a\": 1}}", "line 2 column 12: expected text or a list, got an object"),
        (b"{\"prompt\": \"a\", \"prompt\": 5}", "line 2 column 27: expected text or a list, got a number"),
        (b"[[[]]]", "line 2 column 2: expected an object, got a list"),
        (b"{\"messages\": [[{\"role\": \"user\"}]]}", "line 2 column 15: expected an object, got a list"),
        (
            b"{\"messages\": \"[{\\\"role\\\": \\\"\\ud800\\\"}]\"}",
            "line 2 column 14: half of a surrogate pair (\\ud800) is no text",
        ),
        (b"{'prompt': 'python'}", "line 2 column 2: expected the name of a field in quotes"),
        (b"null", "line 2 column 1: expected an object, got null"),
    ] {
        let text = [&good("a")[..], line, b"\n", &good("b")[..]].concat();
        let wanted = vec!["a good prompt".to_string(), "b good prompt".to_string()];
        let told = Some(format!("skipped 1 of 3: first at {told}"));
        assert_eq!(
            prompts(&text, DataFormat::Jsonl),
            Ok((wanted, told)),
            "{}",
            String::from_utf8_lossy(line)
        );
    }
}

#[test]
fn what_only_looks_odd_is_read() {
    let two = || vec!["a".to_string(), "b".to_string()];
    let (a, b) = (r#"{"prompt": "a"}"#, r#"{"prompt": "b"}"#);
    for text in [
        format!("\u{feff}{a}\n{b}\n"),
        format!("{a}\r\n{b}\r\n"),
        format!("{a}\r{b}\r"),
        format!("{a}\r{b}"),
        format!("\n\n{a}\n  \n\t\n{b}\n\n\n"),
        format!("{a},\n{b},\n"),
        format!("{a} , \n{b}"),
        format!("[{a},{b}]"),
        format!("[{a},{b},]"),
        format!("[\n{a},\n{b},\n]\n"),
        format!(" [ {a} , {b} ] "),
        "{\"prompt\": \"a\", \"score\": NaN}\n{\"prompt\": \"b\", \"x\": -Infinity, \"output_tokens\": NaN}"
            .into(),
        "[{\"prompt\": \"a\", \"score\": NaN}, {\"prompt\": \"b\"}]".into(),
        "{\"prompt\": \"x\", \"prompt\": \"a\"}\n{\"Prompt\": \"b\"}\n".into(),
        "{\"\\u0070rompt\": \"\\u0061\"}\n{\"prompt\": \"b\"}\n".into(),
        format!("{a}\n{{\"prompt\": \"b\", \"deep\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000)),
    ] {
        assert_eq!(prompts(text.as_bytes(), DataFormat::Jsonl), Ok((two(), None)), "{text:.200}");
    }
}

#[test]
fn an_entry_of_a_list_that_is_broken_costs_no_other_where_its_brackets_close() {
    let text = b"[{\"prompt\": \"a, a\"},\n {\"prompt\": \"caf\xe9 and more text\"}, {\"prompt\": \"b\", \"x\": {\"y\": NaN}},\n {\"prompt\": \"c\",}, {\"prompt\": \"d\"}]";
    let told = "skipped 3 of 5: first at line 2 column 17: the text is not UTF-8".to_string();
    let good = ["a, a", "d"].map(String::from).to_vec();
    assert_eq!(prompts(text, DataFormat::Jsonl), Ok((good, Some(told))));
    let open = "[{\"prompt\": \"a\"},\n{\"prompt\": \"b\", \"x\": {\"y\": NaN},\n{\"prompt\": \"c\"}]";
    assert!(
        error(open, DataFormat::Jsonl).starts_with("cannot read \"file\" line 2 column "),
        "{}",
        error(open, DataFormat::Jsonl)
    );
}

#[test]
fn a_file_of_another_encoding_is_one_sentence() {
    let lines = |line: &[u8]| line.repeat(20);
    let latin = lines(b"{\"prompt\": \"caf\xe9 au lait, s'il vous pla\xeet\"}\n");
    let told = "cannot read \"file\" line 1 column 16: the text is not UTF-8";
    assert_eq!(prompts(&latin, DataFormat::Jsonl), Err(told.into()));
    let gbk = lines(b"{\"prompt\": \"\xc4\xe3\xba\xc3\xc4\xe3\xba\xc3\"}\n");
    assert_eq!(
        prompts(&gbk, DataFormat::Jsonl),
        Err("cannot read \"file\" line 1 column 13: the text is not UTF-8".into())
    );
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = "{\"prompt\": \"a good prompt\"}\r\n".repeat(3);
    for bytes in [[&b"\xff\xfe"[..], &wide(&text)].concat(), wide(&text)] {
        assert_eq!(
            prompts(&bytes, DataFormat::Jsonl),
            Err("cannot read \"file\": the text is UTF-16".into())
        );
    }
    let noise: Vec<u8> = (0..4_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for format in
        [DataFormat::Jsonl, DataFormat::Csv, DataFormat::Lines, DataFormat::ShareGpt, DataFormat::Hf]
    {
        let told = prompts(&noise, format).expect_err("no text");
        assert!(told.starts_with("cannot read \"file\"") && !told.contains('\n'), "{told}");
    }
}

#[test]
fn tables_and_plain_lines_lose_only_the_records_that_are_torn() {
    let table = b"prompt,note\none good prompt,x\ncaf\xe9 and more,x\n\"two\nlines\",x\nnul \0,x\nlast good prompt,y\n";
    let good = ["one good prompt", "two\nlines", "last good prompt"].map(String::from).to_vec();
    let told = Some("skipped 2 of 5: first at line 3 column 4: the text is not UTF-8".to_string());
    assert_eq!(prompts(table, DataFormat::Csv), Ok((good, told)));
    let lines = b"one good prompt\ncaf\xe9 and more\nanother good prompt\rand its end\n";
    let told = Some("skipped 1 of 3: first at line 2 column 4: the text is not UTF-8".to_string());
    let good = ["one good prompt", "another good prompt\rand its end"].map(String::from).to_vec();
    assert_eq!(prompts(lines, DataFormat::Lines), Ok((good, told)));
}

#[test]
fn half_of_a_surrogate_pair_goes_out_as_the_escape_that_it_is() {
    let prompt = r#""\ud800 caf\u00e9 \ude00""#;
    let rows = read(&format!("{{\"prompt\": {prompt}}}\n"), DataFormat::Jsonl).rows;
    assert_eq!(rows[0].ask, Ask::Verbatim(Verbatim::new(Key::Prompt, prompt).into()));
    let messages = r#"[{"role":"user","content":"\ud800 x"}]"#;
    for text in [format!("{{\"messages\": {messages}}}"), messages.to_string()] {
        let rows = read(&text, DataFormat::Jsonl).rows;
        assert_eq!(rows[0].ask, Ask::Verbatim(Verbatim::new(Key::Messages, messages).into()));
    }
    let body = format!("{{\"body\": {{\"prompt\": {prompt}, \"max_tokens\": 2}}}}");
    let rows = read(&body, DataFormat::OpenAiBatch).rows;
    assert_eq!(rows[0].ask, Ask::Verbatim(Verbatim::new(Key::Prompt, prompt).into()));
    // ShareGPT's texts are taken out of their conversation.
    let shared = |text: &str| {
        format!(
            "{{\"conversations\":[{{\"from\":\"human\",\"value\":\"{text}\"}},{{\"from\":\"gpt\",\"value\":\"b\"}}]}}"
        )
    };
    let told = skipped(&[shared("a"), shared("\\ud800")].join("\n"), DataFormat::ShareGpt);
    assert!(told.1.ends_with("half of a surrogate pair (\\ud800) is no text"), "{told:?}");
}

#[test]
fn an_entry_that_no_server_takes_is_left_out() {
    let huge = format!("{{\"prompt\": \"{}\"}}", "x".repeat(64 << 20));
    let text = format!("{{\"prompt\": \"a\"}}\n{huge}\n");
    assert_eq!(skipped(&text, DataFormat::Jsonl), (1, "line 2: it has more than 64 MiB".into()));
}

#[test]
fn replies_are_found_by_their_usual_names_in_every_format() {
    let reply = Some("four, I think");
    for (text, format) in [
        ("{\"prompt\": \"2+2?\", \"answer\": \"four, I think\"}", DataFormat::Jsonl),
        ("[{\"prompt\": \"2+2?\", \"answer\": \"four, I think\"}]", DataFormat::Jsonl),
        ("prompt,answer\n2+2?,\"four, I think\"\n", DataFormat::Csv),
        ("prompt\tAnswer\n2+2?\tfour, I think\n", DataFormat::Csv),
        ("{\"prompt\": \"2+2?\", \"answer\": \"four, I think\"}", DataFormat::Hf),
    ] {
        let rows = read(text, format);
        assert_eq!((rows.rows[0].reply.as_deref(), rows.rows[0].output), (reply, None), "{text}");
        let note = rows.note.expect("which column it was");
        assert!(note.contains("replies") && note.to_lowercase().contains("\"answer\""), "{note}");
    }
    let named = How { reply_column: Some("b".into()), ..How::default() };
    let rows = read_how("{\"prompt\": \"p\", \"answer\": \"a\", \"b\": \"c\"}", &named);
    assert_eq!((rows.rows[0].reply.as_deref(), rows.note), (Some("c"), None));
    let rows = read("{\"prompt\": \"p\", \"answer\": \"a\", \"output_tokens\": 7}", DataFormat::Jsonl);
    assert_eq!((rows.rows[0].reply.as_deref(), rows.rows[0].output, rows.note), (None, Some(7), None));
}
