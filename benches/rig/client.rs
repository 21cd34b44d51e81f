//! `Client`: the three programs that are compared.

use super::load::{Load, Start};
use super::{Result, floor};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that can send a load.
pub enum Client {
    Floor,
    Rampant,
    /// vLLM's client, with the folder of what it reads.
    Vllm {
        program: PathBuf,
        inputs: PathBuf,
    },
}

/// The clients in the order of the table; vLLM's only where `VLLM_RS` names it.
pub fn clients(folder: &Path) -> Result<Vec<Client>> {
    let mut clients = vec![Client::Floor, Client::Rampant];
    if let Some(program) = std::env::var_os("VLLM_RS") {
        write_inputs(folder)?;
        clients.push(Client::Vllm { program: program.into(), inputs: folder.to_path_buf() });
    }
    Ok(clients)
}

impl Client {
    pub fn name(&self) -> &'static str {
        match self {
            Client::Floor => "floor",
            Client::Rampant => "rampant",
            Client::Vllm { .. } => "vllm-rs",
        }
    }

    /// The command that sends `load` to `url` and leaves its results in `out`.
    pub fn command(&self, load: &Load, url: &str, out: &Path) -> Result<Command> {
        let mut command = match self {
            Client::Floor => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(floor::arguments(load, url));
                command
            }
            Client::Rampant => load.command(url, out),
            Client::Vllm { program, inputs } => vllm(program, inputs, load, url),
        };
        let noise = File::create(out.join("stderr"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(noise);
        Ok(command)
    }
}

fn vllm(program: &Path, inputs: &Path, load: &Load, url: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["bench", "serve", "--backend", "openai", "--disable-tqdm", "--ignore-eos"]);
    command.args(["--base-url", url, "--model", "rampant-sim", "--temperature", "0"]);
    command.arg("--tokenizer").arg(inputs);
    command.args(["--dataset-name", "custom", "--dataset-path"]).arg(inputs.join("prompts.jsonl"));
    command.arg("--custom-output-len").arg(load.tokens.to_string());
    command.arg("--num-prompts").arg(load.requests.to_string());
    match load.start {
        Start::Together => {}
        Start::Rate(rate) => _ = command.arg("--request-rate").arg(rate.to_string()),
        Start::Places(places) => _ = command.arg("--max-concurrency").arg(places.to_string()),
    }
    command
}

/// Prompts and a tokenizer of a few words, so that vLLM's client pays for no big one.
fn write_inputs(folder: &Path) -> Result<()> {
    let prompt = serde_json::json!({ "prompt": "word ".repeat(16) });
    std::fs::write(folder.join("prompts.jsonl"), format!("{prompt}\n").repeat(100))?;
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": { "<unk>": 0, "word": 1 }, "unk_token": "<unk>" },
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string())?;
    std::fs::write(folder.join("tokenizer_config.json"), "{}")?;
    Ok(())
}
