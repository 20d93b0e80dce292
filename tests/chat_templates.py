"""Small chat templates with the habits of well-known ones, and tiny students that use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from l2r_lite.students.sources import POCKET

_ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A chat template.

    Attributes:
        special: tokens to add to the tokeniser; the first ends a reply.
        words: added tokens that are not special, such as <think>.
        begins: every text begins with this token (the template writes it too).
    """

    template: str
    special: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    begins: str = ""


FAMILIES = {
    # A default system prompt.
    "qwen2.5": Family(
        "{%- if messages[0]['role'] == 'system' %}\n"
        "    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n"
        "{%- else %}\n"
        "    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}\n"
        "{%- endif %}\n"
        "{%- for message in messages %}\n"
        "    {%- if message.role != 'system' %}\n"
        "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n"
        "{%- endif %}\n",
        ("<|im_end|>", "<|im_start|>")),
    # Spaces are stripped, today's date is in the system prompt, every text begins with a token.
    "llama-3": Family(
        "{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
        "{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + date_string + '\\n\\n<|eot_id|>' }}"
        "{%- for message in messages %}"
        "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
        "{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
        ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|begin_of_text|>"), begins="<|begin_of_text|>"),
    # No system role, alternating roles, the assistant is called model.
    "gemma": Family(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for message in messages %}" + _ALTERNATE +
        "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
        ("<end_of_turn>", "<start_of_turn>", "<bos>"), begins="<bos>"),
    # Brackets that are no tokens of their own, a space before the reply, no prompt for it.
    "mistral": Family(
        "{{ bos_token }}{% for message in messages %}" + _ALTERNATE +
        "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
        "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}",
        ("</s>", "<s>"), begins="<s>"),
    # Thinks unless it is switched off; thoughts of earlier turns are dropped.
    "qwen3": Family(
        "{%- for message in messages %}\n"
        "    {%- set content = message.content %}\n"
        "    {%- if message.role == 'assistant' %}\n"
        "        {%- set thought = '' %}\n"
        "        {%- if '</think>' in content %}\n"
        "            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n"
        "            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n"
        "        {%- endif %}\n"
        "        {%- if loop.last %}\n"
        "            {%- set content = '<think>\\n' + thought + '\\n</think>\\n\\n' + content %}\n"
        "        {%- endif %}\n"
        "    {%- endif %}\n"
        "    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n"
        "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
        "        {{- '<think>\\n\\n</think>\\n\\n' }}\n"
        "    {%- endif %}\n"
        "{%- endif %}",
        ("<|im_end|>", "<|im_start|>"), words=("<think>", "</think>")),
    # Begins every reply with a thought, and cannot be told not to.
    "r1": Family(
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|User|>' + message['content'] }}"
        "{% else %}{% set content = message['content'].split('</think>')[-1] %}"
        "{{ '<|Assistant|>' + content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|Assistant|><think>\\n' }}{% endif %}",
        ("<|end|>", "<|User|>", "<|Assistant|>", "<|begin|>"), words=("<think>", "</think>"), begins="<|begin|>"),
}  # fmt: skip


def chat_tokenizer(family: Family):  # noqa: ANN201
    """The pocket student's tokeniser with a family's tokens and template."""
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    tokenizer.add_special_tokens({"extra_special_tokens": list(family.special)})
    tokenizer.add_tokens([AddedToken(word, special=False) for word in family.words])
    if family.special:
        tokenizer.eos_token = family.special[0]
    if family.begins:
        tokenizer.bos_token = family.begins
        number = tokenizer.convert_tokens_to_ids(family.begins)
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{family.begins} $A", special_tokens=[(family.begins, number)])
    tokenizer.chat_template = family.template
    return tokenizer


def build_chat(family: Family, folder: Path, *, base: bool = False, seed: int = 0) -> Path:
    """Save an untrained Llama with a chat template; its weights are large, so that no two logits tie.

    Args:
        base: it stops at the end of a text only, as a base model that ships a template does.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = chat_tokenizer(family)
    if base:
        tokenizer.add_special_tokens({"eos_token": "<|end_of_a_text|>"})
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=4096, tie_word_embeddings=True, initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # As instruct models' configs do, and none of it may reach an exam or an export.
    model.generation_config.update(do_sample=True, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
