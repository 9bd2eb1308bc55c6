"""Makes a model that is small enough for any machine: a random Llama of 1 MB and a tokenizer of its own.

Nothing is downloaded. The answers are nonsense; the engine, its endpoints, its log and its failures are real.
The folder is filled under another name and then renamed, so that a half-made model is never mistaken for a whole one.
"""

import os
import shutil
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BEGIN, END, PAD = "<s>", "</s>", "<pad>"
CONTEXT = 2048
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
# Any text does: it only decides which letters become one token.
TEXT = "every node has a bill, a health and an end; a launch asks for one, a drain lets it go. "


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer knows every text, so that no prompt can fail on it."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=[BEGIN, END, PAD], initial_alphabet=alphabet)
    raw.train_from_iterator([TEXT * 40], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=BEGIN, eos_token=END, pad_token=PAD)
    fast.chat_template = TEMPLATE
    return fast


def random_llama(words: int) -> LlamaForCausalLM:
    """Two layers; the seed makes every machine get the same model."""
    torch.manual_seed(32)
    shape = LlamaConfig(
        vocab_size=words,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    return LlamaForCausalLM(shape).to(torch.bfloat16)


def main(target: Path) -> None:
    making = target.with_name(f"{target.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(making)
    random_llama(len(tokenizer)).save_pretrained(making)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(making, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
