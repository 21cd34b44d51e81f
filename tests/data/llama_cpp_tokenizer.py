"""The tokenizer of a GGUF model as a tokenizer.json: python llama_cpp_tokenizer.py MODEL.gguf OUT

For byte-level BPE vocabularies whose digits stand alone, as SmolLM2's.
"""

import json
import sys

from gguf import GGUFReader

# Kinds of token in a GGUF file that are never made from text.
CONTROL, USER_DEFINED = 3, 4


def main():
    model, out = sys.argv[1:]
    fields = GGUFReader(model).fields

    def read(key):
        return fields["tokenizer.ggml." + key].contents()

    words, kinds = read("tokens"), read("token_type")
    whole = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    special = [
        {"id": number, "content": word, "special": True, **whole}
        for number, (word, kind) in enumerate(zip(words, kinds))
        if kind in (CONTROL, USER_DEFINED)
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, level],
        },
        "decoder": level,
        "model": {
            "type": "BPE",
            "vocab": {word: number for number, word in enumerate(words)},
            "merges": read("merges"),
        },
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False)


main()
