//! What conversations ask, turn by turn.

use super::*;
use crate::tokens::sample;
use crate::workload::testing::traffic;
use crate::workload::{Models, NextTurn, Workload};

fn chat(tokens: Tokens) -> Chat {
    Chat {
        class: "chat".into(),
        turns: Length::Uniform(2, 5),
        think: Think::Drawn(Length::Lognormal { median: 5.0, sigma: 0.6 }),
        system: Some(Prefix { tokens: 40, groups: 3 }),
        user: Length::Uniform(5, 30),
        reply: Length::Uniform(3, 20),
        carry: Carry::Synthetic,
        next_turn: None,
        extra: None,
        tokens: Arc::new(tokens),
    }
}

fn reply(text: &str) -> Reply {
    Reply {
        text: text.into(),
        output_tokens: text.split(' ').count() as u32,
        success: true,
        ..Reply::default()
    }
}

/// Every turn of a session, each told `said`.
fn turns(workload: &Workload, salt: u64, seq: u64, said: &str) -> Vec<Turn> {
    assert_eq!(workload.check(), Ok(()));
    let mut session = workload.session(&traffic("cell", salt), seq);
    let mut turns: Vec<Turn> = session.next(None).unwrap().into_iter().collect();
    while session.goes_on() {
        turns.extend(session.next(Some(&reply(said))).unwrap());
    }
    assert!(session.next(Some(&reply(said))).unwrap().is_none());
    turns
}

fn messages(turn: &Turn) -> Vec<(String, String)> {
    let Prompt::Verbatim(asked) = &turn.request.prompt else { panic!("messages") };
    let messages: Vec<Value> = serde_json::from_str(&asked.json).expect("JSON");
    let text = |message: &Value, key: &str| message[key].as_str().expect("text").to_string();
    messages.iter().map(|message| (text(message, "role"), text(message, "content"))).collect()
}

#[test]
fn each_turn_carries_what_was_said_before_it_and_the_reply_byte_for_byte() {
    let workload = Workload::Chat(Arc::new(Chat { carry: Carry::Reply, ..chat(Tokens::Words) }));
    let said = "\"so\" \u{1f600}\n\ttell </script>";
    for seq in 0..20 {
        let turns = turns(&workload, 1, seq, said);
        assert!((2..=5).contains(&turns.len()));
        for (at, turn) in turns.iter().enumerate() {
            assert_eq!((turn.request.turn, turn.request.seq, turn.request.session), (at as u32, seq, seq));
            let now = messages(turn);
            let roles: Vec<&str> = now.iter().map(|(role, _)| role.as_str()).collect();
            let expected = [vec!["system", "user"], ["assistant", "user"].repeat(at)].concat();
            assert_eq!(roles, expected);
            assert!(now.iter().filter(|(role, _)| role == "assistant").all(|(_, text)| text == said));
            if let Some(before) = at.checked_sub(1).map(|before| messages(&turns[before])) {
                assert_eq!(now[..before.len()], before);
            }
        }
    }
}

#[test]
fn lengths_are_known_beforehand_and_are_those_of_the_text() {
    for tokens in [Tokens::Words, sample::byte_level()] {
        let chat = Arc::new(chat(tokens));
        let workload = Workload::Chat(chat.clone());
        let run = traffic("cell", 1);
        for seq in 0..10 {
            let turns = turns(&workload, 1, seq, "not carried");
            let first = (Duration::ZERO, workload.asked(&run, seq));
            let known: Vec<_> = [vec![first], workload.later_turns(&run, seq)].concat();
            let told = |turn: &Turn| {
                let (input, output) = (turn.request.asked_input.unwrap(), turn.request.max_tokens);
                (turn.after, AskedSize { input: input.into(), output })
            };
            assert_eq!(turns.iter().map(told).collect::<Vec<_>>(), known);
            for turn in &turns {
                let words = messages(turn).iter().map(|(_, text)| text.split(' ').count()).sum::<usize>();
                assert_eq!(words as u32, turn.request.asked_input.unwrap());
                let counted = chat.tokens.count("a").and(turn.request.asked_input);
                assert_eq!(turn.request.counted_input, counted);
            }
        }
    }
}

#[test]
fn conversations_of_a_group_share_their_system_prompt_and_the_salt_changes_words_alone() {
    let workload = Workload::Chat(Arc::new(chat(Tokens::Words)));
    let systems = |salt| -> std::collections::HashSet<String> {
        (0..40).map(|seq| messages(&turns(&workload, salt, seq, "")[0])[0].1.clone()).collect()
    };
    assert_eq!((systems(1).len(), systems(2).len()), (3, 3));
    assert!(systems(1).is_disjoint(&systems(2)));
    let lengths = |salt| {
        let turns = (0..20).flat_map(|seq| turns(&workload, salt, seq, ""));
        turns.map(|turn| (turn.after, turn.request.asked_input)).collect::<Vec<_>>()
    };
    assert_eq!(lengths(1), lengths(2));
}

#[test]
fn a_turn_does_not_depend_on_what_was_said() {
    let workload = Workload::Chat(Arc::new(Chat { carry: Carry::Reply, ..chat(Tokens::Words) }));
    let questions = |said: &str| {
        let turns = turns(&workload, 1, 3, said);
        let own = |turn: &Turn| (turn.after, turn.request.max_tokens, messages(turn).pop());
        turns.iter().map(own).collect::<Vec<_>>()
    };
    assert_eq!(questions("yes"), questions("it is a long story, and nobody knows its end"));
}

#[test]
fn a_reply_that_failed_ends_its_conversation() {
    let workload = Workload::Chat(Arc::new(chat(Tokens::Words)));
    let mut session = workload.session(&traffic("cell", 1), 0);
    session.next(None).unwrap();
    assert!(session.goes_on());
    let failed = Reply { success: false, ..reply("") };
    assert!(session.next(Some(&failed)).unwrap().is_none());
    assert!(!session.goes_on());
}

#[test]
fn a_conversation_keeps_its_model_and_the_part_of_its_mix() {
    let names = vec!["a".to_string(), "b".to_string()];
    let inner = Workload::Chat(Arc::new(chat(Tokens::Words)));
    let named = Workload::Models(Models { models: names, workload: Box::new(inner.clone()) });
    let mix = Workload::Mix(vec![(1.0, named.clone())]);
    let mut seen = std::collections::HashSet::new();
    for seq in 0..20 {
        let model = |turn: &Turn| turn.request.extra.as_ref().expect("fields")["model"].clone();
        let turns = turns(&mix, 1, seq, "");
        assert!(turns.iter().all(|turn| model(turn) == model(&turns[0])));
        seen.insert(model(&turns[0]).to_string());
    }
    assert_eq!(seen.len(), 2);
    assert!(mix.converses() && named.converses() && inner.converses());
}

#[test]
fn bad_chats_are_named_in_a_sentence() {
    let check = |change: fn(&mut Chat)| {
        let mut chat = chat(Tokens::Words);
        change(&mut chat);
        chat.check().expect_err("bad")
    };
    assert_eq!(check(|c| c.user = Length::Fixed(0)), "user: a length must be at least 1 token, got 0");
    assert_eq!(
        check(|c| c.turns = Length::Fixed(20_000)),
        "turns: a conversation has at most 10000, got 20000"
    );
    assert_eq!(
        check(|c| c.system = Some(Prefix { tokens: 5, groups: 0 })),
        "system: it needs at least 1 group, got 0"
    );
}

/// Goes on with what the test says, by the number of the turn.
struct Told(fn(&Heard) -> Option<FollowUp>);

impl NextTurn for Told {
    fn session(&self) -> Box<dyn SessionTurns> {
        Box::new(Told(self.0))
    }
}

impl SessionTurns for Told {
    fn next(&mut self, heard: Heard) -> Result<Option<FollowUp>> {
        Ok((self.0)(&heard))
    }
}

fn follow_up(says: Says) -> FollowUp {
    FollowUp { says, max_tokens: None, think: None, extra: None }
}

fn hooked(told: fn(&Heard) -> Option<FollowUp>) -> Workload {
    let cost = HookCost::new("next_turn", "a.rhai:1:1", "");
    let next_turn = Some(TurnHook::new(Arc::new(Told(told)), cost));
    let turns = Length::Fixed(4);
    Workload::Chat(Arc::new(Chat { turns, carry: Carry::Reply, next_turn, ..chat(Tokens::Words) }))
}

#[test]
fn a_hook_says_how_a_conversation_goes_on_and_ends_it() {
    let workload = hooked(|heard| match heard.index {
        1 => Some(follow_up(Says::Text(format!("after {:?}", heard.text)))),
        2 => {
            let tool = json!({ "role": "tool", "tool_call_id": "1", "content": [1] });
            let body = serde_json::Map::from_iter([("tools".into(), json!([]))]);
            Some(FollowUp {
                says: Says::Messages(vec![tool, json!({ "role": "user", "content": "so?" })]),
                max_tokens: Some(7),
                think: Some(Duration::from_secs(9)),
                extra: Some(Arc::new(body)),
            })
        }
        _ => None,
    });
    let mut session = workload.session(&traffic("cell", 1), 0);
    let first = session.next(None).unwrap().unwrap();
    assert!(first.request.synthetic && session.reads_replies());
    let second = session.next(Some(&reply("it is"))).unwrap().unwrap();
    assert_eq!(messages(&second)[3], ("user".into(), "after \"it is\"".into()));
    assert!(!second.request.synthetic && second.request.asked_input.is_none());
    let third = session.next(Some(&reply("so"))).unwrap().unwrap();
    let Prompt::Verbatim(asked) = &third.request.prompt else { panic!("messages") };
    let all: Vec<Value> = serde_json::from_str(&asked.json).expect("JSON");
    assert_eq!(all.len(), 7, "{all:?}");
    assert_eq!(all[5], json!({ "role": "tool", "tool_call_id": "1", "content": [1] }));
    assert_eq!((third.request.max_tokens, third.after), (7, Duration::from_secs(9)));
    assert_eq!(third.request.extra.as_ref().map(|body| body["tools"].clone()), Some(json!([])));
    assert!(session.next(Some(&reply("so"))).unwrap().is_none() && !session.goes_on());
    assert_eq!(workload.hook_costs()[0].totals().calls, 3);
}

#[test]
fn a_hook_that_names_no_question_leaves_the_chat_as_it_would_be() {
    let plain = hooked(|_| Some(follow_up(Says::Random)));
    let Workload::Chat(chat) = &plain else { unreachable!() };
    let without = Workload::Chat(Arc::new(Chat { next_turn: None, ..(**chat).clone() }));
    let told = |workload: &Workload| {
        let turns = turns(workload, 1, 3, "yes");
        turns.iter().map(|turn| (turn.after, format!("{:?}", turn.request))).collect::<Vec<_>>()
    };
    assert_eq!(told(&plain), told(&without));
}

#[test]
fn a_hook_hears_of_failures_and_takes_the_question_back() {
    let workload = hooked(|heard| {
        assert_eq!(heard.ok, heard.index == 2, "{}", heard.index);
        Some(follow_up(Says::Text(format!("turn {}", heard.index))))
    });
    let mut session = workload.session(&traffic("cell", 1), 0);
    session.next(None).unwrap();
    let failed = Reply { success: false, ..reply("") };
    let again = session.next(Some(&failed)).unwrap().unwrap();
    let roles = |turn: &Turn| messages(turn).into_iter().map(|(role, _)| role).collect::<Vec<_>>();
    assert_eq!(roles(&again), ["system", "user"]);
    session.next(Some(&reply("yes"))).unwrap();
    let third = session.next(Some(&failed)).unwrap().unwrap();
    assert_eq!(roles(&third), ["system", "user", "assistant", "user"]);
    assert_eq!(messages(&third)[3].1, "turn 3");
}

#[test]
fn the_history_of_a_hook_is_the_servers_count_where_it_counts() {
    let workload = hooked(|heard| {
        assert_eq!((heard.input_tokens, heard.history_tokens), (500, 502));
        None
    });
    let mut session = workload.session(&traffic("cell", 1), 0);
    session.next(None).unwrap();
    let counted = Reply { input_tokens: Some(500), ..reply("two words") };
    assert!(session.next(Some(&counted)).unwrap().is_none());
}
