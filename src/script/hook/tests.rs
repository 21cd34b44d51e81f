//! Functions that are called while a run goes on: what they can do, what they see, and how their mistakes are
//! told.

use crate::client::Fake;
use crate::error::Error;
use crate::experiment::source::WorkloadSource;
use crate::run::Plan;
use crate::run::tests::{closed, ms, plan, play};
use crate::script::testing::{error, printed, session};
use crate::tokens::Tokens;
use crate::workload::Workload;
use rhai::Scope;
use std::sync::Arc;

/// A chat whose `next_turn` is `|turn| { body }`.
fn chat(body: &str) -> String {
    format!("chat(#{{ turns: 6, user: 5, reply: 8, next_turn: |turn| {{ {body} }} }})")
}

/// What `check` finds in it.
fn found(text: &str) -> Vec<String> {
    session(text).errors.iter().map(ToString::to_string).collect()
}

/// The workload that a script ends with.
fn workload(text: &str) -> Workload {
    let session = session(text);
    let made = session.engine.eval_ast_with_scope::<WorkloadSource>(&mut Scope::new(), &session.ast);
    made.expect("a workload").build(&Arc::new(Tokens::Words)).expect("it can be built")
}

#[test]
fn a_hook_can_only_work_on_its_arguments() {
    for (call, name) in [
        ("run(#{})", "run"),
        ("plan(#{})", "plan"),
        ("target(\"builtin\")", "target"),
        ("engine(#{})", "engine"),
        ("param(\"a\", 1)", "param"),
        ("secret(\"a\")", "secret"),
        ("sleep(1)", "sleep"),
        ("elapsed()", "elapsed"),
        ("read(\"a.json\")", "read"),
        ("save(\"a.txt\", \"a\")", "save"),
        ("check(\"a\", true)", "check"),
        ("note(\"a\", 1)", "note"),
        ("fail(\"a\")", "fail"),
        ("info(\"a\")", "info"),
        ("results(#{})", "results"),
        ("dataset(\"a.jsonl\")", "dataset"),
        ("chart(#{})", "chart"),
    ] {
        let told = error(&format!("let a = 1;\n{}", chat(&format!("{call}; ()"))));
        let wanted = format!(
            "`{name}` cannot be called in `next_turn`: it runs while requests are sent, and works on its arguments \
             alone\n  --> test.rhai:2:58\n"
        );
        assert!(told.starts_with(&wanted), "{call}: {told}");
    }
}

#[test]
fn a_mistake_in_a_hook_is_found_before_anything_is_sent() {
    for (body, told) in [
        ("turn.txt", "`txt` is not a property of a turn; did you mean `text`?"),
        ("turn.text.lenn()", "unknown method `lenn`; did you mean `len`?"),
        (
            "5",
            "next_turn: it must return text, a map such as #{ user: \"And then?\" }, or () to end, got an int",
        ),
        ("let l = []; l[3]", "array index 3 out of bounds: array is empty"),
        (
            "let n = 0; loop { n += 1; }",
            "the script took too many steps; an endless loop? (to wait, use sleep)",
        ),
        ("let m = #{}; m.users = 1; m", "next_turn: unknown option `users`; did you mean `user`?"),
        ("let m = #{ max_tokens: 0 }; m.user = \"a\"; m", "next_turn: `max_tokens` must be a whole number"),
        ("#{ user: \"a\", messages: [#{}] }", "next_turn: `messages` and `user` cannot both be given"),
        ("#{ messages: [] }", "next_turn: `messages` must hold at least one message"),
        ("turn.state = 5; ()", "state: it must be a map such as #{ asked: 1 }, got an int"),
        ("throw \"no\"", "the script threw \"no\""),
    ] {
        let text = chat(body);
        let told_of = match found(&text).pop() {
            Some(found) => found,
            None => error(&text),
        };
        assert!(told_of.starts_with(told), "{body}: {told_of}");
        assert!(told_of.contains("\n  --> test.rhai:1:"), "{body}: {told_of}");
    }
}

#[test]
fn keys_that_a_hook_returns_and_captures_that_it_changes_are_known_to_the_check() {
    for (text, told) in [
        (chat("#{ usr: \"a\" }"), "next_turn: unknown option `usr`; did you mean `user`?"),
        (
            chat("if turn.ok { #{ thinks: 5 } } else { () }"),
            "next_turn: unknown option `thinks`; did you mean `think`?",
        ),
        (chat("return #{ tool: [] };"), "next_turn: unknown option `tool`; did you mean `tools`?"),
        (
            format!("let n = 0; {}", chat("n += 1; ()")),
            "chat: `next_turn` has a copy of `n`: what it changes in it is lost",
        ),
        (
            format!("let n = []; {}", chat("n.push(1); ()")),
            "chat: `next_turn` has a copy of `n`: what it changes in it is lost",
        ),
        (
            format!("let n = #{{}}; {}", chat("n.a = 1; ()")),
            "chat: `next_turn` has a copy of `n`: what it changes in it is lost",
        ),
        (
            "let n = 0; let f = |turn| { n = 1; () }; chat(#{ turns: 1, user: 1, reply: 1, next_turn: f });"
                .into(),
            "chat: `next_turn` has a copy of `n`: what it changes in it is lost",
        ),
    ] {
        let found = found(&text);
        assert!(found.len() == 1 && found[0].starts_with(told), "{text}: {found:?}");
    }
    for text in [
        format!("let n = 0; {}", chat("let m = n; m += 1; `${m}`")),
        format!("let n = [1]; {}", chat("let n = [2]; n.push(3); ()")),
        chat("turn.state.n = 1; #{ user: \"a\" }"),
    ] {
        assert_eq!(found(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_a_hook_captured_is_what_it_was() {
    let text = format!("let n = \"before\"; let c = {}; n = \"after\"; c", chat("n"));
    let turns = asked(&workload(&text), 1);
    assert!(turns[1].2.ends_with("{\"role\":\"user\",\"content\":\"before\"}]"), "{}", turns[1].2);
}

/// (session, turn, messages) of one session that is always told `yes`.
fn asked(workload: &Workload, seq: u64) -> Vec<(u64, u32, String)> {
    let traffic = plan(closed(1)).traffic();
    let mut session = workload.session(&traffic, seq);
    let reply =
        crate::record::Reply { text: "yes".into(), output_tokens: 1, success: true, ..Default::default() };
    let mut told = Vec::new();
    let mut last = None;
    while let Some(turn) = session.next(last).expect("it can be made") {
        let crate::record::Prompt::Verbatim(asked) = &turn.request.prompt else { panic!("messages") };
        told.push((seq, turn.request.turn, asked.json.to_string()));
        last = Some(&reply);
    }
    told
}

#[test]
fn a_conversation_has_notes_of_its_own() {
    let body =
        "if !(\"n\" in turn.state) { turn.state = #{ n: 0 }; } turn.state.n += 1; `call ${turn.state.n}`";
    let workload = workload(&chat(body));
    let last = |text: &str| text.rsplit("\"content\":\"").next().map(str::to_string);
    for seq in 0..3 {
        let calls: Vec<_> = asked(&workload, seq).iter().skip(1).map(|(_, _, text)| last(text)).collect();
        let wanted = (1..=5).map(|n| Some(format!("call {n}\"}}]")));
        assert_eq!(calls, wanted.collect::<Vec<_>>());
    }
}

#[test]
fn what_hooks_make_does_not_depend_on_the_number_of_threads() {
    let body = "#{ user: `say ${turn.rng.int(1, 1000000)}`, max_tokens: turn.rng.int(1, 1000000) }";
    let source = chat(body);
    let told = |preparers| {
        let plan =
            Plan { workload: workload(&source), preparers, sessions: Some(40), seed: 3, ..plan(closed(6)) };
        let (mut records, ended) = play(plan, Fake::varied(ms(6)));
        assert_eq!(ended.reason, crate::run::Reason::Requests);
        records.sort_by_key(|record| (record.seq, record.turn));
        records.iter().map(|record| (record.seq, record.turn, record.asked_output)).collect::<Vec<_>>()
    };
    let alone = told(1);
    assert_eq!(alone.len(), 240);
    let drawn: std::collections::BTreeSet<u32> = alone.iter().map(|(_, _, asked)| *asked).collect();
    assert!(drawn.len() > 190, "{}", drawn.len());
    for preparers in [2, 8] {
        assert!(told(preparers) == alone, "{preparers} threads");
    }
}

#[test]
fn an_error_while_a_run_goes_on_ends_it_with_its_place() {
    let body = "if turn.index == 2 && turn.text == \"text\" { [0][turn.index] } \"and?\"";
    let plan = Plan { workload: workload(&chat(body)), sessions: Some(4), ..plan(closed(1)) };
    let (records, ended) = play(plan, Fake::after(ms(1)));
    let crate::run::Reason::Preparation(Error { message, place, .. }) = ended.reason else {
        panic!("{:?}", ended.reason)
    };
    assert!(message.starts_with("cannot make turn 2 of session 0: array index 2 out of bounds"), "{message}");
    assert!(place.expect("a place").starts_with("  --> test.rhai:1:"));
    assert_eq!(records.len(), 2, "what was sent is kept");
}

#[test]
fn a_library_hands_out_hooks_and_hooks_call_their_script() {
    let text = "fn polite(text) { text + \", please\" } const MORE = \"more\";";
    let workload = workload(&format!("{text} {}", chat("polite(global::MORE)")));
    assert!(asked(&workload, 0)[1].2.contains("more, please"));
}

#[test]
fn a_hook_may_print() {
    let out = printed(&chat("print(`turn ${turn.index}`); ()"));
    assert_eq!(out, "turn 1\n", "it is called once beforehand");
}
