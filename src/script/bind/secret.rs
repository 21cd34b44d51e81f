//! `secret`: a value that goes into a request header and nowhere else.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext};

use crate::error::Error;
use crate::experiment::secret::Secret;
use crate::script::fault::{Fallible, raise};
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Secret>("secret");
    engine.register_global_module(exported_module!(functions).into());
}

#[export_module]
mod functions {
    /// The secret that the command line gives with `--secret NAME=env:VAR` or
    /// `--secret NAME=file:PATH`. It prints as `<secret>`; only `api_key` and `headers` accept it.
    #[rhai_fn(name = "secret", volatile, return_raw)]
    pub fn secret(context: NativeCallContext, name: &str) -> Fallible<Secret> {
        State::of(&context).experiment.secrets.get(name).ok_or_else(|| {
            let told = format!("secret: {name:?} was not given");
            raise(Error::usage(told).hint(format!("--secret {name}=env:{name}")))
        })
    }

    /// As above, or `otherwise` when the command line does not give it.
    #[rhai_fn(name = "secret", volatile)]
    pub fn secret_or(context: NativeCallContext, name: &str, otherwise: Dynamic) -> Dynamic {
        let state = State::of(&context);
        let found = match state.experiment.program.built_in {
            true => state.experiment.secrets.get_or_env(name, &state.experiment.host),
            false => state.experiment.secrets.get(name),
        };
        found.map_or(otherwise, Dynamic::from)
    }

    /// Always `<secret>`.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(_secret: &mut Secret) -> ImmutableString {
        "<secret>".into()
    }
}

#[cfg(test)]
mod tests {
    use crate::experiment::secret::From;
    use crate::experiment::switches::Switches;
    use crate::host::Host;
    use crate::script::testing;

    #[test]
    fn a_secret_shows_its_value_nowhere() {
        let host = Host::fake("/", &[("VAR", "sk-12345")]);
        let switches =
            Switches { secrets: vec![("KEY".into(), From::Env("VAR".into()))], ..Default::default() };
        let script = r#"
            let key = secret("KEY");
            print(key); print("a " + key); print(`b ${key}`); print([key]); info(key); debug(key);
            print(secret("NONE", "other"));
            print("the text sk-12345");
        "#;
        testing::run_with(script, &[], switches, host.clone()).unwrap();
        let (out, err) = host.written();
        assert_eq!(out, "<secret>\na <secret>\nb <secret>\n[<secret>]\n<secret>\nother\nthe text <secret>\n");
        assert!(err.contains("<secret>") && !err.contains("1234"), "{err}");
        for wrong in [
            "secret(\"KEY\") == secret(\"KEY\")",
            "secret(\"KEY\").len()",
            "#{ a: secret(\"KEY\") }.to_json()",
        ] {
            let switches =
                Switches { secrets: vec![("KEY".into(), From::Env("VAR".into()))], ..Default::default() };
            let host = Host::fake("/", &[("VAR", "sk-12345")]);
            let told = testing::run_with(&format!("print({wrong});"), &[], switches, host.clone());
            let written = format!("{told:?}{:?}", host.written());
            assert!(!written.contains("1234"), "{wrong}: {written}");
        }
    }

    #[test]
    fn a_secret_that_was_not_given_names_the_flag() {
        assert_eq!(
            testing::error("secret(\"KEY\");"),
            "secret: \"KEY\" was not given\n  --> test.rhai:1:1\n  |\n1 | secret(\"KEY\");\n  | ^\n  try: --secret \
             KEY=env:KEY"
        );
    }
}
